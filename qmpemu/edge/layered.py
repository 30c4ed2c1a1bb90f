"""A socket's stream with layers between it and its front: TLS, a WebSocket, both.

socket ──records──> layers ──plain──> front ──plain──> layers ──records──> socket
"""

from __future__ import annotations

from qmpemu.edge.layers import Layer, Layers
from qmpemu.edge.streams import SocketStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class LayeredStream(SocketStream):
    """Layers are put on for one peer, and go with it. They may come in the middle of a conversation."""

    layers: Layers | None = None
    _on_secured: Callable[[], object] | None = None

    def add(self, layer: Layer, rest: bytes = b"", on_secured: Callable[[], object] | None = None) -> None:
        """Put one on top. rest: what came from the peer and was not understood yet; on_secured: it is through."""
        if self.layers is None:
            self.layers = Layers()
        self.layers.all.append(layer)
        self._on_secured = on_secured
        self._owe()
        if rest:
            self._plain(layer.received(rest), [])

    def send(self, data: bytes) -> None:
        """Queue `data`, through the layers."""
        super().send(data if self.layers is None else self.layers.sending(data))

    def _deliver(self, data: bytes, fds: list[int]) -> None:
        if self.layers is None:
            super()._deliver(data, fds)
        else:
            self._plain(self.layers.received(data), fds)

    def _plain(self, data: bytes, fds: list[int]) -> None:
        assert self.layers is not None
        self._owe()
        if self._on_secured is not None and self.layers.secured:
            call, self._on_secured = self._on_secured, None
            call()
        if data or fds:
            super()._deliver(data, fds)
        if self.layers is not None and self.layers.failure:
            self.finish()

    def _owe(self) -> None:
        assert self.layers is not None
        super().send(self.layers.owed())

    def _hang_up(self) -> None:
        self.layers, self._on_secured = None, None
        super()._hang_up()
