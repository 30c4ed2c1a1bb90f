"""The time line as a structured log: one JSON line per fact, written by structlog.

structlog is imported when the first facts are written, after the loop's first turn: it costs more than the whole
start of an emulator.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from qmpemu.core.facts import Bus, Fact
    from qmpemu.edge.loop import Loop


class FactLog:
    """Writes every fact of `facts` to `file`, in the loop's next turn; `drain` at the end writes the rest."""

    def __init__(self, facts: Bus, loop: Loop, file: TextIO) -> None:
        self._loop = loop
        self._file = file
        self._pending: list[Fact] = []
        self._logger: Any = None
        facts.subscribe(self._note)

    def _note(self, fact: Fact) -> None:
        if not self._pending:
            self._loop.call_soon(self.drain)
        self._pending.append(fact)

    def drain(self) -> None:
        """Write what has been noted."""
        logger = self._logger = self._logger or self._open()
        pending, self._pending = self._pending, []
        for fact in pending:
            because = fact.because.seq if fact.because is not None else None
            logger.info(fact.name, seq=fact.seq, at_s=fact.at_ns / 1e9, because=because, **fact.data())

    def _open(self) -> Any:
        import structlog

        return structlog.wrap_logger(
            structlog.WriteLogger(self._file),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
        )
