"""Jobs that the machine does itself (snapshot-save and its like), beside those of the real block layer.

created, running ── the work, at once ── the reply ──┬─> waiting, pending, concluded ── job-dismiss ──> null
                                                     └─ it failed ─> aborting, concluded ──┘
"""

from __future__ import annotations

from qmpemu.core.options import is_identifier
from qmpemu.core.table import Refused
from qmpemu.machine.block.happened import JobStatusChanged
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.facts import Bus

CONCLUDED = "concluded"


class OwnJobs:
    """Jobs by id, the oldest first. soon(call): run it after this turn."""

    def __init__(self, facts: Bus, soon: Callable[[Callable[[], object]], object]) -> None:
        self._facts = facts
        self._soon = soon
        self.born: dict[str, int] = {}
        """When they were made: the fact's number."""
        self.rows: dict[str, dict[str, object]] = {}
        """As in query-jobs."""

    def run(self, job: str, kind: str, work: Callable[[], object]) -> Later:
        """Do the work as a job; that it fails is told by the job. Raises QmpError for its id.

        The job's end follows the reply at once, whatever the client has sent behind the command.
        """
        if not is_identifier(job):
            raise QmpError(f"Invalid job ID '{job}'")
        row: dict[str, object] = {
            "current-progress": 0,
            "status": "created",
            "total-progress": 1,
            "type": kind,
        }
        self.rows[job] = {**row, "id": job}
        self._become(job, "created")
        self._become(job, "running")
        try:
            work()
        except (Refused, QmpError) as error:
            self.rows[job]["error"] = str(error)
        self.rows[job]["current-progress"] = 1
        later = Later()
        later.afterwards = lambda: self._conclude(job)
        self._soon(lambda: later.finish({}))
        return later

    def fail(self, job: str, kind: str, why: str) -> None:
        """One that is over before the reply, and has not been done."""
        row: dict[str, object] = {
            "current-progress": 1,
            "status": "created",
            "total-progress": 1,
            "type": kind,
        }
        self.rows[job] = {**row, "id": job, "error": why}
        for status in ("created", "running", "aborting", CONCLUDED):
            self._become(job, status)

    def refuse(self, job: str, verb: str) -> QmpError:
        """Why a job takes no such command any more."""
        if verb == "resume":
            return QmpError("Can't resume a job that was not paused")
        state = self.rows[job]["status"]
        return QmpError(f"Job '{job}' in state '{state}' cannot accept command verb '{verb}'")

    def dismiss(self, job: str) -> None:
        """Forget a concluded job. Raises QmpError."""
        if self.rows[job]["status"] != CONCLUDED:
            raise self.refuse(job, "dismiss")
        del self.rows[job]
        self._facts.publish(JobStatusChanged(told={"status": "null", "id": job}))

    def close(self) -> None:
        """The machine is over: the newest goes first."""
        for job in reversed(list(self.rows)):
            del self.rows[job]
            self._facts.publish(JobStatusChanged(told={"status": "null", "id": job}))

    def _conclude(self, job: str) -> None:
        if job not in self.rows:
            return
        for status in ("aborting",) if "error" in self.rows[job] else ("waiting", "pending"):
            self._become(job, status)
        self._become(job, CONCLUDED)

    def _become(self, job: str, status: str) -> None:
        self.rows[job]["status"] = status
        fact = self._facts.publish(JobStatusChanged(told={"status": status, "id": job}))
        if status == "created":
            self.born[job] = fact.seq
