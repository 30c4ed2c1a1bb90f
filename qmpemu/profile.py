"""One QEMU version as recorded data: greeting, options, replies that describe the version and not a machine's state.

    profile.json    provenance; banner; whether KVM was present        options.json    option -> takes an argument
    greeting.json   the bytes a client is greeted with                 cpu/<accel>/<model>.json
    widths.json     what introspection hides of argument types         refusals.json   "not found" by command
    preconfig.json  the commands that --preconfig allows                devices.json    what -device takes
    device/<type>.json, object/<type>.json   one of each as it stands in a machine that has not run
    compat.json     what older machine types give devices              qtree.json      how `info qtree` tells of them
    replies/<layer>/<command>.json, or <command>/<arguments>.json      {"return": ...} or {"error": ...} as on the wire

Layers, the first that has the file wins: `<machine>-bare` (only where nothing was added to the machine), `common-kvm`
(only under KVM), `<machine>`, `common`; the machine is none, q35 or pc. Files are read when
they are asked for; made by `edge.record`, never by hand.
"""

from __future__ import annotations

from qmpemu.core.json_text import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.qmp.schema import Schema

RETURN, CLOSE = b'{"return": ', b"}"
PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
JSON_STARTS = '-0123456789"{'
NAME_CHARS_MAX, DEPTH_MAX = 200, 4
"""Arguments beyond these were never recorded; a client may send a name longer than a file system takes."""

COMPAT_FILE = "compat.json"
"""Where it stands what older machine types give devices otherwise."""
GLOBALS_FILE = "globals.json"
"""Where it stands what is said of a -global that met no device."""
HELP_FILE = "help.json"
"""Where the lists stand that options show."""
LACKING_FILE = "cpu/tcg/lacking.json"
"""Where it stands which features the accelerator has none of."""
QTREE_FILE = "qtree.json"
"""Where it stands how `info qtree` tells of devices."""
PROPERTIES_FILE = "properties.json"
"""Where it stands which properties the types of objects have."""
OLD_FILE = "cpu/tcg/old.json"
"""Where it stands what models lack in older machine types, where that is not the same."""
VMX_FILE = "cpu/tcg/vmx.json"
"""Where it stands what each model has of it that comes with VMX."""

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

    __slots__ = ("_about", "_groups", "_read", "_schema", "greeting", "name")

    def __init__(self, name: str, read: Callable[[str], bytes | None]) -> None:
        self.name = name
        self._read = read
        self._groups: dict[str, dict[str, str]] | None = None
        self._about: dict[str, Any] = loads(self._file("profile.json"))
        self.greeting = self._file("greeting.json").rstrip()
        """The greeting as one JSON object, without line end."""
        self._schema: Schema | None = None

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
        """query-kvm's `present`: KVM was compiled in, which does not say that it works."""
        return bool(self._about["kvm_present"])

    @property
    def kvm_recorded(self) -> bool:
        """Whether KVM worked where this was recorded, so that there is an answer under KVM at all."""
        return bool(self._about["kvm_recorded"])

    def options(self) -> dict[str, bool]:
        """Every option of the command line, without dashes: whether it takes an argument."""
        return dict(loads(self._file("options.json")))

    def parameters(self, group: str) -> dict[str, str]:
        """The parameters of an option group and their types, from query-command-line-options."""
        if self._groups is None:
            reply = self.reply("none", "tcg", "query-command-line-options", None)
            assert isinstance(reply, bytes)
            self._groups = {
                row["option"]: {each["name"]: each["type"] for each in row["parameters"]}
                for row in loads(reply)
            }
        return self._groups.get(group, {})

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

    @property
    def schema(self) -> Schema:
        """The introspection data, parsed at first need."""
        if self._schema is None:
            from qmpemu.qmp.schema import Schema

            self._schema = Schema(self.schema_bytes(), self.widths())
        return self._schema

    def widths(self) -> dict[str, Any]:
        """What introspection hides of argument types (`qmp.schema.Schema`: hidden)."""
        return dict(loads(self._file("widths.json")))

    def preconfig_commands(self) -> frozenset[str]:
        """The commands that --preconfig allows before x-exit-preconfig."""
        return frozenset(loads(self._file("preconfig.json")))

    def device_types(self) -> dict[str, bool]:
        """Every type that is a device: whether it is abstract."""
        reply = self.reply("none", "tcg", "qom-list-types", {"implements": "device", "abstract": True})
        assert isinstance(reply, bytes)
        return {row["name"]: row.get("abstract", False) for row in loads(reply)}

    def parents(self) -> dict[str, str]:
        """Every type that is a device -> the type above it."""
        reply = self.reply("none", "tcg", "qom-list-types", {"implements": "device", "abstract": True})
        assert isinstance(reply, bytes)
        return {row["name"]: row["parent"] for row in loads(reply)}

    def unmet_classes(self) -> dict[str, list[str]]:
        """The classes of which a -global that met no device is told of as `unused`, or as `unknown`."""
        data = self._read(GLOBALS_FILE)  # profiles of an older recorder lack it
        return {"unused": [], "unknown": []} if data is None else dict(loads(data))

    def help(self, option: str) -> str | None:
        """The list that an option shows for `help`, or None where it has none."""
        data = self._read(HELP_FILE)  # profiles of an older recorder lack it
        return None if data is None else loads(data).get(option)

    def monitor_commands(self) -> dict[str, dict[str, str]]:
        """The human monitor's `verbs` and `info` topics, aliases joined by `|`, and what help says of each."""
        return dict(loads(self._file("hmp.json")))

    def refuses(self, command: str) -> bool:
        """Whether a refusal of the command was recorded."""
        return command in loads(self._file("refusals.json"))

    def refusal(self, command: str, arguments: dict[str, Any]) -> RecordedError | None:
        """How the command is refused when what it names is not there; None where that was not recorded."""
        recorded = loads(self._file("refusals.json")).get(command)
        if recorded and recorded["desc"] == "Device '{id}' not found" and arguments.get("id") == "":
            return RecordedError(
                "GenericError", " is not a hotpluggable device"
            )  # the container of all devices
        try:
            if recorded is None:
                return None
            # recorded with one of two names that may both be given
            text = recorded["desc"].replace("node-name=''", "node-name='{node-name}'")
            return RecordedError(recorded["class"], text.format_map({"node-name": "", **arguments}))
        except KeyError:  # the text names a member that was not given: another form of the command
            return None

    def reply(
        self,
        machine: str,
        accel: str,
        command: str,
        arguments: dict[str, Any] | None,
        *,
        bare: bool = False,
        fresh: bool = False,
    ) -> bytes | RecordedError | None:
        """The recorded return value as JSON, the recorded error, or None where nothing was recorded.

        bare: nothing was added to the machine, so its recorded state is the truth. fresh: no module was loaded yet.
        """
        layers = ["fresh"] if fresh else []
        layers += [f"{machine}-bare"] if bare else []
        layers += ["common-kvm"] if accel == "kvm" else []
        for layer in [*layers, machine, "common"]:
            name = reply_file(layer, command, arguments)
            data = None if name is None else self._read(name)
            if data is not None:
                data = data.rstrip()
                if data.startswith(RETURN):
                    return data[len(RETURN) : -len(CLOSE)]
                error = loads(data)["error"]
                return RecordedError(error["class"], error["desc"])
        return None

    def tree(self, machine: str, *, accel: str = "tcg", preconfig: bool = False) -> dict[str, Any]:
        """The objects of a bare machine by path: `rows` (name and type), `values`, `errors` of what cannot be read."""
        if accel == "kvm" and not preconfig:
            data = self._read(
                tree_file(machine, accel)
            )  # profiles of an older recorder, or without KVM, lack it
            if data is not None:
                return dict(loads(data))
        return dict(loads(self._file(f"tree/{machine}{'-preconfig' if preconfig else ''}.json")))

    def cpu(self, accel: str, model: str) -> dict[str, Any]:
        """A processor object: `properties` (qom-list's rows), `values`, and the `cpu` and `accel` it was recorded of.

        An unrecorded model has the default's, and what it differs in; `cpu` says so.
        """
        for name in (model, DEFAULT_CPU[accel], DEFAULT_CPU["tcg"]):
            for layer in (accel, "tcg"):
                file = cpu_file(layer, name)
                data = None if file is None else self._read(file)
                if data is not None:
                    about = dict(loads(data))
                    if name != model:
                        about["values"] |= self._model(accel, model)
                    return about
        raise AssertionError(f"the profile {self.name} has no processor")

    def _model(self, accel: str, model: str) -> dict[str, Any]:
        """In what a model differs from the default one."""
        data = self._read(models_file(accel)) or self._read(models_file("tcg"))
        return (
            {} if data is None else dict(loads(data).get(model, {}))
        )  # profiles of an older recorder lack it

    def unavailable(self, accel: str, model: str, machine: str = "") -> list[str]:
        """The features of a model, in a machine of that type, that the accelerator has none of."""
        usual = self._model(accel, model).get("unavailable-features", [])
        data = self._read(OLD_FILE) if accel == "tcg" and machine else None
        told = {"sets": [], "machines": {}} if data is None else loads(data)
        number = told["machines"].get(machine)
        return list(usual if number is None else told["sets"][number].get(model, usual))

    def with_vmx(self, model: str) -> list[str]:
        """What a model has with VMX, as `lacking` tells of it."""
        data = self._read(VMX_FILE)  # profiles of an older recorder lack it
        told = {"texts": [], "models": {}} if data is None else loads(data)
        return [told["texts"][number] for number in told["models"].get(model, ())]

    def lacking(self) -> list[str]:
        """All features that TCG has none of, as it warns of them: `CPUID.01H:ECX.vmx [bit 5]`, in that order."""
        data = self._read(LACKING_FILE)  # profiles of an older recorder lack it
        return [] if data is None else list(loads(data))

    def of_version(self, machine: str, model: str) -> dict[str, Any]:
        """Properties of a processor of that model in which a machine type differs from the newest of its family."""
        data = self._read("versions.json")  # profiles of an older recorder lack it
        about = {} if data is None else loads(data).get(machine, {})
        return {**about.get("all", {}), **about.get(model, {})}

    def compat(self, machine: str) -> dict[str, dict[str, Any]]:
        """Class -> what devices of it have otherwise in that machine type; None for what is as usual again."""
        data = self._read(COMPAT_FILE)  # profiles of an older recorder lack it
        told = {} if data is None else loads(data)
        steps = [step for start, each in told.items() if machine.startswith(start) for step in each]
        found: dict[str, dict[str, Any]] = {}
        for version, given in sorted(steps, key=lambda step: _numbers(step[0]), reverse=True):
            if not machine[-1:].isdigit() or _numbers(version) < _numbers(machine.rpartition("-")[2]):
                break
            for kind, values in given.items():
                found.setdefault(kind, {}).update(values)
        return found

    def type_properties(self, name: str) -> list[dict[str, str]] | str | None:
        """The properties of a type, or why it has none; None for one that is not recorded."""
        data = self._read(PROPERTIES_FILE)  # profiles of an older recorder lack it
        if data is None:
            return None
        told = loads(data)
        why = next((text for text, names in told["refused"].items() if name in names), None)
        if why is not None or name not in told["types"]:
            return why
        return [told["rows"][number] for number in told["lists"][told["types"][name]]]

    def qtree(self) -> dict[str, Any] | None:
        """How `info qtree` tells of devices: `lines` of types, `names` of properties by class; None in old profiles."""
        data = self._read(QTREE_FILE)
        return None if data is None else dict(loads(data))

    def pluggable(self) -> dict[str, Any]:
        """Every type or alias that -device takes: its `type`, its `bus`, whether it is `pluggable` at run time."""
        return dict(loads(self._file("devices.json")))

    def added(self, kind: str, name: str) -> dict[str, Any] | None:
        """One recorded `device` or `object` of a type (`objects`, `pci`), or None where there is none."""
        file = added_file(kind, name)
        data = self._read(file) if len(file) < NAME_CHARS_MAX else None
        return None if data is None else dict(loads(data))

    def _file(self, name: str) -> bytes:
        data = self._read(name)
        assert data is not None, f"the profile {self.name} lacks {name}"
        return data


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def cpu_file(accel: str, model: str) -> str | None:
    """Where the processor object of a model stands; None for a name that no file can have."""
    safe = _safe(model, ".")
    return None if len(safe) > NAME_CHARS_MAX else f"cpu/{accel}/{safe}.json"


def tree_file(machine: str, accel: str) -> str:
    """Where the objects of a bare machine stand."""
    return f"tree/{machine}.json" if accel == "tcg" else f"tree/{machine}-{accel}.json"


def models_file(accel: str) -> str:
    """Where it stands in what models differ."""
    return f"cpu/{accel}/models.json"


def added_file(kind: str, name: str) -> str:
    """Where the recorded `device` or `object` of a type stands."""
    return f"{kind}/{_safe(name, '.')}.json"


def reply_file(layer: str, command: str, arguments: dict[str, Any] | None) -> str | None:
    """Where the reply to a command with these arguments stands: `a.b=value` for each leaf, sorted.

    Different arguments have different names; None for those that no file can have.
    """
    if not arguments:
        return f"replies/{layer}/{command}.json"
    leaves = _leaves(arguments)
    name = None if leaves is None else ",".join(sorted(leaves))
    return None if name is None or len(name) > NAME_CHARS_MAX else f"replies/{layer}/{command}/{name}.json"


def _leaves(arguments: dict[str, Any]) -> list[str] | None:
    """`a.b=value` for each leaf; None if a list is among them, or an object too deep: input's depth is the client's."""
    leaves, level = [], [("", arguments)]
    for _ in range(DEPTH_MAX):
        below = []
        for path, members in level:
            for name, value in members.items():
                here = path + _safe(name)
                if isinstance(value, dict) and value:
                    below.append((here + ".", value))
                elif isinstance(value, list):
                    return None
                else:
                    leaves.append(f"{here}={_scalar(value)}")
        level = below
    return None if level else leaves


def _scalar(value: Any) -> str:
    """A string plainly, unless it would read as another type: then, as those, in JSON."""
    if isinstance(value, str) and value not in ("true", "false", "null") and value[:1] not in JSON_STARTS:
        return _safe(value, ".")
    if isinstance(value, bool):
        return "true" if value else "false"
    from json import dumps  # late: it imports `re`, 5 ms of a start

    return _safe(dumps(value), ".")


def _safe(text: str, also: str = "") -> str:
    """`text` with each byte that is not plain as %XX."""
    data = text.encode("utf-8", "surrogatepass")
    plain = PLAIN + also
    return "".join(chr(byte) if chr(byte) in plain else f"%{byte:02X}" for byte in data)
