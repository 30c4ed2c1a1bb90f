"""What lies between a stream and its wire: TLS records, a WebSocket's frames. Each turns bytes into bytes, both ways.

wire ──received──> layer ──received──> layer ──> plain        plain ──sending──> layer ──sending──> layer ──> wire
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class Layer(ABC):
    """secured: plain bytes can go through. failure: why none ever will again, in QEMU's words, "" while it works."""

    def __init__(self) -> None:
        self.secured = False
        self.failure = ""

    @abstractmethod
    def received(self, wire: bytes) -> bytes:
        """Bytes from below -> bytes for above."""

    @abstractmethod
    def sending(self, plain: bytes) -> bytes:
        """Bytes from above -> bytes for below."""

    @abstractmethod
    def owed(self) -> bytes:
        """What it has to say below by itself: a handshake, an answer to a ping. Each byte is told once."""

    @abstractmethod
    def ended(self) -> None:
        """Nothing more comes from below."""


class Layers:
    """A stack of them, the lowest first."""

    def __init__(self, *layers: Layer) -> None:
        self.all = list(layers)

    @property
    def secured(self) -> bool:
        """Whether plain bytes can go all the way."""
        return all(each.secured for each in self.all)

    @property
    def failure(self) -> str:
        """Why nothing goes any more; "" while it does."""
        return next((each.failure for each in self.all if each.failure), "")

    def received(self, wire: bytes) -> bytes:
        """From the wire to the top."""
        for each in self.all:
            wire = each.received(wire)
            if not wire:
                break
        return wire

    def sending(self, plain: bytes) -> bytes:
        """From the top to the wire."""
        return self._down(plain, len(self.all))

    def owed(self) -> bytes:
        """What the layers have to say by themselves, as it goes onto the wire."""
        return b"".join(self._down(each.owed(), number) for number, each in enumerate(self.all))

    def ended(self) -> None:
        """The wire is gone."""
        for each in self.all:
            each.ended()

    def _down(self, data: bytes, number: int) -> bytes:
        for each in reversed(self.all[:number]):
            data = each.sending(data)
        return data
