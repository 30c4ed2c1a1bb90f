"""The human monitor's verbs for properties of objects: qom-list, qom-get, qom-set. As measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.hmp.words import answered
from qmpemu.core.json_text import loads
from qmpemu.qmp.encode import encode_pretty
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.commands.registry import Context
    from qmpemu.qmp.later import Later

    Given = dict[str, str]

PARAMETERS = {
    "qom-list": "path:s?",
    "qom-get": "path:s property:s",
    "qom-set": "json:!j path:s property:s value:s",
}
SWITCHES = {
    "on": True,
    "yes": True,
    "true": True,
    "y": True,
    "off": False,
    "no": False,
    "false": False,
    "n": False,
}


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in PARAMETERS:
        return None
    if verb == "qom-set":  # its value is the rest of the line
        begin = 3 if words[:1] == ["-j"] else 2
        words = [*words[:begin], " ".join(words[begin:])] if words[begin:] else words
    return answered(verb, PARAMETERS[verb], words, lambda given: VERBS[verb](ctx, given))


def _list(ctx: Context, given: Given) -> str:
    if "path" not in given:
        return "/\r\n"
    rows: Any = ctx.commands("qom-list", {"path": given["path"]})
    return "".join(f"{row['name']} ({row['type']})\r\n" for row in rows)


def _get(ctx: Context, given: Given) -> str:
    value = ctx.commands("qom-get", {"path": given["path"], "property": given["property"]})
    return encode_pretty(value).decode() + "\r\n"


def _set(ctx: Context, given: Given) -> str:
    if "json" in given:
        try:
            value: object = loads(given["value"].encode())
        except ValueError:
            raise QmpError("JSON parse error, expecting value") from None
    else:
        value = _typed(ctx, given)
    ctx.commands("qom-set", {"path": given["path"], "property": given["property"], "value": value})
    return ""


def _typed(ctx: Context, given: Given) -> object:
    """The text as the property's type wants it. Raises QmpError."""
    rows: Any = ctx.commands("qom-list", {"path": given["path"]})
    name, text = given["property"], given["value"]
    kind = next((row["type"] for row in rows if row["name"] == name), "")
    if kind == "bool":
        if text not in SWITCHES:
            raise QmpError(f"Invalid parameter type for '{name}', expected: boolean")
        return SWITCHES[text]
    if kind == "int" or kind.startswith(("int", "uint")) or kind in ("size", "number"):
        try:
            return int(text, 0)
        except ValueError:
            wanted = "a size" if kind == "size" else "integer"
            raise QmpError(f"Invalid parameter type for '{name}', expected: {wanted}") from None
    return text


VERBS: dict[str, Callable[[Context, Given], str]] = {"qom-list": _list, "qom-get": _get, "qom-set": _set}
