"""One virtual machine: the hardware, the guest that boots on it, the QMP commands and the monitors that hear events.

    session ──execute──> schema check ──> handler ──> board.serve() ──facts──> events to every monitor ──> reply

Sans-IO: the caller owns the host clock, the time stamps and the bytes. `exit_status` tells when the machine is over.
"""

from __future__ import annotations

from qmpemu.commands import downstream, registry
from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Bus, Fact
from qmpemu.core.table import Refused
from qmpemu.machine.block.happened import BlockFact
from qmpemu.machine.board import MachineReset, MachineShutDown
from qmpemu.machine.machine import Machine
from qmpemu.machine.runstate import RUNNING
from qmpemu.qmp.encode import Raw, encode
from qmpemu.qmp.errors import QmpError, not_emulated
from qmpemu.qmp.session import Session
from qmpemu.qmp.throttle import Throttle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qmpemu.core.clock import Clock, Lifetime
    from qmpemu.guests.guest import Guest, Store
    from qmpemu.guests.windows.participants import Participant
    from qmpemu.hardware import Hardware
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.machine.migration.state import Origin
    from qmpemu.profile import Profile
    from qmpemu.qmp.schema import Schema


SHOWS_FIRMWARE = frozenset({"x-query-roms", "x-query-ramblock"})
"""Queries whose recorded reply tells of the machine's own firmware."""

COUNTS_RESETS = "x-query-jit"
"""A query whose recorded reply is that of a machine that has not been reset yet. The size of the translation buffer in
it is that of a host with 8 GiB of memory or more."""

FREE_FORM = frozenset({"device_add"})
"""Commands that take arguments of any type: what they need of them they say themselves."""

NO_GUEST = "none"
"""`guests.registry.NONE`, which is not imported at the start."""

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


class OptionNotEmulated(Fact):
    """The command line asked for something that changes nothing here."""

    option: str


class GuestLoaded(Fact):
    """A guest begins to boot. settings: those that differ from its preset, NAME=VALUE."""

    guest: str
    settings: tuple[str, ...]
    seed: str


class DiskKeptInMemory(Fact):
    """The guest has no disk image to keep its state beside: with the process it is forgotten."""


class SignalReceived(Fact):
    """The host told the process to end."""

    signal: int


class VM:
    """A machine with its guest and monitors. Raises Refused for a configuration that cannot be built."""

    def __init__(self, config: MachineConfig, profile: Profile, host: Host, clock: Clock) -> None:
        registry.load()
        self.config = config
        self._clock = clock
        self.profile = profile
        self.host = host
        self.facts = Bus(lambda: clock.now_ns)
        self.facts.subscribe(self._emit)
        self.throttle = Throttle(self._broadcast, self._after)
        self.machine = Machine(config, profile, host, clock, self.facts, self._load_guest)
        self.machine.history.doors["act"] = self._act_again
        self.monitors: list[Session] = []
        self._received_fds: dict[Session, list[int]] = {}
        self._asker: Session | None = None
        self._over = False
        self._fresh = True
        self._was_reset = False
        self._true_base_ns: int | None = None
        self.guest: Guest | None = None
        """What runs on the machine now, or ran last."""
        self.participants: Sequence[Participant] = ()
        """Who takes part beside what the preset brings."""
        self._context = registry.Context(self.machine, profile, self._run, self._take_fd)
        self._known = registry.COMMANDS
        self._names = profile.commands()

    @property
    def store(self) -> Store | None:
        """The guest's disk; without one it is kept in memory from the first boot on."""
        return self.machine.disk

    @store.setter
    def store(self, store: Store | None) -> None:
        self.machine.disk = store

    @property
    def exit_status(self) -> int | None:
        """The process's exit status once the machine is over, else None."""
        return self.machine.board.exit_status

    @property
    def schema(self) -> Schema:
        """The recorded introspection data, parsed at first need."""
        return self.profile.schema

    def add_monitor(self, *, pretty: bool = False) -> Session:
        """A new QMP monitor on this machine."""

        def execute(name: str, arguments: dict[str, object]) -> object:
            self._asker = session
            return self.execute(name, arguments)

        session = Session(
            self.profile.greeting,
            execute,
            commands=self.knows,
            oob=self.schema_allows_oob,
            pretty=pretty,
        )
        self.monitors.append(session)
        return session

    def receive_fds(self, session: Session, fds: list[int]) -> None:
        """Descriptors came by SCM_RIGHTS; those that no command has taken by the next ones are closed, as in QEMU."""
        if fds:
            self._drop_fds(session)
            self._received_fds[session] = fds

    def client_left(self, session: Session) -> None:
        """A monitor's client is gone; with the last one go the descriptors that clients have passed."""
        self._drop_fds(session)
        if not any(session.open_ for session in self.monitors):
            self.machine.fdsets.last_client_left(running=self.machine.board.runstate == RUNNING)

    def _drop_fds(self, session: Session) -> None:
        for fd in self._received_fds.pop(session, ()):
            self.host.close_fd(fd)

    def power_up(self) -> None:
        """Start the machine as its configuration says."""
        for option in self.config.not_emulated:
            self.facts.publish(OptionNotEmulated(option=option))
        self.facts.run(None, self.machine.power_up)

    def knows(self, name: str) -> bool:
        """Whether this QEMU version has the command."""
        return name in self._known or name in self._names or name.startswith(downstream.PREFIX)

    def schema_allows_oob(self, name: str) -> bool:
        """Whether the command may be sent with `exec-oob`."""
        return self.schema.allows_oob(name)

    def execute(self, name: str, arguments: dict[str, object]) -> object:
        """Run a command for a client; events it causes are queued before this returns. Raises QmpError."""
        if self.machine.preconfig and name not in self.profile.preconfig_commands():
            raise QmpError(
                f"The command '{name}' is permitted only after machine initialization has completed"
            )
        if name.startswith(downstream.PREFIX):
            return self._downstream(name, arguments)
        command = self._known.get(name)
        if (arguments or (command is not None and command.takes_arguments)) and name not in FREE_FORM:
            self.schema.check(name, arguments)
        if command is not None and command.quiet:
            return self._call(command, arguments)
        self.facts.cause = None
        self.facts.chain(CommandReceived(command=name))
        try:
            return self._run(name, arguments)
        except QmpError as error:
            self.facts.publish(CommandRefused(command=name, desc=error.desc))
            raise
        finally:
            self.facts.cause = None

    def _downstream(self, name: str, arguments: dict[str, object]) -> object:
        """An act at the guest's console; it is the root of what it causes."""
        self.facts.cause = None
        if downstream.to_machine(name, arguments, self.machine):
            return {}
        act, value = downstream.checked(name, arguments, self.machine)
        self.machine.history.note("act", act, value)
        result = self.machine.history.passing(lambda: self._act(act, value))
        return {"shown": result} if result else {}

    def _act(self, act: str, value: str) -> str:
        shown = downstream.run(act, value, self.machine, self.guest)
        self.machine.settle()
        return shown

    def _act_again(self, act: str, value: str) -> None:
        """An act of a boot that is lived again; what was refused then is refused now."""
        try:
            self._act(act, value)
        except QmpError:
            self.machine.settle()

    def terminate(self, signal: int) -> None:
        """A termination signal arrived: a forced shutdown that no setting changes."""
        self.facts.chain(SignalReceived(signal=signal))
        self.machine.board.request_shutdown(guest=False, reason="host-signal")
        self.machine.settle()
        self.facts.cause = None

    def _run(self, name: str, arguments: dict[str, object]) -> object:
        command = self._known.get(name)
        if command is None:
            return self._recorded(name, arguments)
        result = self._call(command, arguments)
        self.machine.settle()
        if self.exit_status is not None:  # the reply to this command is the last thing that is said
            for session in self.monitors:
                session.finish()
        return result

    def _call(self, command: registry.Command, arguments: dict[str, object]) -> object:
        try:
            given = arguments if command.name in FREE_FORM else registry.keywords(arguments)
            return command.call(self._context, **given)
        except Refused as refused:
            raise QmpError(str(refused)) from None
        except QmpError:
            raise
        except Exception as error:  # a defect of ours: the machine and the connection outlive it
            from traceback import format_exc

            trace = format_exc()
            self.host.report(trace)
            self.facts.publish(CommandBroke(command=command.name, error=trace))
            desc = f"defect in qmpemu: {command.name} ended with {type(error).__name__}: {error}; please report it"
            raise QmpError(desc) from None

    def _recorded(self, name: str, arguments: dict[str, object]) -> object:
        config = self.config
        if name == COUNTS_RESETS and config.accel != "tcg":
            raise QmpError("JIT information is only available with accel=tcg")
        reply = self.profile.reply(
            config.family,
            config.accel,
            name,
            arguments or None,
            bare=self._untouched(name),
            fresh=self._fresh,
        )
        self._fresh = self._fresh and name != LOADS_MODULES
        if reply is None:
            self.schema.check(name, arguments)
            reply = None if self.machine.knows_any_of(arguments) else self.profile.refusal(name, arguments)
        if reply is None:
            self.facts.publish(CommandNotEmulated(command=name))
            raise not_emulated(name)
        if isinstance(reply, bytes):
            return Raw(reply if name != "query-commands" or not self.config.operator else _with_ours(reply))
        raise QmpError(reply.desc, reply.cls)

    def _untouched(self, name: str) -> bool:
        """Whether the machine is as it was recorded: nothing added, TCG, and no firmware has run on it yet."""
        if name in SHOWS_FIRMWARE and self.config.firmware is not None:
            return False
        if name == COUNTS_RESETS and self._was_reset:
            return False
        return self.config.bare and self.config.accel == "tcg" and self.machine.clock.now_ns == 0

    def _take_fd(self) -> int | None:
        fds = self._received_fds.get(self._asker) if self._asker is not None else None
        return fds.pop(0) if fds else None

    def _emit(self, fact: Fact) -> None:
        """Send the event that belongs to `fact`, if any, to every monitor.

        After a final SHUTDOWN only the ends of block jobs are told.
        """
        self._was_reset = self._was_reset or type(fact) is MachineReset
        shape = registry.EVENTS.get(type(fact))
        if (
            shape is None
            or self.machine.history.replaying
            or (self._over and not isinstance(fact, BlockFact))
        ):
            return
        self._over = self._over or (isinstance(fact, MachineShutDown) and not fact.stays)
        name, data_of = shape
        seconds, microseconds = self.host.timestamp()
        event: dict[str, object] = {
            "event": name,
            "timestamp": {"seconds": seconds, "microseconds": microseconds},
        }
        data = data_of(fact)
        if data is not None:
            event["data"] = data
        self.throttle.emit(name, data, encode(event))

    def _broadcast(self, event: bytes) -> None:
        for session in self.monitors:
            session.send_event(event)

    def _after(self, delay_ns: int, call: Callable[[], object]) -> None:
        """Run `call` later by the clock that limits events: the host's, under -accel qtest the virtual one."""
        clock = self._clock if not self.config.qtest_accel else self.machine.virtual_clock
        clock.call_at(clock.now_ns + delay_ns, call)

    def _true_time_ns(self) -> int:
        """The host's time of day, going on at the speed of the machine's clock."""
        if self._true_base_ns is None:
            seconds, _ = self.host.timestamp()
            self._true_base_ns = seconds * NS_PER_S - self._clock.now_ns
        return self._true_base_ns + self._clock.now_ns

    def _ahead(self) -> str:
        """How far the time of day is ahead of the machine's clock, in ns: it changes where the machine stands still."""
        return str(self._true_time_ns() - self.machine.clock.now_ns)

    def _set_rtc(self, time_ns: int) -> None:
        """The guest set the battery-backed clock: it keeps that over resets."""
        from qmpemu.machine.wiring import rtc_set

        if self.machine.history.replaying:  # how far it is ahead came along
            return
        self.machine.rtc_ahead_ns = time_ns - self._true_time_ns()
        self.facts.publish(rtc_set(self.config, self.machine.rtc_ahead_ns // NS_PER_S))

    def _guest_died(self, codes: tuple[int, ...]) -> None:
        """The guest's kernel is dead: devices for that hear of it."""
        from qmpemu.machine import panic

        panic.tell(self.machine, codes)

    def _hardware(self) -> Hardware:
        from qmpemu.machine.inventory import hardware
        from qmpemu.machine.migration.hardware import data_of, hardware_of

        history = self.machine.history
        if history.replaying:
            return hardware_of(history.answered("hardware", str))
        found = hardware(self.machine)
        history.answered("hardware", lambda: data_of(found))
        return found

    def _load_guest(self, boot: Lifetime) -> Guest | None:
        acpi = self.machine.acpi
        if acpi is None or self.config.guest == NO_GUEST:
            return None
        from random import Random

        from qmpemu.guests import registry as guests
        from qmpemu.guests.guest import MemoryStore, Platform, Travelled
        from qmpemu.machine.inputs import note_standing

        history = self.machine.history
        if self.store is None:
            self.store = MemoryStore()
            self.facts.publish(DiskKeptInMemory())
        origin = history.again
        if origin is not None:
            if origin.participants != self._taking_part():
                raise Refused(
                    "the guest travels with participants that are not installed here, or lacks some that are"
                )
            self.store = Travelled(origin.disk, self.store, lambda: not history.replaying)
        else:
            origin = self._origin(boot.now_ns)
            note_standing(self.machine)
        history.origin = origin
        history.rng = rng = Random(f"{origin.seed}/{origin.name}")
        ports, alarm = self.machine.ports, self.machine.set_alarm
        platform = Platform(
            acpi,
            boot,
            self.facts,
            rng,
            ports,
            origin.rtc_base_ns,
            self.store,
            alarm,
            self._hardware,
            self.machine.plugging.hotplug,
            self.machine.plugging.balloon,
            self.machine.plugging.os_started,
            self._set_rtc,
            lambda: self.machine.clock.now_ns + int(history.answered("time", self._ahead)),
            self.machine.console,
            self.machine.plugging.watchdog,
            self._guest_died,
        )
        given = tuple(f"{key}={value}" for key, value in origin.settings.items())
        self.facts.publish(GuestLoaded(guest=origin.guest, settings=given, seed=origin.seed))
        self.guest = guests.load(origin.guest, origin.settings, platform, self.participants)
        return self.guest

    def _origin(self, now_ns: int) -> Origin:
        """What the guest is loaded with here and now: all that decides how this boot goes, but its inputs."""
        from qmpemu.guests import registry as guests
        from qmpemu.machine.migration.state import Origin

        assert self.store is not None, "a guest is loaded from its disk"
        return Origin(
            guest=self.config.guest or guests.DEFAULT,
            settings=dict(self.config.settings),
            seed=self.config.seed,
            name=self.config.name,
            participants=self._taking_part(),
            # so that Windows' clock shows the host's, ahead by what a guest has set
            rtc_base_ns=self._true_time_ns() + self.machine.rtc_ahead_ns - now_ns,
            disk=self.store.load(),
            ports=tuple(self.machine.ports),
        )

    def _taking_part(self) -> tuple[str, ...]:
        return tuple(sorted(f"{type(each).__name__} {each.name}" for each in self.participants))


def _with_ours(reply: bytes) -> bytes:
    """query-commands with the commands of our own in front."""
    ours = b", ".join(b'{"name": "%b"}' % name.encode() for name in downstream.names())
    return b"[" + ours + b", " + reply[1:]
