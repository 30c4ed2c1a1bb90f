"""The real QEMU behind a raw socket, for comparing bytes."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path

from corpus import RECOVERY

REAL = "/usr/bin/qemu-system-x86_64"
WORDS = ["-machine", "none", "-accel", "tcg", "-display", "none", "-nodefaults", "-S"]


class RealQemu:
    """`-machine none` under TCG, stopped; commands run in a scratch folder."""

    def __init__(self, folder: Path) -> None:
        assert os.path.exists(REAL), f"{REAL} is missing; `make test` installs it"
        self.path = folder / "real.sock"
        self.process = subprocess.Popen(
            [REAL, *WORDS, "-qmp", f"unix:{self.path},server=on,wait=off"],
            cwd=folder,
        )
        self._sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """A negotiated connection."""
        deadline = time.monotonic() + 20
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(20)
            try:
                sock.connect(str(self.path))
                break
            except OSError:
                sock.close()
                assert time.monotonic() < deadline
                select.select([], [], [], 0.005)
        self._sockets.append(sock)
        read_line(sock)
        sock.sendall(b'{"execute":"qmp_capabilities"}\n')
        read_line(sock)
        return sock

    def answer(self, sock: socket.socket, data: bytes) -> bytes:
        """Everything the real one says to `data`, up to the answer to the recovery command, which is left out."""
        sock.sendall(data + RECOVERY)
        got = b""
        while b'"id": "recovered"}\r\n' not in got:
            got += sock.recv(65536)
        return b"".join(got.splitlines(keepends=True)[:-1])

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self.process.kill()
        self.process.wait()


def read_line(sock: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        got += sock.recv(1)
    return got
