"""A dump on its way into a file, where zeros are holes, or into a pipe, written by a thread so that nobody waits."""

from __future__ import annotations

import os
from stat import S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmpemu.edge.loop import Loop

ZEROS = bytes(1 << 20)


def write_dump(
    loop: Loop,
    around: Callable[[Callable[[], object]], object],
    fd: int,
    parts: Iterator[bytes | int],
    done: Callable[[str | None], object],
) -> None:
    """Write and close; then done(error or None), through `around` when that is a turn of its own."""
    os.set_blocking(fd, True)
    if S_ISREG(os.fstat(fd).st_mode):
        done(_write(fd, parts, _skip))
    else:
        _write_aside(loop, around, fd, parts, done)


def _write(fd: int, parts: Iterator[bytes | int], zeros: Callable[[int, int], object]) -> str | None:
    """Write everything and close. -> the error, or None."""
    try:
        for part in parts:
            if isinstance(part, int):
                zeros(fd, part)
            else:
                _all(fd, part)
    except OSError as error:
        return f"dump: failed to save memory: {error.strerror}"
    finally:
        os.close(fd)
    return None


def _all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _skip(fd: int, count: int) -> None:
    """A hole, which reads as zeros."""
    end = os.lseek(fd, count, os.SEEK_CUR)
    if os.fstat(fd).st_size < end:
        os.ftruncate(fd, end)


def _fill(fd: int, count: int) -> None:
    while count:
        count -= os.write(fd, ZEROS[: min(count, len(ZEROS))])


def _write_aside(
    loop: Loop,
    around: Callable[[Callable[[], object]], object],
    fd: int,
    parts: Iterator[bytes | int],
    done: Callable[[str | None], object],
) -> None:
    from threading import Thread

    readable, writable = os.pipe2(os.O_CLOEXEC)
    outcome: list[str | None] = []

    def write() -> None:
        outcome.append(_write(fd, parts, _fill))
        os.close(writable)  # which wakes the loop

    def written() -> None:
        loop.remove_reader(readable)
        os.close(readable)
        around(lambda: done(outcome[0]))

    loop.add_reader(readable, written)
    Thread(target=write, name="dump_thread", daemon=True).start()
