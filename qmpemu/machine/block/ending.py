"""What the real block layer tells at its end, in QEMU's order (measured on QEMU 7.2).

All jobs pause, the oldest first; then, the latest first, each goes on for as long as it takes to be cancelled.
"""

from __future__ import annotations

Told = tuple[str, dict[str, object]]
"""An event's name and data."""


class Ending:
    """One end. Pauses that come again are due to holders, which end with the back end, and not told."""

    def __init__(self) -> None:
        self._paused: dict[str, bool] = {}
        """Jobs that have paused, and whether they do so again."""
        self._going_on: dict[str, Told] = {}
        """What each tells of its going on, before what it tells next."""

    def told(self, name: str, data: dict[str, object]) -> list[Told]:
        """What is to be told now that this was."""
        job = str(data.get("id", data.get("device")))
        status = data.get("status") if name == "JOB_STATUS_CHANGE" else ""
        if status in ("paused", "standby"):
            self._paused[job] = job in self._paused
            return [] if self._paused[job] else [(name, data)]
        if status in ("running", "ready"):
            if not self._paused.get(job, False):
                self._going_on[job] = name, data
            return []
        before = self._going_on.pop(job, None)
        return [(name, data)] if before is None else [before, (name, data)]
