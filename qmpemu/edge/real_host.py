"""The host as it is: wall time, threads, image files."""

from __future__ import annotations

import os
import time

from qmpemu.machine.host import Host, Image

QCOW2_MAGIC = b"QFI\xfb"
QCOW2_LAZY_REFCOUNTS = 1
QCOW2_CORRUPT = 2
QCOW2_EXTENDED_L2 = 16


class RealHost(Host):
    """Answers from the operating system."""

    def __init__(self) -> None:
        self._threads: dict[str, int] = {}

    def timestamp(self) -> tuple[int, int]:
        """Wall time: seconds since 1970, microseconds."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        return seconds, rest // 1000

    def close_fd(self, fd: int) -> None:
        """Close a descriptor that a client passed."""
        os.close(fd)

    def thread_id(self, name: str) -> int:
        """A parked thread's id: libvirt sets the affinity of vCPU threads, so they must exist."""
        if name not in self._threads:
            self._threads[name] = _park()
        return self._threads[name]

    def image(self, driver: str, path: str) -> Image:
        """Sizes from the file system, and a qcow2 header's fields (docs: interop/qcow2, "Header")."""
        status = os.stat(path)
        actual_bytes = status.st_blocks * 512
        with open(path, "rb") as file:
            header = file.read(112) if driver == "qcow2" else b""
            file_bytes = file.seek(0, os.SEEK_END)  # a block device's size too, which stat does not tell
        if driver != "qcow2":
            return Image(virtual_bytes=file_bytes, file_bytes=file_bytes, actual_bytes=actual_bytes)
        if header[:4] != QCOW2_MAGIC or len(header) < 104:
            raise OSError(0, "Image is not in qcow2 format")
        return Image(
            virtual_bytes=_number(header, 24, 8),
            file_bytes=file_bytes,
            actual_bytes=actual_bytes,
            cluster_bytes=1 << _number(header, 20, 4),
            details=_qcow2_details(header),
        )


def _qcow2_details(header: bytes) -> dict[str, object]:
    version = _number(header, 4, 4)
    if version == 2:
        return {"compat": "0.10", "compression-type": "zlib", "refcount-bits": 16}
    incompatible, compatible = _number(header, 72, 8), _number(header, 80, 8)
    zstd = _number(header, 100, 4) > 104 and header[104] == 1
    return {
        "compat": "1.1",
        "compression-type": "zstd" if zstd else "zlib",
        "lazy-refcounts": bool(compatible & QCOW2_LAZY_REFCOUNTS),
        "refcount-bits": 1 << _number(header, 96, 4),
        "corrupt": bool(incompatible & QCOW2_CORRUPT),
        "extended-l2": bool(incompatible & QCOW2_EXTENDED_L2),
    }


def _number(header: bytes, offset: int, size: int) -> int:
    return int.from_bytes(header[offset : offset + size], "big")


def _park() -> int:
    """Start a thread that sleeps for ever and return its kernel id."""
    from _thread import allocate_lock, get_native_id, start_new_thread

    ready, forever = allocate_lock(), allocate_lock()
    ids: list[int] = []
    ready.acquire()
    forever.acquire()

    def park() -> None:
        ids.append(get_native_id())
        ready.release()
        forever.acquire()

    start_new_thread(park, ())
    ready.acquire()
    return ids[0]
