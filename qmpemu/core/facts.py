"""The bus of facts: everything that happens is published once, numbered, time-stamped and with its cause.

    command ──because──> PowerdownRequested ──because──> ButtonLatched ──because──> SciRaised ──> ...

The time line, the explanation of a shutdown, the QMP events and the logs all read this bus and nothing else.
Causes travel by themselves: a callback that a clock runs later starts with the cause that was current when it
was scheduled (`core.clock`), and `Bus.chain` makes each step of a story the cause of the next one.
"""

from __future__ import annotations

from qmpemu.core.queues import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar, dataclass_transform

    F = TypeVar("F", bound="Fact")
else:

    def dataclass_transform(**_):
        """Stand in for typing's: it only informs type checkers, and importing typing costs start-up time."""
        return lambda cls: cls


FACTS_KEPT_MAX = 20_000
"""Facts one bus keeps; the oldest are dropped first and lose their cause, so that chains cannot grow for ever."""


@dataclass_transform(kw_only_default=True)
class Fact:
    """Something that happened. Subclasses are named in the past tense and declare their fields as annotations.

    seq: position in the bus's history, from 0. at_ns: host-clock time in nanoseconds. because: the fact that
    caused this one, or None for a root (a command, a signal, a user's act).
    """

    fields: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(name for name in vars(cls).get("__annotations__", {}) if name not in cls.fields)
        cls.fields = cls.fields + own

    if TYPE_CHECKING:
        seq: int
        at_ns: int
        because: Fact | None
    else:
        seq, at_ns, because = -1, -1, None

        def __init__(self, **values: object) -> None:
            self.__dict__.update(values)
            for name in self.fields:
                getattr(self, name)  # a missing field without default is our bug: say so here, not later
            if len(values) > len(self.fields) or any(name not in self.fields for name in values):
                raise TypeError(f"{type(self).__name__} has the fields {self.fields}, got {tuple(values)}")

    @property
    def name(self) -> str:
        """The kind of fact, e.g. `ButtonLatched`."""
        return type(self).__name__

    def data(self) -> dict[str, object]:
        """The fields by name, in declaration order."""
        return {name: getattr(self, name) for name in self.fields}

    def causes(self) -> Iterator[Fact]:
        """This fact's cause, the cause of that, and so on to the root."""
        fact: Fact | None = self.because
        while fact is not None:
            yield fact
            fact = fact.because

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.data().items())
        return f"{self.name}({inner})"


class Bus:
    """Publishes facts to subscribers, in one order, and keeps the latest `keep` of them."""

    __slots__ = ("_keep", "_now", "_seq", "_subscribers", "cause", "kept")

    def __init__(self, now: Callable[[], int], keep: int = FACTS_KEPT_MAX) -> None:
        self._now = now
        self._keep = keep
        self._seq = 0
        self._subscribers: list[Callable[[Fact], None]] = []
        self.cause: Fact | None = None
        self.kept: deque[Fact] = deque()

    @property
    def dropped(self) -> int:
        """How many facts are no longer kept."""
        return self._seq - len(self.kept)

    def subscribe(self, receive: Callable[[Fact], None]) -> None:
        """Call `receive(fact)` for every fact published from now on."""
        self._subscribers.append(receive)

    def timed_by(self, now: Callable[[], int]) -> Callable[[], int]:
        """Stamp facts with `now()` from now on; the former source of time, to give back."""
        former, self._now = self._now, now
        return former

    def publish(self, fact: F) -> F:
        """Number and time-stamp `fact`, give it the current cause, and hand it to every subscriber."""
        fact.seq, fact.at_ns, fact.because = self._seq, self._now(), self.cause
        self._seq += 1
        self.kept.append(fact)
        if len(self.kept) > self._keep:
            self.kept.popleft().because = None
        for receive in self._subscribers:
            receive(fact)
        return fact

    def chain(self, fact: F) -> F:
        """Publish `fact` and make it the cause of what the same callback does next."""
        self.publish(fact)
        self.cause = fact
        return fact

    def run(self, cause: Fact | None, call: Callable[[], object]) -> None:
        """Run `call` with `cause` as the current cause, and restore the former one afterwards."""
        before, self.cause = self.cause, cause
        try:
            call()
        finally:
            self.cause = before
