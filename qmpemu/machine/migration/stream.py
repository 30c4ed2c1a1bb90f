"""The migration stream: a magic, a version, then framed sections with a checksum each. Sans-IO.

    source ──> HEADER CONFIG (PAGES)* STATE END RUN ──> destination    the header comes back, and ARRIVED before RUN
    postcopy:  HEADER CONFIG (PAGES)* SWITCH RUN (PAGES)* END          LOADED comes back before RUN; RESUMED: recovers
    given up:  ... KEPT                                                the source goes on with the guest
    one-way:   HEADER CONFIG (PAGES)* STATE END                        a file or a pipe: nothing comes back

Memory is not carried: PAGES only says how many pages would have come, so that a dead peer is noticed when it dies.
STATE and SWITCH carry `migration.state` as compressed JSON. What is cut short, foreign or damaged raises StreamError.
"""

from __future__ import annotations

from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC, EXTRA_MAGIC = b"QMPEMUVM", b"QMPEMUCH"
"""A stream, and a further channel of one (multifd), which stays empty."""
VERSION = 1
CONFIG, PAGES, SWITCH, STATE, END, ARRIVED, RESUMED, LOADED, RUN, KEPT = range(1, 11)
HEADER_BYTES, FRAME_BYTES = len(MAGIC) + 4, 9
SECTION_BYTES_MAX = STATE_BYTES_MAX = 64 << 20
"""A section as it is carried, and the JSON in it once it is decompressed."""


INVALID, CUT, OTHER_VERSION = "Invalid argument", "Input/output error", "Operation not supported"
DAMAGED = "a section of the migration stream is damaged"
NOT_ONE = "Not a migration stream"


class StreamError(Exception):
    """What arrives is no migration stream of this format. The text and the reason in QEMU's words are both told."""

    def __init__(self, text: str, reason: str = INVALID) -> None:
        super().__init__(text)
        self.reason = reason


def header() -> bytes:
    """What a stream begins with, in either direction."""
    return MAGIC + VERSION.to_bytes(4, "big")


def section(kind: int, payload: bytes = b"") -> bytes:
    """One framed section."""
    return bytes([kind]) + len(payload).to_bytes(4, "big") + crc32(payload).to_bytes(4, "big") + payload


def packed(data: dict[str, Any]) -> bytes:
    """JSON, compressed. Raises StreamError for more than a destination takes."""
    from json import dumps
    from zlib import compress

    text = dumps(data).encode()
    if len(text) > STATE_BYTES_MAX:
        raise StreamError(f"the guest's state has more than {STATE_BYTES_MAX >> 20} MiB")
    return compress(text)


def unpacked(payload: bytes) -> dict[str, Any]:
    """What `packed` made. Raises StreamError."""
    from json import loads
    from zlib import decompressobj, error

    try:
        text = decompressobj().decompress(payload, STATE_BYTES_MAX + 1)
        data = loads(text) if len(text) <= STATE_BYTES_MAX else None
    except (error, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise StreamError(DAMAGED)
    return data


class Reader:
    """Bytes in, sections out. extra: the channel is a further one of multifd."""

    __slots__ = ("_any", "_data", "extra", "started")

    def __init__(self) -> None:
        self._data = bytearray()
        self.started = self.extra = self._any = False

    def cut_short(self) -> StreamError:
        """What there is to say where the stream ends here (measured on QEMU 7.2, at its own header's places)."""
        if not self.started and len(self._data) < len(MAGIC):
            return StreamError(NOT_ONE)
        if not self.started:
            return StreamError("Unsupported migration stream version", OTHER_VERSION)
        if not self._any:
            return StreamError("Configuration section missing")
        return StreamError("the migration stream ended before the guest had arrived", CUT)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Every section that is complete now. Raises StreamError."""
        if self.extra:  # pages that go another way
            return []
        self._data += data
        if not self.started:
            self._start()
        found = []
        while self.started and len(self._data) >= FRAME_BYTES:
            size = int.from_bytes(self._data[1:5], "big")
            if size > SECTION_BYTES_MAX or not CONFIG <= self._data[0] <= KEPT:
                raise StreamError(DAMAGED)
            if len(self._data) < FRAME_BYTES + size:
                break
            payload = bytes(self._data[FRAME_BYTES : FRAME_BYTES + size])
            if crc32(payload).to_bytes(4, "big") != self._data[5:FRAME_BYTES]:
                raise StreamError(DAMAGED)
            found.append((self._data[0], payload))
            self._any = True
            del self._data[: FRAME_BYTES + size]
        return found

    def _start(self) -> None:
        seen = bytes(self._data[: len(MAGIC)])
        if seen == EXTRA_MAGIC:
            self.extra = True
            del self._data[:]
            return
        if not MAGIC.startswith(seen) and not EXTRA_MAGIC.startswith(seen):
            raise StreamError(NOT_ONE)
        if len(self._data) < HEADER_BYTES:
            return
        version = int.from_bytes(self._data[len(MAGIC) : HEADER_BYTES], "big")
        if version != VERSION:
            text = f"Unsupported migration stream version {version}, this qmpemu reads {VERSION}"
            raise StreamError(text, OTHER_VERSION)
        del self._data[:HEADER_BYTES]
        self.started = True
