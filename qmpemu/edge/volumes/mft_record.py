"""A record of NTFS' master file table: its guard against torn writes, its attributes, its runs of clusters.

A record is written in strides of 512 bytes, on any disk. The last two bytes of each stride hold the update sequence
number; what belongs there is kept in an array in the record's head. A stride with another number was torn off.

    stride 0: head | array: number, word 0, word 1 | attributes ...  number
    stride 1: ... attributes                                         number

(linux-ntfs documentation: file record, fixup, data runs)
"""

from __future__ import annotations

from qmpemu.edge.volumes.image import le

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STRIDE = 512
IN_USE = 1
VOLUME_NAME, VOLUME_INFORMATION, DATA, END = 0x60, 0x70, 0x80, 0xFFFFFFFF
HEAD_WITH_OWN_NUMBER = 0x30
"""Since NTFS 3.1 the head ends with the record's number; the array begins behind it."""


class Damaged(Exception):
    """Why a record or its runs cannot be trusted: the end of a sentence."""


class Attribute:
    """One attribute of a record: its type, its place in the record and its own bytes."""

    __slots__ = ("at", "kind", "raw")

    def __init__(self, at: int, raw: bytes) -> None:
        self.at = at
        self.kind = le(raw, 0, 4)
        self.raw = raw

    @property
    def resident(self) -> bool:
        """Whether its value is in the record."""
        return self.raw[8] == 0

    @property
    def named(self) -> bool:
        """Whether it is one of several of its type."""
        return self.raw[9] != 0

    def value(self, at_least: int = 0) -> tuple[int, bytes]:
        """A resident value and its place in the record."""
        start, length = le(self.raw, 0x14, 2), le(self.raw, 0x10, 4)
        if not self.resident or length < at_least or start + length > len(self.raw):
            raise Damaged(f"its attribute {self.kind:#x} has no value")
        return self.at + start, self.raw[start : start + length]

    def runs(self) -> Iterator[tuple[int, int]]:
        """The runs of a non-resident value: first cluster and number of clusters. At most one per two bytes."""
        at, cluster = le(self.raw, 0x20, 2), 0
        if self.resident or len(self.raw) < 0x40 or le(self.raw, 0x10, 8) != 0:
            raise Damaged("its $MFT has no runs")
        while at < len(self.raw) and self.raw[at]:
            count_bytes, step_bytes = self.raw[at] & 15, self.raw[at] >> 4
            step_at = at + 1 + count_bytes
            at = step_at + step_bytes
            if not 1 <= count_bytes <= 8 or not 1 <= step_bytes <= 8 or at > len(self.raw):
                raise Damaged("its $MFT has damaged runs")
            cluster += int.from_bytes(self.raw[step_at:at], "little", signed=True)
            yield cluster, le(self.raw, step_at - count_bytes, count_bytes)


class Record:
    """A whole record in use, with the guarded words put back where they belong.

    Raises Damaged if it is torn, unused, not of the number `number`, or contradicts itself.
    """

    __slots__ = ("_array_at", "attributes", "data")

    def __init__(self, raw: bytes, number: int) -> None:
        self._array_at = le(raw, 4, 2)
        self.data = self._restored(raw, number)
        self._check(number)
        self.attributes = list(self._walk(number))

    def find(self, kind: int) -> Attribute | None:
        """Its first attribute of that type without a name."""
        return next((found for found in self.attributes if found.kind == kind and not found.named), None)

    def stored_at(self, at: int) -> int:
        """Where byte `at` is stored: in the array, if the update sequence number has its place."""
        stride, within = divmod(at, STRIDE)
        return at if within < STRIDE - 2 else self._array_at + 2 * (1 + stride) + within - (STRIDE - 2)

    def _restored(self, raw: bytes, number: int) -> bytes:
        strides, array_at, data = len(raw) // STRIDE, self._array_at, bytearray(raw)
        array_end = array_at + 2 * (1 + strides)
        if raw[:4] != b"FILE" or le(raw, 6, 2) != 1 + strides or array_at < 0x28 or array_end > STRIDE - 2:
            raise Damaged(f"its record {number} is none")
        for stride in range(strides):
            end = (stride + 1) * STRIDE
            if raw[end - 2 : end] != raw[array_at : array_at + 2]:
                raise Damaged(f"its record {number} is torn")
            word_at = array_at + 2 * (1 + stride)
            data[end - 2 : end] = raw[word_at : word_at + 2]
        return bytes(data)

    def _check(self, number: int) -> None:
        other = self._array_at >= HEAD_WITH_OWN_NUMBER and le(self.data, 0x2C, 4) != number
        extends_another = le(self.data, 0x20, 8) != 0
        if other or extends_another or not le(self.data, 0x16, 2) & IN_USE:
            raise Damaged(f"its record {number} is another file's")

    def _walk(self, number: int) -> Iterator[Attribute]:
        at, end = le(self.data, 0x14, 2), min(le(self.data, 0x18, 4), len(self.data))
        while at + 4 <= end and le(self.data, at, 4) != END:
            length = le(self.data, at + 4, 4)
            if length < 0x18 or length % 8 or at + length > end:
                raise Damaged(f"its record {number} has a damaged attribute")
            yield Attribute(at, self.data[at : at + length])
            at += length
