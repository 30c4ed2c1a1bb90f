"""What the real block layer tells at its end, in QEMU's order (measured on QEMU 7.2).

Exports end first; as each goes, jobs of its chain may pause and go on. Then all jobs pause, in the order of
their nodes; then, the latest first, each goes on for as long as it takes to be cancelled.
"""

from __future__ import annotations

from qmpemu.machine.block.holders import OWN

Told = tuple[str, dict[str, object]]
"""An event's name and data."""


class Ending:
    """One end. What jobs tell as a holder goes is not told: no device does so."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """What comes now is no more due to an export that has gone."""
        self._since: list[Told] = []
        """All that jobs have told of pausing and going on."""
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
            since = [] if str(data["id"]).startswith(OWN) else self._since
            self._begin()
            return [*since, (name, data)]
        if status in ("paused", "standby"):
            self._since.append((name, data))
            self._paused[job] = job in self._paused
            if not self._paused[job]:
                self._pauses[job] = name, data
            return []
        if status in ("running", "ready"):
            self._since.append((name, data))
            if not self._paused.get(job, False):
                self._going_on[job] = name, data
            return []
        pauses, self._pauses = self._pauses, {}
        found = list(pauses.values())
        if job in self._going_on:
            found.append(self._going_on.pop(job))
        return [*found, (name, data)]
