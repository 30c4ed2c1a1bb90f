"""Deliberate faults of a QMP server, each a small change to ours, to test the suite itself.

`python faults.py NAME QEMU-WORDS...` is our emulator with that fault; a test runs the conformance suite on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from qmpemu.commands import registry
from qmpemu.machine.board import Board
from qmpemu.qmp import encode, lexer, order
from qmpemu.qmp import session as sessions
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.session import Session

Fault = Callable[[], None]
FAULTS: dict[str, tuple[Fault, str]] = {}
"""Name -> what it does, and the cases that must catch it."""


def fault(cases: str) -> Callable[[Fault], Fault]:
    """Register a fault by its function's name."""

    def register(function: Fault) -> Fault:
        FAULTS[function.__name__.replace("_", "-")] = (function, cases)
        return function

    return register


def wrap(owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace a method; `change` is given the old one first."""
    old = getattr(owner, name)
    setattr(owner, name, lambda *args, **kwargs: change(old, *args, **kwargs))


def on_wire(change: Callable[[bytes], bytes]) -> None:
    """Change every piece of output."""
    wrap(Session, "_put", lambda old, self, data: old(self, change(data)))


# --- replies -------------------------------------------------------------------------------------------------------


@fault("ids/*")
def no_id_echo() -> None:
    """An id is not sent back."""
    wrap(Session, "_respond", lambda old, self, m: old(self, _without_id(m)))


def _without_id(message: object) -> object:
    return {k: v for k, v in message.items() if k != "id"} if isinstance(message, dict) else message


@fault("envelope/*")
def no_id_in_errors() -> None:
    """An error comes without the id of its command."""
    wrap(Session, "_refuse", lambda old, self, m, e: old(self, {}, e))


@fault("negotiation/greeting")
def string_versions() -> None:
    """The greeting's version numbers are strings."""
    on_wire(lambda data: data.replace(b'"major": 7', b'"major": "7"'))


@fault("order/*")
def empty_list_for_empty_object() -> None:
    """A command without a result returns []."""
    on_wire(lambda data: data.replace(b'{"return": {}', b'{"return": []'))


@fault("order/event*")
def reply_before_event() -> None:
    """Events come behind the reply of the command that caused them."""

    def late(old: Any, self: Session, message: object) -> None:
        held: list[bytes] = []
        self.__class__.send_event, keep = (lambda me, event: held.append(event)), Session.send_event
        try:
            old(self, message)
        finally:
            Session.send_event = keep  # type: ignore[method-assign]
        for event in held:
            self.send_event(event)

    wrap(Session, "_respond", late)


@fault("arguments/not-found")
def lost_command_not_found() -> None:
    """An unknown command is a GenericError."""
    on_wire(lambda data: data.replace(b'"class": "CommandNotFound"', b'"class": "GenericError"'))


@fault("framing/pieces")
def line_framing() -> None:
    """A message is only read at the end of a line."""

    def receive(old: Any, self: Session, data: bytes) -> None:
        kept = getattr(line_framing, "kept", b"") + data
        whole, newline, rest = kept.rpartition(b"\n")
        line_framing.kept = rest  # type: ignore[attr-defined]
        if newline:
            old(self, whole + newline)

    wrap(Session, "receive", receive)


@fault("errors/pairs*")
def accepted_duplicates() -> None:
    """A message with two members of one name is no error."""
    _swallow("duplicate key")


def _swallow(text: str) -> None:
    """An error with this text is never said."""
    wrap(Session, "_refuse", lambda old, self, m, e: None if text in e.desc else old(self, m, e))


@fault("errors/control-bytes*")
def closes_on_garbage() -> None:
    """The connection ends at the first stray byte."""
    wrap(
        Session,
        "_refuse",
        lambda old, self, m, e: self.close() if "stray" in e.desc else old(self, m, e),
    )


@fault("errors/*")
def one_error_text() -> None:
    """Every JSON error has one text."""

    def refuse(old: Any, self: Session, message: Any, error: QmpError) -> None:
        same = error.desc.startswith("JSON parse error")
        old(self, message, QmpError("Invalid JSON syntax") if same else error)

    wrap(Session, "_refuse", refuse)


# --- form ----------------------------------------------------------------------------------------------------------


@fault("ids/members")
def insertion_order() -> None:
    """Members come in the order in which they were put in."""
    for module in (encode, sessions, order):
        if hasattr(module, "ordered"):
            module.ordered = lambda members: list(members.items())  # type: ignore[attr-defined]


@fault("ids/strings*")
def raw_utf_8() -> None:
    """Characters beyond ASCII leave as they are."""
    on_wire(lambda data: data.replace(b"\\u00E9", "é".encode()))


@fault("ids/strings*")
def lower_case_escapes() -> None:
    """Escapes have lower-case digits."""
    on_wire(lambda data: data.replace(b"\\u00E9", b"\\u00e9"))


@fault("framing/*")
def bare_newlines() -> None:
    """Lines end in LF alone."""
    on_wire(lambda data: data.replace(b"\r\n", b"\n"))


@fault("framing/*")
def compact_separators() -> None:
    """No space behind commas and colons."""
    on_wire(lambda data: data.replace(b'": ', b'":').replace(b', "', b',"'))


@fault("ids/numbers*")
def shortest_floats() -> None:
    """Numbers are printed as Python prints them."""
    encode._WRITERS[float] = repr


@fault("ids/numbers*")
def no_unsigned_64() -> None:
    """Whole numbers above 2^63 become doubles."""
    on_wire(lambda data: data.replace(b"18446744073709551615", b"1.8446744073709552e+19"))


@fault("connections/pretty*")
def two_space_indent() -> None:
    """A pretty monitor indents by two."""
    encode.INDENT = "  "


# --- session -------------------------------------------------------------------------------------------------------


@fault("negotiation/greeting")
def no_negotiation() -> None:
    """Commands run without qmp_capabilities."""
    wrap(Session, "open", lambda old, self: (old(self), setattr(self, "negotiated", True))[0])


@fault("negotiation/twice")
def negotiation_again() -> None:
    """A second qmp_capabilities is taken."""
    on_wire(lambda data: b'{"return": {}}\r\n' if b"already complete" in data else data)


@fault("connections/fresh")
def negotiation_survives() -> None:
    """A new client need not negotiate."""

    def reopen(old: Any, self: Session) -> None:
        before = getattr(negotiation_survives, "before", False)
        old(self)
        self.negotiated = before

    wrap(Session, "open", reopen)
    wrap(
        Session,
        "close",
        lambda old, self: (setattr(negotiation_survives, "before", self.negotiated), old(self))[1],
    )


@fault("negotiation/events-before")
def events_before_negotiation() -> None:
    """Events are sent to clients that have not negotiated."""

    def send(old: Any, self: Session, event: bytes) -> None:
        was, self.negotiated = self.negotiated, True
        old(self, event)
        self.negotiated = was

    wrap(Session, "send_event", send)


@fault("oob/*")
def oob_for_everything() -> None:
    """Any command may be sent out of band."""
    wrap(
        Session,
        "__init__",
        lambda old, self, *args, **more: old(self, *args, **{**more, "oob": lambda name: True}),
    )


@fault("oob/off")
def oob_without_asking() -> None:
    """exec-oob works without having been enabled."""
    wrap(Session, "_negotiate", lambda old, self, a: (old(self, a), setattr(self, "_oob_on", True))[0])


@fault("limits/nesting")
def no_nesting_limit() -> None:
    """Brackets nest as deep as they like."""
    lexer.NESTING_MAX = 100_000


@fault("arguments/types")
def unchecked_arguments() -> None:
    """Unknown arguments are let pass."""
    _swallow("is unexpected")


@fault("arguments/types")
def unknown_arguments_first() -> None:
    """An unknown member is refused before a missing one."""
    on_wire(
        lambda data: data.replace(b"Parameter 'command-line' is missing", b"Parameter 'foo' is unexpected")
    )


# --- machine -------------------------------------------------------------------------------------------------------


@fault("run-state/prelaunch")
def stop_always_tells() -> None:
    """stop sends STOP where the machine stands still already."""
    from qmpemu.machine.happened import MachineStopped

    wrap(Board, "stop", lambda old, self: (old(self), self._facts.chain(MachineStopped()))[0])


@fault("order/quit")
def quit_without_reply() -> None:
    """quit ends the connection at once."""
    wrap(Session, "_reply", lambda old, self, m, r: None if m.get("execute") == "quit" else old(self, m, r))


@fault("order/quit")
def quit_without_event() -> None:
    """quit sends no SHUTDOWN."""
    wrap(Session, "send_event", lambda old, self, e: None if b'"SHUTDOWN"' in e else old(self, e))


@fault("shutdown/*")
def wrong_reason() -> None:
    """Every shutdown is the host's."""
    wrap(
        Session,
        "send_event",
        lambda old, self, e: old(self, e.replace(b'"host-qmp-system-reset"', b'"host-qmp-quit"')),
    )


@fault("power/button")
def button_without_enable() -> None:
    """A press is latched whether the guest has enabled the button or not."""
    from qmpemu import acpi

    wrap(
        acpi.FixedHardware,
        "read",
        lambda old, self, port, *more: old(self, port, *more) | (0x100 if port == 0x600 else 0),
    )


@fault("shutdown/set-action")
def set_action_does_nothing() -> None:
    """set-action answers {} and changes nothing."""
    registry.load()
    registry.COMMANDS["set-action"].call = lambda ctx, **given: {}


@fault("order/event*")
def repeated_timestamps() -> None:
    """Events carry a time that runs backwards."""
    state = {"seconds": 2_000_000_000}

    def send(old: Any, self: Session, event: bytes) -> None:
        state["seconds"] -= 1
        head, _, tail = event.partition(b'"seconds": ')
        old(self, head + b'"seconds": %d' % state["seconds"] + tail[tail.index(b",") :])

    wrap(Session, "send_event", send)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    FAULTS[name][0]()
    sys.argv[0] = "qemu-system-x86_64"
    from qmpemu.edge.process import main

    sys.exit(main())
