"""-object: user objects, in JSON or in plain form. The plain form has texts only, which are read as the schema says.

    memory-backend-ram,id=m,size=1G,host-nodes=0-1  ->  {"qom-type": ..., "size": 1073741824, "host-nodes": [0, 1]}

Texts are those of QEMU's older visitor of options, not those of its keyval (measured on 7.2).
"""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.core.options import is_identifier
from qmpemu.edge import keyval
from qmpemu.edge.argv.groups import NO_IDENTIFIER
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.qmp.schema import Schema

SIZES = ("align", "hugetlbsize", "size")
SIGNED = ("iothread", "main-loop", "throttle-group")
"""Types whose numbers may be negative, as far as the reading of options knows."""
MOST = 1 << 64
RANGE_MOST = 65536


@option("object")
def _object(parser: Parser, argument: str) -> None:
    members = keyval.parse_json_or_keyval(argument, "qom-type")
    _require(members, "qom-type")
    kind = str(members["qom-type"])
    if parser.profile.added("object", kind) is None and not _is_type(parser, kind):
        if kind in _kinds(parser.profile.schema):
            raise Unprefixed(f"invalid object type: {kind}")
        raise OptionError(f"Parameter 'qom-type' does not accept value '{kind}'")
    _require(members, "id")
    plain = not argument.startswith("{")
    if plain and not is_identifier(str(members["id"])):
        raise OptionError(NO_IDENTIFIER)
    if plain:
        members = _typed(parser.profile.schema, argument, members)
    try:
        parser.profile.schema.check("object-add", members)
    except QmpError as error:
        text = error.desc
        if plain and text.endswith("' is unexpected"):
            text = "Invalid parameter" + text.removeprefix("Parameter").removesuffix(" is unexpected")
        raise OptionError(text) from None
    if any(each["id"] == members["id"] for each in parser.config.objects):
        raise OptionError(f"Duplicate ID '{members['id']}' for object")
    parser.config.objects.append(members)


def _require(members: dict[str, object], name: str) -> None:
    if name not in members:
        raise OptionError(f"Parameter '{name}' is missing")


def _is_type(parser: Parser, name: str) -> bool:
    recorded = parser.profile.reply("none", "tcg", "qom-list-types", {"abstract": True})
    assert isinstance(recorded, bytes)
    return any(row["name"] == name for row in loads(recorded))


def _kinds(schema: Schema) -> list[str]:
    """Every type that object-add has a word for: QEMU is not always built with what is behind it."""
    info = schema.info(schema.argument_type("object-add"))
    tag = next(each["type"] for each in info["members"] if each["name"] == info["tag"])
    return [each["name"] for each in schema.info(tag)["members"]]


def _typed(schema: Schema, argument: str, members: dict[str, object]) -> dict[str, object]:
    """The members with the types that they have in object-add. Raises OptionError."""
    made = dict(members)
    kind = str(members["qom-type"])
    type_name: str | None = schema.argument_type("object-add")
    while type_name is not None:
        info = schema.info(type_name)
        for each in info["members"]:
            if each["name"] in members:
                made[each["name"]] = _value(schema.info(each["type"]), kind, each["name"], argument, members)
        type_name = next((each["type"] for each in info.get("variants", []) if each["case"] == kind), None)
    return made


def _value(info: dict[str, Any], kind: str, name: str, argument: str, members: dict[str, object]) -> object:
    text = str(members[name])
    if info["meta-type"] == "array":
        given = (item.partition("=") for item in keyval.split_items(argument))
        return [number for key, _, each in given if key == name for number in _range(name, each)]
    json_type = info.get("json-type")
    if json_type == "boolean":
        return keyval.switch(name, text)
    if json_type != "int":
        return text
    return _size(name, text) if name in SIZES else _number(name, text, signed=kind in SIGNED)


def _size(name: str, text: str) -> int:
    try:
        return keyval.size(name, text, "B")
    except OptionError:
        raise OptionError(f"Parameter '{name}' expects a size value") from None


def _number(name: str, text: str, *, signed: bool) -> int:
    low, high = (-(MOST >> 1), MOST >> 1) if signed else (0, MOST)
    try:
        number = int(text, 0)
    except ValueError:
        number = MOST
    if not low <= number < high:
        raise OptionError(f"Parameter '{name}' expects {'an int64' if signed else 'a uint64'} value")
    return number


def _range(name: str, text: str) -> range:
    first, dash, last = text.partition("-")
    try:
        found = range(int(first, 0), int(last if dash else first, 0) + 1)
    except ValueError:
        found = range(0)
    if not 0 < len(found) <= RANGE_MOST:
        raise OptionError(f"Parameter '{name}' expects a uint64 value or range")
    return found
