"""Jobs whose back end has died: they end as if their images had failed; what had ended before keeps its end."""

from __future__ import annotations

from qmpemu.machine.block.happened import BlockJobCompleted, JobStatusChanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.core.facts import Bus

KINDS = {
    "block-commit": "commit",
    "block-stream": "stream",
    "blockdev-mirror": "mirror",
    "blockdev-backup": "backup",
    "blockdev-create": "create",
    "drive-mirror": "mirror",
    "drive-backup": "backup",
    "x-blockdev-amend": "amend",
}
"""A job's type as in query-jobs, by the command that starts it."""
OVER = ("concluded", "null")
WHY = "Input/output error"
CANCELED = "Operation canceled"


class Lost:
    """rows: those that are to be dismissed, as in query-jobs."""

    def __init__(self, facts: Bus) -> None:
        self._facts = facts
        self._kinds: dict[str, str] = {}
        self._kept: set[str] = set()
        """Jobs that stay until they are dismissed."""
        self._ends: dict[str, dict[str, Any]] = {}
        """How jobs have ended that are still there: length, offset and error."""
        self.born: dict[str, int] = {}
        """When jobs were made: the fact's number."""
        self.rows: dict[str, dict[str, object]] = {}

    def begins(self, command: str, arguments: dict[str, Any]) -> None:
        """A command is on its way."""
        if command == "transaction":
            for each in arguments["actions"]:
                self.begins(each["type"], each["data"])
        elif command in KINDS:
            job = str(arguments.get("job-id", arguments.get("device")))
            self._kinds[job] = KINDS[command]
            if command in ("blockdev-create", "x-blockdev-amend") or arguments.get("auto-dismiss") is False:
                self._kept.add(job)

    def hear(self, name: str, data: dict[str, Any]) -> None:
        """The back end has told an event."""
        if name == "BLOCK_JOB_COMPLETED":
            self._ends[str(data["device"])] = data
        elif name == "BLOCK_JOB_CANCELLED":
            self._ends[str(data["device"])] = {**data, "error": CANCELED}
        elif name == "JOB_STATUS_CHANGE" and data["status"] == "aborting":
            self._ends.setdefault(str(data["id"]), {"error": WHY})
        elif name == "JOB_STATUS_CHANGE" and data["status"] == "null":
            self._forget(str(data["id"]))

    def died(self, jobs: dict[str, str]) -> None:
        """It is gone. jobs: their status."""
        for job, status in jobs.items():
            kind = self._kinds.get(job, "commit")
            if status not in OVER:
                self._fail(job, kind)
            if job not in self._kept:
                self._facts.publish(JobStatusChanged(told={"status": "null", "id": job}))
                self._forget(job)
                continue
            end = self._ends.get(job, {})
            whole = 1 if kind in ("create", "amend") and "error" not in end else 0
            row: dict[str, object] = {
                "current-progress": end.get("offset", whole),
                "status": "concluded",
                "total-progress": end.get("len", whole),
                "type": kind,
                "id": job,
            }
            self.rows[job] = {**row, "error": end["error"]} if "error" in end else row

    def _fail(self, job: str, kind: str) -> None:
        self._facts.publish(JobStatusChanged(told={"status": "aborting", "id": job}))
        end = {"device": job, "len": 0, "offset": 0, "speed": 0, "type": kind, "error": WHY}
        if kind not in ("create", "amend"):
            self._facts.publish(BlockJobCompleted(told=end))
        self._ends[job] = end
        self._facts.publish(JobStatusChanged(told={"status": "concluded", "id": job}))

    def dismiss(self, job: str) -> None:
        """Forget one of the rows."""
        del self.rows[job]
        self._forget(job)
        self._facts.publish(JobStatusChanged(told={"status": "null", "id": job}))

    def _forget(self, job: str) -> None:
        self._kept.discard(job)
        self._ends.pop(job, None)
