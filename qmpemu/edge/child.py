"""Programs run as children of this process, by hand: importing `subprocess` takes longer than most of them run."""

from __future__ import annotations

import os
from fcntl import F_DUPFD, fcntl

from qmpemu.edge.sockets import SIG_SETMASK, SIGKILL, pthread_sigmask

PR_SET_PDEATHSIG = 1
FD_MAX = 1 << 20


def found(name: str) -> str | None:
    """The program of that name on the PATH."""
    paths = (os.path.join(folder, name) for folder in os.get_exec_path())
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)


def spawn(argv: list[str], *fds: int | None) -> int:
    """Start argv[0], a path, with those descriptors as its 0, 1, 2 …, None for /dev/null; its process id.

    It gets no others, and the kernel kills it when this process ends, however it ends.
    """
    from _ctypes import call_function, dlopen, dlsym  # `ctypes` itself costs 2 ms more

    prctl, parent = dlsym(dlopen(None, os.RTLD_NOW), "prctl"), os.getpid()  # type: ignore[arg-type]  # None: this program
    pid = os.fork()
    if pid:
        return pid
    try:
        call_function(prctl, (PR_SET_PDEATHSIG, SIGKILL))
        pthread_sigmask(SIG_SETMASK, ())
        kept = [os.open(os.devnull, os.O_RDWR) if fd is None else fd for fd in fds]
        for number, fd in enumerate([fcntl(fd, F_DUPFD, len(fds)) for fd in kept]):
            os.dup2(fd, number)
        os.closerange(len(fds), FD_MAX)
        if os.getppid() == parent:
            os.execv(argv[0], argv)
    finally:
        os._exit(127)
