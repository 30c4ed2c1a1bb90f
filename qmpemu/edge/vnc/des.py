"""VNC authentication: DES (FIPS 46-3) over a 16-byte challenge, the key's bytes with their bits reversed.

DES is no secret-keeping any more; the protocol wants it, and no Python library is worth a dependency for it.
"""

from __future__ import annotations

Table = tuple[int, ...]


def _table(text: str) -> Table:
    return tuple(int(number) for number in text.split())


INITIAL: Table = tuple(
    row + 8 * column for row in (58, 60, 62, 64, 57, 59, 61, 63) for column in range(0, -8, -1)
)
FINAL: Table = tuple(INITIAL.index(n) + 1 for n in range(1, 65))
EXPANSION: Table = tuple((4 * row + column - 1) % 32 + 1 for row in range(8) for column in range(6))
ROUND_OUT = _table("""
    16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25
""")
KEY_IN = _table("""
    57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36 63 55 47 39 31 23
    15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4
""")
KEY_OUT = _table("""
    14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2 41 52 31 37 47 55 30 40 51 45 33 48
    44 49 39 56 34 53 46 42 50 36 29 32
""")
SHIFTS = _table("1 1 2 2 2 2 2 2 1 2 2 2 2 2 2 1")
BOXES = tuple(
    tuple(int(digit, 16) for digit in row)
    for row in (
        "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
        "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
        "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
        "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
        "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
        "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
        "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
        "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
    )
)
BLOCK = 8


def answer(password: str, challenge: bytes) -> bytes:
    """What a client that knows `password` makes of the challenge; only the first eight bytes of it count."""
    key = password.encode("utf-8", "replace")[:BLOCK].ljust(BLOCK, b"\0")
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    return b"".join(encrypt(mirrored, challenge[at : at + BLOCK]) for at in range(0, len(challenge), BLOCK))


def encrypt(key: bytes, block: bytes) -> bytes:
    """One block."""
    left, right = divmod(_pick(int.from_bytes(block, "big"), INITIAL, 64), 1 << 32)
    for round_key in _round_keys(key):
        left, right = right, left ^ _round(right, round_key)
    return _pick(right << 32 | left, FINAL, 64).to_bytes(8, "big")


def _round_keys(key: bytes) -> list[int]:
    left, right = divmod(_pick(int.from_bytes(key, "big"), KEY_IN, 64), 1 << 28)
    keys = []
    for shift in SHIFTS:
        left, right = _turn(left, shift), _turn(right, shift)
        keys.append(_pick(left << 28 | right, KEY_OUT, 56))
    return keys


def _turn(half: int, shift: int) -> int:
    return (half << shift | half >> (28 - shift)) & 0xFFFFFFF


def _round(half: int, key: int) -> int:
    mixed, out = _pick(half, EXPANSION, 32) ^ key, 0
    for number, box in enumerate(BOXES):
        six = mixed >> (42 - 6 * number) & 0x3F
        out = out << 4 | box[(six & 0x20) | (six & 1) << 4 | six >> 1 & 0xF]
    return _pick(out, ROUND_OUT, 32)


def _pick(value: int, table: Table, width: int) -> int:
    """The bits that `table` names, counted from the highest as 1."""
    out = 0
    for position in table:
        out = out << 1 | value >> (width - position) & 1
    return out
