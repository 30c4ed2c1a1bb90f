"""Random arguments by a schema: mostly right, here and there wrong, so that every layer of a type is reached."""

from __future__ import annotations

import random
from typing import Any

WRONG = [
    *[None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), 1.5, 1e30, "x", "", "on"],
    *[[], ["a"], [1], [None], [-1], [70000], {}, {"foo": 1}, [{}], [[]], {"type": "x"}],
]
RIGHT: dict[str, object] = {"str": "x", "any": 1, "bool": True, "int": 5, "null": None, "number": 1.5}
DEEPEST = 8


class Arguments:
    """A generator of arguments for the commands of a schema (the value of query-qmp-schema)."""

    def __init__(self, infos: list[dict[str, Any]], seed: int) -> None:
        self._pick = random.Random(seed)
        self._types = {info["name"]: info for info in infos if info["meta-type"] != "command"}
        self._commands = {info["name"]: info for info in infos if info["meta-type"] == "command"}

    def of(self, command: str) -> dict[str, Any]:
        """Arguments for `command`, in any order."""
        return self._object(self._commands[command]["arg-type"], 0)

    def _value(self, type_name: str, depth: int) -> object:
        info = self._types[type_name]
        kind = info["meta-type"]
        if depth > DEEPEST or self._pick.random() < 0.06:
            return self._pick.choice(WRONG)
        if kind == "builtin":
            return RIGHT[info["name"]]
        if kind == "enum":
            return self._pick.choice(info["values"])
        if kind == "array":
            return [self._value(info["element-type"], depth + 1) for _ in range(self._pick.randrange(3))]
        if kind == "alternate":
            return self._value(self._pick.choice(info["members"])["type"], depth + 1)
        return self._object(type_name, depth)

    def _object(self, type_name: str, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        layer: str | None = type_name
        while layer is not None:
            info = self._types[layer]
            for member in info["members"]:
                if self._pick.random() < (0.12 if "default" in member else 0.93):
                    value[member["name"]] = self._value(member["type"], depth + 1)
            tag = value.get(info.get("tag", ""))
            layer = next((v["type"] for v in info.get("variants", []) if v["case"] == tag), None)
        if self._pick.random() < 0.07:
            value["foo"] = 1
        return dict(self._pick.sample(list(value.items()), len(value)))
