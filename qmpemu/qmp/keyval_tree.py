"""The plain form of options that are QAPI objects: dotted keys become a tree, whose texts become what the schema says.

    driver=raw,file.driver=null-co,file.size=4096  ->  {"driver": "raw", "file": {"driver": "null-co", "size": 4096}}

Rules and texts: QEMU's keyval (measured on 7.2). `children.0.driver` is a list's first member.
"""

from __future__ import annotations

from qmpemu.core.options import OptionError, split_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.qmp.schema import Schema

DEEPEST = 32
"""How many parts a key may have; QEMU limits its length instead."""


def tree(text: str, implied: str) -> dict[str, Any]:
    """Texts by name, nested. Raises OptionError."""
    root: dict[str, Any] = {}
    for position, item in enumerate(split_items(text)):
        key, equals, value = item.partition("=")
        if not equals and position == 0:
            key, value = implied, item
        elif not item:
            continue
        _put(root, key, value, bare=not equals and position > 0)
    return {name: _lists(value, name) for name, value in root.items()}


def _put(root: dict[str, Any], key: str, value: str, *, bare: bool) -> None:
    parts = key.split(".")
    if not all(_is_part(part) for part in parts) or parts[0].isdigit() or len(parts) > DEEPEST:
        raise OptionError(f"Invalid parameter '{key}'")
    if bare:
        text = (
            "Help is not available for this option"
            if key == "help"
            else f"Expected '=' after parameter '{key}'"
        )
        raise OptionError(text)
    at = root
    for count, part in enumerate(parts[:-1], 1):
        at = at.setdefault(part, {})
        if not isinstance(at, dict):
            raise OptionError(f"Parameters '{'.'.join(parts[:count])}.*' used inconsistently")
    if isinstance(at.get(parts[-1]), dict):
        raise OptionError(f"Parameters '{key}.*' used inconsistently")
    at[parts[-1]] = value


def _is_part(part: str) -> bool:
    plain = part.replace("-", "").replace("_", "")
    return part.isdigit() or (part[:1].isalpha() and plain.isalnum() and part.isascii())


def _lists(value: Any, path: str) -> Any:
    """Objects whose names are numbers are lists."""
    if not isinstance(value, dict):
        return value
    made = {name: _lists(member, f"{path}.{name}") for name, member in value.items()}
    numbers = sum(name.isdigit() for name in made)
    if not numbers:
        return made
    if numbers < len(made):
        raise OptionError(f"Parameters '{path}.*' used inconsistently")
    for index in range(len(made)):
        if str(index) not in made:
            raise OptionError(f"Parameter '{path}.{index}' missing")
    return [made[str(index)] for index in range(len(made))]


def typed(schema: Schema, command: str, members: dict[str, Any]) -> dict[str, Any]:
    """The members of a tree with the types that the arguments of `command` have. Raises OptionError.

    What the schema does not know stays as it is: the check of the arguments says so.
    """
    return _object(schema, schema.argument_type(command), members, "")


def _value(schema: Schema, type_name: str, value: Any, path: str) -> Any:
    info = schema.info(type_name)
    kind = info["meta-type"]
    if kind == "object" and isinstance(value, dict):
        return _object(schema, type_name, value, f"{path}.")
    if kind == "array" and isinstance(value, list):
        return [
            _value(schema, info["element-type"], each, f"{path}.{index}") for index, each in enumerate(value)
        ]
    if kind == "alternate" and isinstance(value, dict):
        inner = [
            each["type"] for each in info["members"] if schema.info(each["type"])["meta-type"] == "object"
        ]
        return _object(schema, inner[0], value, f"{path}.") if inner else value
    if kind == "builtin" and isinstance(value, str):
        return _text(info["json-type"], value, path)
    return value


def _object(schema: Schema, type_name: str | None, members: dict[str, Any], dot: str) -> dict[str, Any]:
    made = dict(members)
    while type_name is not None:
        info = schema.info(type_name)
        for member in info["members"]:
            name = member["name"]
            if name in members:
                made[name] = _value(schema, member["type"], members[name], f"{dot}{name}")
        case = made.get(info.get("tag", ""))
        type_name = next((each["type"] for each in info.get("variants", []) if each["case"] == case), None)
    return made


def _text(kind: str, value: str, path: str) -> Any:
    if kind == "boolean":
        if value in ("on", "yes", "true", "y"):
            return True
        if value in ("off", "no", "false", "n"):
            return False
        raise OptionError(f"Parameter '{path}' expects 'on' or 'off'")
    if kind == "int":
        try:
            number = int(value, 0)
        except ValueError:
            number = 1 << 64
        if not -(1 << 63) <= number < 1 << 64:
            raise OptionError(f"Parameter '{path}' expects integer")
        return number
    if kind == "number":
        try:
            return float(value)
        except ValueError:
            raise OptionError(f"Parameter '{path}' expects number") from None
    return value
