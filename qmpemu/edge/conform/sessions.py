"""The generated part: random sessions on two binaries side by side, compared byte for byte after each step.

    strategy (from the schema) ──step──> real ──lines──┐
                               └─step──> ours ──lines──┴──> equal, after `references`?

Hypothesis draws a machine and then steps: commands with right and wrong arguments, pipelined batches, mutated bytes,
out-of-band commands among others, clients that come and go, descriptors, register accesses. A session that differs is
shrunk and written down as a case. A command that the second binary declares not to emulate is only sent with
arguments that must be refused.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpemu.edge.conform.arguments import Arguments
from qmpemu.edge.conform.case import ACT, END, LINE, ODD_LINE, RAW, SENT, Case, Step, quoted
from qmpemu.edge.conform.references import References
from qmpemu.edge.conform.scripts import Script, argv_of, has_hardware
from qmpemu.edge.conform.target import Process, Silence, TargetError, Wire, open_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.conform.ledger import Ledger

NOTHING_MORE = Step("", LINE, "(nothing more)")
ENDING_S = 0.5
"""How long a process that has hung up may take to end; one that only parts from a client goes on."""
ABORTED = "-6"
"""The exit status of a process that SIGABRT has ended."""
CRASHED = "-11"
"""That of one that SIGSEGV has."""
DECLARED = '"desc": "qmpemu does not emulate the command'


class Different(AssertionError):
    """The two binaries said different things."""


class Tally:
    """What a run has done so far."""

    def __init__(self) -> None:
        self.sessions = self.steps = self.lines = self.declared = self.tolerated = self.crashed = 0
        self.not_again: list[str] = []
        """Differences that were gone when the same session was played again."""

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.steps} steps, {self.lines} lines compared, {self.declared} replies "
            f"declared not emulated, {self.tolerated} differences tolerated by the ledger"
            + (f", {self.crashed} sessions cut short by a crash of the real one" if self.crashed else "")
            + (f", {len(self.not_again)} differed once and not again" if self.not_again else "")
        )


class Side:
    """One of the two binaries in one session."""

    def __init__(self, binary: str, case: Case) -> None:
        self.process = Process(binary, case)
        self.wires: dict[str, Wire] = {}
        self.references = References(self.process.folder)
        self.has_hung_up = False

    def line(self, client: str) -> Step:
        """The next line of a client."""
        try:
            data = self.wires[client].read()
        except Silence:
            return Step(client, LINE, "(nothing)")
        if not data:
            self.has_hung_up = True
            return Step(client, END, "")
        ending = b"\n" if client == "q" else b"\r\n"
        if not data.endswith(ending) or not data.isascii():
            return Step(client, ODD_LINE, quoted(data))
        return Step(client, LINE, self.references.replace(data[: -len(ending)].decode("ascii"), client))

    def lines(self, client: str, last: str) -> list[Step]:
        """All lines up to the one that holds `last`, or the end of file."""
        found: list[Step] = []
        while True:
            step = self.line(client)
            found.append(step)
            if step.kind == END or step.text == "(nothing)" or last in step.text:
                return found

    def close(self) -> None:
        """Part from it and end it."""
        for wire in self.wires.values():
            wire.close()
        self.process.__exit__(None, None, None)


class Plan(NamedTuple):
    """What sessions are made of. not_emulated: commands that are only sent with arguments that must be refused."""

    schema: list[dict[str, Any]]
    not_emulated: frozenset[str]
    real: str
    ours: str
    ledger: Ledger


class Session:
    """Two processes, their clients, and the transcript of what was said."""

    def __init__(self, plan: Plan, argv: str, tally: Tally) -> None:
        self.plan = plan
        self.tally = tally
        self.argv = argv
        self.registers = has_hardware(argv)
        case = Case("generated/session", "", argv, 2, True, False, self.registers, False, ())
        self.sides = [Side(plan.real, case), Side(plan.ours, case)]
        self.transcript: list[Step] = []
        self.clients: list[str] = []
        self.over = False
        self._stack = contextlib.ExitStack()
        self._number = 0
        for side in self.sides:
            self._stack.callback(side.close)
        tally.sessions += 1

    def close(self) -> None:
        """End both."""
        self._stack.close()

    @property
    def real_crashed(self) -> bool:
        """Whether a defect of its own has ended the real one: no reply of another can be compared with that."""
        process = self.sides[0].process
        status = process.exit_status(ENDING_S if self.sides[0].has_hung_up else 0)
        return status == CRASHED or (status == ABORTED and "Assertion" in process.said())

    # --- steps --------------------------------------------------------------------------------------------------

    def connect(self, client: str, monitor: int, *, oob: bool | None) -> None:
        """A client comes; oob: None does not negotiate."""
        self._note(ACT, "a", f"connect {client} {monitor}")
        for side in self.sides:
            side.wires[client] = side.process.connect(monitor)
        self.clients.append(client)
        self._compare_lines([side.line(client) for side in self.sides])
        if oob is not None:
            enable = ',"arguments":{"enable":["oob"]}' if oob else ""
            self.send(client, f'{{"execute":"qmp_capabilities"{enable}}}')

    def connect_qtest(self) -> None:
        """The register socket."""
        for side in self.sides:
            side.wires["q"] = side.process.qtest()

    def disconnect(self, client: str) -> None:
        """A client goes."""
        self._note(ACT, "a", f"close {client}")
        for side in self.sides:
            side.wires.pop(client).close()
        self.clients.remove(client)

    def send(self, client: str, text: str, *, out_of_band: bool = False) -> None:
        """Send a line of text and compare what comes."""
        self._note(SENT, client, text)
        for side in self.sides:
            side.wires[client].send(text.encode() + b"\n")
        self._settle(client, out_of_band=out_of_band)

    def send_raw(self, client: str, data: bytes) -> None:
        """Send bytes that may be anything, then 0xff, which ends whatever they began."""
        for each in (data, b"\xff"):
            self._note(RAW, client, quoted(each))
            for side in self.sides:
                side.wires[client].send(each)
        self._settle(client)

    def pass_file(self, client: str, text: str) -> None:
        """Send a command with a descriptor."""
        self._note(ACT, client, f"pass file{self._number}")
        for side in self.sides:
            fd = open_file(side.process.folder, f"file{self._number}")
            self._stack.callback(os.close, fd)
            side.wires[client].attach(fd)
        self.send(client, text)

    def qtest(self, text: str) -> None:
        """A register access, and what the monitors hear of it."""
        self._note(SENT, "q", text)
        for side in self.sides:
            side.wires["q"].send(text.encode() + b"\n")
        self._compare_lines([side.line("q") for side in self.sides])
        for side in self.sides:  # what was requested is served by the time of the next access
            side.wires["q"].send(b"inb 0x64\n")
        if END in [side.line("q").kind for side in self.sides]:
            self._check_end()
        self._settle(None)

    # --- comparison -----------------------------------------------------------------------------------------------

    def _settle(self, sender: str | None, *, out_of_band: bool = False) -> None:
        """Read everything that is said to anybody up to the answer to one more command."""
        self.tally.steps += 1
        order = [*([sender] if sender is not None else []), *(c for c in self.clients if c != sender)]
        for client in order:
            self._number += 1
            identity = f"settle {self._number}"
            text = f'{{"execute":"query-name","id":"{identity}"}}'
            self._note(SENT, client, text)
            for side in self.sides:
                side.wires[client].send(text.encode() + b"\n")
            heard = [side.lines(client, f'"id": "{identity}"') for side in self.sides]
            self._compare(heard, out_of_band=out_of_band and client == sender)
            if heard[0][-1].kind == END:
                self._ended(client)

    def _ended(self, client: str) -> None:
        """Both hung up, on this client or because they end."""
        for side in self.sides:
            side.wires.pop(client).close()
        self.clients.remove(client)
        self._check_end()

    def _check_end(self) -> None:
        """Do both processes end, and with the same status?"""
        real, ours = (side.process.exit_status(ENDING_S) for side in self.sides)
        if "running" in (real, ours) and real != ours:  # on a busy machine one may end long before the other
            real, ours = (side.process.exit_status() for side in self.sides)
        if real != ours:
            raise Different(f"{self.argv}\n  real  exit status {real}\n  ours  exit status {ours}")
        self.over = self.over or real != "running"

    def _compare(self, heard: list[list[Step]], *, out_of_band: bool) -> None:
        real, ours = heard
        if out_of_band:  # such replies may come at any place; the others keep their order
            for is_oob in (True, False):
                part = [[step for step in side if ('"id": "oob' in step.text) is is_oob] for side in heard]
                self._compare(part, out_of_band=False)
            return
        for index in range(max(len(real), len(ours))):
            here = [side[index] if index < len(side) else NOTHING_MORE for side in (real, ours)]
            self._compare_lines(here)

    def _compare_lines(self, pair: list[Step]) -> None:
        real, ours = pair
        self.transcript.append(real)
        self.tally.lines += 1
        if str(real) == str(ours):
            return
        if DECLARED in ours.text and '"event"' not in real.text:
            self.tally.declared += 1
        elif self.plan.ledger.tolerates(str(real), str(ours)):
            self.tally.tolerated += 1
        else:
            raise Different(f"{self.argv}\n  real  {str(real)[:2000]}\n  ours  {str(ours)[:2000]}")

    def _note(self, kind: str, client: str, text: str) -> None:
        self.transcript.append(Step(client, kind, text))

    def as_case(self, title: str) -> str:
        """The transcript as the text of a case."""
        heads = [f"# {title}", f"argv: {self.argv}", "monitors: 2", "negotiate: no"]
        heads += ["qtest: yes"] if self.registers else []
        return "\n".join([*heads, "", *map(str, self.transcript)]) + "\n"


NOT_WITH_HARDWARE = frozenset({"cont", "qom-list", "x-query-irq"})
"""Only sent to be refused where there is hardware: they start it, or show that a test reads its registers."""


class Found(NamedTuple):
    """What differed. again: it did so when the same session was played again, which was then shrunk."""

    case: str
    difference: str
    again: bool


def run(
    plan: Plan, *, sessions: int, seed: int, tally: Tally, done: Callable[[], object]
) -> tuple[str, str] | None:
    """Run sessions; None, or the session that differs: as a case, and the difference. Raises TargetError.

    Some things that the real one says are a race of its own threads. So a difference that is gone when the session is
    played again is kept in the tally, and the run goes on; more than one, and one for each 1,000 sessions, is too many.
    """
    while tally.sessions < sessions:
        found = _some(plan, sessions - tally.sessions, seed + tally.sessions, tally, done)
        if found is None:
            return None
        if found.again:
            return found.case, found.difference
        tally.not_again.append(found.difference)
        if len(tally.not_again) > 1 + sessions // 1000:
            return found.case, f"(seen once, not when the same session was played again)\n{found.difference}"
    return None


def _some(plan: Plan, count: int, seed: int, tally: Tally, done: Callable[[], object]) -> Found | None:
    """Run up to `count` sessions, until one differs. Raises TargetError where one cannot be played, twice."""
    from hypothesis import HealthCheck, Phase, given, settings, strategies
    from hypothesis import seed as seeded
    from hypothesis.errors import Flaky

    last: list[Found] = []
    arguments = Arguments(plan.schema, plan.not_emulated)
    still = Arguments(plan.schema, plan.not_emulated | NOT_WITH_HARDWARE)

    def one(choices: random.Random) -> None:
        argv = argv_of(choices)
        registers = has_hardware(argv)
        script = Script(choices, still if registers else arguments, registers=registers)
        session = Session(plan, argv, tally)
        try:
            script.play(session)
        except (Different, TargetError) as error:
            if session.real_crashed:
                tally.crashed += 1
                return
            title = f"A generated session (seed {seed}) that once differed from the real one."
            last[:] = [Found(session.as_case(title), str(error), True)]
            raise
        finally:
            session.close()
            done()

    test = given(choices=strategies.randoms(use_true_random=False))(one)
    test = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )(seeded(seed)(test))
    try:
        test()
    except Different:
        return last[0]
    except Flaky as flaky:  # the first that differed, or could not be played, did so once: it is not shrunk
        if not last:
            raise TargetError(f"sessions are not drawn alike from one seed: {flaky}") from None
        return last[0]._replace(again=False)
    return None
