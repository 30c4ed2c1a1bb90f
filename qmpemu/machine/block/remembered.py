"""What nodes looked like before a stream began: asked for them while its job is there, the real block layer dies.

Measured with QEMU 7.2.22, qemu-system-x86_64 and qemu-storage-daemon alike: between block-stream and the job's
dismissal query-named-block-nodes ends the process with SIGSEGV, the machine's at least once the stream has ended;
before that it shows the stream's filter. The real machine's query-block does not ask so far; ours would.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.host import Host

QUERY, STREAM = "query-named-block-nodes", "block-stream"
FILTER = "copy-on-read"
OF_IMAGE = ("filename", "dirty-flag", "actual-size", "virtual-size", "cluster-size")
"""What such a filter's image shows of the image below."""
WORKING = ("created", "running", "paused")


class Remembered:
    """The rows of the last query before a stream, and the streams that are there. Sizes of files are looked at."""

    __slots__ = ("_host", "_jobs", "_rows")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._jobs: dict[str, tuple[str, str]] = {}
        """Each stream's device, and the name of the filter that it has over it while it works."""
        self._rows: list[dict[str, Any]] = []

    @property
    def needed(self) -> bool:
        """Whether a stream's job is there."""
        return bool(self._jobs)

    def keep(self, outcome: object) -> None:
        """The answer to QUERY, asked just before a stream."""
        self._rows = outcome if isinstance(outcome, list) else []

    def begin(self, job: str, arguments: dict[str, Any], name: str) -> None:
        """A stream is on its way; `name` is for its filter, unless that is given one."""
        self._jobs[job] = str(arguments["device"]), str(arguments.get("filter-node-name") or name)

    def end(self, job: str) -> None:
        """The job is gone, or has never come to be."""
        self._jobs.pop(job, None)

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

    def rows(self, jobs: object = None, *, flat: bool) -> list[dict[str, Any]]:
        """As the query would answer. jobs: as query-jobs tells, where filters of those that work are to be among it.

        flat: without backing images, which are not counted then either.
        """
        self._rows = [{**row, "image": self._grown(row["image"])} for row in self._rows]
        rows = [*self._filters(jobs if isinstance(jobs, list) else []), *self._rows]
        if not flat:
            return rows
        plain = [{k: v for k, v in row["image"].items() if k != "backing-image"} for row in rows]
        return [
            {**row, "image": image, "backing_file_depth": 0} for row, image in zip(rows, plain, strict=True)
        ]

    def _grown(self, image: dict[str, Any]) -> dict[str, Any]:
        """An image whose file may have grown meanwhile, and those below it."""
        if "backing-image" in image:
            image = {**image, "backing-image": self._grown(image["backing-image"])}
        try:
            now = self._host.image("file", str(image["filename"]))
        except OSError:
            return image  # not a file, or known by that name no more
        size = now.virtual_bytes if image["format"] == "file" else image["virtual-size"]
        return {**image, "virtual-size": size, "actual-size": now.actual_bytes}

    def _filters(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The newest first. One is gone once its stream has nothing more to do."""
        working = [each["id"] for each in jobs if each["status"] in WORKING and each["id"] in self._jobs]
        found = []
        for device, name in (self._jobs[job] for job in reversed(working)):
            found += [_filter(row, name) for row in self._rows if row["node-name"] == device]
        return found


def _filter(row: dict[str, Any], name: str) -> dict[str, Any]:
    """What copies into a node as it is read, and has that for a backing image."""
    kept = {key: value for key, value in row["image"].items() if key in OF_IMAGE}
    own = {
        "image": {**kept, "format": FILTER, "backing-image": row["image"]},
        "drv": FILTER,
        "node-name": name,
        "backing_file_depth": row["backing_file_depth"] + 1,
        "detect_zeroes": "off",
        "ro": False,
    }
    plain = {key: value for key, value in row.items() if key not in ("backing_file", "dirty-bitmaps")}
    return {**plain, **own}
