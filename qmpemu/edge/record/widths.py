"""What introspection hides of argument types, asked of the real binary: the C types of integers, alternates' names.

For each integer or alternate member that a command can reach, a wrong value is put in its place: of the wrong JSON
type, and too large for anything but 64 bits; what QEMU reads before it is valid and minimal. The refusal tells. A
member that no command has goes along, so that even a value that is accepted never runs the command.

    {"integers": {type: {member: "uint64" | "uint32_t" | ...}}, "alternates": {type: name}}      int64 is not listed
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu.qmp import QMPClient

    Wrap = Callable[[Any], dict[str, Any]]

EXPECTS = re.compile(r"Parameter '.*' expects (u?int\d+(?:_t)?)")
ALTERNATE = re.compile(r"Invalid parameter type for '.*', expected: (\w+)")
JSON_TYPES = {"array", "string", "integer", "boolean", "number", "object"}
DEPTH_MAX = 8
TOO_LARGE = 2**62
NO_MEMBER = "qmpemu-no-such-member"
NOT_ASKED = ("qmp_capabilities", "device_add")
"""Negotiation is the session's own; device_add takes any member."""


class Asker:
    """One walk over all argument types."""

    def __init__(self, client: QMPClient, schema: list[dict[str, Any]]) -> None:
        self._client = client
        self._types = {info["name"]: info for info in schema if info["meta-type"] != "command"}
        self._commands = [info for info in schema if info["meta-type"] == "command"]
        self._seen: set[str] = set()
        self.integers: dict[str, dict[str, str]] = {}
        self.alternates: dict[str, str] = {}

    async def run(self) -> dict[str, Any]:
        """Walk; the findings."""
        for info in self._commands:
            if info["name"] not in NOT_ASKED:
                await self._object(info["name"], info["arg-type"], lambda value: value, 0)
        return {"integers": self.integers, "alternates": self.alternates}

    async def _object(self, command: str, name: str, wrap: Wrap, depth: int) -> None:
        """Ask for each member of an object type, once a type; `wrap` makes the command's arguments of a value of it."""
        if name in self._seen or depth > DEPTH_MAX:
            return
        self._seen.add(name)
        info = self._types[name]
        before: dict[str, Any] = {}
        for member in info["members"]:
            await self._member(command, name, member, dict(before), wrap, depth)
            if "default" not in member:
                before[member["name"]] = self._minimal(member["type"])
        for variant in info.get("variants", ()):
            base = {**before, info["tag"]: variant["case"]}
            await self._object(command, variant["type"], _merged(wrap, base), depth + 1)

    async def _member(
        self, command: str, owner: str, member: dict[str, Any], before: dict[str, Any], wrap: Wrap, depth: int
    ) -> None:
        name, kind = member["name"], self._types[member["type"]]
        inside = _member_of(wrap, before, name)
        while kind["meta-type"] == "array":
            kind, inside = self._types[kind["element-type"]], _element_of(inside)
        if kind["meta-type"] == "builtin" and kind["json-type"] == "int":
            for wrong in (TOO_LARGE, "x"):
                if found := EXPECTS.fullmatch(await self._refusal(command, inside(wrong))):
                    self.integers.setdefault(owner, {})[name] = found[1]
                    break
        elif kind["meta-type"] == "alternate":
            await self._alternate(command, kind, inside, depth)
        elif kind["meta-type"] == "object":
            await self._object(command, kind["name"], inside, depth + 1)

    async def _alternate(self, command: str, kind: dict[str, Any], inside: Wrap, depth: int) -> None:
        if kind["name"] not in self.alternates:
            found = ALTERNATE.fullmatch(await self._refusal(command, inside(1.5)))
            if found and found[1] not in JSON_TYPES:
                self.alternates[kind["name"]] = found[1]
        for option in kind["members"]:
            if self._types[option["type"]]["meta-type"] == "object":
                await self._object(command, option["type"], inside, depth + 1)

    async def _refusal(self, command: str, arguments: dict[str, Any]) -> str:
        try:
            await self._client.execute(command, {**arguments, NO_MEMBER: None})
        except ExecuteError as error:
            return str(error)
        raise AssertionError(f"{command} accepted the member {NO_MEMBER}")

    def _minimal(self, name: str) -> Any:
        """The least valid value of a type."""
        info = self._types[name]
        kind = info["meta-type"]
        if kind == "builtin":
            return {"string": "x", "int": 0, "number": 0, "boolean": False, "null": None}.get(
                info["json-type"], "x"
            )
        if kind == "enum":
            return info["values"][0]
        if kind == "array":
            return []
        if kind == "alternate":
            options = [member["type"] for member in info["members"]]
            plain = [name for name in options if self._types[name]["meta-type"] != "object"]
            return self._minimal((plain or options)[0])  # an object may lead back to this alternate
        value = {m["name"]: self._minimal(m["type"]) for m in info["members"] if "default" not in m}
        if "tag" in info:
            case = value.get(info["tag"])
            variant = next((v["type"] for v in info["variants"] if v["case"] == case), None)
            value.update(self._minimal(variant) if variant else {})
        return value


def _member_of(wrap: Wrap, before: dict[str, Any], name: str) -> Wrap:
    return lambda value: wrap({**before, name: value})


def _element_of(wrap: Wrap) -> Wrap:
    return lambda value: wrap([value])


def _merged(wrap: Wrap, base: dict[str, Any]) -> Wrap:
    return lambda value: wrap({**base, **value})
