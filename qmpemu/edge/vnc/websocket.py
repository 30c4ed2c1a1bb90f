"""A WebSocket as QEMU serves it to browsers (RFC 6455): the HTTP upgrade, then binary frames. Sans-IO.

    request ──good──> 101 ──> frames ──close, or what no client may send──> a close frame, and the end
        └──bad──> 400, 403, 404, and the end

What is looked at, in which order, and the words of each refusal are measured on QEMU 7.2.
"""

from __future__ import annotations

import base64
import hashlib
import time

from qmpemu.edge.layers import Layer

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
REQUEST_BYTES_MAX = 4096
HEADERS_MAX = 32
KEY_CHARS = 24
FRAME_BYTES_MAX = 8192
"""Payload of a frame that goes out."""
CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10
NORMAL, PROTOCOL_ERROR, UNSUPPORTED, POLICY = 1000, 1002, 1003, 1008
CONTROL_BYTES_MAX = 125


class Refused(Exception):
    """The request is no good. status: of the answer."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class WebSocket(Layer):
    """One connection's. It is secured once the upgrade is through."""

    def __init__(self) -> None:
        super().__init__()
        self._in = bytearray()
        self._out = bytearray()
        self._early = bytearray()
        self._opcode = 0
        self._left = 0
        """Bytes of a frame's payload that are still to come."""
        self._mask = b""
        self._control = bytearray()

    def received(self, wire: bytes) -> bytes:
        """Frames -> the bytes in them."""
        self._in += wire
        if not self.secured and not self.failure:
            self._upgrade()
        plain = bytearray()
        while self.secured and not self.failure and self._frame(plain):
            pass
        return bytes(plain)

    def sending(self, plain: bytes) -> bytes:
        """Bytes -> frames; before the upgrade is through they wait for it."""
        if not self.secured:
            self._early += plain
            return b""
        pieces = (plain[at : at + FRAME_BYTES_MAX] for at in range(0, len(plain), FRAME_BYTES_MAX))
        return b"".join(_frame(BINARY, piece) for piece in pieces)

    def owed(self) -> bytes:
        """Answers of the protocol itself."""
        owed, self._out = bytes(self._out), bytearray()
        return owed

    def ended(self) -> None:
        """The wire's end says all: no frame is waited for."""

    # --- the upgrade ------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        head, end, rest = bytes(self._in).partition(b"\r\n\r\n")
        if not end and len(self._in) < REQUEST_BYTES_MAX:
            return
        try:
            if not end:
                raise Refused("403 Request Entity Too Large")
            lines = self._agreed(head)
        except Refused as refused:
            version = "Sec-WebSocket-Version: 13" if refused.status.startswith("400") else ""
            self._out += _answer(refused.status, "Connection: close", version)
            self.failure = refused.status
            return
        self._out += _answer("101 Switching Protocols", *lines, "")
        self._in = bytearray(rest)
        self.secured = True
        self._out += self.sending(bytes(self._early))

    @staticmethod
    def _agreed(head: bytes) -> list[str]:
        """The answer's own lines. Raises Refused."""
        bad = Refused("400 Bad Request")
        first, *rows = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or words[0] != "GET" or words[2] != "HTTP/1.1":
            raise bad
        if words[1] != "/":
            raise Refused("404 Not Found")
        headers = dict(_header(row) for row in rows if ":" in row)
        if len(headers) != len(rows) or len(rows) > HEADERS_MAX:
            raise bad
        protocol = headers.get("sec-websocket-protocol")
        key = headers.get("sec-websocket-key", "")
        options = [each.strip().lower() for each in headers.get("connection", "").split(",")]
        if (
            (protocol is not None and "binary" not in protocol)
            or headers.get("sec-websocket-version") != "13"
            or len(key) != KEY_CHARS
            or "host" not in headers
            or headers.get("upgrade", "").lower() != "websocket"
            or "upgrade" not in options
        ):
            raise bad
        digest = hashlib.sha1(key.encode("latin-1") + GUID, usedforsecurity=False).digest()
        accept = f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}"
        chosen = [] if protocol is None else ["Sec-WebSocket-Protocol: binary"]
        return ["Upgrade: websocket", "Connection: Upgrade", accept, *chosen]

    # --- frames -----------------------------------------------------------------------------------------------

    def _frame(self, plain: bytearray) -> bool:
        """Take what there is of one frame; False when more bytes are needed."""
        if not self._mask and not self._header():
            return False
        taken = bytes(self._in[: self._left])
        del self._in[: len(taken)]
        self._left -= len(taken)
        clear = _masked(taken, self._mask)
        turn = len(taken) % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        (self._control if self._opcode & 8 else plain).extend(clear)
        if self._left:
            return False
        self._mask = b""
        self._ended()
        return True

    def _header(self) -> bool:
        """Whether a frame's header has come; one that no client may send ends it."""
        if len(self._in) < 2:
            return False
        final, opcode = bool(self._in[0] & 0x80), self._in[0] & 0x0F
        masked, size = self._in[1] & 0x80, self._in[1] & 0x7F
        more = {126: 2, 127: 8}.get(size, 0)
        if len(self._in) < 2 + more + 4 and masked:
            return False
        self._opcode = opcode or self._opcode
        if not final and self._opcode != BINARY:
            self._end(POLICY, "only binary frames may be fragmented")
        elif self._opcode not in (BINARY, CLOSE, PING, PONG):
            self._end(UNSUPPORTED, "only binary, close, ping, and pong frames are supported")
        elif not masked:
            self._end(PROTOCOL_ERROR, "client frames must be masked")
        elif size > CONTROL_BYTES_MAX and self._opcode & 8:
            self._end(PROTOCOL_ERROR, "control frame is too large")
        if self.failure:
            return False
        self._left = int.from_bytes(self._in[2 : 2 + more], "big") if more else size
        self._mask = bytes(self._in[2 + more : 6 + more])
        del self._in[: 6 + more]
        return True

    def _ended(self) -> None:
        """A frame has come whole."""
        if self._opcode == PING:
            self._out += _frame(PONG, bytes(self._control))
        elif self._opcode == CLOSE:
            self._end(NORMAL, "peer requested close")
        self._control.clear()

    def _end(self, code: int, why: str) -> None:
        self._out += _frame(CLOSE, code.to_bytes(2, "big") + why.encode())
        self.failure = why


def _header(row: str) -> tuple[str, str]:
    name, _, value = row.partition(":")
    return name.strip().lower(), value.strip()


def _answer(status: str, *lines: str) -> bytes:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    return "".join(
        f"{line}\r\n" for line in (f"HTTP/1.1 {status}", "Server: QEMU VNC", f"Date: {date}", *lines)
    ).encode("latin-1")


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size <= CONTROL_BYTES_MAX:
        return bytes([0x80 | opcode, size]) + payload
    return bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big") + payload


def _masked(data: bytes, mask: bytes) -> bytes:
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")
