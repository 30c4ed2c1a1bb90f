"""What the real block layer tells at its end, in QEMU's order (measured on QEMU 7.2).

All jobs pause, the oldest first; then, the latest first, each goes on for as long as it takes to be cancelled.
"""

from __future__ import annotations

Told = tuple[str, dict[str, object]]
"""An event's name and data."""


class Ending:
    """One end. jobs: the oldest first. Pauses that come again are due to holders, which end with it, and not told."""

    def __init__(self, jobs: list[str]) -> None:
        self._jobs = jobs
        self._paused: dict[str, bool] = {}
        """Jobs that have paused, and whether they do so again."""
        self._pauses: dict[str, Told] = {}
        """Those that are still to be told, when all have come."""
        self._going_on: dict[str, Told] = {}
        """What each tells of its going on, before what it tells next."""

    def told(self, name: str, data: dict[str, object]) -> list[Told]:
        """What is to be told now that this was."""
        job = str(data.get("id", data.get("device")))
        status = data.get("status") if name == "JOB_STATUS_CHANGE" else ""
        if name == "BLOCK_EXPORT_DELETED":
            return [(name, data)]
        if status in ("paused", "standby"):
            self._paused[job] = job in self._paused
            if not self._paused[job]:
                self._pauses[job] = name, data
            return []
        if status in ("running", "ready"):
            if not self._paused.get(job, False):
                self._going_on[job] = name, data
            return []
        pauses, self._pauses = self._pauses, {}
        found = [pauses[each] for each in self._jobs if each in pauses]
        if job in self._going_on:
            found.append(self._going_on.pop(job))
        return [*found, (name, data)]
