"""Character devices over TLS and WebSockets: nobody is there before the layers are through; who fails is forgotten."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.layered import LayeredStream
from qmpemu.edge.streams import SocketStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qmpemu.edge.layers import Layer
    from qmpemu.machine.devices.objects import Objects

    Maker = Callable[[], list[Layer]]


class WrappedStream(LayeredStream):
    """A socket whose every peer is wrapped in layers of its own."""

    def __init__(self, plain: SocketStream, layers: Maker) -> None:
        super().__init__(plain.loop, listener=plain._listener, peer=plain._peer)
        self.address, self.away, self.unlink = plain.address, plain.away, plain.unlink
        self.dial, self.wait_s = plain.dial, plain.wait_s
        self._make = layers
        self._through = False

    def describe(self) -> str:
        """As of any socket, disconnected before the layers are through."""
        peer, self._peer = self._peer, self._peer if self._through else None
        try:
            return super().describe()
        finally:
            self._peer = peer

    def send(self, data: bytes) -> None:
        """Queue `data`; before the layers are through it is dropped, as without a peer."""
        if self._through:
            super().send(data)

    def _came(self) -> None:
        def through() -> None:
            self._through = True
            super(WrappedStream, self)._came()

        for each in self._make():
            self.add(each, on_secured=through)

    def _hang_up(self) -> None:
        front, was_there = self.front, self._through
        self._through = False
        if not was_there:
            self.front = None
        super()._hang_up()
        self.front = front


def layers_of(options: Mapping[str, str], objects: Objects, server: bool) -> Maker | None:
    """What makes the layers of a connection that `-chardev socket` asks for; None for none. Raises Refused."""
    browser = options.get("websocket", "off") in ("on", "yes")
    _check(options, browser=browser, server=server)
    if "tls-creds" not in options and not browser:
        return None
    end = "server" if server else "client"
    credentials = None
    if "tls-creds" in options:
        from qmpemu.edge.tls import loading

        credentials = loading.find(objects, options["tls-creds"])
        credentials.must_be(end)

    def make() -> list[Layer]:
        layers: list[Layer] = []
        if credentials is not None:
            allows = loading.judge(objects, options.get("tls-authz", "")) if server else None
            layers.append(credentials.session(end, options.get("host", ""), allows))
        if browser:
            from qmpemu.edge.vnc.websocket import WebSocket

            layers.append(WebSocket())
        return layers

    return make


def _check(options: Mapping[str, str], *, browser: bool, server: bool) -> None:
    """What does not go together (measured). Raises Refused."""
    for name, kind in (("path", "unix"), ("fd", "fd")):
        if "tls-creds" in options and name in options:
            raise Refused(f"'tls_creds' option is incompatible with '{kind}' address type")
    if "tls-authz" in options and "tls-creds" not in options:
        raise Refused("'tls_authz' option requires 'tls_creds' option")
    if browser and not server:
        raise Refused("Websocket client is not implemented")
