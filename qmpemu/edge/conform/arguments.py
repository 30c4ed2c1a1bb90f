"""Random messages by a schema: mostly right, here and there wrong, so that every layer of a type is reached."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

WRONG: list[Any] = [
    *[None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), 1.5, 1e30, "x", "", "on"],
    *[[], ["a"], [1], [None], [-1], [70000], {}, {"foo": 1}, [{}], [[]], {"type": "x"}],
]
RIGHT: dict[str, Any] = {"any": 1, "bool": True, "int": 5, "null": None, "number": 1.5}
TEXTS = (
    "x",
    "",
    "nope",
    "/machine",
    "/",
    "machine",
    "none-machine",
    "one",
    "type",
    "VGA",
    "a/b",
    "0",
    "äö😀",
    "a\x7f\n",
)
DEEPEST = 8
REFUSED = "certainly-unexpected"
"""A member that no command has."""
NEVER = frozenset(
    {
        "quit",
        "qmp_capabilities",
        "x-query-jit",
        "query-cpus-fast",
        "query-fdsets",
        "add-fd",
        "human-monitor-command",
        "calc-dirty-rate",
    }
)
"""Left out: those that end or begin a session, whose numbers or seconds are the host's, or that have a step of their
own."""
ONLY_REFUSED = frozenset(
    {"blockdev-create", "memsave", "pmemsave", "snapshot-delete", "snapshot-load", "snapshot-save"}
)
"""Only sent to be refused: jobs end in their own time; of a negative size the real one writes till the disk is full."""
SPICE = b"{}[]:,\"'\\ \n\t0123456789-+.eEtrufalsn\x00\x01\x1f\x7f\x80\xc0\xe2\xf0\xfe\xff"
IDS: tuple[Any, ...] = (None, 0, -1, 1.5, "id", "é\n", [], {}, {"b": 1, "a": [{}]}, 2**64, True)
HARMLESS = ("query-name", "query-status", "query-uuid", "nosuch", "query-version")
OUT_OF_BAND = ("query-yank", "migrate-pause", "query-name", "nosuch")


class Arguments:
    """Messages for the commands of a schema (the value of query-qmp-schema)."""

    def __init__(self, infos: list[dict[str, Any]], not_emulated: frozenset[str] = frozenset()) -> None:
        self._types = {info["name"]: info for info in infos if info["meta-type"] != "command"}
        self._commands = {info["name"]: info for info in infos if info["meta-type"] == "command"}
        self._names = sorted(self._commands.keys() - NEVER)
        self._not_emulated = not_emulated

    def message(self, pick: random.Random) -> str:
        """A whole command as text."""
        name = pick.choice(self._names) if pick.randrange(20) else "nosuch"
        message: dict[str, Any] = {"execute": name}
        arguments = self.of(name, pick) if name in self._commands else {}
        if name == "blockdev-reopen" and arguments.get("options") == []:  # an assertion ends the real one
            arguments["options"] = [{}]
        if arguments.get("qom-type") == "x-remote-object":  # so does this, but on a machine for it
            arguments["qom-type"] = "x"
        if name in self._not_emulated or name in ONLY_REFUSED:
            arguments[REFUSED] = 1
        if arguments or not pick.randrange(4):
            message["arguments"] = arguments
        if pick.randrange(3):
            message["id"] = pick.choice(IDS)
        if not pick.randrange(30):
            message[pick.choice(("foo", "exec-oob"))] = 1
        return json.dumps(message, ensure_ascii=bool(pick.randrange(2)))

    def harmless(self, pick: random.Random) -> str:
        """A command that changes nothing, to be mutated."""
        message: dict[str, Any] = {"execute": pick.choice(HARMLESS), "id": pick.choice(IDS)}
        if not pick.randrange(3):
            message["arguments"] = pick.choice(WRONG)
        return json.dumps(message, ensure_ascii=bool(pick.randrange(2)))

    def mixed(self, pick: random.Random) -> str:
        """A few commands with out-of-band ones among them; their ids begin with `oob`."""
        parts = []
        for number in range(pick.randrange(2, 6)):
            if pick.randrange(2):
                parts.append(json.dumps({"exec-oob": pick.choice(OUT_OF_BAND), "id": f"oob {number}"}))
            else:
                parts.append(
                    json.dumps({"execute": pick.choice(("query-name", "stop", "nosuch")), "id": number})
                )
        return "".join(parts)

    def of(self, command: str, pick: random.Random) -> dict[str, Any]:
        """Arguments for `command`, in any order."""
        return self._object(self._commands[command]["arg-type"], 0, pick)

    def _value(self, type_name: str, depth: int, pick: random.Random) -> Any:
        info = self._types[type_name]
        kind = info["meta-type"]
        if depth > DEEPEST or pick.randrange(16) == 0:
            return pick.choice(WRONG)
        if kind == "builtin":
            return pick.choice(TEXTS) if info["name"] == "str" else RIGHT[info["name"]]
        if kind == "enum":
            return pick.choice(info["values"])
        if kind == "array":
            return [self._value(info["element-type"], depth + 1, pick) for _ in range(pick.randrange(3))]
        if kind == "alternate":
            return self._value(pick.choice(info["members"])["type"], depth + 1, pick)
        return self._object(type_name, depth, pick)

    def _object(self, type_name: str, depth: int, pick: random.Random) -> dict[str, Any]:
        value: dict[str, Any] = {}
        layer: str | None = type_name
        while layer is not None:
            info = self._types[layer]
            for member in info["members"]:
                if member["name"] == "abstract":  # such a socket would be one for both machines
                    continue
                if pick.randrange(100) < (12 if "default" in member else 93):
                    value[member["name"]] = self._value(member["type"], depth + 1, pick)
            tag = value.get(info.get("tag", ""))
            layer = next((v["type"] for v in info.get("variants", []) if v["case"] == tag), None)
        if pick.randrange(14) == 0:
            value["foo"] = 1
        rows = list(value.items())
        pick.shuffle(rows)
        return dict(rows)


def mutated(pick: random.Random, arguments: Arguments) -> bytes:
    """A few messages, mutated byte by byte. None of them may end the machine, however it is mutated."""
    return mutate(pick, "".join(arguments.harmless(pick) for _ in range(pick.randrange(1, 4))).encode())


def mutate(pick: random.Random, original: bytes) -> bytes:
    """`original` with a few bytes put in, taken away, changed or doubled."""
    data = bytearray(original)
    for _ in range(pick.randrange(6)):
        at = pick.randrange(len(data) + 1)
        match pick.randrange(4):
            case 0:
                data.insert(at, pick.choice(SPICE))
            case 1:
                del data[at : at + pick.randrange(1, 5)]
            case 2:
                data[at : at + 1] = bytes([pick.randrange(256)])
            case 3:
                start = pick.randrange(len(data) + 1)
                data[at:at] = data[start : start + pick.randrange(20)]
    return bytes(data)
