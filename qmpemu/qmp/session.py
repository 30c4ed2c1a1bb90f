"""One monitor's session with one client at a time: negotiation, envelope, ids, and the order of bytes. Sans-IO.

    closed ──open()──> negotiating ──qmp_capabilities──> negotiated ──finish(), close()──> closed

Events that a command causes are queued before its reply, because `execute` runs in between (facts/qmp-wire.md §6).
Commands run one after another as they come. Behind one that blocks (`Later`) nothing is read; with out-of-band enabled
up to 8 messages are, out-of-band ones overtake them, and then the monitor is suspended (§11).
"""

from __future__ import annotations

from itertools import chain

from qmpemu.qmp import errors
from qmpemu.qmp.encode import Raw, encode, encode_pretty, string
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later
from qmpemu.qmp.lexer import Lexer
from qmpemu.qmp.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CAPABILITIES = ("oob",)
"""What every monitor offers."""

QUEUED_BYTES_MAX = 1 << 20
"""Output, in bytes, above which no further message is run until it was taken: pipelining cannot grow the process."""


REQUESTS_MAX = 8
"""In-band messages that wait behind a blocked command while out-of-band ones overtake."""


class Session:
    """A monitor. `execute(name, arguments)` returns a value for `encode`, or raises QmpError.

    commands(name): whether the command exists. oob(name): whether it may be sent with `exec-oob`.
    """

    __slots__ = (
        "_blocked",
        "_commands",
        "_execute",
        "_finishing",
        "_greeting",
        "_lexer",
        "_oob",
        "_oob_on",
        "_out",
        "_pretty",
        "_queued",
        "_receiving",
        "_requests",
        "_waiting",
        "negotiated",
        "on_unblocked",
        "open_",
    )

    def __init__(
        self,
        greeting: bytes,
        execute: Callable[[str, dict[str, object]], object],
        *,
        commands: Callable[[str], bool],
        oob: Callable[[str], bool],
        pretty: bool = False,
    ) -> None:
        self._greeting = greeting
        self._execute = execute
        self._commands = commands
        self._oob = oob
        self._pretty = pretty
        self.on_unblocked: Callable[[], object] = _nothing
        """Told when a blocked command is over: there may be output, and input is read again."""
        self._out: list[bytes] = []
        self._queued = 0
        self._waiting: Iterator[object] | None = None
        self._blocked: Later | None = None
        self._requests: list[object] = []
        self._lexer = Lexer()
        self.open_ = self.negotiated = self._oob_on = self._finishing = self._receiving = False

    @property
    def closed(self) -> bool:
        """Whether nothing is run and nothing more is queued."""
        return not self.open_

    @property
    def queued_bytes(self) -> int:
        """Output that nobody has taken yet."""
        return self._queued

    @property
    def paused(self) -> bool:
        """Whether received input waits until the output is taken: call `resume` then."""
        return self._waiting is not None and self._blocked is None

    @property
    def suspended(self) -> bool:
        """Whether received input waits for a blocked command: nothing more is to be read until `on_unblocked`."""
        return self._waiting is not None and self._blocked is not None

    def open(self) -> None:
        """A client came: greet it. Nothing of an earlier one survives."""
        self._lexer = Lexer()
        self._out.clear()
        self._queued, self._waiting, self._blocked = 0, None, None
        self._requests.clear()
        self.negotiated = self._oob_on = self._finishing = False
        self.open_ = True
        self._queue(Raw(self._greeting))

    def close(self) -> None:
        """The client left: no input is run, nothing is queued."""
        self.open_ = self.negotiated = False
        self._waiting = self._blocked = None
        self._requests.clear()

    def finish(self) -> None:
        """End after the reply that is being made, at once if none is; commands behind it get no answer."""
        if self._receiving:
            self._finishing = True
        else:
            self.close()

    def receive(self, data: bytes) -> None:
        """Run every message that `data` completes, as long as the output has room. Not to be called while paused."""
        if self.open_:
            self._work(self._lexer.feed(data))

    def resume(self) -> None:
        """The output was taken: run the messages that wait for it."""
        if self._waiting is not None and self._blocked is None:
            self._work(self._waiting)

    def _work(self, messages: Iterator[object]) -> None:
        self._receiving, self._waiting = True, None
        try:
            for message in messages:
                self._take_up(message)
                if self._finishing:
                    self.close()
                if not self.open_:
                    break
                if self._queued > QUEUED_BYTES_MAX or self._is_full():
                    self._waiting = messages
                    break
        finally:
            self._receiving = False

    def _take_up(self, message: object) -> None:
        """Answer a message, or keep it while a command blocks."""
        if self._blocked is None or self._overtakes(message):
            self._respond(message)
        else:
            self._requests.append(message)

    def _overtakes(self, message: object) -> bool:
        return isinstance(message, dict) and "exec-oob" in message and "execute" not in message

    def _is_full(self) -> bool:
        return self._blocked is not None and (not self._oob_on or len(self._requests) >= REQUESTS_MAX)

    def _unblock(self, blocked: Later, message: dict[str, object], outcome: object) -> None:
        """A blocked command is over: answer it, then what waited behind it."""
        afterwards, blocked.afterwards = blocked.afterwards, None
        if self._blocked is not blocked:  # its client has gone
            if afterwards is not None:
                afterwards()
            return
        self._blocked = None
        if isinstance(outcome, QmpError):
            self._refuse(message, outcome)
        else:
            self._reply(message, outcome)
        if afterwards is not None:
            afterwards()
        requests, self._requests = self._requests, []
        waiting, self._waiting = self._waiting, None
        self._work(chain(requests, waiting or ()))
        self.on_unblocked()

    def send_event(self, event: bytes) -> None:
        """Queue an encoded event; before negotiation it is lost (facts §2.6)."""
        if self.negotiated and self.open_:
            self._queue(Raw(event))

    def take(self) -> bytes:
        """What is to be sent; the queue is empty afterwards."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._queued = 0
        return data

    def _queue(self, value: object) -> None:
        self._put((encode_pretty(value) if self._pretty else encode(value)) + b"\r\n")

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self._queued += len(data)

    def _respond(self, message: object) -> None:
        if isinstance(message, dict):
            try:
                result = self._run(message)
            except QmpError as error:
                self._refuse(message, error)
                return
            if isinstance(result, Later):
                self._block(result, message)
            else:
                self._reply(message, result)
        elif isinstance(message, QmpError):
            self._refuse({}, message)
        else:
            self._refuse({}, QmpError(errors.NOT_AN_OBJECT))

    def _block(self, later: Later, message: dict[str, object]) -> None:
        self._blocked = later
        later.when_finished(lambda outcome: self._unblock(later, message, outcome))

    def _reply(self, message: dict[str, object], result: object) -> None:
        if self._pretty:
            reply = {"return": result}
            if "id" in message:
                reply["id"] = message["id"]
            self._queue(reply)
        elif "id" in message:
            self._put(b'{"return": %b, "id": %b}\r\n' % (encode(result), encode(message["id"])))
        else:
            self._put(b'{"return": %b}\r\n' % encode(result))

    def _refuse(self, message: dict[str, object], error: QmpError) -> None:
        text = f'{{"class": {string(error.cls)}, "desc": {string(error.desc)}}}'
        reply: dict[str, object] = {"error": Raw(text.encode("ascii"))}
        if "id" in message:
            reply["id"] = message["id"]
        self._queue(reply)

    def _run(self, message: dict[str, object]) -> object:
        """Check the envelope, then the session's state, then run (check order: facts §3)."""
        name, arguments, out_of_band = self._envelope(message)
        if name == "qmp_capabilities" and not out_of_band:
            return self._negotiate(arguments)
        if not self.negotiated:
            raise QmpError(errors.NEGOTIATE_FIRST, errors.NOT_FOUND)
        if not self._commands(name):
            raise errors.command_not_found(name)
        if out_of_band and not self._oob(name):
            raise errors.no_oob(name)
        return self._execute(name, arguments)

    def _envelope(self, message: dict[str, object]) -> tuple[str, dict[str, object], bool]:
        command = message.get("execute")
        if type(command) is str:  # the common forms, without a walk in hash order
            rest = len(message) - 1 - ("id" in message)
            if rest == 0:
                return command, {}, False
            arguments = message.get("arguments")
            if rest == 1 and type(arguments) is dict:
                return command, arguments, False
        return self._strict_envelope(message)

    def _strict_envelope(self, message: dict[str, object]) -> tuple[str, dict[str, object], bool]:
        found: str | None = None
        arguments: dict[str, object] = {}
        for member, value in ordered(message):
            if member == "execute" or (member == "exec-oob" and self._oob_on):
                if not isinstance(value, str):
                    raise errors.member_must_be(member, "a string")
                if found is not None:
                    raise errors.members_clash("execute", "exec-oob")
                found = member
            elif member == "arguments":
                if not isinstance(value, dict):
                    raise errors.member_must_be(member, "an object")
                arguments = value
            elif member != "id":
                raise errors.member_unexpected(member)
        if found is None:
            raise QmpError(errors.LACKS_EXECUTE)
        return str(message[found]), arguments, found == "exec-oob"

    def _negotiate(self, arguments: dict[str, object]) -> object:
        wanted = _wanted(arguments)
        if self.negotiated:
            raise QmpError(errors.NEGOTIATED_ALREADY, errors.NOT_FOUND)
        self._oob_on = "oob" in wanted
        self.negotiated = True
        return {}


def _nothing() -> None:
    """Nobody waits for it."""


def _wanted(arguments: dict[str, object]) -> list[object]:
    """The capabilities a client enables (texts: facts §2.4, the odd 'null' included)."""
    wanted = arguments.get("enable", [])
    if not isinstance(wanted, list):
        raise errors.parameter_type("enable", "array")
    for index, capability in enumerate(wanted):
        if not isinstance(capability, str):
            raise errors.parameter_type(f"enable[{index}]", "string")
        if capability not in CAPABILITIES:
            raise errors.parameter_value("null", capability)
    unknown = next((name for name in arguments if name != "enable"), None)
    if unknown is not None:
        raise errors.parameter_unexpected(unknown)
    return wanted
