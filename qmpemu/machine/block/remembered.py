"""What nodes looked like before a stream began: asked for them while its job is there, the real block layer dies.

Measured with QEMU 7.2.22, qemu-system-x86_64 and qemu-storage-daemon alike: from block-stream to the job's dismissal,
query-named-block-nodes ends the process with SIGSEGV. The real machine's query-block does not ask so far; ours would.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUERY, STREAM = "query-named-block-nodes", "block-stream"


class Remembered:
    """The rows of the last query before a stream, and the streams that are there."""

    __slots__ = ("_jobs", "_rows")

    def __init__(self) -> None:
        self._jobs: set[str] = set()
        self._rows: list[dict[str, Any]] = []

    @property
    def needed(self) -> bool:
        """Whether a stream's job is there."""
        return bool(self._jobs)

    def keep(self, outcome: object) -> None:
        """The answer to QUERY, asked just before a stream."""
        self._rows = outcome if isinstance(outcome, list) else []

    def begin(self, job: str) -> None:
        """A stream is on its way."""
        self._jobs.add(job)

    def end(self, job: str) -> None:
        """The job is gone, or has never come to be."""
        self._jobs.discard(job)

    def clear(self) -> None:
        """The back end is gone, and its jobs with it."""
        self._jobs.clear()

    def completed(self, device: str, base: str | None) -> None:
        """A stream has ended well: `device` is over `base`, or over nothing."""
        row = next((each for each in self._rows if each["node-name"] == device), None)
        below = next((each for each in self._rows if each["node-name"] == base), None)
        if row is None:
            return
        depth, image = 0, {**row["image"]}
        for name in ("backing-image", "backing-filename", "full-backing-filename", "backing-filename-format"):
            image.pop(name, None)
        row.pop("backing_file", None)
        if below is not None:
            depth = int(below["backing_file_depth"]) + 1
            path = below["image"]["filename"]
            row["backing_file"] = path
            image.update({"backing-image": below["image"], "backing-filename": path})
            image.update({"full-backing-filename": path, "backing-filename-format": below["drv"]})
        row.update({"backing_file_depth": depth, "image": image})

    def rows(self, *, flat: bool) -> list[dict[str, Any]]:
        """As the query would answer. flat: without backing images, which are not counted then either."""
        if not flat:
            return self._rows
        plain = [{k: v for k, v in row["image"].items() if k != "backing-image"} for row in self._rows]
        return [
            {**row, "image": image, "backing_file_depth": 0}
            for row, image in zip(self._rows, plain, strict=True)
        ]
