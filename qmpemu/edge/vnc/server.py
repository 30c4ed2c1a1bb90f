"""One VNC server of a machine: listens, shares the screen, and sends what has changed to whoever has asked.

    listening ──client──> Connection (limit, share policy) ──asks──> draw once ──> every client that waits
    while a client waits, the screen is compared with what it has 20 times a second; with none nothing runs

Options as of QEMU's -vnc; what is not served here (SASL, reverse connections) is refused at the start.
"""

from __future__ import annotations

import os
import sys

from qmpemu.core.table import Refused
from qmpemu.edge import keyval, sockets
from qmpemu.edge.keyval import OptionError
from qmpemu.edge.vnc import listen
from qmpemu.machine.display import VncClient
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from PIL import Image

    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.layered import LayeredStream
    from qmpemu.edge.loop import Handle
    from qmpemu.edge.tls.credentials import Credentials
    from qmpemu.edge.tls.session import Session
    from qmpemu.edge.vnc.client import Connection
    from qmpemu.machine.display import VncServer

SHARE_POLICIES = ("ignore", "allow-exclusive", "force-shared")
CONNECTIONS_DEFAULT = 32
KEY_DELAY_DEFAULT_MS = 10
COMPARE_S = 0.05
NOT_SERVED = ("sasl", "reverse")


class VncFront:
    """The edge's half of a `machine.display.VncServer`."""

    def __init__(self, emulator: Emulator, server: VncServer) -> None:
        self._emulator = emulator
        self._machine = emulator.vm.machine
        self.server = server
        options = server.options
        self._listeners: list[sockets.socket] = []
        self._websockets: list[sockets.socket] = []
        self._credentials: Credentials | None = None
        self._unlink: list[str] = []
        self._connections: list[Connection] = []
        self._alarm: Handle | None = None
        self._screen: object = None
        self._image: Image.Image | None = None
        self._share = options.get("share", "allow-exclusive")
        self._limit = int(options.get("connections", CONNECTIONS_DEFAULT))
        self._key_delay_ms = int(options.get("key-delay-ms", KEY_DELAY_DEFAULT_MS))
        self._serving = False
        server.listen = self._listen
        server.take = self._take

    # --- life -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Bind the sockets. Raises OptionError with QEMU's text, the option not included."""
        options = self.server.options
        self._check(options)
        self.server.auth = self._authentication(options)
        if "tls-creds" in options:
            self.server.auth, self.server.vencrypt = "vencrypt", f"x509-{self.server.auth}"
        self._adopt(listen.open_option(options))
        if "websocket" in options and self._listeners:
            self._adopt_websockets(listen.open_websockets(options))
        if "to" in options and self.server.addresses:
            first = self.server.addresses[0]
            print(f"VNC server running on {first.host}:{first.service}", file=sys.stderr, flush=True)

    def start(self) -> None:
        """Begin to accept."""
        self._serving = True
        for each in self._listeners:
            self._watch(each)
        for each in self._websockets:
            self._watch(each, websocket=True)

    def close(self) -> None:
        """Part from all clients, release the sockets and remove their files."""
        for connection in list(self._connections):
            connection.close()
        self._release()
        if self._alarm is not None:
            self._alarm.cancel()

    def _check(self, options: dict[str, str]) -> None:
        if self._share not in SHARE_POLICIES:
            raise OptionError("unknown vnc share= option")
        if "tls-creds" in options:
            self._check_credentials(options["tls-creds"])
        if "websocket" in options and keyval.switch("reverse", options.get("reverse", "off")):
            raise OptionError("Cannot use websockets in reverse mode")
        for name in NOT_SERVED:
            if name in options and options[name] not in ("off", "no"):
                raise OptionError(f"qmpemu does not emulate VNC with '{name}'")
        if "display" in options:
            self._check_display(options["display"], int(options.get("head", 0)))

    def _check_credentials(self, name: str) -> None:
        from qmpemu.edge.tls import loading

        try:
            self._credentials = self.server.credentials = loading.find(self._machine.objects, name)
            self._credentials.must_be("server")
        except Refused as refused:
            raise OptionError(str(refused)) from None

    def _check_display(self, name: str, head: int) -> None:
        try:
            self._machine.display.check_head(name, head)
        except (Refused, QmpError) as error:
            raise OptionError(str(error)) from None

    def _authentication(self, options: dict[str, str]) -> str:
        secret = options.get("password-secret")
        with_password = keyval.switch("password", options.get("password", "off"))
        if secret is None:
            return "vnc" if with_password else "none"
        if with_password:
            raise OptionError("'password' flag is redundant with 'password-secret'")
        from qmpemu.edge.secret import text_of

        try:
            self.server.password = text_of(self._machine.objects.all, secret)
        except Refused as refused:
            raise OptionError(str(refused)) from None
        return "vnc"

    def _listen(self, addresses: list[dict[str, Any]]) -> None:
        """Listen there instead. Raises Refused, and then listens nowhere, as the real one does; browsers still come."""
        browsers, self._websockets = self._websockets, []
        self._release()
        try:
            self._adopt(listen.open_addresses(addresses))
        except OptionError as error:
            raise Refused(str(error)) from None
        finally:
            self._adopt_websockets(browsers)

    def _adopt(self, opened: list[sockets.socket]) -> None:
        self._listeners = opened
        self.server.addresses = [listen.describe(each) for each in opened]
        self._unlink = [
            os.path.abspath(each.service) for each in self.server.addresses if each.family == "unix"
        ]
        if self._serving:
            for each in opened:
                self._watch(each)

    def _adopt_websockets(self, opened: list[sockets.socket]) -> None:
        self._websockets = opened
        for each in opened:
            about = listen.describe(each)
            about.websocket = True
            self.server.addresses.append(about)

    def _release(self) -> None:
        for each in (*self._listeners, *self._websockets):
            self._emulator.loop.remove_reader(each.fileno())
            each.close()
        for path in self._unlink:
            try:
                os.unlink(path)
            except OSError:
                pass
        self._listeners, self._websockets, self._unlink, self.server.addresses = [], [], [], []

    # --- clients ----------------------------------------------------------------------------------------------

    def _watch(self, listener: sockets.socket, *, websocket: bool = False) -> None:
        listener.setblocking(False)
        self._emulator.loop.add_reader(listener.fileno(), lambda: self._accept(listener, websocket))

    def _accept(self, listener: sockets.socket, websocket: bool) -> None:
        try:
            peer = sockets.accept(listener)
        except OSError:
            return  # the client gave up between connecting and being accepted
        self._serve(peer, self.server.inside() if websocket else self.server.auth, websocket=websocket)

    def _take(self, fd: int, skip_auth: bool) -> None:
        """add_client: a connected socket. Raises Refused."""
        try:
            peer = sockets.socket(fileno=fd)
        except OSError as error:
            os.close(fd)
            raise Refused(str(error.strerror)) from None
        self._serve(peer, "none" if skip_auth else self.server.auth)

    def tls(self) -> Session:
        """A client's TLS, not begun."""
        from qmpemu.edge.tls import loading

        assert self._credentials is not None
        allows = loading.judge(self._machine.objects, self.server.options.get("tls-authz", ""))
        return self._credentials.session("server", allows=allows)

    def _layers(self, stream: LayeredStream, about: VncClient) -> None:
        """What a browser's connection has from its beginning."""
        from qmpemu.edge.vnc.websocket import WebSocket

        if self._credentials is not None:
            session = self.tls()
            stream.add(session)
            stream.add(WebSocket(), on_secured=lambda: setattr(about, "subject", session.subject))
        else:
            stream.add(WebSocket())

    def _serve(self, peer: sockets.socket, auth: str, *, websocket: bool = False) -> None:
        from qmpemu.edge.layered import LayeredStream
        from qmpemu.edge.vnc.client import Connection  # the first client brings Pillow

        stream = LayeredStream(self._emulator.loop, listener=None, peer=peer)
        remote = listen.describe(peer, peer=True)
        remote.websocket = websocket
        local = self.server.addresses[0] if self.server.addresses else listen.describe(peer)
        about = VncClient(remote, local, stream.finish)
        connection = Connection(self, stream, about, auth=auth)
        stream.front = connection
        self._connections.append(connection)
        self.server.connected(about)
        self._limit_connecting()
        if websocket:
            self._layers(stream, about)
        stream.start()
        self._emulator.turn_done()

    def _limit_connecting(self) -> None:
        """Of those who never get through the handshake, the oldest go."""
        waiting = [each for each in self._connections if not each.initialized]
        for connection in waiting[: max(0, len(waiting) - self._limit)]:
            connection.part()

    def admit(self, connection: Connection) -> bool:
        """Whether the share policy lets a client in, which may cost others their place."""
        others = [each for each in self._connections if each.initialized]
        if self._share == "ignore":
            connection.exclusive = False
        elif self._share == "force-shared" and connection.exclusive:
            return False
        elif connection.exclusive:
            for each in others:
                each.part()
        elif any(each.exclusive for each in others):
            return False
        return len(others) < self._limit

    def initialized(self, connection: Connection) -> None:
        """A client is through its handshake."""
        self.server.initialized(connection.about)

    def gone(self, connection: Connection) -> None:
        """A client has left."""
        if connection in self._connections:
            self._connections.remove(connection)
            self.server.disconnected(connection.about)
            self._emulator.turn_done()

    # --- what connections ask for -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The desktop's name."""
        given = self._machine.config.name
        return f"QEMU ({given})" if given else "QEMU"

    @property
    def absolute(self) -> bool:
        """Whether the guest takes positions of the pointer."""
        return self._machine.display.input.absolute

    def size(self) -> tuple[int, int]:
        """The screen's size now."""
        return self._machine.console.screen().size

    def challenge(self) -> bytes:
        """16 random bytes."""
        return os.urandom(16)

    def password(self) -> str | None:
        """The password that opens the screen now; None if none does."""
        return self.server.usable_password(self._machine.host.timestamp()[0])

    def key(self, qcode: str, down: bool) -> None:
        """A key event, with the pause behind it that slow guests need."""
        self._machine.display.input.key(qcode, down)
        self._machine.display.input.delay(self._key_delay_ms)

    def pointer(self, kind: str, name: str, value: int) -> None:
        """A pointer event."""
        self._machine.display.input.pointer(kind, name, value)

    def sync(self) -> None:
        """Bring the machine's clock up to the present."""
        self._emulator.timekeeper.sync()

    def after_input(self) -> None:
        """Serve what input has led to, and answer requests."""
        self._machine.settle()
        self._emulator.turn_done()
        self.pump()

    # --- pictures ---------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send each client that waits what it has not seen; look again soon while one waits on."""
        waiting = [each for each in self._connections if each.waits]
        if waiting:
            image = self._draw()
            for connection in waiting:
                connection.update(image, self._screen)
        if self._alarm is None and any(each.waits for each in self._connections):
            self._alarm = self._emulator.loop.call_later(COMPARE_S, self._look_again)

    def _look_again(self) -> None:
        self._alarm = None
        self.sync()
        self._emulator.turn_done()
        self.pump()

    def _draw(self) -> Image.Image:
        from qmpemu.edge import picture

        screen = self._machine.console.screen()
        if self._image is None or screen != self._screen:
            self._screen, self._image = screen, picture.draw(screen)
        return self._image
