"""The agent's commands: one decorated function each, checked as QEMU checks QMP commands, and listed by guest-info.

    @command("guest-file-read", handle="int", count="int?")       # `?`: may be left out; `[str]`: an array
    def guest_file_read(agent, handle, count=...): ...

A function returns its result, `NOTHING` where success has no reply, or is a generator (`Steps`) when it takes time.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.qmp import errors
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.qmp.schema import Schema

    Handler = Callable[..., object]

NOTHING = object()
"""The result of a command that does not answer."""

UNSUPPORTED = "this feature or command is not currently supported"

LISTED = """
guest-get-cpustats guest-get-diskstats guest-get-devices guest-get-osinfo guest-get-timezone guest-get-users
guest-get-host-name guest-exec guest-exec-status guest-get-memory-block-info guest-set-memory-blocks
guest-get-memory-blocks guest-set-user-password guest-get-fsinfo guest-get-disks guest-set-vcpus guest-get-vcpus
guest-network-get-interfaces guest-suspend-hybrid guest-suspend-ram guest-suspend-disk guest-fstrim
guest-fsfreeze-thaw guest-fsfreeze-freeze-list guest-fsfreeze-freeze guest-fsfreeze-status guest-file-flush
guest-file-seek guest-file-write guest-file-read guest-file-close guest-file-open guest-shutdown guest-info
guest-set-time guest-get-time guest-ping guest-sync guest-sync-delimited
""".split()
"""guest-info's order, measured; without guest-ssh-*, which the Windows build does not have."""

WHILE_FROZEN = frozenset(
    "guest-ping guest-info guest-sync guest-sync-delimited guest-fsfreeze-status guest-fsfreeze-thaw".split()
)
"""What an agent that holds writes still does (measured)."""

TYPES: dict[str, dict[str, Any]] = {
    "int": {"meta-type": "builtin", "json-type": "int"},
    "str": {"meta-type": "builtin", "json-type": "string"},
    "bool": {"meta-type": "builtin", "json-type": "boolean"},
    "[str]": {"meta-type": "array", "element-type": "str"},
    "QGASeek": {"meta-type": "enum", "values": ["set", "cur", "end"]},
    "GuestFileWhence": {"meta-type": "alternate", "members": [{"type": "int"}, {"type": "QGASeek"}]},
    "GuestLogicalProcessor": {
        "meta-type": "object",
        "members": [
            {"name": "logical-id", "type": "int"},
            {"name": "online", "type": "bool"},
            {"name": "can-offline", "type": "bool", "default": None},
        ],
    },
    "[GuestLogicalProcessor]": {"meta-type": "array", "element-type": "GuestLogicalProcessor"},
    "GuestMemoryBlock": {
        "meta-type": "object",
        "members": [
            {"name": "phys-index", "type": "int"},
            {"name": "online", "type": "bool"},
            {"name": "can-offline", "type": "bool", "default": None},
        ],
    },
    "[GuestMemoryBlock]": {"meta-type": "array", "element-type": "GuestMemoryBlock"},
}
"""The types of arguments, as QMP introspection writes them."""


class Command(NamedTuple):
    """One command.

    answers: success has a reply. acts: it does more than tell. enabled: whether this operating system has it.
    """

    name: str
    call: Handler
    arguments: dict[str, str]
    answers: bool
    acts: bool
    enabled: bool


BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n")
"""What the agent takes as base64; GLib decodes it whatever the order."""

COMMANDS: dict[str, Command] = {}
_schema: list[Schema] = []


def command(
    name: str, *, answers: bool = True, acts: bool = False, enabled: bool = True, **arguments: str
) -> Callable[[Handler], Handler]:
    """Register a function `(agent, **arguments)`; `-` in an argument's name is `_` here."""

    def register(call: Handler) -> Handler:
        spelled = {argument.replace("_", "-"): kind for argument, kind in arguments.items()}
        COMMANDS[name] = Command(name, call, spelled, answers, acts, enabled)
        return call

    return register


def load() -> None:
    """Import every topic file beside this one."""
    if not COMMANDS:
        for entry in sorted(os.listdir(os.path.dirname(__file__))):
            module, _, ending = entry.partition(".")
            if ending == "py" and module not in ("__init__", "registry", "session", "host"):
                import_module(f"{__package__}.{module}")


def unsupported() -> QmpError:
    """A command that the Windows build has, and Windows not."""
    return QmpError(UNSUPPORTED)


def failed(why: str) -> QmpError:
    """The agent's own frame around a reason."""
    return QmpError(f"Guest agent command failed, error was '{why}'")


def decoded(base64: str) -> bytes:
    """Decode an argument, as leniently as GLib: what is no whole group at the end is dropped. Raises QmpError."""
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(base64, strict_mode=True)
    except (Error, ValueError):
        if not BASE64.issuperset(base64):
            raise QmpError("Base64 data contains invalid characters") from None
    return _decoded_loosely(base64.replace("\n", ""))


def _decoded_loosely(text: str) -> bytes:
    """Whole groups of four; `=` stands for nothing at the end of a group, for zero bits elsewhere."""
    from binascii import a2b_base64

    found = bytearray()
    for at in range(0, len(text) - 3, 4):
        group = text[at : at + 4]
        data = a2b_base64(group.replace("=", "A"))
        found += data[:1]
        if group[2] != "=":
            found += data[1:2]
        if group[3] != "=":
            found += data[2:3]
    return bytes(found)


def encoded(data: bytes) -> str:
    """Encode for a reply."""
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode("ascii")


def listed(*, frozen: bool) -> list[dict[str, object]]:
    """guest-info's rows."""
    load()
    return [
        {
            "enabled": COMMANDS[name].enabled and (not frozen or name in WHILE_FROZEN),
            "name": name,
            "success-response": COMMANDS[name].answers,
        }
        for name in LISTED
    ]


def request(message: object, *, frozen: bool) -> tuple[Command, dict[str, Any]]:
    """The command that `message` asks for, and its arguments as keywords. Raises QmpError with QEMU's texts."""
    load()
    name, arguments = _envelope(message)
    chosen = COMMANDS.get(name)
    if chosen is None:
        raise errors.command_not_found(name)
    if not chosen.enabled:
        raise QmpError(f"Command {name} has been disabled", errors.NOT_FOUND)
    if frozen and name not in WHILE_FROZEN:
        raise QmpError(f"Command {name} has been disabled: the agent is in frozen state", errors.NOT_FOUND)
    schema().check(name, arguments)
    return chosen, {argument.replace("-", "_"): value for argument, value in arguments.items()}


def _envelope(message: object) -> tuple[str, dict[str, Any]]:
    if not isinstance(message, dict):
        raise QmpError(errors.NOT_AN_OBJECT)
    for member in message:
        if member not in ("execute", "arguments", "id"):
            raise errors.member_unexpected(member)
    name, arguments = message.get("execute"), message.get("arguments", {})
    if "execute" not in message:
        raise QmpError(errors.LACKS_EXECUTE)
    if not isinstance(name, str):
        raise errors.member_must_be("execute", "a string")
    if not isinstance(arguments, dict):
        raise errors.member_must_be("arguments", "an object")
    return name, arguments


def schema() -> Schema:
    """The argument types of all commands, built at first need."""
    if not _schema:
        from json import dumps

        from qmpemu.qmp.schema import Schema

        infos: list[dict[str, Any]] = [{"name": name, **info} for name, info in TYPES.items()]
        for known in COMMANDS.values():
            arg_type = f"{known.name}-arg"
            infos.append({"name": known.name, "meta-type": "command", "arg-type": arg_type})
            infos.append({"name": arg_type, "meta-type": "object", "members": _members(known)})
        alternates = {name: name for name, info in TYPES.items() if info["meta-type"] == "alternate"}
        _schema.append(Schema(dumps(infos).encode(), {"alternates": alternates}))
    return _schema[0]


def _members(known: Command) -> list[dict[str, object]]:
    return [
        {"name": name, "type": kind.rstrip("?"), **({"default": None} if kind.endswith("?") else {})}
        for name, kind in known.arguments.items()
    ]
