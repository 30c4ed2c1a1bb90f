"""A real block layer: one qemu-storage-daemon, child of this process, over a socket that nobody else can reach.

machine ──call──> StorageMonitor ──QMP──> qemu-storage-daemon
   ^                    │
   └──── done, event <──┘   results and events, in the order of its monitor (facts: storage-daemon)
"""

from __future__ import annotations

import os
from time import monotonic

from qmpemu.core.queues import deque
from qmpemu.edge.sockets import UNIX_PATH_MAX
from qmpemu.edge.storage_monitor import StorageMonitor
from qmpemu.machine.block.backend import GONE, BlockBackend
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.edge.loop import Loop
    from qmpemu.edge.storage_process import StorageProcess

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
        self._process, self._monitor = process, StorageMonitor(process.socket.detach())
        self._loop = loop
        self._event, self._died = event, died
        self._begin_turn, self._end_turn = begin_turn, end_turn
        self._outstanding: deque[Callable[[object], object]] = deque()
        self._folders: set[str] = set()
        """Where exports that hold nodes are about to listen."""
        self._open, self._queued = True, False
        loop.add_reader(self._monitor.fileno(), self._ready)
        self.call("qmp_capabilities", {}, bool)

    def call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Send a command; it is run after those before it."""
        self._outstanding.append(done)
        self._monitor.send(command, arguments)
        if not self._queued:  # those of one turn leave together
            self._queued = True
            self._loop.call_soon(self._leave)

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
        self._monitor.send("quit", {})
        self._hear_out()
        self._forget()

    def kill(self) -> None:
        """End the daemon at once."""
        self._forget()

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the loop wait, within the turn that it is in."""
        while not done() and self._open:
            self._monitor.wait()
            self._pass_on()

    def _leave(self) -> None:
        self._queued = False
        self._ready()

    def _ready(self) -> None:
        if not self._open:
            return
        self._monitor.advance()
        if self._monitor.told:
            self._begin_turn()
            self._pass_on()
            self._end_turn()

    def _pass_on(self) -> None:
        told = self._monitor.told
        while told:
            message = told.popleft()
            if message is None:
                self._end()
            elif "event" in message:
                self._event(message["event"], _data(message))
            elif "QMP" not in message:
                self._outstanding.popleft()(_outcome(message))

    def _hear_out(self) -> None:
        """Pass on the events that it tells until it has parted, for as long as a goodbye may take."""
        deadline_s = monotonic() + GOODBYE_S
        told = self._monitor.told
        while (left_s := deadline_s - monotonic()) > 0:
            self._monitor.wait(left_s)
            while told:
                message = told.popleft()
                if message is None:
                    return
                if "event" in message:
                    self._event(message["event"], _data(message))

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
        self._loop.remove_reader(self._monitor.fileno())
        self._monitor.told.clear()
        self._process.end()
        self._monitor.close()
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
