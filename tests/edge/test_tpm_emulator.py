"""The emulator of a TPM behind -tpmdev: what it is asked and when, and what is said where it refuses or leaves."""

from __future__ import annotations

import array
import contextlib
import json
import socket
import subprocess
import threading
from typing import IO, TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

CASES = """
swtpm
swtpm device=none
swtpm version=00c4
swtpm reset
swtpm incoming
refuses=10
leaves=10
refuses=2
refuses=e
refuses=3
leaves=1
leaves=2
leaves=3
leaves=e
leaves=11
lacks
silent
nobody
later=2
later=e
"""
"""`swtpm`: one that does as it is told; `refuses`, `leaves`: at which command (in hex); `later`: refuses a reset."""
LINES = """
-chardev null,id=c -tpmdev emulator,id=t,chardev=c
-chardev file,id=c,path=x -tpmdev emulator,id=t,chardev=c
-chardev socket,id=c,path=y,server=on,wait=off -tpmdev emulator,id=t,chardev=c
-tpmdev emulator,id=t,chardev=x -netdev socket,id=n,listen=none
-tpmdev emulator,id=t,chardev=x -device none
"""
"""What leads to no emulator."""


class Peer:
    """One end of a socket that answers as swtpm does, but for what the case says."""

    def __init__(self, path: Path, case: str) -> None:
        self.case = dict(word.partition("=")[::2] for word in case.split())
        self.asked: list[str] = []
        self.is_late = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        self._listener.close()
        with client:
            if "nobody" in self.case:
                client.recv(1)
                return
            while True:
                message, about, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(64))
                if not message:
                    return
                self.asked.append(message.hex())
                for _, _, data in about:
                    self._data(array.array("i", data)[0])
                if self._is("leaves", message[3]):
                    return
                client.sendall(self._answer(message[3]))

    def _answer(self, command: int) -> bytes:
        late = self.is_late and self._is("later", command)
        result = (9 if late or self._is("refuses", command) else 0).to_bytes(4, "big")
        if command == 1:
            return bytes(8) if "lacks" in self.case else b"\0\0\0\0\0\0\xff\xff"
        if command == 17:
            return result + bytes.fromhex("00000f8000000af800001000")
        return result

    def _is(self, what: str, command: int) -> bool:
        return self.case.get(what) == f"{command:x}"

    def _data(self, fd: int) -> None:
        """The other channel: its commands are answered, or not, until its end."""

        def serve() -> None:
            with socket.socket(fileno=fd) as channel:
                while asked := channel.recv(4096):
                    self.asked.append(f"data {asked.hex()}")
                    if "silent" not in self.case:
                        channel.sendall(bytes.fromhex(self.case.get("version", "8001") + "0000000a00000000"))

        threading.Thread(target=serve, daemon=True).start()


def run(kind: str, folder: Path, case: str) -> tuple[int, str, list[str]]:
    """Exit status, what stands on standard error, and what the other side was asked."""
    folder.mkdir()
    peer = Peer(folder / "s", case)
    words = [
        Emulator(kind, folder).program,
        "-S",
        "-M",
        "q35",
        "-nodefaults",
        "-display",
        "none",
        "-qmp",
        "stdio",
    ]
    words += ["-chardev", "socket,id=c,path=s", "-tpmdev", "emulator,id=t,chardev=c"]
    words += [] if "device" in peer.case else ["-device", "tpm-crb,tpmdev=t"]
    words += ["-incoming", "defer"] if "incoming" in peer.case else []
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=folder, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process:
        commands = ["system_reset"] * bool({"reset", "later", "incoming"} & peer.case.keys())
        for command in ["", "qmp_capabilities", "query-tpm", *commands, "quit"]:
            peer.is_late = command == "system_reset"
            if command:
                say(process.stdin, command)
            while b'"event"' in process.stdout.readline():
                pass
        stderr = process.stderr.read().decode()
    peer.thread.join(20)
    return process.returncode, stderr, peer.asked


def say(pipe: IO[bytes], command: str) -> None:
    """Send a command, to one that may have ended."""
    with contextlib.suppress(BrokenPipeError):
        pipe.write(json.dumps({"execute": command}).encode())


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_what_is_agreed(case: str, tmp_path: Path) -> None:
    """The same commands in the same order as by the real one, the same words, the same end."""
    real, ours = (run(kind, tmp_path / kind, case) for kind in ("real", "ours"))
    if "nobody" in case:  # it names the reason of an earlier call
        real, ours = ((status, text.partition("DATAFD")[0], asked) for status, text, asked in (real, ours))
    assert ours == real


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_no_emulator_as_real(line: str, tmp_path: Path) -> None:
    """A character device that leads to none is refused as by the real one."""
    told = []
    for kind in ("real", "ours"):
        words = [Emulator(kind, tmp_path).program, "-S", "-nodefaults", "-display", "none", *line.split()]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        lines = done.stderr.splitlines()
        told.append(
            [done.returncode, *(text.partition(": No such")[0].partition(": Inappr")[0] for text in lines)]
        )
    assert told[1] == told[0]
