"""A real block layer: one qemu-storage-daemon, child of this process, over a socket that nobody else can reach.

    loop ──call──> socket ──QMP──> qemu-storage-daemon
     ^                │
     └── deque <──────┘   results and events, in the order of its monitor (facts: storage-daemon)

Not through `qemu.qmp`: importing it takes 45 ms, more than QEMU needs for a whole first snapshot, and a reply that goes
through its thread comes 1 ms later. Nothing has to be negotiated or guarded against here: the peer is our own.
"""

from __future__ import annotations

import os
from select import select
from time import monotonic

from qmpemu.core.json_text import loads
from qmpemu.core.queues import deque
from qmpemu.edge.sockets import UNIX_PATH_MAX
from qmpemu.machine.block.backend import GONE, BlockBackend
from qmpemu.qmp.encode import compact
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.edge.loop import Loop
    from qmpemu.edge.storage_process import StorageProcess

READ_BYTES = 1 << 16
DOMAIN = "domain-"
"""How libvirt's names of domains' folders begin."""
GOODBYE_S = 2.0
"""How long the daemon may take to close its images before it is killed."""


class StorageDaemon(BlockBackend):
    """The daemon and the talk with it."""

    def __init__(
        self,
        process: StorageProcess,
        loop: Loop,
        event: Callable[[str, dict[str, object]], object],
        died: Callable[[], object],
        begin_turn: Callable[[], object],
        end_turn: Callable[[], object],
    ) -> None:
        self._process, self._socket = process, process.socket
        self._loop = loop
        self._event, self._died = event, died
        self._begin_turn, self._end_turn = begin_turn, end_turn
        self._half_read = b""
        self._told: deque[dict[str, Any] | None] = deque()
        """What it has said and nobody has been told yet; None is the end."""
        self._outstanding: deque[Callable[[object], object]] = deque()
        self._folders: set[str] = set()
        """Where exports that hold nodes are about to listen."""
        self._open = True
        loop.add_reader(self._socket.fileno(), self._ready)
        self.call("qmp_capabilities", {}, bool)

    def call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Send a command; it is run after those before it."""
        self._outstanding.append(done)
        self._send(command, arguments)

    def hold(self, export: str, node: str, writable: bool, done: Callable[[object], object]) -> None:
        """Export a node at a socket that nobody can find: its folder is ours alone, and gone once it listens."""
        try:
            folder = private_folder()
        except OSError as error:
            done(QmpError(str(error.strerror)))
            return
        self._folders.add(folder)
        path = f"{folder}/s"

        def held(outcome: object) -> None:
            self._clear(folder)
            done(outcome)

        listening = {"type": "unix", "path": path}
        given = {"type": "vhost-user-blk", "id": export, "node-name": node, "writable": writable}
        self.call("block-export-add", {**given, "addr": listening}, held)

    def _clear(self, folder: str) -> None:
        self._folders.discard(folder)
        for remove, path in ((os.unlink, f"{folder}/s"), (os.rmdir, folder)):
            try:
                remove(path)
            except OSError:
                pass  # it was not made

    def close(self) -> None:
        """Let the daemon end its jobs, which it tells, close its images and end."""
        self._send("quit", {})
        self._hear_out()
        self._forget()

    def kill(self) -> None:
        """End the daemon at once."""
        self._forget()

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the loop wait, within the turn that it is in."""
        while not done() and self._open:
            if not self._told:
                self._receive()
            self._pass_on()

    def _send(self, command: str, arguments: dict[str, object]) -> None:
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._socket.sendall(compact(message))  # the daemon reads it a byte at a time
        except OSError:
            pass  # it has died, which is read as the end

    def _receive(self) -> None:
        """Wait for what it says next."""
        try:
            data = self._socket.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        *lines, self._half_read = (self._half_read + data).split(b"\r\n")
        self._told.extend(map(loads, lines))
        if not data:
            self._told.append(None)

    def _ready(self) -> None:
        if not self._open:
            return
        if select([self._socket], [], [], 0)[0]:  # `wait` may have heard it in the same turn
            self._receive()
        self._begin_turn()
        self._pass_on()
        self._end_turn()

    def _pass_on(self) -> None:
        while self._told:
            message = self._told.popleft()
            if message is None:
                self._end()
            elif "event" in message:
                self._event(message["event"], _data(message))
            elif "QMP" not in message:
                self._outstanding.popleft()(_outcome(message))

    def _hear_out(self) -> None:
        """Pass on the events that it tells until it has parted, for as long as a goodbye may take."""
        deadline_s = monotonic() + GOODBYE_S
        while True:
            while self._told:
                message = self._told.popleft()
                if message is None:
                    return
                if "event" in message:
                    self._event(message["event"], _data(message))
            if not select([self._socket], [], [], max(0, deadline_s - monotonic()))[0]:
                return
            self._receive()

    def _end(self) -> None:
        """It has died: whoever waits hears so, and then the machine."""
        self._forget()
        outstanding = list(self._outstanding)
        self._outstanding.clear()
        self._died()
        for done in outstanding:
            done(QmpError(GONE))

    def _forget(self) -> None:
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._told.clear()
        self._process.end()
        for folder in list(self._folders):
            self._clear(folder)


def private_folder() -> str:
    """A new folder that only this user can enter. Raises OSError.

    In a domain's own folder, which libvirt gives its emulator for HOME and takes away however that ends; else among
    temporary files, where one is left by an emulator that is killed within the moment that it is there.
    """
    name, home = f"qmpemu-{os.urandom(8).hex()}", os.environ.get("HOME", "")
    if os.path.basename(home).startswith(DOMAIN) and len(os.fsencode(f"{home}/{name}/s")) <= UNIX_PATH_MAX:
        try:
            os.mkdir(f"{home}/{name}", 0o700)
            return f"{home}/{name}"
        except OSError:
            pass  # it is not this user's
    folder = f"{os.environ.get('TMPDIR') or '/tmp'}/{name}"
    os.mkdir(folder, 0o700)
    return folder


def _data(message: dict[str, Any]) -> dict[str, object]:
    return {name: as_inserted(value) for name, value in reversed(message.get("data", {}).items())}


def _outcome(message: dict[str, Any]) -> object:
    error = message.get("error")
    return as_inserted(message["return"]) if error is None else QmpError(error["desc"], error["class"])
