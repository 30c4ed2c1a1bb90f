"""The QEMU guest agent, inside the guest: JSON lines on the virtio-serial port `org.qemu.guest_agent.0`.

    host ──bytes──> port ──> lexer ──(a moment later, on the guest's clock)──> one decorated function ──> reply "\\n"

It listens while its service runs. A guest that is paused, asleep or crashed does not answer, since no time passes in
it. Commands and errors: facts/windows-acpi.md 11, facts/libvirt.md; what is not here is CommandNotFound, and
`guest-info` lists only what is here. `guest-shutdown` answers nothing when it succeeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.qmp import errors
from qmpemu.qmp.encode import encode
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.lexer import Lexer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from qmpemu.guests.activity import Activities
    from qmpemu.port import Port

    Handler = Callable[..., object]

    class Host(Protocol):
        """What the operating system tells and does for its agent."""

        def shutdown(self, mode: str) -> str:
            """Begin a forced shutdown ("powerdown", "halt", "reboot"); the error text, empty when accepted."""

        def suspend(self, state: str) -> str:
            """Begin to sleep ("S3", "S4"), unasked; the error text, empty when accepted."""

        def host_name(self) -> str:
            """The computer's name."""

        def time_ns(self) -> int:
            """The time of day, in nanoseconds since 1970."""

        def timezone(self) -> tuple[int, str]:
            """Offset from UTC in seconds, and a name."""

        def users(self) -> list[tuple[str, int]]:
            """Who is logged on, and since when in nanoseconds since 1970."""

        def os_info(self) -> dict[str, object]:
            """The reply to guest-get-osinfo."""


VERSION = "7.2.0"
"""What guest-info reports: the agent of the QEMU that the profile shows."""

ANSWER_NS = 2 * NS_PER_MS
"""From the last byte of a request to its execution."""

SENTINEL = b"\xff"
NOTHING = object()
"""The result of a command that does not answer."""


class AgentStarted(Fact):
    """The guest agent's service runs and has opened its port."""


class AgentStopped(Fact):
    """The guest agent's service stopped and closed its port."""


class AgentAsked(Fact):
    """The guest agent received a command that acts."""

    command: str


class Command:
    """One registered command. arguments: name to (type, whether it is mandatory)."""

    __slots__ = ("answers", "arguments", "call", "name")

    def __init__(
        self, name: str, call: Handler, arguments: dict[str, tuple[type, bool]], *, answers: bool
    ) -> None:
        self.name = name
        self.call = call
        self.arguments = arguments
        self.answers = answers


COMMANDS: dict[str, Command] = {}
KINDS = {int: "integer", str: "string"}


def command(
    name: str, *, answers: bool = True, **arguments: tuple[type, bool]
) -> Callable[[Handler], Handler]:
    """Register a function `(host, **arguments)` as an agent command. answers: success has a reply."""

    def register(call: Handler) -> Handler:
        COMMANDS[name] = Command(name, call, arguments, answers=answers)
        return call

    return register


@command("guest-ping")
def guest_ping(host: Host) -> object:
    """Answer, nothing else."""
    return {}


@command("guest-sync", id=(int, True))
def guest_sync(host: Host, id: int) -> object:
    """Echo the number."""
    return id


@command("guest-sync-delimited", id=(int, True))
def guest_sync_delimited(host: Host, id: int) -> object:
    """Echo the number; the reply has 0xFF in front (`Agent._answer`)."""
    return id


@command("guest-info")
def guest_info(host: Host) -> object:
    """What this agent can do."""
    listed = [
        {"enabled": True, "name": known.name, "success-response": known.answers}
        for known in COMMANDS.values()
    ]
    return {"version": VERSION, "supported_commands": listed}


@command("guest-shutdown", answers=False, mode=(str, False))
def guest_shutdown(host: Host, mode: str = "powerdown") -> object:
    """Begin a shutdown that bypasses the power button's policy; no answer when Windows accepts it."""
    if mode not in ("halt", "powerdown", "reboot"):
        raise QmpError("Parameter 'mode' expects halt|powerdown|reboot")
    error = host.shutdown(mode)
    if error:
        raise QmpError(f"guest-shutdown failed: {error}")
    return NOTHING


@command("guest-suspend-disk", answers=False)
def guest_suspend_disk(host: Host) -> object:
    """Hibernate; no answer when Windows accepts it."""
    return _suspended(host.suspend("S4"))


@command("guest-suspend-ram", answers=False)
def guest_suspend_ram(host: Host) -> object:
    """Sleep; no answer when Windows accepts it."""
    return _suspended(host.suspend("S3"))


def _suspended(error: str) -> object:
    if error:
        raise QmpError(error)
    return NOTHING


@command("guest-get-osinfo")
def guest_get_osinfo(host: Host) -> object:
    """Which operating system this is."""
    return host.os_info()


@command("guest-get-host-name")
def guest_get_host_name(host: Host) -> object:
    """The computer's name."""
    return {"host-name": host.host_name()}


@command("guest-get-time")
def guest_get_time(host: Host) -> object:
    """Nanoseconds since 1970 by the guest's clock."""
    return host.time_ns()


@command("guest-get-timezone")
def guest_get_timezone(host: Host) -> object:
    """The guest's time zone."""
    offset_s, zone = host.timezone()
    return {"offset": offset_s, "zone": zone}


@command("guest-get-users")
def guest_get_users(host: Host) -> object:
    """Who is logged on."""
    return [
        {"user": user, "domain": host.host_name(), "login-time": since_ns / NS_PER_S}
        for user, since_ns in host.users()
    ]


class Agent:
    """The agent's process. Its port is open from `start` to `stop`, or to `close`, which is what a power cut does."""

    __slots__ = ("_activities", "_host", "_lexer", "_port")

    def __init__(self, port: Port, host: Host, activities: Activities) -> None:
        self._port = port
        self._host = host
        self._activities = activities
        self._lexer = Lexer()

    def start(self) -> None:
        """The service starts."""
        self._lexer = Lexer()
        self._port.on_host_data = self._receive
        self._activities.facts.publish(AgentStarted())
        self._port.set_guest_open(True)

    def stop(self) -> None:
        """The service is told to stop."""
        self._activities.facts.publish(AgentStopped())
        self.close()

    def freeze(self) -> None:
        """The system crashed: the port stays open, and nobody reads it."""
        self._port.on_host_data = lambda data: None

    def close(self) -> None:
        """The port is no longer held."""
        self.freeze()
        self._port.set_guest_open(False)

    def _receive(self, data: bytes) -> None:
        self._activities.after(ANSWER_NS, lambda: self._process(data))

    def _process(self, data: bytes) -> None:
        if not self._port.guest_open:
            return
        for message in self._lexer.feed(data):
            reply = self._answer(message)
            if reply is not None:
                self._port.guest_write(reply)

    def _answer(self, message: object) -> bytes | None:
        """The reply's bytes, or None where there is none."""
        given: dict[str, Any] = message if isinstance(message, dict) else {}
        front = b""
        try:
            if isinstance(message, QmpError):
                raise message
            chosen, arguments = _check(message)
            result = self._run(chosen, arguments)
            if result is NOTHING:
                return None
            reply: dict[str, object] = {"return": result}
            front = SENTINEL if chosen.name == "guest-sync-delimited" else b""
        except QmpError as error:
            reply = {"error": {"class": error.cls, "desc": error.desc}}
        if "id" in given:
            reply["id"] = given["id"]
        return front + encode(reply) + b"\n"

    def _run(self, chosen: Command, arguments: dict[str, object]) -> object:
        if not chosen.answers:
            self._activities.facts.chain(AgentAsked(command=chosen.name))
        return chosen.call(self._host, **arguments)


def _check(message: object) -> tuple[Command, dict[str, object]]:
    """The command and arguments of a request. Raises QmpError with QEMU's texts."""
    if not isinstance(message, dict):
        raise QmpError(errors.NOT_AN_OBJECT)
    for name in message:
        if name not in ("execute", "arguments", "id"):
            raise errors.member_unexpected(name)
    name, arguments = message.get("execute"), message.get("arguments", {})
    if name is None:
        raise QmpError(errors.LACKS_EXECUTE)
    if not isinstance(name, str):
        raise errors.member_must_be("execute", "a string")
    if not isinstance(arguments, dict):
        raise errors.member_must_be("arguments", "an object")
    chosen = COMMANDS.get(name)
    if chosen is None:
        raise errors.command_not_found(name)
    for argument, (kind, mandatory) in chosen.arguments.items():
        if argument not in arguments:
            if mandatory:
                raise errors.parameter_missing(argument)
        elif not isinstance(arguments[argument], kind) or isinstance(arguments[argument], bool):
            raise errors.parameter_type(argument, KINDS[kind])
    for argument in arguments:
        if argument not in chosen.arguments:
            raise errors.parameter_unexpected(argument)
    return chosen, arguments
