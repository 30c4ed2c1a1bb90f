"""Plays a case on a target and writes down what is heard, step for step.

It reads exactly as many lines as the case expects at each place, and at the end makes sure with a last command that
nothing more was said. Only where a case is recorded that has no claims yet it reads on until there is silence.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.edge.conform.case import ACT, END, EXPECTED, LINE, ODD_LINE, RAW, SENT, Step, payload, quoted
from qmpemu.edge.conform.references import References
from qmpemu.edge.conform.target import PATIENCE_S, Silence, Wire, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.edge.conform.case import Case
    from qmpemu.edge.conform.target import Process, Running

SILENCE_S = 0.25
"""A recording takes it that nothing more will come after this."""
LAST = b'{"execute":"query-name","id":"conform-last"}\n'
LAST_ID = '"id": "conform-last"'
QTEST = "q"
NOTHING = "(nothing)"


class Heard(NamedTuple):
    """What came at one place of a case. place: index of the expecting step, or of the step before, when recording."""

    place: int
    step: Step


class Player:
    """One run of one case on one target."""

    def __init__(
        self, case: Case, target: Process | Running, *, record: bool = False, patience_s: float = PATIENCE_S
    ) -> None:
        self._case = case
        self._target = target
        self._patience_s = patience_s
        self._record = record and not case.claims
        self._wires: dict[str, Wire] = {}
        self._ended: set[str] = set()
        self._started: set[str] = set()
        self._references = References(target.folder)
        self._stack = ExitStack()

    def run(self) -> list[Heard]:
        """Play it. Raises TargetError where no connection can be made."""
        with self._stack:
            return list(self._play())

    def _play(self) -> Iterator[Heard]:
        steps = self._case.steps
        if not any(step.kind == ACT and step.text.split()[:2] == ["connect", "a"] for step in steps):
            yield from self._connect("a", 1, 0)
        if self._case.qtest:
            self._wires[QTEST] = self._keep(self._target.qtest())  # type: ignore[union-attr]
        for place, step in enumerate(steps):
            if step.kind in EXPECTED:
                heard = self._hear(step.client)
                yield Heard(place, heard)
                if heard.text == NOTHING:
                    return
                continue
            yield from self._do(place, step)
            if self._record:
                yield from self._until_silence(place)
        if not self._record and not self._case.pretty:  # there a reply has many lines
            yield from self._last(len(steps))

    def _do(self, place: int, step: Step) -> Iterator[Heard]:
        if step.kind == SENT:
            text = step.text.replace("$folder", self._target.folder)
            self._wire(step.client).send(text.encode() + b"\n")
        elif step.kind == RAW:
            self._wire(step.client).send(payload(step.text))
        else:
            yield from self._act(place, step)

    def _act(self, place: int, step: Step) -> Iterator[Heard]:
        word, first, *rest = step.text.split()
        folder = self._target.folder
        match word:
            case "connect":
                yield from self._connect(first, int(rest[0]) if rest else 1, place)
            case "close":
                self._wires.pop(first).close()
            case "half-close":
                self._wires[first].half_close()
            case "pass":
                fd = open_file(folder, first)
                self._stack.callback(os.close, fd)
                self._wire(step.client).attach(fd)
            case "fifo":
                os.mkfifo(os.path.join(folder, first))
            case "feed":
                os.close(os.open(os.path.join(folder, first), os.O_WRONLY))
            case "signal":
                self._target.signal(first)  # type: ignore[union-attr]
            case "exit":
                status = self._target.exit_status()  # type: ignore[union-attr]
                if status != first:
                    yield Heard(place, step._replace(text=f"exit {status}"))

    def _connect(self, client: str, monitor: int, place: int) -> Iterator[Heard]:
        wire = self._wires[client] = self._keep(self._target.connect(monitor))
        if self._case.negotiate and client not in self._started:
            self._started.add(client)
            with suppress(Silence):
                wire.read()
                wire.send(b'{"execute":"qmp_capabilities"}\n')
                reply = wire.read()
                if reply != b'{"return": {}}\r\n' and not self._case.pretty:
                    yield Heard(place, Step(client, LINE, f"(negotiation) {reply!r}"))

    def _keep(self, wire: Wire) -> Wire:
        self._stack.callback(wire.close)
        return wire

    def _wire(self, client: str) -> Wire:
        return self._wires[client]

    def _hear(self, client: str, patience_s: float | None = None) -> Step:
        patience_s = patience_s or self._patience_s
        try:
            data = self._wires[client].read(patience_s)
        except Silence:
            return Step(client, LINE, NOTHING)
        if not data:
            self._ended.add(client)
            return Step(client, END, "")
        ending = b"\n" if client == QTEST else b"\r\n"
        text = data[: -len(ending)]
        if not data.endswith(ending) or not text.isascii() or b"\r" in text:
            return Step(client, ODD_LINE, quoted(data))
        return Step(client, LINE, self._references.replace(text.decode("ascii"), client))

    def _until_silence(self, place: int) -> Iterator[Heard]:
        for client in list(self._wires):
            while client not in self._ended:
                heard = self._hear(client, SILENCE_S)
                if heard.text == NOTHING:
                    break
                yield Heard(place, heard)

    def _last(self, place: int) -> Iterator[Heard]:
        """Whatever was said behind the last expected line."""
        for client, wire in self._wires.items():
            if client in self._ended or client == QTEST or self._is_waiting(client):
                continue
            wire.send(LAST)
            heard = self._hear(client)
            while LAST_ID not in heard.text:
                yield Heard(place, heard)
                if heard.kind == END or heard.text == NOTHING:
                    return
                heard = self._hear(client)

    def _is_waiting(self, client: str) -> bool:
        """Whether a client stands in the backlog, or its last act was to say that it is done: nobody listens then."""
        acts = [step.text.split() for step in self._case.steps if step.kind == ACT]
        if ["half-close", client] in acts or any(act[0] in ("signal", "exit") for act in acts):
            return True
        return not any(step.client == client and step.kind in EXPECTED for step in self._case.steps)
