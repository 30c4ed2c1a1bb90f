"""The agent's process on its port: bytes in, one command at a time, bytes out.

    not running ──start──> listening ──a request──> working ──reply──> listening
         └──────── stop, death, power cut ─────────────┘                 the port is open in the lower two

As measured on the real agent: a message is complete when its brackets balance; 0xFF ends a message half-way with an
error; what a client has left half-sent stays for the next one; a reply that comes when its client has gone goes to the
next. A guest that is paused or asleep does not answer, since no time passes in it.
"""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.core.queues import deque
from qmpemu.guests.agent import host as hosts
from qmpemu.guests.agent import registry
from qmpemu.guests.agent.registry import NOTHING
from qmpemu.qmp.encode import encode
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.lexer import Lexer

if TYPE_CHECKING:
    from qmpemu.guests.activity import Activities, Steps
    from qmpemu.guests.agent.host import Host
    from qmpemu.port import Port

SENTINEL = b"\xff"
"""In front of the reply to guest-sync-delimited."""

MOVES = frozenset(("guest-exec-status", "guest-file-read", "guest-file-seek"))
"""Commands that only tell, after which the next one tells something else."""

UNREAD_MAX_BYTES = 128 << 20
"""Requests that wait for their turn. Beyond that they are lost: the real agent stops reading before."""


class AgentStarted(Fact):
    """The guest agent's service runs and has opened its port."""


class AgentStopped(Fact):
    """The guest agent's service stopped and closed its port."""


class AgentDied(Fact):
    """The guest agent's process ended in the middle of a command."""

    command: str


class AgentHung(Fact):
    """The guest agent hangs in a command: it never answers again."""

    command: str


class AgentAsked(Fact):
    """The guest agent received a command that does more than tell."""

    command: str


class Manner:
    """How well the agent works.

    answer_ms: from the last byte of a request to its execution. hung: it reads nothing. hangs_at, dies_at: the command
    that it never comes back from, or does not outlive; empty for none, `*` for every one but guest-sync.
    """

    __slots__ = ("answer_ms", "dies_at", "hangs_at", "hung")

    def __init__(
        self, answer_ms: int = 2, *, hung: bool = False, hangs_at: str = "", dies_at: str = ""
    ) -> None:
        self.answer_ms = answer_ms
        self.hung = hung
        self.hangs_at = hangs_at
        self.dies_at = dies_at


def _meant(pattern: str, name: str) -> bool:
    return pattern == name or (pattern == "*" and not name.startswith("guest-sync"))


class AgentSession:
    """The agent of one boot. Its port is open from `start` to `stop`, or to `close`, which is what a power cut does."""

    __slots__ = (
        "_activities",
        "_deaf",
        "_lexer",
        "_port",
        "_run",
        "_traces",
        "_unread",
        "_unread_bytes",
        "manner",
        "on_death",
        "process",
        "runs",
    )

    def __init__(self, port: Port | None, host: Host, activities: Activities, manner: Manner) -> None:
        """Port: None where the machine has none (yet)."""
        self._port = port
        self._activities = activities
        self.manner = manner
        self.process = hosts.Agent(host)
        self.on_death = _nobody
        """Called when the process dies in the middle of a command."""
        self._lexer = Lexer()
        self._run = 0
        """Counts starts and ends: what belongs to an earlier run goes no further."""
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._deaf = self._traces = False
        self.runs = False
        """Whether the process is there; it holds the port open as long as there is one and it is not reset."""

    def start(self) -> None:
        """The service starts."""
        self._end_run()
        self.runs = True
        self._open()

    def stop(self) -> None:
        """The service is told to stop."""
        if self.runs and self._port is not None:
            self._activities.facts.publish(AgentStopped())
        self.close()

    def freeze(self) -> None:
        """The system crashed, or the process hangs: the port stays open, and nobody reads it."""
        self._run += 1
        self._deaf = True

    def renew(self) -> None:
        """The machine woke up: its port was reset meanwhile, with what was under way; the driver opens it again."""
        if self.runs:
            self._forget()
            if self._port is not None:
                self._port.set_guest_open(True)

    def plug(self, port: Port | None) -> None:
        """Another port is there, or none any more: the agent tries again until it finds one (`--retry-path`)."""
        self._shut()
        self._forget()
        self._lexer = Lexer()
        self._port = port
        if self.runs:
            self._open()

    def close(self) -> None:
        """The port is no longer held."""
        self._end_run()
        self.runs = False
        self._shut()

    def _open(self) -> None:
        if self._port is not None:
            self._port.on_host_data = self._receive
            self._activities.facts.publish(AgentStarted())
            self._port.set_guest_open(True)

    def _shut(self) -> None:
        if self._port is not None:
            self._port.on_host_data = _unheard
            self._port.set_guest_open(False)

    def _forget(self) -> None:
        """What was under way goes no further, what was not read is lost."""
        self._run += 1
        self._unread.clear()
        self._unread_bytes = 0

    def _end_run(self) -> None:
        self._forget()
        self._lexer = Lexer()
        self._deaf = False
        self.process.end()

    def _receive(self, data: bytes) -> None:
        if self._deaf or self.manner.hung or self._unread_bytes + len(data) > UNREAD_MAX_BYTES:
            return
        self._unread.append(data)
        self._unread_bytes += len(data)
        if len(self._unread) == 1:
            self._activities.start(self._work(self._run))

    def _work(self, run: int) -> Steps[None]:
        """Serve what was sent, one command after the other; the first chunk stays in its place until it is done."""
        cause = self._activities.facts.cause
        self._traces, pieces = not self._lexer.between_messages, 0
        while self._unread:
            for message in self._lexer.feed(self._unread[0]):
                yield self.manner.answer_ms * NS_PER_MS
                if run != self._run:
                    return
                self._activities.facts.cause = cause
                reply = yield from self._answer(message)
                if run != self._run:
                    return
                if self._port is not None:
                    self._port.guest_write(reply)
            self._unread_bytes -= len(self._unread.popleft())
            pieces += 1
        if self._port is not None and self._lexer.between_messages and not self._traces:
            self._port.on_traceless(pieces)

    def _answer(self, message: object) -> Steps[bytes]:
        """Carry a request out; the reply's bytes, none where there is none."""
        given = message if isinstance(message, dict) else {}
        front = b""
        try:
            if isinstance(message, QmpError):
                raise message
            chosen, arguments = registry.request(message, frozen=self.process.frozen)
            result = yield from self._carry_out(chosen, arguments)
            if result is NOTHING:
                return b""
            reply: dict[str, object] = {"return": result}
            front = SENTINEL if chosen.name == "guest-sync-delimited" else b""
        except QmpError as error:
            reply = {"error": {"class": error.cls, "desc": error.desc}}
        if "id" in given:
            reply["id"] = given["id"]
        return front + encode(reply) + b"\n"

    def _carry_out(self, chosen: registry.Command, arguments: dict[str, object]) -> Steps[object]:
        self._traces = self._traces or chosen.acts or chosen.name in MOVES
        if chosen.acts:
            self._activities.facts.chain(AgentAsked(command=chosen.name))
        if _meant(self.manner.dies_at, chosen.name):
            self._activities.facts.chain(AgentDied(command=chosen.name))
            self.close()
            self.on_death()
            return NOTHING
        if _meant(self.manner.hangs_at, chosen.name):
            self._activities.facts.chain(AgentHung(command=chosen.name))
            self.freeze()
            return NOTHING
        result = chosen.call(self.process, **arguments)
        if isinstance(result, GeneratorType):
            result = yield from result
        return result


def _unheard(data: bytes) -> None:
    """Nobody reads."""


def _nobody() -> None:
    """Nobody minds."""
