"""Dumps of guest memory: what a dump is made of, and how it goes. The memory of a simulated guest is all zero."""

from __future__ import annotations

from qmpemu.core.facts import Fact


class DumpCompleted(Fact):
    """A dump is over. told: as query-dump shows it. error: why it failed, or None."""

    told: dict[str, object]
    error: str | None
