"""JSON that we have written ourselves: recorded files, parts of a profile. What a peer sends is read by `qmp.lexer`.

`json` imports `re` and with it `enum`: 5 ms of a start that should be answered as fast as QEMU's.
"""

from __future__ import annotations

from _json import make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Plain:
    """The options that `json.loads` has where none are given."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int
    memo: dict[str, str] = {}


_scan = make_scanner(_Plain())  # type: ignore[arg-type]  # the stub knows no duck typing


def loads(data: bytes) -> Any:
    """The value of a UTF-8 text. Raises ValueError for what is none."""
    return loads_at(data.decode().lstrip(), 0)


def loads_at(text: str, at: int) -> Any:
    """The value that begins there, whatever follows it. Raises ValueError where none does."""
    try:
        value, _ = _scan(text, at)
    except (StopIteration, SystemError):
        raise ValueError("no JSON") from None
    return value
