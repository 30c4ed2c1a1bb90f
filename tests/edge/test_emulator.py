"""edge.emulator and streams: the same edge on three event loops; clients that flood, stall or vanish."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from emulators import Client, await_gone

from qmpemu.edge import argv, shipped, streams
from qmpemu.edge.emulator import Emulator
from qmpemu.edge.host_side import HostSide
from qmpemu.edge.loop import PollLoop
from qmpemu.qmp.session import QUEUED_BYTES_MAX

LOOPS: dict[str, Any] = {"poll": PollLoop, "asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Served:
    """An emulator in a thread of this process, on a loop of the given kind."""

    def __init__(self, kind: str, folder: Path, *words: str) -> None:
        self.path = folder / "q"
        self.statuses: list[int] = []
        profile = shipped.profile(None)
        line = ["-machine", "none", "-S", *words, "-qmp", f"unix:{self.path},server=on,wait=off"]
        config, options = argv.parse_command_line(line, profile)
        self.loop = LOOPS[kind]()
        side = HostSide(config, options, profile, self.loop)
        side.open()
        self.emulator = Emulator(side, on_exit=self.exited)
        self.emulator.open()
        self.emulator.start()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        self.sockets: list[socket.socket] = []

    def serve(self) -> None:
        self.loop.run_forever()
        if hasattr(self.loop, "close"):
            self.loop.close()

    def exited(self, status: int) -> None:
        self.statuses.append(status)
        self.loop.stop()

    def client(self) -> Client:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.path))
        self.sockets.append(sock)
        client = Client(sock)
        assert "QMP" in client.read()
        assert client.ask("qmp_capabilities") == {"return": {}}
        return client

    def end(self) -> None:
        if self.thread.is_alive():
            for sock in self.sockets:
                sock.close()
            self.client().put("quit")
            self.thread.join(20)
        for sock in self.sockets:
            sock.close()


@pytest.fixture(params=LOOPS)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(request.param, tmp_path)
    yield made
    made.end()


def test_the_edge_behaves_alike_on_each_loop(served: Served) -> None:
    """Greeting, replies, re-accept, events and the end are the same on our loop, asyncio and uvloop."""
    first = served.client()
    assert first.ask("query-status")["return"]["status"] == "prelaunch"
    first.close()
    second = served.client()
    second.put("cont")
    assert second.story("return") == ["RESUME", "return"]
    second.put("quit")
    assert second.story() == ["SHUTDOWN host-qmp-quit", "return", "EOF"]
    served.thread.join(20)
    assert served.statuses == [0]
    assert await_gone(served.path)


def test_a_client_that_does_not_read_is_not_read_from(served: Served) -> None:
    """Megabytes of pipelined commands whose replies nobody reads wait in the sender; reading lets them on."""
    client = served.client()
    request = b'{"execute":"query-qmp-schema"}'
    count = 40  # some eight megabytes of replies
    client.send(request * count)
    stream = served.emulator.streams["compat_monitor0"]
    assert sum(len(client.read_line()) > 200_000 for _ in range(count)) == count
    assert stream.unsent_bytes_max <= streams.UNSENT_SOFT_MAX + QUEUED_BYTES_MAX + 300_000
    assert client.ask("query-name") == {"return": {}}


def test_a_flood_of_replies_ends_the_client_and_not_the_emulator(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output above the hard limit costs the client its connection; the next client is served."""
    monkeypatch.setattr(streams, "UNSENT_HARD_MAX", 1 << 20)
    client = served.client()
    client.send(b'{"execute":"query-qmp-schema"}' * 40)
    words = client.story()
    assert words[-1] == "EOF"
    assert len(words) < 40
    client.close()
    assert served.client().ask("query-name") == {"return": {}}


def test_garbage_from_one_client_does_not_touch_the_next(served: Served) -> None:
    """Half a message, binary noise, then gone: the next client finds everything in order."""
    for noise in (b'{"execute":', b"\xff\x00\x01" * 100, b"[" * 5000, b'"' * 999):
        client = served.client()
        client.send(noise)
        client.close()
        served.sockets.pop()
    assert served.client().ask("query-status")["return"]["status"] == "prelaunch"


def test_descriptors_nobody_asked_for_are_closed(served: Served) -> None:
    """Descriptors sent along with a command that takes none do not pile up."""
    client = served.client()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Path("/dev/null").open() as null:
        for _ in range(50):
            socket.send_fds(client.sock, [b'{"execute":"query-name"}'], [null.fileno()])
            assert client.read() == {"return": {}}
    assert (
        len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    )  # the last one waits for a command to take it
