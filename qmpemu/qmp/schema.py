"""Argument checks for every command, from the recorded introspection data; no command has checks of its own.

Texts and order are QEMU's (facts/qmp-wire.md §5): declared members in schema order, then unknown ones; a nested object
is finished before the next member. What introspection hides (the C types of integers, the names of alternates) is
recorded beside it; without that record integers are int64 and alternates are called by their JSON types.
"""

from __future__ import annotations

from qmpemu.core.json_text import loads, loads_at
from qmpemu.qmp import errors
from qmpemu.qmp.leftover import first_unexpected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    Check: TypeAlias = "Iterator[Check]"

OPEN_COMMANDS = frozenset({"device_add"})
"""Commands that take members beyond those of their schema (`gen: false` in QAPI, invisible in introspection)."""

JSON_TYPES = {"int": "integer"}
"""What error texts call introspection's json-types, where that differs."""

PYTHON_TYPES = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
    "int": (int,),
}

INT64, UINT64 = "int64", "uint64"

LIMITS = {
    INT64: (-(2**63), 2**63 - 1),
    UINT64: (-(2**63), 2**64 - 1),  # a negative one is taken modulo 2**64
    "uint32_t": (0, 2**32 - 1),
    "uint16_t": (0, 2**16 - 1),
    "uint8_t": (0, 2**8 - 1),
    "int32_t": (-(2**31), 2**31 - 1),
}
"""The least and the greatest value of each C type of integers."""


class Schema:
    """The schema of one QEMU version. data: query-qmp-schema's return value as JSON.

    hidden: `{"integers": {type: {member: C type}}, "alternates": {type: name}}`, where it was recorded.
    An entry is parsed when it is asked for: a start needs a few dozen of a thousand.
    """

    __slots__ = ("_alternates", "_infos", "_integers", "_text", "_whole")

    def __init__(self, data: bytes, hidden: dict[str, Any] | None = None) -> None:
        self._integers: dict[str, dict[str, str]] = (hidden or {}).get("integers", {})
        self._alternates: dict[str, str] = (hidden or {}).get("alternates", {})
        self._text = data.decode()
        self._infos: dict[str, dict[str, Any]] = {}
        """Types, commands and events that were asked for."""
        self._whole = False
        """Whether these are all."""

    @property
    def commands(self) -> list[str]:
        """Every command of the version, in recorded order."""
        return [name for name, info in self._all().items() if info["meta-type"] == "command"]

    @property
    def oob(self) -> frozenset[str]:
        """The commands that may be executed out of band."""
        return frozenset(filter(self.allows_oob, self.commands))

    def has(self, command: str) -> bool:
        """Whether the version has the command."""
        return self._command(command) is not None

    def allows_oob(self, command: str) -> bool:
        """Whether the command may be executed out of band."""
        info = self._command(command)
        return info is not None and bool(info.get("allow-oob"))

    def members(self, command: str) -> list[dict[str, Any]]:
        """The declared members of a command's arguments, as introspection has them."""
        return list(self.info(self.argument_type(command))["members"])

    def argument_type(self, command: str) -> str:
        """The name of the type of a command's arguments."""
        info = self._command(command)
        assert info is not None, f"there is no command {command}"
        return str(info["arg-type"])

    def info(self, type_name: str) -> dict[str, Any]:
        """A type, as introspection has it."""
        info = self._find(type_name)
        assert info is not None, f"there is no type {type_name}"
        return info

    def check(self, command: str, arguments: dict[str, object]) -> None:
        """Check a command's arguments. Raises QmpError for the first thing that is wrong.

        Containers are generators that yield what they contain: a client may nest them deeper than Python's stack.
        """
        arg_type, strict = self.argument_type(command), command not in OPEN_COMMANDS
        pending = [self._check_object(arg_type, arguments, "", strict=strict)]
        while pending:
            inner = next(pending[-1], None)
            if inner is None:
                pending.pop()
            else:
                pending.append(inner)

    def _check(
        self, type_name: str, value: object, path: str, name: str | None, integer: str
    ) -> Check | None:
        """Check `value`, or return the check of what it contains.

        name: of the member, None in an array. integer: the C type of the member, should it be an integer.
        """
        info = self.info(type_name)
        kind = info["meta-type"]
        if kind == "builtin":
            _check_builtin(info["json-type"], value, path, name, integer)
        elif kind == "enum":
            _check_enum(info, value, path, name)
        elif kind == "array":
            if type(value) is not list:
                raise errors.parameter_type(path, "array")
            return self._check_array(info["element-type"], value, path, integer)
        elif kind == "alternate":
            return self._check(self._choice(info, value, name), value, path, name, integer)
        else:
            if type(value) is not dict:
                raise errors.parameter_type(path, "object")
            return self._check_object(type_name, value, path)
        return None

    def _check_array(self, element: str, values: list[object], path: str, integer: str) -> Check:
        for index, value in enumerate(values):
            inner = self._check(element, value, f"{path}[{index}]", None, integer)
            if inner is not None:
                yield inner

    def _check_object(
        self, type_name: str, value: dict[str, object], path: str, *, strict: bool = True
    ) -> Check:
        dot = f"{path}." if path else ""
        visited: list[str] = []
        layer: str | None = type_name
        while layer is not None:
            info = self.info(layer)
            integers = self._integers.get(layer, {})
            for member in info["members"]:
                name = member["name"]
                if name in value:
                    visited.append(name)
                    integer = integers.get(name, INT64)
                    inner = self._check(member["type"], value[name], f"{dot}{name}", name, integer)
                    if inner is not None:
                        yield inner
                elif "default" not in member:
                    raise errors.parameter_missing(f"{dot}{name}")
            layer = _variant(info, value)
        if strict and len(visited) < len(value):
            raise errors.parameter_unexpected(f"{dot}{first_unexpected(value, visited)}")

    def _choice(self, info: dict[str, Any], value: object, name: str | None) -> str:
        """The type of an alternate that fits the JSON type of `value`."""
        kinds = {self._json_type(member["type"]): str(member["type"]) for member in info["members"]}
        for kind, type_name in kinds.items():
            if type(value) in PYTHON_TYPES[kind] or (kind == "int" and type(value) is float):
                return type_name  # any number chooses it; that it is no integer is said by the check of it
        plain = " or ".join(JSON_TYPES.get(kind, kind) for kind in kinds)
        raise errors.parameter_type(name or "null", self._alternates.get(info["name"], plain))

    def _json_type(self, type_name: str) -> str:
        info = self.info(type_name)
        return {"enum": "string", "array": "array"}.get(info["meta-type"]) or str(
            info.get("json-type", "object")
        )

    # --- what was recorded ------------------------------------------------------------------------------------

    def _command(self, name: str) -> dict[str, Any] | None:
        info = self._find(name)
        return info if info is not None and info["meta-type"] == "command" else None

    def _find(self, name: str) -> dict[str, Any] | None:
        """The entry of that name. Where its name does not come first, as QEMU writes it, all are parsed."""
        begin, at = f'{{"name": "{name}"', -1
        while name not in self._infos and not self._whole:
            at = self._text.find(begin, at + 1)
            found = loads_at(self._text, at) if at >= 0 else {}
            if at < 0:
                self._all()
            elif found["name"] == name and "meta-type" in found:  # else it is a member of that name
                self._infos[name] = found
        return self._infos.get(name)

    def _all(self) -> dict[str, dict[str, Any]]:
        if not self._whole:
            self._infos = {info["name"]: info for info in loads(self._text.encode())}
            self._whole, self._text = True, ""
        return self._infos


def _variant(info: dict[str, Any], value: dict[str, object]) -> str | None:
    """The type whose members a union's tag adds."""
    if "tag" not in info:
        return None
    case = value.get(info["tag"])
    return next((v["type"] for v in info["variants"] if v["case"] == case), None)


def _check_builtin(json_type: str, value: object, path: str, name: str | None, integer: str) -> None:
    if json_type == "int":
        if type(value) is not int or not 0 <= value < 128:  # else it fits every width
            _check_int(value, path, name, integer)
    elif json_type != "value" and type(value) not in PYTHON_TYPES[json_type]:
        raise errors.parameter_type(path, json_type)


def _check_int(value: object, path: str, name: str | None, wanted: str) -> None:
    """QEMU reads 64 bits first, then refuses what its own type does not hold; only the first names the whole path."""
    signed = not wanted.startswith("u")
    least, greatest = LIMITS[INT64 if signed else UINT64]
    if type(value) is not int or not least <= value <= greatest:
        raise errors.parameter_type(path, "integer") if signed else errors.parameter_expects(path, UINT64)
    least, greatest = LIMITS[wanted]
    if not least <= value <= greatest:
        raise errors.parameter_expects(name or "null", wanted)


def _check_enum(info: dict[str, Any], value: object, path: str, name: str | None) -> None:
    if type(value) is not str:
        raise errors.parameter_type(path, "string")
    if value not in info["values"]:
        raise errors.parameter_value(name or "null", value)
