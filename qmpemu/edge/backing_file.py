"""What is behind guest memory: the host's own memory, files, huge pages. It is taken, and given back at once.

Nothing is ever written to it: the guest has no memory. A file is there for who waits for it, as with QEMU. What cannot
be had is refused with QEMU's texts; whether it can, the kernel says. It is not asked to vouch for pages, which are not
needed: a large guest runs on a small host, where the real one is refused by `vm.overcommit_memory`.
"""

from __future__ import annotations

import errno
import os
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PAGESIZE, PROT_READ, PROT_WRITE, mmap

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_MAP = "unable to map backing store for guest RAM: {}"
MAP_NORESERVE = 0x4000
"""`mmap` has no name for it."""
HUGE_SHIFT = 26
"""Where in the flags of memfd_create the size of a page stands, as a power of two."""


def back_memory(given: Mapping[str, object], say: Callable[[str], object]) -> None:
    """See that there is what a memory back end asks for, as object-add takes it. Raises Refused.

    say: told what QEMU prints beside.
    """
    kind, size = str(given["qom-type"]), int(str(given["size"]))
    if kind == "memory-backend-file":
        _file(given, size, say)
    elif kind == "memory-backend-memfd":
        _memfd(given, size)
    elif given.get("reserve", True):
        why = _why_no_memory(size, MAP_SHARED if given.get("share") else MAP_PRIVATE)
        if why:
            raise Refused(f"cannot set up guest memory '{given['id']}': {why}")


def _why_no_memory(size: int, flags: int) -> str:
    try:
        mmap(-1, size, flags=flags | MAP_ANONYMOUS | MAP_NORESERVE).close()
    except OSError as error:
        return str(error.strerror)
    return ""


# --- memory that has no name ------------------------------------------------------------------------------------------


def _memfd(given: Mapping[str, object], size: int) -> None:
    """Shared by default. Raises Refused."""
    share = bool(given.get("share", True))
    if given.get("hugetlb"):
        _huge_pages(given, size, share=share)
    elif not share and given.get("reserve", True):
        why = _why_no_memory(size, MAP_PRIVATE)
        if why:
            raise Refused(NO_MAP.format(why))


def _huge_pages(given: Mapping[str, object], size: int, *, share: bool) -> None:
    page = int(str(given.get("hugetlbsize", 0)))
    if page & page - 1:
        raise Refused("Hugepage size must be a power of 2")
    flags = os.MFD_CLOEXEC | os.MFD_HUGETLB | (os.MFD_ALLOW_SEALING if given.get("seal", True) else 0)
    flags |= (page.bit_length() - 1 if page else 0) << HUGE_SHIFT
    try:
        fd = os.memfd_create("guest-memory", flags)
    except OSError as error:
        raise Refused(f"failed to create memfd with flags {flags:#x}: {error.strerror}") from None
    try:
        os.ftruncate(fd, size)
        mmap(fd, size, flags=MAP_SHARED if share else MAP_PRIVATE).close()
    except OSError as error:
        resized = os.fstat(fd).st_size == size
        raise Refused(
            NO_MAP.format(error.strerror)
            if resized
            else f"failed to resize memfd to {size}: {error.strerror}"
        ) from None
    finally:
        os.close(fd)


# --- files ------------------------------------------------------------------------------------------------------------


def _file(given: Mapping[str, object], size: int, say: Callable[[str], object]) -> None:
    """A file is made where it is missing; a folder holds one without a name. Raises Refused."""
    path, align = str(given.get("mem-path", "")), int(str(given.get("align", 0)))
    fd, made = _open(path, readonly=bool(given.get("readonly")))
    try:
        if align % PAGESIZE:
            raise Refused(f"alignment {align:#x} must be multiples of page size {PAGESIZE:#x}")
        if align & align - 1:
            raise Refused(f"alignment {align:#x} must be a power of two")
        _fit(fd, size, say)
        _map(fd, size, given)
    except Refused:
        if made:
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def _open(path: str, *, readonly: bool) -> tuple[int, bool]:
    """A descriptor, and whether the file was made. Raises Refused."""
    try:
        try:
            return os.open(path, (os.O_RDONLY if readonly else os.O_RDWR) | os.O_CLOEXEC), False
        except FileNotFoundError:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), True
        except IsADirectoryError:
            name = f"{path}/qmpemu_memory.{os.getpid()}"
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.unlink(name)
            return fd, False
    except OSError as error:
        raise Refused(f"can't open backing store {path} for guest RAM: {error.strerror}") from None


def _fit(fd: int, size: int, say: Callable[[str], object]) -> None:
    """Raises Refused where the file is too small; one that cannot grow is told of."""
    there = os.fstat(fd).st_size
    if 0 < there < size:
        raise Refused(f"backing store size {there:#x} does not match 'size' option {size:#x}")
    if there:
        return
    try:
        os.ftruncate(fd, -(-size // PAGESIZE) * PAGESIZE)
    except OSError as error:
        say(f"ftruncate: {error.strerror}")


def _map(fd: int, size: int, given: Mapping[str, object]) -> None:
    """Map it; what no memory is kept for, and what has no size, only at its beginning. Raises Refused."""
    private = not given.get("share")
    counted = private and not given.get("readonly") and given.get("reserve", True)
    why = _why_no_memory(size, MAP_PRIVATE) if counted else ""
    if not why:
        access = PROT_READ if given.get("readonly") else PROT_READ | PROT_WRITE
        try:
            mmap(fd, PAGESIZE, flags=MAP_PRIVATE if private else MAP_SHARED, prot=access).close()
        except (OSError, ValueError) as error:
            why = str(error.strerror) if isinstance(error, OSError) else os.strerror(errno.ENODEV)
    if why:
        raise Refused(NO_MAP.format(why))
