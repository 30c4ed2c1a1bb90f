"""What came to the guest from outside since it booted: with it the boot can be lived again, on another machine.

    button, NMI, wake-up, alarm, port bytes, acts ──> note() ──> entries ──(migration, snapshot)──> replay()

The simulated guest cannot be copied, but one seed gives one history: what it was loaded with and every input, at its
machine time and in its order, give the same guest again. A reset throws the guest away and the history with it, so that
old boots cost nothing; what outlives a boot is on the disk, whose content at power-on is the start of the next history.

Whoever lets something from outside reach the guest notes it here and names the way back in (`doors`). An input that
another one causes (a key that wakes the machine) is not noted: it comes again by itself.
"""

from __future__ import annotations

from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from qmpemu.core.clock import MachineClock
    from qmpemu.core.facts import Fact
    from qmpemu.machine.migration.state import Origin
    from qmpemu.port import Port

ENTRIES_MAX, BYTES_MAX = 50_000, 8 << 20
"""Inputs of one boot that are kept: beyond them the guest works on, and can no longer be moved or saved."""

GUEST_SIDE = "qmpemu.guests."
"""Where the facts come from that two lives of one boot must have in common."""

Entry = tuple[int, int, str, str, str]
"""Machine time in ns, callbacks run at that nanosecond (`MachineClock.ran`), kind, name, value."""


class History:
    """The inputs of the present boot. doors: kind of input to what brings it in, `door(name, value)`."""

    __slots__ = (
        "_bytes",
        "_clock",
        "_guest_side",
        "_within",
        "again",
        "answers",
        "boot_ns",
        "doors",
        "entries",
        "facts",
        "facts_crc",
        "lost",
        "origin",
        "replaying",
        "rng",
        "set_aside",
    )

    boot_ns: int | None

    def __init__(self, clock: MachineClock) -> None:
        self._clock = clock
        self._within = 0
        self._guest_side: dict[type, bytes] = {}
        self.doors: dict[str, Callable[[str, str], object]] = {}
        self.replaying = False
        """Whether the past is being lived again: what the guest says then was heard the first time."""
        self.again: Origin | None = None
        """What the guest is to be loaded with then."""
        self.set_aside: dict[str, Port] = {}
        """Ports of this machine that were not there when that boot began."""
        self.end()

    def begin(self) -> None:
        """The processor leaves reset: a new boot, of which nothing is known yet."""
        self.end()
        self.boot_ns = self._clock.now_ns

    def end(self) -> None:
        """The guest is gone."""
        self.boot_ns = None
        self.entries: list[Entry] = []
        self.answers: dict[str, list[list[int | str]]] = {}
        """What the guest has read of the world, by kind: how often in a row, and what. Consumed while replaying."""
        self._bytes = 0
        self.lost = False
        """Whether inputs were not kept, since there were too many."""
        self.origin: Origin | None = None
        """What the guest was loaded with, and its dice."""
        self.rng: Random | None = None
        self.facts = self.facts_crc = 0
        """How many facts the guest has published, and a checksum of their names."""

    def note(self, kind: str, name: str = "", value: str = "") -> None:
        """Something from outside is about to reach the guest."""
        if self.boot_ns is None or self._within or self.lost:
            return
        self._bytes += len(name) + len(value)
        if len(self.entries) >= ENTRIES_MAX or self._bytes > BYTES_MAX:
            self.lost = True
            self.entries = []
            return
        clock = self._clock
        self.entries.append((clock.now_ns, clock.ran, kind, name, value))

    def answered(self, kind: str, ask: Callable[[], str]) -> str:
        """What the guest reads of the world: as it is, or as it was when it is read again. Raises KeyError then."""
        told = self.answers.setdefault(kind, [])
        if self.replaying:
            return self._answered_again(told, kind)
        answer = ask()
        if told and told[-1][1] == answer:
            told[-1][0] = int(told[-1][0]) + 1
        elif not self.lost and self.boot_ns is not None:
            told.append([1, answer])
            self._bytes += len(answer)
            self.lost = self._bytes > BYTES_MAX
        return answer

    @staticmethod
    def _answered_again(told: list[list[int | str]], kind: str) -> str:
        while told and not told[0][0]:
            told.pop(0)
        if not told:
            raise KeyError(f"{kind} was not asked for")
        told[0][0] = int(told[0][0]) - 1
        return str(told[0][1])

    def passing(self, call: Callable[[], object]) -> object:
        """Run `call`, an input that was noted: what it causes is not noted again."""
        self._within += 1
        try:
            return call()
        finally:
            self._within -= 1

    def heard(self, fact: Fact) -> None:
        """A fact was published: the guest's own are counted, by which two lives of one boot are compared."""
        if self.boot_ns is None:
            return
        kind = type(fact)
        name = self._guest_side.get(kind)
        if name is None:
            name = kind.__name__.encode() if kind.__module__.startswith(GUEST_SIDE) else b""
            self._guest_side[kind] = name
        if name:
            self.facts += 1
            self.facts_crc = crc32(name, self.facts_crc)

    def replay(
        self,
        entries: list[Entry],
        answers: dict[str, list[list[int | str]]],
        until_ns: int,
        ran: int,
        settle: Callable[[], object],
    ) -> None:
        """Live the boot again that has just begun: its inputs at their times, up to `until_ns` (`MachineClock.replay`).

        Raises KeyError for an input no door of this machine lets in.
        """

        def live() -> None:
            for at_ns, ran_then, kind, name, value in entries:
                self._clock.replay(at_ns, ran_then)
                self.doors[kind](name, value)
                settle()
            self._clock.replay(until_ns, ran)

        self.answers = {kind: [list(each) for each in told] for kind, told in answers.items()}
        self.passing(live)
        self.answers = answers
        self.entries = list(entries)
        self._bytes = sum(len(name) + len(value) for _, _, _, name, value in entries)
