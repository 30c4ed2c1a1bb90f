"""Argument checks for every command, from the recorded introspection data; no command has checks of its own.

Texts and order are QEMU's (facts/qmp-wire.md §5): declared members in schema order, then unknown ones; a nested object
is finished before the next member. Introspection hides two things: the width and sign of integers (64 signed bits are
taken, so some refusals name "integer" where QEMU says "uint64"), and the names of alternates (the texts name the JSON
types instead).
"""

from __future__ import annotations

from json import loads

from qmpemu.qmp import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPEN_COMMANDS = frozenset({"device_add"})
"""Commands that take members beyond those of their schema (`gen: false` in QAPI, invisible in introspection)."""

JSON_TYPES = {"int": "integer"}
"""What error texts call introspection's json-types, where that differs."""


class Schema:
    """The schema of one QEMU version. data: query-qmp-schema's return value as JSON."""

    __slots__ = ("_commands", "_types")

    def __init__(self, data: bytes) -> None:
        self._types: dict[str, dict[str, Any]] = {}
        self._commands: dict[str, dict[str, Any]] = {}
        for info in loads(data):
            known = self._commands if info["meta-type"] == "command" else self._types
            known[info["name"]] = info

    @property
    def commands(self) -> list[str]:
        """Every command of the version."""
        return list(self._commands)

    def has(self, command: str) -> bool:
        """Whether the version has the command."""
        return command in self._commands

    def allows_oob(self, command: str) -> bool:
        """Whether the command may be executed out of band."""
        return bool(self._commands.get(command, {}).get("allow-oob"))

    def members(self, command: str) -> list[dict[str, Any]]:
        """The declared members of a command's arguments, as introspection has them."""
        return list(self._types[self._commands[command]["arg-type"]]["members"])

    def check(self, command: str, arguments: dict[str, object]) -> None:
        """Check a command's arguments. Raises QmpError for the first thing that is wrong."""
        self._check_object(
            self._commands[command]["arg-type"], arguments, "", strict=command not in OPEN_COMMANDS
        )

    def _check(self, type_name: str, value: object, path: str, name: str | None) -> None:
        info = self._types[type_name]
        kind = info["meta-type"]
        if kind == "builtin":
            if not _is(info["json-type"], value):
                raise errors.parameter_type(path, JSON_TYPES.get(info["json-type"], info["json-type"]))
        elif kind == "enum":
            self._check_enum(info, value, path, name)
        elif kind == "array":
            if not isinstance(value, list):
                raise errors.parameter_type(path, "array")
            for index, element in enumerate(value):
                self._check(info["element-type"], element, f"{path}[{index}]", None)
        elif kind == "alternate":
            self._check_alternate(info, value, path, name)
        else:
            self._check_object(type_name, value, path)

    def _check_enum(self, info: dict[str, Any], value: object, path: str, name: str | None) -> None:
        if not isinstance(value, str):
            raise errors.parameter_type(path, "string")
        if value not in info["values"]:
            raise errors.parameter_value(name or "null", value)

    def _check_alternate(self, info: dict[str, Any], value: object, path: str, name: str | None) -> None:
        """An alternate goes by the JSON type of what is there."""
        for member in info["members"]:
            if _is(self._json_type(member["type"]), value):
                return self._check(member["type"], value, path, name)
        expected = " or ".join(dict.fromkeys(self._json_type(member["type"]) for member in info["members"]))
        raise errors.parameter_type(path, expected)

    def _check_object(self, type_name: str, value: object, path: str, *, strict: bool = True) -> None:
        if not isinstance(value, dict):
            raise errors.parameter_type(path, "object")
        dot = f"{path}." if path else ""
        declared: set[str] = set()
        layer: str | None = type_name
        while layer is not None:
            info = self._types[layer]
            for member in info["members"]:
                declared.add(member["name"])
                self._check_member(member, value, dot)
            layer = self._variant(info, value)
        if strict:
            for name in value:
                if name not in declared:
                    raise errors.parameter_unexpected(f"{dot}{name}")

    def _check_member(self, member: dict[str, Any], value: dict[str, object], dot: str) -> None:
        name = member["name"]
        if name in value:
            self._check(member["type"], value[name], f"{dot}{name}", name)
        elif "default" not in member:
            raise errors.parameter_missing(f"{dot}{name}")

    def _variant(self, info: dict[str, Any], value: dict[str, object]) -> str | None:
        """The type whose members a union's tag adds."""
        if "tag" not in info:
            return None
        case = value.get(info["tag"])
        return next((v["type"] for v in info["variants"] if v["case"] == case), None)

    def _json_type(self, type_name: str) -> str:
        info = self._types[type_name]
        kinds = {"enum": "string", "array": "array", "object": "object"}
        return kinds.get(info["meta-type"]) or str(info.get("json-type", "object"))


def _is(json_type: str, value: object) -> bool:
    """Whether a value has introspection's `json-type`."""
    if json_type == "int" or json_type == "integer":
        return type(value) is int and -(2**63) <= value < 2**63
    if json_type == "number":
        return type(value) in (int, float)
    if json_type in ("array", "object", "string", "boolean"):
        return type(value) is {"array": list, "object": dict, "string": str, "boolean": bool}[json_type]
    return value is None if json_type == "null" else json_type == "value"
