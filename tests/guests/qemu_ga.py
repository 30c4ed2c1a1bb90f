"""The real guest agent behind a raw socket, for comparing bytes. It can do nothing to this machine.

It runs as nobody, without any capability, in a scratch folder; tests send it only what tells or is refused.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REAL = "/usr/sbin/qemu-ga"
NOBODY = 65534
CONFINED = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs --bounding-set=-all"
END = b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 4711}}\n'
"""Behind each case: its reply ends what is compared."""
ENDED = b'\xff{"return": 4711}\n'


class RealAgent:
    """One running agent. frozen: it believes that it holds writes, as after a restart in the middle of it."""

    def __init__(self, folder: Path, *, frozen: bool = False) -> None:
        assert os.path.exists(REAL), (
            f"{REAL} is missing: Debian package qemu-guest-agent, which `make test` installs"
        )
        assert os.geteuid() == 0, "the real agent is run as nobody: run the tests as root"
        os.chown(folder, NOBODY, NOBODY)
        for parent in (folder, *folder.parents[:3]):
            os.chmod(parent, parent.stat().st_mode | 0o011)
        if frozen:
            (folder / "qga.state.isfrozen").touch()
            os.chown(folder / "qga.state.isfrozen", NOBODY, NOBODY)
        self._path = str(folder / "s")
        words = [REAL, "-m", "unix-listen", "-p", self._path, "-t", str(folder), "-f", str(folder / "pid")]
        self._process = subprocess.Popen([*CONFINED.split(), "--inh-caps=-all", *words], cwd=folder)
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """A new client, in the place of the one before."""
        if self._socket is not None:
            self._socket.close()
        deadline = time.monotonic() + 20
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(20)
            try:
                self._socket.connect(self._path)
                return
            except OSError:
                self._socket.close()
                assert time.monotonic() < deadline, "the real agent does not listen"
                select.select([], [], [], 0.01)

    def answer(self, data: bytes) -> bytes:
        """Everything it says to `data`, and to the END behind it, up to that one's reply."""
        assert self._socket is not None
        self._socket.sendall(data + END)
        got = b""
        while not got.endswith(ENDED):
            more = self._socket.recv(65536)
            assert more, f"the real agent parted after {got!r}"
            got += more
        return got.removesuffix(ENDED)

    def close(self) -> None:
        """End it."""
        if self._socket is not None:
            self._socket.close()
        self._process.kill()
        self._process.wait()
