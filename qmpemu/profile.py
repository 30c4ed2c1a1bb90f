"""One QEMU version as recorded data: greeting, options, replies that describe the version and not a machine's state.

    profile.json    provenance; banner; whether KVM was present        options.json    option -> takes an argument
    greeting.json   the bytes a client is greeted with                 cpu/<accel>/<model>.json
    widths.json     what introspection hides of argument types         refusals.json   "not found" by command
    replies/<layer>/<command>.json, or <command>/<arguments>.json      {"return": ...} or {"error": ...} as on the wire

Layers, the first that has the file wins: `<machine>-bare` (only where nothing was added to the machine), `common-kvm`
(only under KVM), `<machine>`, `common`; the machine is none, q35 or pc. Files are read when
they are asked for; made by `edge.record`, never by hand.
"""

from __future__ import annotations

from json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RETURN, CLOSE = b'{"return": ', b"}"
DEFAULT_CPU = {"kvm": "host", "tcg": "qemu64"}
"""The recorded model that stands for one that is not."""


class RecordedError:
    """A recorded refusal."""

    __slots__ = ("cls", "desc")

    def __init__(self, cls: str, desc: str) -> None:
        self.cls = cls
        self.desc = desc


class Profile:
    """A profile. read(name): the bytes of a file of the profile's folder, or None."""

    __slots__ = ("_about", "_read", "greeting", "name")

    def __init__(self, name: str, read: Callable[[str], bytes | None]) -> None:
        self.name = name
        self._read = read
        self._about: dict[str, Any] = loads(self._file("profile.json"))
        self.greeting = self._file("greeting.json").rstrip()
        """The greeting as one JSON object, without line end."""

    @property
    def version(self) -> dict[str, int]:
        """major, minor, micro."""
        return dict(self._about["version"])

    @property
    def package(self) -> str:
        """The distributor's version, as query-version has it."""
        return str(self._about["package"])

    @property
    def banner(self) -> str:
        """The first line of -version."""
        return str(self._about["banner"])

    @property
    def kvm_present(self) -> bool:
        """Whether the recorded QEMU saw KVM."""
        return bool(self._about["kvm_present"])

    def options(self) -> dict[str, bool]:
        """Every option of the command line, without dashes: whether it takes an argument."""
        return dict(loads(self._file("options.json")))

    def commands(self) -> frozenset[str]:
        """The names of all commands, from query-commands: the schema would cost too much at a start."""
        reply = self.reply("none", "tcg", "query-commands", None)
        assert isinstance(reply, bytes)
        return frozenset(row["name"] for row in loads(reply))

    def schema_bytes(self) -> bytes:
        """query-qmp-schema's return value as JSON."""
        reply = self.reply("none", "tcg", "query-qmp-schema", None)
        assert isinstance(reply, bytes)
        return reply

    def widths(self) -> dict[str, Any]:
        """What introspection hides of argument types (`qmp.schema.Schema`: hidden)."""
        return dict(loads(self._file("widths.json")))

    def refuses(self, command: str) -> bool:
        """Whether a refusal of the command was recorded."""
        return command in loads(self._file("refusals.json"))

    def refusal(self, command: str, arguments: dict[str, Any]) -> RecordedError | None:
        """How the command is refused when what it names is not there; None where that was not recorded."""
        recorded = loads(self._file("refusals.json")).get(command)
        try:
            return recorded and RecordedError(recorded["class"], recorded["desc"].format_map(arguments))
        except KeyError:  # the text names a member that was not given: another form of the command
            return None

    def reply(
        self, machine: str, accel: str, command: str, arguments: dict[str, Any] | None, *, bare: bool = False
    ) -> bytes | RecordedError | None:
        """The recorded return value as JSON, the recorded error, or None where nothing was recorded.

        bare: nothing was added to the machine, so its recorded state is the truth.
        """
        layers = [f"{machine}-bare"] if bare else []
        layers += ["common-kvm"] if accel == "kvm" else []
        for layer in [*layers, machine, "common"]:
            data = self._read(reply_file(layer, command, arguments))
            if data is not None:
                data = data.rstrip()
                if data.startswith(RETURN):
                    return data[len(RETURN) : -len(CLOSE)]
                error = loads(data)["error"]
                return RecordedError(error["class"], error["desc"])
        return None

    def cpu(self, accel: str, model: str) -> dict[str, Any]:
        """A processor object: `properties` (qom-list's rows) and `values`. An unrecorded model has the default's."""
        for name in (model, DEFAULT_CPU[accel], DEFAULT_CPU["tcg"]):
            data = self._read(f"cpu/{accel}/{name}.json") or self._read(f"cpu/tcg/{name}.json")
            if data is not None:
                return dict(loads(data))
        raise AssertionError(f"the profile {self.name} has no processor")

    def _file(self, name: str) -> bytes:
        data = self._read(name)
        assert data is not None, f"the profile {self.name} lacks {name}"
        return data


def reply_file(layer: str, command: str, arguments: dict[str, Any] | None) -> str:
    """Where the reply to a command with these arguments stands: `a.b=value` for each leaf, sorted."""
    if not arguments:
        return f"replies/{layer}/{command}.json"
    leaves = ",".join(sorted(_leaves("", arguments)))
    safe = "".join(c if c.isalnum() or c in "-_.,=" else "~" for c in leaves)
    return f"replies/{layer}/{command}/{safe}.json"


def _leaves(path: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for name in value for leaf in _leaves(f"{path}.{name}" if path else name, value[name])]
    return [f"{path}={value if isinstance(value, str) else dumps(value)}"]
