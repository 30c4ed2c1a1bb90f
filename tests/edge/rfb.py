"""A small raw VNC client for tests: says what it is told to, reads what comes, decodes nothing by itself."""

from __future__ import annotations

import socket
import struct
import zlib

from PIL import Image

TIMEOUT_S = 20.0
RAW, ZLIB, ZRLE = 0, 6, 16
OPEN: list[Rfb] = []
"""Every connection made; who makes them closes them."""


class Rfb:
    """A connection to the VNC server at a UNIX socket path or a port."""

    def __init__(self, where: str | int | socket.socket) -> None:
        if isinstance(where, socket.socket):
            self.sock = where
        elif isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(("127.0.0.1", where))
        OPEN.append(self)
        self.sock.settimeout(TIMEOUT_S)
        self.size = (0, 0)
        self.name = ""
        self.format = b""
        self.image = Image.new("RGB", (1, 1))
        self.pixel = ("BGRX", 4)
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at end of file."""
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                break
            data += piece
        return data

    def ended(self) -> bool:
        """Whether the server ends the connection, and says nothing before that."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def greet(self, version: bytes = b"RFB 003.008\n") -> Rfb:
        assert self.read(12) == b"RFB 003.008\n"
        self.sock.sendall(version)
        return self

    def security(self, kind: int = 1) -> Rfb:
        """Choose a security type; for none read the result."""
        count = self.read(1)[0]
        assert self.read(count) == bytes([kind])
        self.sock.sendall(bytes([kind]))
        if kind == 1:
            assert self.read(4) == bytes(4)
        return self

    def init(self, *, shared: bool = True) -> Rfb:
        self.sock.sendall(bytes([shared]))
        head = self.read(24)
        if len(head) < 24:
            return self
        self.size = struct.unpack(">HH", head[:4])
        self.format = head[4:20]
        self.name = self.read(struct.unpack(">I", head[20:])[0]).decode()
        self.image = Image.new("RGB", self.size)
        return self

    def open(self, *, shared: bool = True) -> Rfb:
        """The whole handshake without a password."""
        return self.greet().security().init(shared=shared)

    def encodings(self, *numbers: int) -> None:
        self.sock.sendall(struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers))

    def request(self, *, incremental: bool = False, box: tuple[int, int, int, int] | None = None) -> None:
        left, top, width, height = box or (0, 0, *self.size)
        self.sock.sendall(struct.pack(">BBHHHH", 3, incremental, left, top, width, height))

    def update(self) -> list[tuple[int, tuple[int, int, int, int]]]:
        """Read one update into `image`: (encoding, box) of each rectangle."""
        kind, count = struct.unpack(">BxH", self.read(4))
        assert kind == 0
        rectangles = []
        for _ in range(count):
            left, top, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            rectangles.append((encoding, (left, top, width, height)))
            if encoding in (RAW, ZLIB, ZRLE):
                self._paint(encoding, left, top, width, height)
            elif encoding in (-223, -308):
                self._resize(encoding, width, height)
        return rectangles

    def picture(self) -> Image.Image:
        """Ask for everything, and read until it is there."""
        self.request()
        while not any(encoding in (RAW, ZLIB, ZRLE) for encoding, _ in self.update()):
            self.request()
        return self.image.copy()

    def key(self, keysym: int, down: bool) -> None:
        self.sock.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def pointer(self, x: int, y: int, buttons: int = 0) -> None:
        self.sock.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def close(self) -> None:
        self.sock.close()

    def _paint(self, encoding: int, left: int, top: int, width: int, height: int) -> None:
        mode, size = self.pixel
        if encoding == ZRLE:
            data = self._inflate.decompress(self.read(struct.unpack(">I", self.read(4))[0]))
            self._paint_tiles(data, left, top, width, height)
            return
        if encoding == ZLIB:
            data = self._inflate.decompress(self.read(struct.unpack(">I", self.read(4))[0]))
        else:
            data = self.read(width * height * size)
        assert len(data) == width * height * size
        if mode:
            self.image.paste(Image.frombytes("RGB", (width, height), data, "raw", mode), (left, top))

    def _paint_tiles(self, data: bytes, left: int, top: int, width: int, height: int) -> None:
        """ZRLE with the default pixel format, of its kinds of tiles those that ours sends."""
        at = 0
        for y in range(top, top + height, 64):
            for x in range(left, left + width, 64):
                size = (min(64, left + width - x), min(64, top + height - y))
                solid = data[at]
                assert solid in (0, 1), f"a tile of kind {solid}"
                count = 1 if solid else size[0] * size[1]
                pixels, at = data[at + 1 : at + 1 + 3 * count], at + 1 + 3 * count
                tile = Image.frombytes("RGB", (1, 1) if solid else size, pixels, "raw", "BGR")
                self.image.paste(tile.resize(size), (x, y))
        assert at == len(data)

    def _resize(self, encoding: int, width: int, height: int) -> None:
        if encoding == -308:
            self.read(16 * self.read(4)[0])
        self.size = (width, height)
        self.image = Image.new("RGB", self.size)
