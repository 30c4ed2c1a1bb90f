"""The order in which QEMU prints the members of an object: by hash bucket, newest first within one.

A QDict is a hash table of 512 buckets; printing walks them in order (facts/qmp-wire.md §1.3). Clients may not depend on
it, and some do; logs and recordings compare equal only with it.
"""

from __future__ import annotations

BUCKETS = 512
_HASH_SEED, _HASH_FACTOR, _HASH_ADD = 0x238F13AF, 1103515243, 12345
_CACHED_MAX, _CACHED_NAME_MAX = 4096, 64
_cache: dict[str, int] = {}


def bucket(key: str) -> int:
    """The bucket of a member name."""
    found = _cache.get(key)
    if found is None:
        found = _hash(c_bytes(key)) % BUCKETS
        if (
            len(key) <= _CACHED_NAME_MAX
        ):  # a client picks the names: neither their number nor their length may grow it
            if len(_cache) >= _CACHED_MAX:
                _cache.clear()
            _cache[key] = found
    return found


def ordered(members: dict[str, object]) -> list[tuple[str, object]]:
    """The members as QEMU prints them; `members` is in order of insertion."""
    rows = list(members.items())
    if len(rows) > 1:
        rows.reverse()  # newest first within a bucket; the sort is stable
        rows.sort(key=lambda row: bucket(row[0]))
    return rows


def c_bytes(text: str) -> bytes:
    """`text` as QEMU holds it: modified UTF-8, in which NUL is C0 80 and so ends no string."""
    data = text.encode("utf-8", "surrogatepass")
    return data.replace(b"\0", b"\xc0\x80") if b"\0" in data else data


def _hash(name: bytes) -> int:
    value = _HASH_SEED * len(name)
    for index, byte in enumerate(name):
        value += byte << (index * 5 % 24)
    return (_HASH_FACTOR * (value & 0xFFFFFFFF) + _HASH_ADD) & 0xFFFFFFFF


def as_inserted(value: object) -> object:
    """A reply read from the wire, its members in the order in which they were put in: encoded again it is the same."""
    if isinstance(value, dict):
        return {name: as_inserted(member) for name, member in reversed(value.items())}
    return [as_inserted(each) for each in value] if isinstance(value, list) else value
