"""What came to the guest from outside since it booted: with it the boot can be lived again, on another machine.

    button, NMI, wake-up, alarm, port bytes, acts ──> note() ──> entries ──(migration, snapshot)──> replay()

The simulated guest cannot be copied, but one seed gives one history: what it was loaded with and every input, at its
machine time and in its order, give the same guest again. A reset throws the guest away and the history with it, so that
old boots cost nothing; what outlives a boot is on the disk, whose content at power-on is the start of the next history.

What has left no trace in the guest is forgotten, so that a guest which is polled for weeks still travels: requests to
the agent that only ask (`forget`), and all but the first and last of a second's pointer positions (`_thin`).

Whoever lets something from outside reach the guest notes it here and names the way back in (`doors`). An input that
another one causes (a key that wakes the machine) is not noted: it comes again by itself.
"""

from __future__ import annotations

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

MOTION_NS = 1_000_000_000
"""Pointer positions that follow a kept one within this time are dropped when the next one comes."""

Entry = tuple[int, int, str, str, str]
"""Machine time in ns, callbacks run at that nanosecond (`MachineClock.ran`), kind, name, value."""


class History:
    """The inputs of the present boot. doors: kind of input to what brings it in, `door(name, value)`."""

    __slots__ = (
        "_bytes",
        "_clock",
        "_floor",
        "_guest_side",
        "_stale",
        "_within",
        "again",
        "answers",
        "boot_ns",
        "boot_ran",
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
        self.boot_ns, self.boot_ran = self._clock.now_ns, self._clock.ran

    def end(self) -> None:
        """The guest is gone."""
        self.boot_ns = None
        self.boot_ran = 0
        """Callbacks that had run at that nanosecond: what a boot does at once is counted with them."""
        self.entries: list[Entry] = []
        self.answers: dict[str, list[list[int | str]]] = {}
        """What the guest has read of the world, by kind: from when on (as in `Entry`), and what."""
        self._bytes = self._floor = 0
        self._stale = (0, 0)
        """Entries at the end that have left no trace, and when that was."""
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
        self.tidy()
        self._stale = (0, 0)
        if kind == "abs":
            self._thin(name)
        self._bytes += len(name) + len(value)
        if len(self.entries) >= ENTRIES_MAX or self._bytes > BYTES_MAX:
            self.lost = True
            self.entries = []
            return
        clock = self._clock
        self.entries.append((clock.now_ns, clock.ran, kind, name, value))

    def keep(self) -> None:
        """What was noted until now is never forgotten."""
        self._floor = len(self.entries)

    def forget(self, kind: str, name: str, count: int) -> None:
        """The guest is as if the latest `count` entries, if they are of this kind and name, had not been."""
        self.tidy()
        if self.replaying or len(self.entries) - count < self._floor:
            return
        if all(entry[2:4] == (kind, name) for entry in self.entries[-count:]):
            self._stale = (count, self._clock.now_ns)

    def tidy(self) -> None:
        """Drop what has left no trace, once its nanosecond is over: others of that one count the callbacks in it."""
        count, since_ns = self._stale
        if count and self._clock.now_ns > since_ns:
            for _, _, _, name, value in self.entries[-count:]:
                self._bytes -= len(name) + len(value)
            del self.entries[-count:]
            self._stale = (0, 0)

    def _thin(self, axis: str) -> None:
        """Another position on `axis` is about to be noted: drop the one before it, if one before that is recent."""
        entries, found = self.entries, []
        for place in range(len(entries) - 1, max(self._floor, len(entries) - 6) - 1, -1):
            if entries[place][2] != "abs":
                break
            if entries[place][3] == axis:
                found.append(place)
        if len(found) < 2:
            return
        at_ns, ran = entries[found[0]][:2]
        same = [entry for entry in entries[found[1] :] if entry[0] == at_ns]
        if ran or any(entry[1] for entry in same) or at_ns == self._clock.now_ns:
            return
        if self._clock.now_ns - entries[found[1]][0] < MOTION_NS:
            self._bytes -= len(axis) + len(entries[found[0]][4])
            del entries[found[0]]

    def answered(self, kind: str, ask: Callable[[], str]) -> str:
        """What the guest reads of the world: as it is, or as it was then when it is read again. Raises KeyError."""
        told = self.answers.setdefault(kind, [])
        if self.replaying:
            return self._answered_again(told, kind)
        answer = ask()
        if (not told or told[-1][2] != answer) and not self.lost and self.boot_ns is not None:
            told.append([self._clock.now_ns, self._clock.ran, answer])
            self._bytes += len(answer)
            self.lost = self._bytes > BYTES_MAX
        return answer

    def _answered_again(self, told: list[list[int | str]], kind: str) -> str:
        here = (self._clock.now_ns, self._clock.ran)
        while len(told) > 1 and (int(told[1][0]), int(told[1][1])) <= here:
            told.pop(0)
        if not told or (int(told[0][0]), int(told[0][1])) > here:
            raise KeyError(f"{kind} was not asked for")
        return str(told[0][2])

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
            from zlib import crc32  # late: no guest is there at the start

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
