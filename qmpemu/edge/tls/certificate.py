"""An X.509 certificate as far as QEMU looks at it before it is used (RFC 5280): validity, constraints, usage, purposes.

Python's `ssl` verifies and encrypts, and shows none of these; so the few fields are read from the DER here.
"""

from __future__ import annotations

import base64
import binascii
import re
from calendar import timegm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
BOOLEAN, BIT_STRING, OCTET_STRING, OID, UTC_TIME = 1, 3, 4, 6, 23
VERSION, EXTENSIONS = 0xA0, 0xA3
BASIC_CONSTRAINTS, KEY_USAGE, PURPOSES = b"\x55\x1d\x13", b"\x55\x1d\x0f", b"\x55\x1d\x25"
SERVER_AUTH, CLIENT_AUTH = (b"\x2b\x06\x01\x05\x05\x07\x03" + bytes([last]) for last in (1, 2))
ANY_PURPOSE = b"\x55\x1d\x25\x00"
DIGITAL_SIGNATURE, CERTIFICATE_SIGNING = 0x80, 0x04
"""Bits of the key usage's first byte."""
NAMES = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}
SPECIAL = ',+"\\<>;#='


class NoCertificate(Exception):
    """This is no certificate."""


class Certificate:
    """One certificate. Times in seconds since 1970; is_ca: None without basic constraints.

    usage: bits of the key usage, None without; purposes: object identifiers, None without; each behind whether it is
    critical.
    """

    __slots__ = ("is_ca", "not_after_s", "not_before_s", "purposes", "subject", "usage")

    def __init__(self, der: bytes) -> None:
        self.is_ca: bool | None = None
        self.usage: tuple[bool, int] | None = None
        self.purposes: tuple[bool, frozenset[bytes]] | None = None
        try:
            self._read(der)
        except (IndexError, ValueError, StopIteration):
            raise NoCertificate from None

    def allows(self, purpose: bytes) -> bool:
        """Whether it may be used for that, as QEMU takes it: only a critical extension forbids anything."""
        if self.purposes is None:
            return True
        critical, named = self.purposes
        return not critical or purpose in named or ANY_PURPOSE in named

    def permits(self, usage: int) -> bool:
        """Whether its key may be used so, in the same way."""
        return self.usage is None or not self.usage[0] or bool(self.usage[1] & usage)

    def _read(self, der: bytes) -> None:
        body = next(_parts(next(_parts(der))[1]))[1]
        fields = list(_parts(body))
        if fields[0][0] == VERSION:
            del fields[0]
        _, _, _, validity, subject, *rest = fields  # before them: serial number, algorithm, issuer
        self.not_before_s, self.not_after_s = (_time(*each) for each in _parts(validity[1]))
        self.subject = ",".join(_name(part) for _, part in _parts(subject[1]))
        for tag, value in rest:
            if tag == EXTENSIONS:
                for _, extension in _parts(next(_parts(value))[1]):
                    self._extend(list(_parts(extension)))

    def _extend(self, parts: list[tuple[int, bytes]]) -> None:
        name, critical, content = parts[0][1], any(tag == BOOLEAN for tag, _ in parts), parts[-1][1]
        if name == BASIC_CONSTRAINTS:
            inner = list(_parts(next(_parts(content))[1]))
            self.is_ca = any(tag == BOOLEAN and value != b"\0" for tag, value in inner)
        elif name == KEY_USAGE:
            bits = next(_parts(content))[1]
            self.usage = critical, bits[1] if len(bits) > 1 else 0
        elif name == PURPOSES:
            named = frozenset(value for _, value in _parts(next(_parts(content))[1]))
            self.purposes = critical, named


def certificates(pem: bytes) -> list[bytes]:
    """The DER of every certificate in a PEM file. Raises NoCertificate where there is none."""
    try:
        found = [base64.b64decode(block) for block in BLOCK.findall(pem)]
    except binascii.Error:
        raise NoCertificate from None
    if not found:
        raise NoCertificate
    return found


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element. Raises IndexError, ValueError."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            raise ValueError("an element goes beyond its end")
        yield tag, data[at : at + size]
        at += size


def _time(tag: int, value: bytes) -> int:
    text = value.decode("ascii").removesuffix("Z")
    if tag == UTC_TIME:  # RFC 5280, 4.1.2.5.1
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    numbers = int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))
    return timegm((*numbers, 0, 0, 0))


def _name(part: bytes) -> str:
    """One relative distinguished name as GnuTLS writes it."""
    written = []
    for _, pair in _parts(part):
        (_, kind), (_, value) = _parts(pair)
        text = "".join("\\" + char if char in SPECIAL else char for char in value.decode(errors="replace"))
        written.append(f"{NAMES.get(kind) or _dotted(kind)}={text}")
    return "+".join(written)


def _dotted(oid: bytes) -> str:
    numbers, value = [*divmod(oid[0], 40)], 0
    for each in oid[1:]:
        value = value << 7 | each & 0x7F
        if not each & 0x80:
            numbers.append(value)
            value = 0
    return ".".join(map(str, numbers))
