"""The telnet protocol as QEMU's character devices speak it: options are announced and never looked at (measured)."""

from __future__ import annotations

IAC, BREAK, WILL, DO = 0xFF, 0xF3, 0xFB, 0xFD
ECHO, SUPPRESS_GO_AHEAD, BINARY = 1, 3, 0
HELLO = bytes(
    each
    for pair in ((WILL, ECHO), (WILL, SUPPRESS_GO_AHEAD), (WILL, BINARY), (DO, BINARY))
    for each in (IAC, *pair)
)
COMMAND_BYTES = 3
"""What a command takes with its option: all are read as if they had one, but for a break."""


class Decoder:
    """Takes the commands out of what a client sends."""

    def __init__(self) -> None:
        self._place = 0

    def __call__(self, data: bytes) -> bytes:
        """The bytes without commands."""
        plain = bytearray()
        for byte in data:
            if self._place == 0:
                if byte == IAC:
                    self._place = 1
                else:
                    plain.append(byte)
            elif self._place == 1 and byte in (IAC, BREAK):
                if byte == IAC:
                    plain.append(byte)
                self._place = 0
            else:
                self._place = (self._place + 1) % COMMAND_BYTES
        return bytes(plain)
