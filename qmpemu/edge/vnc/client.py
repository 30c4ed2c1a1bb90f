"""One VNC connection (RFC 6143): version ─> security ─> (challenge) ─> client init ─> messages, until it leaves.

Pictures are pulled: one goes out for each request, and only when the client has read the one before, so that a client
that does not read holds no more than one. Nonsense ends the connection, as with QEMU.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from qmpemu.edge.vnc import des, keysyms, pixels
from qmpemu.machine.display import VncClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from qmpemu.edge.layered import LayeredStream
    from qmpemu.edge.tls.session import Session
    from qmpemu.edge.vnc.server import VncFront

VERSION = b"RFB 003.008\n"
NONE, VNC, VENCRYPT = 1, 2, 19
SECURITY_TYPES = {"none": NONE, "vnc": VNC, "vencrypt": VENCRYPT}
VENCRYPT_VERSION = b"\0\2"
VENCRYPT_TYPES = {"x509-none": 260, "x509-vnc": 261}
FAILED = b"Authentication failed\0"
CUT_TEXT_MAX = 1 << 20
ENCODINGS_MAX = 1024
DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, POINTER_CHANGE, EXTENDED_KEY = -223, -308, -257, -258
ABSOLUTE_ORIGIN = 0x7FFF
"""What a client that knows pointer changes adds to a relative movement."""
BUTTONS = ("left", "middle", "right", "wheel-up", "wheel-down")


class Nonsense(Exception):
    """The client said something that has no meaning here."""


class Connection:
    """A client behind a stream (`streams.Front`)."""

    def __init__(self, server: VncFront, stream: LayeredStream, about: VncClient, *, auth: str) -> None:
        self._server = server
        self._stream = stream
        self.about = about
        self._auth = auth
        self._input = bytearray()
        self._skip_bytes = 0
        self._expect: tuple[int, Callable[[bytes], None]] = (12, self._version)
        self._minor = 8
        self._challenge = b""
        self._tls: Session | None = None
        self.initialized = self.exclusive = False
        self._told: set[int] = set()
        self._understands: set[int] = set()
        self._encoder = pixels.Encoder()
        self._size = (0, 0)
        self._image: Image.Image | None = None
        self._seen: object = None
        self._wanted: pixels.Rect | None = None
        self._whole = False
        self._absolute = False
        self._buttons = 0
        self._at: tuple[int, int] | None = None
        self._capitals = False
        self._shifts = 0

    # --- the stream's calls -----------------------------------------------------------------------------------

    def connected(self) -> None:
        """Say the version."""
        self._stream.send(VERSION)

    def received(self, data: bytes, fds: list[int]) -> None:
        """Handle all complete messages."""
        for fd in fds:
            os.close(fd)
        self._server.sync()
        self._input += data
        try:
            while self._stream.is_connected and self._step():
                pass
        except (Nonsense, ValueError):
            self.part()
        self._server.after_input()

    def drained(self) -> None:
        """There is room for the next picture."""
        self._server.after_input()

    def disconnected(self) -> None:
        """It is gone."""
        self._server.gone(self)

    def part(self) -> None:
        """End the connection; what is queued is still sent."""
        self._stream.finish()

    def close(self) -> None:
        """The process ends."""
        self._stream.close()

    def _step(self) -> bool:
        """Handle one message; False when more bytes are needed."""
        if self._skip_bytes:
            gone = min(self._skip_bytes, len(self._input))
            del self._input[:gone]
            self._skip_bytes -= gone
            return gone > 0 and not self._skip_bytes
        size, handle = self._expect
        if len(self._input) < size:
            return False
        data = bytes(self._input[:size])
        del self._input[:size]
        handle(data)
        return True

    # --- handshake --------------------------------------------------------------------------------------------

    def _version(self, data: bytes) -> None:
        try:
            major, minor = int(data[4:7]), int(data[8:11])
        except ValueError:
            raise Nonsense from None
        if data[:4] != b"RFB " or major != 3 or minor not in (3, 4, 5, 7, 8):
            self._stream.send(struct.pack(">I", 0))
            raise Nonsense
        self._minor = minor if minor > 5 else 3
        kind = SECURITY_TYPES[self._auth]
        if self._minor > 3:
            self._stream.send(bytes([1, kind]))
            self._expect = (1, self._security)
        elif kind == VENCRYPT:  # that version has no way to it
            self._stream.send(struct.pack(">I", 0))
            raise Nonsense
        else:
            self._stream.send(struct.pack(">I", kind))
            self._begin(kind)

    def _security(self, data: bytes) -> None:
        if data[0] != SECURITY_TYPES[self._auth]:
            self._refuse()
        self._begin(data[0])

    def _begin(self, kind: int) -> None:
        if kind == VNC:
            self._challenge = self._server.challenge()
            self._stream.send(self._challenge)
            self._expect = (16, self._response)
            return
        if kind == VENCRYPT:
            self._stream.send(VENCRYPT_VERSION)
            self._expect = (2, self._vencrypt_version)
            return
        if self._minor >= 8 or self._auth == "vencrypt":
            self._stream.send(struct.pack(">I", 0))
        self._expect = (1, self._client_init)

    def _vencrypt_version(self, data: bytes) -> None:
        if data != VENCRYPT_VERSION:
            self._stream.send(b"\1")
            raise Nonsense
        self._stream.send(struct.pack(">BBI", 0, 1, VENCRYPT_TYPES[self._server.server.vencrypt]))
        self._expect = (4, self._vencrypt_type)

    def _vencrypt_type(self, data: bytes) -> None:
        if data != struct.pack(">I", VENCRYPT_TYPES[self._server.server.vencrypt]):
            self._stream.send(b"\0")
            raise Nonsense
        self._stream.send(b"\1")
        self._expect = (1, self._never)
        rest, self._input = bytes(self._input), bytearray()
        self._tls = self._server.tls()
        self._stream.add(self._tls, rest, self._vencrypted)

    def _vencrypted(self) -> None:
        """TLS is there, and the client may come."""
        assert self._tls is not None
        self.about.subject = self._tls.subject
        self._begin(VNC if self._server.server.vencrypt == "x509-vnc" else NONE)

    def _never(self, data: bytes) -> None:
        raise Nonsense

    def _response(self, data: bytes) -> None:
        if (password := self._server.password()) is None or des.answer(password, self._challenge) != data:
            self._refuse()
        self._stream.send(struct.pack(">I", 0))
        self._expect = (1, self._client_init)

    def _refuse(self) -> None:
        reason = struct.pack(">I", len(FAILED)) + FAILED if self._minor >= 8 else b""
        self._stream.send(struct.pack(">I", 1) + reason)
        raise Nonsense

    def _client_init(self, data: bytes) -> None:
        self.exclusive = not data[0]
        if not self._server.admit(self):
            raise Nonsense
        name = self._server.name.encode()
        self._size = self._server.size()
        head = struct.pack(">HH", *self._size) + pixels.Format().pack()
        self._stream.send(head + struct.pack(">I", len(name)) + name)
        self.initialized = True
        self._server.initialized(self)
        self._expect = (1, self._message)

    # --- messages ---------------------------------------------------------------------------------------------

    def _message(self, data: bytes) -> None:
        shape = self._MESSAGES.get(data[0])
        if shape is None:
            raise Nonsense
        size, handle = shape
        self._expect = (size, lambda rest: self._handled(handle, rest))

    def _handled(self, handle: Callable[[Connection, bytes], None], rest: bytes) -> None:
        self._expect = (1, self._message)
        handle(self, rest)

    def _set_format(self, rest: bytes) -> None:
        self._encoder.format = pixels.Format.unpack(rest[3:])
        self._image = None

    def _set_encodings(self, rest: bytes) -> None:
        count = struct.unpack(">xH", rest)[0]
        if count > ENCODINGS_MAX:
            raise Nonsense
        self._expect = (4 * count, lambda data: self._handled(Connection._encodings, data))

    def _encodings(self, data: bytes) -> None:
        wanted = struct.unpack(f">{len(data) // 4}i", data)
        self._understands = set(wanted)
        self._encoder.encoding = next((each for each in wanted if each in pixels.ENCODINGS), pixels.RAW)
        for each in wanted:
            if each in (EXTENDED_KEY, POINTER_CHANGE, EXTENDED_DESKTOP_SIZE) and each not in self._told:
                self._told.add(each)
                self._tell(each)

    def _tell(self, feature: int, reason: int = 0, status: int = 0) -> None:
        """A picture update that is none: what the server can do, how the pointer works, how large the screen is."""
        size, extra = self._server.size(), b""
        x, y = reason, status
        if feature == POINTER_CHANGE:
            x = self._absolute = self._server.absolute
        elif feature == EXTENDED_DESKTOP_SIZE:
            extra = struct.pack(">B3xIHHHHI", 1, 0, 0, 0, *size, 0)
        self._stream.send(struct.pack(">BxHHHHHi", 0, 1, x, y, *size, feature) + extra)

    def _request(self, rest: bytes) -> None:
        incremental, left, top, width, height = struct.unpack(">BHHHH", rest)
        asked = (left, top, left + width, top + height)
        before = self._wanted
        self._wanted = asked if before is None else _union(before, asked)
        self._whole = self._whole or not incremental

    def _key(self, rest: bytes) -> None:
        down, keysym = struct.unpack(">BxxI", rest)
        qcode = keysyms.qcode(keysym)
        if qcode is not None:
            self._match_capitals(keysym, bool(down))
            self._server.key(qcode, bool(down))
            if qcode in ("shift", "shift_r"):
                self._shifts = max(0, self._shifts + (1 if down else -1))
            elif qcode == "caps_lock" and down:
                self._capitals = not self._capitals

    def _match_capitals(self, keysym: int, down: bool) -> None:
        """A letter whose case Shift does not explain: Caps Lock is not as the client has it (measured)."""
        if down and keysym < 0x7F and chr(keysym).isalpha():
            wanted = chr(keysym).isupper() != bool(self._shifts)
            if wanted != self._capitals:
                self._capitals = wanted
                self._server.key("caps_lock", True)
                self._server.key("caps_lock", False)

    def _pointer(self, rest: bytes) -> None:
        mask, x, y = struct.unpack(">BHH", rest)
        self._move(x, y)
        for bit, name in enumerate(BUTTONS):
            if (mask ^ self._buttons) >> bit & 1:
                self._server.pointer("btn", name, mask >> bit & 1)
        self._buttons = mask

    def _move(self, x: int, y: int) -> None:
        if self._server.absolute:
            for axis, value, extent in (("x", x, self._size[0]), ("y", y, self._size[1])):
                self._server.pointer("abs", axis, min(value * 0x8000 // max(1, extent) + 1, 0x7FFF))
        else:
            if POINTER_CHANGE in self._understands:
                moved = (x - ABSOLUTE_ORIGIN, y - ABSOLUTE_ORIGIN)
            else:
                moved = (0, 0) if self._at is None else (x - self._at[0], y - self._at[1])
            for axis, value in zip("xy", moved, strict=True):
                if value:
                    self._server.pointer("rel", axis, value)
        self._at = (x, y)

    def _cut_text(self, rest: bytes) -> None:
        length = abs(struct.unpack(">3xi", rest)[0])  # negative: the extended clipboard
        if length > CUT_TEXT_MAX:
            raise Nonsense
        self._skip_bytes = length

    def _resize(self, rest: bytes) -> None:
        """The client would like another size; Windows' basic display driver has one only."""
        count = rest[5]
        self._skip_bytes = 16 * count
        if EXTENDED_DESKTOP_SIZE in self._understands:
            self._tell(EXTENDED_DESKTOP_SIZE, reason=1, status=4)

    def _qemu(self, rest: bytes) -> None:
        """QEMU's own messages: an extended key, or audio, of which there is none."""
        if rest[0] == 0:
            self._expect = (10, lambda data: self._handled(Connection._extended_key, data))
        elif rest[0] == 1:
            self._expect = (2, lambda data: self._handled(Connection._audio, data))
        else:
            raise Nonsense

    def _extended_key(self, data: bytes) -> None:
        from qmpemu.machine.display_keys import QCODES

        down, keysym, number = struct.unpack(">HII", data)
        qcode = QCODES.get(number) or keysyms.qcode(keysym)
        if qcode is not None:
            self._server.key(qcode, bool(down))

    def _audio(self, data: bytes) -> None:
        if struct.unpack(">H", data)[0] == 2:
            self._skip_bytes = 6  # a sample format

    # --- pictures ---------------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether it has asked for a picture and has room for it."""
        return self._wanted is not None and not self._stream.unsent

    def update(self, image: Image.Image, version: object) -> None:
        """Answer the request that waits, if there is anything new."""
        if self._absolute != self._server.absolute and POINTER_CHANGE in self._understands:
            self._tell(POINTER_CHANGE)
        if image.size != self._size:
            image = self._resized(image)
        if self._wanted is None or (self._seen is version and not self._whole):
            return
        box = self._changed(image)
        self._seen = version
        if box is not None:
            self._stream.send(struct.pack(">BxH", 0, 1) + self._encoder.rectangle(image, box))
            self._wanted, self._whole = None, False

    def _resized(self, image: Image.Image) -> Image.Image:
        """Another screen size: the client is told, or sees what fits into the old one."""
        for feature in (EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE):
            if feature in self._understands:
                self._size, self._image, self._whole = image.size, None, True
                self._wanted = self._wanted and (0, 0, *image.size)
                self._tell(feature)
                return image
        return image.crop((0, 0, *self._size))

    def _changed(self, image: Image.Image) -> pixels.Rect | None:
        """What to send of the picture; from then on the client has it."""
        assert self._wanted is not None
        box = _within(self._wanted, image.size)
        if self._image is None or self._image.size != image.size:
            self._image = image.copy()
        elif not self._whole:
            found = pixels.changed(self._image.crop(box), image.crop(box))
            if found is None:
                return None
            box = (box[0] + found[0], box[1] + found[1], box[0] + found[2], box[1] + found[3])
        self._image.paste(image.crop(box), box)
        return box if box[0] < box[2] and box[1] < box[3] else None

    _MESSAGES: dict[int, tuple[int, Callable[[Connection, bytes], None]]] = {
        0: (19, _set_format),
        2: (3, _set_encodings),
        3: (9, _request),
        4: (7, _key),
        5: (5, _pointer),
        6: (7, _cut_text),
        251: (7, _resize),
        255: (1, _qemu),
    }
    """Type of a message -> how long the rest of its fixed part is, and what it does."""


def _union(one: pixels.Rect, other: pixels.Rect) -> pixels.Rect:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _within(box: pixels.Rect, size: tuple[int, int]) -> pixels.Rect:
    return min(box[0], size[0]), min(box[1], size[1]), min(box[2], size[0]), min(box[3], size[1])
