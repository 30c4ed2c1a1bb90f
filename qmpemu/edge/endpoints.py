"""Opens what a -chardev asks for: listening and connecting sockets, inherited descriptors, stdio, terminals, files.

Error texts as measured on QEMU 7.2 (facts/qmp-wire.md §13); the caller puts the option in front.
"""

from __future__ import annotations

import os
import sys

from qmpemu.core.table import Refused
from qmpemu.edge import sockets
from qmpemu.edge.keyval import OptionError
from qmpemu.edge.named_files import open_named
from qmpemu.edge.streams import FdStream, SocketStream, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.loop import Loop
    from qmpemu.edge.wrapped import Maker
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.objects import Objects
    from qmpemu.machine.fdsets import FdSets

BACKLOG = 1
"""Clients that may wait while one is served, as in QEMU."""


def open_stream(loop: Loop, chardev: Chardev, sets: FdSets, objects: Objects) -> Stream | None:
    """Open the back end; None for those that lead nowhere (null, vc). Raises OptionError."""
    log = _open_log(chardev, sets)
    opener = _OPENERS.get(chardev.backend)
    layers = None
    if chardev.options.keys() & {"tls-creds", "tls-authz", "websocket"}:
        layers = _layers(chardev, objects)
    if chardev.backend == "file":
        stream: Stream | None = _open_file(loop, chardev, sets)
    else:
        stream = opener(loop, chardev) if opener is not None else None
    if layers is not None and isinstance(stream, SocketStream):
        from qmpemu.edge.wrapped import WrappedStream

        stream = WrappedStream(stream, layers)
    if stream is not None:
        chardev.describe = stream.describe
        if isinstance(stream, SocketStream):
            chardev.yank = stream.yank
        chardev.write = stream.send
    if log is not None:
        _log_too(chardev, log)
    return stream


def _layers(chardev: Chardev, objects: Objects) -> Maker | None:
    """What lies between the socket and the device. Raises OptionError."""
    from qmpemu.edge.wrapped import layers_of

    try:
        return layers_of(chardev.options, objects, chardev.on("server", default=False))
    except Refused as refused:
        raise OptionError(str(refused)) from None


def _open_log(chardev: Chardev, sets: FdSets) -> int | None:
    """`logfile`: what the machine says is written there, too. Raises OptionError."""
    path = chardev.options.get("logfile")
    if path is None:
        return None
    how = os.O_APPEND if chardev.on("logappend", default=False) else os.O_TRUNC
    return open_named(path, os.O_WRONLY | os.O_CREAT | how, sets)


def _log_too(chardev: Chardev, log: int) -> None:
    send = chardev.write

    def write(data: bytes) -> None:
        os.write(log, data)
        send(data)

    chardev.write = write


def _open_socket(loop: Loop, chardev: Chardev) -> Stream:
    server = chardev.on("server", default=False)
    wait_s = int(chardev.options.get("reconnect", "0"))
    if wait_s and not server and "fd" not in chardev.options:
        return _reconnecting(loop, chardev, wait_s)
    if "fd" in chardev.options:
        stream = _inherited(loop, chardev.options["fd"], server)
    elif "path" in chardev.options:
        stream = _unix(loop, chardev.options["path"], server)
    else:
        stream = _tcp(loop, chardev.options, server)
    return stream


def _reconnecting(loop: Loop, chardev: Chardev, wait_s: int) -> SocketStream:
    """A client that tries again every `wait_s` seconds, at the start and whenever the other side has left."""
    options = chardev.options
    stream = SocketStream(loop, listener=None)
    stream.address = (
        f"unix:{options['path']}" if "path" in options else f"tcp:{options['host']}:{options['port']}"
    )
    told: list[str] = []

    def dial() -> sockets.socket | None:
        try:
            made = _unix(loop, options["path"], False) if "path" in options else _tcp(loop, options, False)
        except OptionError as error:
            if not told:
                complain(f"Unable to connect character device {chardev.label}: {error}")
            told.append("")
            return None
        told.clear()
        return made.leave()

    stream.dial, stream.wait_s = dial, wait_s
    return stream


def complain(text: str) -> None:
    """Say something on standard error as the program."""
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr, flush=True)


def _inherited(loop: Loop, number: str, server: bool) -> SocketStream:
    """`fd=N`: a listening socket (server=on) or a connected one, handed down by the parent process."""
    if not number.isdigit():
        raise OptionError(f"Unable to parse FD number {number}")
    try:
        inherited = sockets.socket(fileno=os.dup(int(number)))
    except OSError:
        raise OptionError(f"File descriptor '{number}' is not a socket") from None
    os.close(int(number))
    os.set_inheritable(inherited.fileno(), False)
    stream = SocketStream(loop, listener=inherited if server else None, peer=None if server else inherited)
    name = inherited.getsockname() if inherited.family == sockets.AF_UNIX else ""
    stream.address = f"unix:{name}" if name else f"fd:{number}"
    return stream


def _unix(loop: Loop, path: str, server: bool) -> SocketStream:
    try:
        sockets.check_path(path)
    except Refused as refused:
        raise OptionError(f"{refused}\n{refused.hint}") from None
    if not server:
        sock = sockets.socket(sockets.AF_UNIX)
        try:
            sock.connect(path)
        except OSError as error:
            raise OptionError(f"Failed to connect to '{path}': {error.strerror}") from None
        stream = SocketStream(loop, listener=None, peer=sock)
    else:
        try:
            sock = sockets.bound(sockets.AF_UNIX, sockets.SOCK_STREAM, path)
        except OSError as error:
            raise OptionError(f"Failed to bind socket to {path}: {error.strerror}") from None
        sock.listen(BACKLOG)
        stream = SocketStream(loop, listener=sock)
        stream.unlink = os.path.abspath(path)
    stream.address = f"unix:{path}"
    return stream


def _tcp(loop: Loop, options: dict[str, str], server: bool) -> SocketStream:
    host, port = options.get("host", ""), options.get("port", "")
    try:
        family, kind, address = sockets.look_up(host, port, passive=server)[0]
    except sockets.gaierror as error:
        raise OptionError(f"address resolution failed for {host}:{port}: {error.strerror}") from None
    try:
        if server:
            sock = sockets.bound(family, kind, address)
            sock.listen(BACKLOG)
        else:
            sock = sockets.socket(family, kind)
            sock.connect(address)
    except OSError as error:
        doing = "Failed to find an available port" if server else f"Failed to connect to '{host}:{port}'"
        raise OptionError(f"{doing}: {error.strerror}") from None
    stream = SocketStream(loop, listener=sock if server else None, peer=None if server else sock)
    bound = sock.getsockname()
    scheme = next((each for each in ("telnet", "websocket") if options.get(each) in ("on", "yes")), "tcp")
    if scheme == "telnet":
        from qmpemu.edge import telnet

        stream.hello, stream.decoder = telnet.HELLO, telnet.Decoder
    stream.address = f"{scheme}:{bound[0]}:{bound[1]}"
    if not server:
        stream.away = f"{scheme}:{host}:{port}"
    return stream


def _open_stdio(loop: Loop, chardev: Chardev) -> Stream:
    from qmpemu.edge.terminals import StdioStream

    stream = StdioStream(loop, signals=chardev.on("signal", default=True))
    stream.address = "stdio"
    return stream


def _open_pty(loop: Loop, chardev: Chardev) -> Stream:
    from qmpemu.edge.terminals import PtyStream

    return PtyStream(loop)


def _open_file(loop: Loop, chardev: Chardev, sets: FdSets) -> Stream:
    path = chardev.options.get("path", "")
    flags = os.O_APPEND if chardev.on("append", default=False) else os.O_TRUNC
    try:
        fd = open_named(path, os.O_WRONLY | os.O_CREAT | flags, sets)
    except OptionError as error:
        raise OptionError(f"Could not open '{path}': {str(error).rpartition(': ')[2]}") from None
    stream = FdStream(loop, None, fd)
    stream.address = "file"
    return stream


_OPENERS = {"socket": _open_socket, "stdio": _open_stdio, "pty": _open_pty}
