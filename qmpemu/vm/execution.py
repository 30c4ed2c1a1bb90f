"""How a command is carried out: checked by the schema, run by its handler, or answered from the profile.

execute ──schema──> handler in commands/ ──> machine settles ──> reply
               └──> profile: recorded reply, recorded refusal, or "not emulated"
"""

from __future__ import annotations

from qmpemu.commands import downstream, registry
from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.qmp.encode import Raw
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.guest import Guest
    from qmpemu.machine.machine import Machine
    from qmpemu.profile import Profile

SHOWS_FIRMWARE = frozenset({"x-query-roms", "x-query-ramblock"})
"""Queries whose recorded reply tells of the machine's own firmware."""

COUNTS_RESETS = "x-query-jit"
"""A query whose recorded reply is that of a machine that has not been reset yet. The size of the translation buffer in
it is that of a host with 8 GiB of memory or more."""

FREE_FORM = frozenset({"device_add"})
"""Commands that take arguments of any type: what they need of them they say themselves."""

LOADS_MODULES = "qom-list-types"
"""The one query behind which others answer otherwise: it makes QEMU load its modules."""


class CommandReceived(Fact):
    """A client sent a command that acts (pure queries leave no fact)."""

    command: str


class CommandRefused(Fact):
    """A command was answered with an error."""

    command: str
    desc: str


class CommandBroke(Fact):
    """A command hit a defect of qmpemu. error: the traceback."""

    command: str
    error: str


class CommandNotEmulated(Fact):
    """A command of this QEMU version that qmpemu does not emulate was asked for, and was told so."""

    command: str


class Execution:
    """The commands of one machine. guest: what runs on it now; take_fd: the next descriptor that came along."""

    def __init__(
        self,
        machine: Machine,
        profile: Profile,
        guest: Callable[[], Guest | None],
        take_fd: Callable[[], int | None],
    ) -> None:
        self.was_reset = False
        """Whether the machine was ever reset."""
        self._machine = machine
        self._config = machine.config
        self._facts = machine.facts
        self._profile = profile
        self._guest = guest
        self._fresh = True
        self.context = registry.Context(machine, profile, self._run, take_fd)
        """What every handler gets."""
        self._known = registry.COMMANDS
        self._names = profile.commands()
        machine.history.doors["act"] = self._act_again

    def knows(self, name: str) -> bool:
        """Whether this QEMU version has the command."""
        return name in self._known or name in self._names or name.startswith(downstream.PREFIX)

    def execute(self, name: str, arguments: dict[str, object]) -> object:
        """Run a command for a client; events it causes are queued before this returns. Raises QmpError."""
        if (
            self._machine.preconfig
            and self.context.asker is None  # a human monitor tells verb by verb
            and name not in self._profile.preconfig_commands()
        ):
            raise QmpError(
                f"The command '{name}' is permitted only after machine initialization has completed"
            )
        if name.startswith(downstream.PREFIX):
            return self._downstream(name, arguments)
        command = self._known.get(name)
        if (arguments or (command is not None and command.takes_arguments)) and name not in FREE_FORM:
            self._profile.schema.check(name, arguments)
        if command is not None and command.quiet:
            return self._call(command, arguments)
        self._facts.cause = None
        self._facts.chain(CommandReceived(command=name))
        try:
            return self._run(name, arguments)
        except QmpError as error:
            if command is not None and error.desc == not_emulated(name).desc:
                self._facts.publish(CommandNotEmulated(command=name))
            self._facts.publish(CommandRefused(command=name, desc=error.desc))
            raise
        finally:
            self._facts.cause = None

    def _downstream(self, name: str, arguments: dict[str, object]) -> object:
        """An act at the guest's console; it is the root of what it causes."""
        self._facts.cause = None
        if downstream.to_machine(name, arguments, self._machine):
            return {}
        act, value = downstream.checked(name, arguments, self._machine)
        self._machine.history.note("act", act, value)
        result = self._machine.history.passing(lambda: self._act(act, value))
        return {"shown": result} if result else {}

    def _act(self, act: str, value: str) -> str:
        shown = downstream.run(act, value, self._machine, self._guest())
        self._machine.settle()
        return shown

    def _act_again(self, act: str, value: str) -> None:
        """An act of a boot that is lived again; what was refused then is refused now."""
        try:
            self._act(act, value)
        except QmpError:
            self._machine.settle()

    def _run(self, name: str, arguments: dict[str, object]) -> object:
        command = self._known.get(name)
        if command is None:
            return self._recorded(name, arguments)
        result = self._call(command, arguments)
        self._machine.settle()
        return result

    def _call(self, command: registry.Command, arguments: dict[str, object]) -> object:
        try:
            given = arguments if command.name in FREE_FORM else registry.keywords(arguments)
            return command.call(self.context, **given)
        except Refused as refused:
            raise QmpError(str(refused)) from None
        except QmpError:
            raise
        except Exception as error:  # a defect of ours: the machine and the connection outlive it
            from traceback import format_exc

            trace = format_exc()
            self._machine.host.report(trace)
            self._facts.publish(CommandBroke(command=command.name, error=trace))
            desc = f"defect in qmpemu: {command.name} ended with {type(error).__name__}: {error}; please report it"
            raise QmpError(desc) from None

    def _recorded(self, name: str, arguments: dict[str, object]) -> object:
        config = self._config
        if name == COUNTS_RESETS and config.accel != "tcg":
            raise QmpError("JIT information is only available with accel=tcg")
        reply = self._profile.reply(
            config.family,
            config.accel,
            name,
            arguments or None,
            bare=self._untouched(name),
            fresh=self._fresh,
        )
        self._fresh = self._fresh and name != LOADS_MODULES
        if reply is None:
            self._profile.schema.check(name, arguments)
            reply = None if self._machine.knows_any_of(arguments) else self._profile.refusal(name, arguments)
        if reply is None:
            self._facts.publish(CommandNotEmulated(command=name))
            raise not_emulated(name)
        if isinstance(reply, bytes):
            return Raw(reply if name != "query-commands" or not self._config.operator else _with_ours(reply))
        raise QmpError(reply.desc, reply.cls)

    def _untouched(self, name: str) -> bool:
        """Whether the machine is as it was recorded: nothing added, TCG, and no firmware has run on it yet."""
        if name in SHOWS_FIRMWARE and self._config.firmware is not None:
            return False
        if name == COUNTS_RESETS and self.was_reset:
            return False
        return self._config.bare and self._config.accel == "tcg" and self._machine.clock.now_ns == 0


def _with_ours(reply: bytes) -> bytes:
    """query-commands with the commands of our own in front."""
    ours = b", ".join(b'{"name": "%b"}' % name.encode() for name in downstream.names())
    return b"[" + ours + b", " + reply[1:]
