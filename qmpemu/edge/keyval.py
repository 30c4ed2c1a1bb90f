"""QEMU's option syntax in both its forms: `key=value,key=value` (`core.options`) and JSON."""

from __future__ import annotations

from qmpemu.core.options import OptionError, parse, size, split_items, switch

__all__ = ["OptionError", "parse", "parse_json_or_keyval", "size", "split_items", "switch"]


def parse_json_or_keyval(text: str, implied: str | None) -> dict[str, object]:
    """The members of a `-device`-like option in either form; dotted keys of the plain form stay flat."""
    if not text.startswith("{"):
        return dict(parse(text, implied))
    from qmpemu.qmp.errors import QmpError
    from qmpemu.qmp.lexer import Lexer

    for value in Lexer().feed(text.encode()):
        if isinstance(value, QmpError):
            raise OptionError(value.desc)
        if isinstance(value, dict):
            return value
    raise OptionError("JSON parse error, premature EOI")
