"""Opens a migration's links: out to where an address leads, in from whoever comes. Texts as measured on QEMU 7.2."""

from __future__ import annotations

import errno
import os

from qmpemu.core.table import Refused
from qmpemu.edge import sockets
from qmpemu.edge.migration.links import FdLink
from qmpemu.machine.migration.link import Link, Listener
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from qmpemu.edge.loop import Loop
    from qmpemu.edge.migration.links import Around
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address

    Tell = Callable[[Link | str], object]

BACKLOG = 255
NO_RDMA = "RDMA ERROR: could not create CM channel"
NO_RDMA_CHANNEL = "RDMA ERROR: could not create rdma event channel"
RETRY_S = 0.02
REAP_S = 0.1


def connect(loop: Loop, around: Around, address: Address, machine: Machine, tell: Tell) -> None:
    """Open a link out and tell it from the loop, or why there is none. Raises QmpError for what is wrong at once."""

    def linked(fd: int, noun: str) -> None:
        link = FdLink(loop, around, fd, machine=machine, noun=noun, reads=False)
        loop.call_soon(lambda: around(lambda: tell(link)))

    if address.kind == "fd":
        fd = machine.named_fds.pop(address.name, None)
        if fd is None:
            raise QmpError(f"File descriptor named '{address.name}' has not been found")
        linked(fd, "socket" if _is_socket(fd) else "file")
    elif address.kind == "exec":
        process = _shell(address.name, output=False)
        _reap(loop, process)
        assert process.stdin is not None
        linked(os.dup(process.stdin.fileno()), "command")
        process.stdin.close()
    elif address.kind == "rdma":
        machine.host.report(NO_RDMA)
        raise QmpError(NO_RDMA)
    elif address.kind == "vsock":
        text = f"Failed to connect to '{address.host}:{address.port}': {os.strerror(errno.ENODEV)}"
        loop.call_soon(lambda: around(lambda: tell(text)))
    else:
        _Connecting(loop, around, address, machine, tell).begin()


def listen(
    loop: Loop, around: Around, address: Address, machine: Machine, accept: Callable[[Link], object]
) -> Listener:
    """Wait for links in. Raises QmpError."""
    if address.kind in ("tcp", "unix"):
        return _SocketListener(loop, around, address, machine, accept)
    if address.kind == "rdma":
        raise QmpError(NO_RDMA_CHANNEL)
    if address.kind == "vsock":  # nobody can come that way
        nowhere = Listener()
        nowhere.addresses = [{"port": address.port, "cid": address.host, "type": "vsock"}]
        return nowhere
    if address.kind == "exec":
        process = _shell(address.name, output=True)
        _reap(loop, process)
        assert process.stdout is not None
        fd = os.dup(process.stdout.fileno())
        process.stdout.close()
    else:
        fd = _inherited(address.name, machine)
    try:
        link = FdLink(loop, around, fd, machine=machine, noun="file", reads=True)
    except OSError:  # no such descriptor: QEMU waits at it for ever
        return Listener()
    accept(link)
    return Listener()


def _inherited(name: str, machine: Machine) -> int:
    """A descriptor by number, as inherited, or by the name a client gave it."""
    if name in machine.named_fds:
        return machine.named_fds.pop(name)
    if not name.isdigit():
        if machine.config.incoming != "defer":
            raise QmpError(f"Invalid file descriptor number '{name}'")
        raise QmpError(f"File descriptor named '{name}' has not been found")
    return int(name)


def _is_socket(fd: int) -> bool:
    from stat import S_ISSOCK

    return S_ISSOCK(os.fstat(fd).st_mode)


def _shell(command: str, *, output: bool) -> subprocess.Popen[bytes]:
    import subprocess

    pipe = {"stdout": subprocess.PIPE} if output else {"stdin": subprocess.PIPE}
    return subprocess.Popen(["/bin/sh", "-c", command], **pipe)  # type: ignore[call-overload, no-any-return]


def _reap(loop: Loop, process: subprocess.Popen[bytes]) -> None:
    """Look after the command until it has ended."""
    if process.poll() is None:
        loop.call_later(REAP_S, lambda: _reap(loop, process))


class _Connecting:
    """A socket on its way to its peer."""

    def __init__(self, loop: Loop, around: Around, address: Address, machine: Machine, tell: Tell) -> None:
        self._loop = loop
        self._machine = machine
        self._around = around
        self._tell = tell
        self._address = address
        unix = address.kind == "unix"
        self._name = address.name if unix else f"{address.host}:{address.port}"

    def begin(self) -> None:
        """Try; the outcome is told from the loop."""
        try:
            self._open()
        except Refused as refused:
            self._tell_later(str(refused))
        except sockets.gaierror as error:
            self._tell_later(f"address resolution failed for {self._name}: {error.strerror}")
        except OSError as error:
            self._failed(error.strerror or str(error))

    def _open(self) -> None:
        address = self._address
        family: int = sockets.AF_UNIX
        spot: object = address.name
        if address.kind == "unix":
            sockets.check_path(address.name)
        else:
            family, _, spot = sockets.look_up(address.host, address.port, passive=False)[0]
        self._socket = sockets.socket(family, sockets.SOCK_STREAM)
        self._socket.setblocking(False)
        result = self._socket.connect_ex(spot)  # type: ignore[arg-type]
        if result == errno.EAGAIN:  # a UNIX socket whose owner has not accepted the earlier ones yet
            self._socket.close()
            self._loop.call_later(RETRY_S, self.begin)
        elif result in (0, errno.EINPROGRESS):
            self._loop.add_writer(self._socket.fileno(), self._writable)
        else:
            self._socket.close()
            self._failed(os.strerror(result))

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        result = self._socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if result:
            self._socket.close()
            self._failed(os.strerror(result))
            return
        link = FdLink(
            self._loop, self._around, self._socket.detach(), machine=self._machine, noun="socket", reads=False
        )
        self._around(lambda: self._tell(link))

    def _failed(self, why: str) -> None:
        self._tell_later(f"Failed to connect to '{self._name}': {why}")

    def _tell_later(self, text: str) -> None:
        self._loop.call_soon(lambda: self._around(lambda: self._tell(text)))


class _SocketListener(Listener):
    """Accepts as many links as come."""

    def __init__(
        self,
        loop: Loop,
        around: Around,
        address: Address,
        machine: Machine,
        accept: Callable[[Link], object],
    ) -> None:
        super().__init__()
        self._machine = machine
        self._loop = loop
        self._around = around
        self._accept = accept
        self._path = os.path.abspath(address.name) if address.kind == "unix" else None
        self._socket = _bound(address)
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        self.addresses = [_shown(address, self._socket)]
        loop.add_reader(self._socket.fileno(), self._ready)

    def close(self) -> None:
        """No more links; the socket's file goes, too."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            if self._path is not None and os.path.exists(self._path):
                os.unlink(self._path)

    def _ready(self) -> None:
        try:
            peer = sockets.accept(self._socket)
        except OSError:  # the peer has left again
            return
        link = FdLink(
            self._loop, self._around, peer.detach(), machine=self._machine, noun="socket", reads=True
        )
        self._around(lambda: self._accept(link))


def _bound(address: Address) -> sockets.socket:
    if address.kind == "unix":
        path = sockets.check_path(address.name)
        try:
            return sockets.bound(sockets.AF_UNIX, sockets.SOCK_STREAM, path)
        except OSError as error:
            raise QmpError(f"Failed to bind socket to {path}: {error.strerror}") from None
    try:
        family, _, spot = sockets.look_up(address.host, address.port, passive=True)[0]
    except sockets.gaierror as error:
        raise QmpError(
            f"address resolution failed for {address.host}:{address.port}: {error.strerror}"
        ) from None
    try:
        return sockets.bound(family, sockets.SOCK_STREAM, spot, v6only=False)
    except OSError as error:
        raise QmpError(f"Failed to bind socket: {error.strerror}") from None


def _shown(address: Address, listener: sockets.socket) -> dict[str, object]:
    if address.kind == "unix":
        return {"type": "unix", "path": address.name}
    host, port = listener.getsockname()[:2]
    version = "ipv6" if listener.family == sockets.AF_INET6 else "ipv4"
    return {"type": "inet", "host": host, version: True, "port": str(port)}
