"""Pixels as a client wants them: its format (RFC 6143, 7.4) and an encoding (7.7)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageChops

if TYPE_CHECKING:
    Rect = tuple[int, int, int, int]

RAW, ZLIB, ZRLE = 0, 6, 16
ENCODINGS = (RAW, ZLIB, ZRLE)
"""What is spoken here; the first of a client's list that is among these is used."""

DEPTHS = (8, 16, 32)
TILE, PLAIN, SOLID = 64, 0, 1


class Format(NamedTuple):
    """A pixel format, as in SetPixelFormat."""

    bits: int = 32
    depth: int = 24
    big_endian: int = 0
    true_colour: int = 1
    red_max: int = 255
    green_max: int = 255
    blue_max: int = 255
    red_shift: int = 16
    green_shift: int = 8
    blue_shift: int = 0

    def pack(self) -> bytes:
        """The 16 bytes of it."""
        return struct.pack(">BBBBHHHBBB3x", *self)

    @classmethod
    def unpack(cls, data: bytes) -> Format:
        """From its 16 bytes. Raises ValueError for one that no pixel fits."""
        made = cls(*struct.unpack(">BBBBHHHBBB3x", data))
        if not made.true_colour:  # a colour map: 3-3-2 bits, as QEMU gives such clients
            made = cls(8, 8, 0, 1, 7, 7, 3, 0, 3, 6)
        shifts = (made.red_shift, made.green_shift, made.blue_shift)
        if made.bits not in DEPTHS or max(shifts) >= made.bits:
            raise ValueError(f"no pixel has {made.bits} bits and shifts {shifts}")
        return made


class Encoder:
    """Turns parts of a picture into what one client reads. zlib keeps its dictionaries for the whole connection."""

    def __init__(self) -> None:
        self.format = Format()
        self.encoding = RAW
        self._streams = {ZLIB: zlib.compressobj(6), ZRLE: zlib.compressobj(6)}

    def rectangle(self, image: Image.Image, box: Rect) -> bytes:
        """A rectangle of FramebufferUpdate. box: left, top, right, bottom."""
        left, top, right, bottom = box
        part = image.crop(box)
        if self.encoding == RAW:
            data = pixels(part, self.format)
        else:
            stream = self._streams[self.encoding]
            plain = tiles(part, self.format) if self.encoding == ZRLE else pixels(part, self.format)
            packed = stream.compress(plain) + stream.flush(zlib.Z_SYNC_FLUSH)
            data = struct.pack(">I", len(packed)) + packed
        return struct.pack(">HHHHi", left, top, right - left, bottom - top, self.encoding) + data


def pixels(image: Image.Image, form: Format) -> bytes:
    """The picture in a pixel format."""
    return _interleaved(_planes(image, form)).tobytes()


def tiles(image: Image.Image, form: Format) -> bytes:
    """ZRLE's tiles before compression (RFC 6143, 7.7.6): one colour, or all its pixels, in as few bytes as will do."""
    drawn = _interleaved(_compact(_planes(image, form), form))
    made = bytearray()
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            tile = drawn.crop((left, top, min(left + TILE, image.width), min(top + TILE, image.height)))
            if tile.getcolors(1) is not None:
                made += bytes([SOLID]) + tile.crop((0, 0, 1, 1)).tobytes()
            else:
                made += bytes([PLAIN]) + tile.tobytes()
    return bytes(made)


def _planes(image: Image.Image, form: Format) -> list[Image.Image]:
    """Each byte of a pixel as a picture of its own, the first byte first."""
    planes = []
    channels = image.split()
    for place in range(form.bits // 8):
        lowest = 8 * (form.bits // 8 - 1 - place if form.big_endian else place)
        plane: Image.Image | None = None
        for channel, most, shift in zip(channels, form[4:7], form[7:10], strict=True):
            table = [((value * most + 127) // 255 << shift) >> lowest & 0xFF for value in range(256)]
            if any(table):
                drawn = channel.point(table)
                plane = drawn if plane is None else ImageChops.add(plane, drawn)
        planes.append(Image.new("L", image.size) if plane is None else plane)
    return planes


def _compact(planes: list[Image.Image], form: Format) -> list[Image.Image]:
    """ZRLE's CPIXEL: of 32 bits that hold 24 of colour, the byte without any is left out."""
    if form.bits != 32 or form.depth > 24:
        return planes
    colour = sum(most << shift for most, shift in zip(form[4:7], form[7:10], strict=True))
    if colour < 1 << 24:
        return planes[1:] if form.big_endian else planes[:3]
    if not colour & 0xFF:
        return planes[:3] if form.big_endian else planes[1:]
    return planes


def _interleaved(planes: list[Image.Image]) -> Image.Image:
    if len(planes) == 1:
        return planes[0]
    return Image.merge({2: "LA", 3: "RGB", 4: "RGBA"}[len(planes)], planes)


def changed(before: Image.Image, after: Image.Image) -> Rect | None:
    """The smallest rectangle that holds all that differs between two pictures of one size."""
    return ImageChops.difference(before, after).getbbox()
