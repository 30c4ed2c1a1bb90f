"""One recording, from a running binary to the files of a profile."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecInterruptedError, ExecuteError, QMPClient

from qmpemu import __version__
from qmpemu.edge.record import compat, devices, features, globals, helps, qtree, versions
from qmpemu.edge.record.models import models
from qmpemu.edge.record.monitor import monitor_commands
from qmpemu.edge.record.preconfig import allowed
from qmpemu.edge.record.process import RecordError, StartError, emulator, output
from qmpemu.edge.record.questions import (
    BEFORE_MODULES,
    CPU_LESS,
    CPU_MODELS,
    DEVICE_TYPES,
    DEVICES,
    IDLE,
    OBJECT_TYPES,
    STATEFUL,
    STATIC,
    UNLISTED_OPTIONS,
)
from qmpemu.edge.record.refusals import refusals
from qmpemu.edge.record.tree import tree
from qmpemu.edge.record.type_properties import type_properties
from qmpemu.edge.record.widths import Asker
from qmpemu.machine.devices.catalog import HOME
from qmpemu.profile import (
    COMPAT_FILE,
    GLOBALS_FILE,
    HELP_FILE,
    LACKING_FILE,
    OLD_FILE,
    PROPERTIES_FILE,
    QTREE_FILE,
    VMX_FILE,
    added_file,
    cpu_file,
    models_file,
    reply_file,
    tree_file,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BARE = "-S -no-user-config -nodefaults -nographic".split()

SCALARS = re.compile(r"bool|str|strList|string|u?int\d*|OnOffAuto")
OPTION_LINE = re.compile(r"^--?([A-Za-z0-9][\w-]*)(?:/-([\w-]+))?(?:.* or -([\w-]+))?")


async def record(binary: str, target: Path, *, progress: Callable[[str], object]) -> str:
    """Record `binary` into the new folder `target`; a sentence about what was made. Raises RecordError."""
    path = shutil.which(binary)
    if path is None:
        raise RecordError(f"there is no executable {binary}")
    if target.exists():
        raise RecordError(f"{target} exists already; give --into a folder that does not")
    if not target.parent.is_dir():
        raise RecordError(f"{target.parent}, in which --into lies, is no folder")
    try:
        with tempfile.TemporaryDirectory(prefix=".qmpemu-", dir=target.parent) as folder:
            recorder = Recorder(path, Path(folder) / "profile", progress)
            await recorder.run()
            recorder.folder.rename(target)
    except OSError as error:
        raise RecordError(f"{target} cannot be written: {error.strerror}") from None
    return f"recorded {recorder.banner} into {target}: {recorder.files} files"


class Recorder:
    """One recording."""

    def __init__(self, binary: str, folder: Path, progress: Callable[[str], object]) -> None:
        self.binary = binary
        self.folder = folder
        self.banner = ""
        self.files = 0
        self._progress = progress
        self._about: dict[str, Any] = {}
        self._argv: list[str] = []

    async def run(self) -> None:
        """Record everything."""
        self.banner = (await output(self.binary, "-version")).partition("\n")[0]
        if not self.banner.startswith("QEMU emulator version"):
            raise RecordError(f"{self.binary} does not call itself a QEMU emulator")
        self._progress(self.banner)
        options = await self._options()
        self._write("options.json", options)
        kvm_recorded = await self._common()
        await self._preconfig("preconfig" in options)
        for machine in ("q35", "pc"):
            await self._machine(machine)
        for machine in ("q35", "pc") if kvm_recorded else ():
            async with self._emulator(machine, "kvm") as (client, _):
                self._write(tree_file(machine, "kvm"), await tree(client))
        for accel in ("tcg", "kvm") if kvm_recorded else ("tcg",):
            await self._processors(accel)
        await self._features()
        await self._versions()
        await self._devices()
        await self._compat()
        self._write(GLOBALS_FILE, await globals.unmet(self.binary, self._classes()))
        self._write(HELP_FILE, await helps.helps(self.binary))
        self._write("profile.json", {**self._about, "kvm_recorded": kvm_recorded, "recordings": self._argv})

    # --- parts ------------------------------------------------------------------------------------------------

    async def _options(self) -> dict[str, bool]:
        """Every option and whether it takes an argument: two invalid options behind it, which one is refused?"""
        names = set(UNLISTED_OPTIONS)
        for line in (await output(self.binary, "-help")).splitlines():
            if match := OPTION_LINE.match(line):
                names.update(name for name in match.groups() if name)
        options: dict[str, bool] = {}
        for name in sorted(names):
            refused = await output(self.binary, f"-{name}", "-qmpemu-first", "-qmpemu-second")
            if "-qmpemu-first: invalid option" in refused:
                options[name] = False
            elif "-qmpemu-second: invalid option" in refused:
                options[name] = True
        self._progress(f"{len(options)} options")
        return options

    async def _common(self) -> bool:
        """The version's own replies, under TCG and, where it can be had, KVM. Returns whether KVM was recorded.

        `present` in query-kvm only says that KVM was compiled in; whether it works shows when it is asked for.
        """
        async with self._emulator("none", "tcg") as (client, greeting):
            present = bool((await client.execute("query-kvm"))["present"])  # type: ignore[index]
            version: Any = await client.execute("query-version")
            self._about = self._provenance(version, present)
            (self.folder / "greeting.json").write_bytes(greeting + b"\n")
            for command in BEFORE_MODULES:
                await self._reply(client, "fresh", (), command, None)
            self._write("tree/none.json", await tree(client))
            await self._static(client, "common", ())
            for arguments in DEVICE_TYPES:
                await self._reply(client, "common", (), "qom-list-types", arguments)
            await self._reply(client, "common", (), "trace-event-get-state", {"name": "*"})
            await self._probes(client, "common", (), ["max"])
            await self._idle(client, "common", ())
            await self._bare(client, "none", ("common",))
            schema: Any = await client.execute("query-qmp-schema")
            self._write("widths.json", await Asker(client, schema).run())
            self._write("hmp.json", await monitor_commands(client))
            self._write("refusals.json", await refusals(client, schema))
        async with self._emulator("none", "tcg") as (client, _):
            self._write(PROPERTIES_FILE, await type_properties(client))
        if not present:
            return False
        try:
            async with self._emulator("none", "kvm") as (client, _):
                await self._static(client, "common-kvm", ("common",))
                await self._probes(client, "common-kvm", ("common",), ["host", "max"])
        except StartError as error:
            self._progress(f"nothing is recorded under KVM: {error}")
            return False
        return True

    async def _preconfig(self, known: bool) -> None:
        """What may be asked before the machine is there; without the option nothing ever is."""
        names: list[str] = []
        if known:
            async with self._emulator("none", "tcg", "--preconfig") as (client, _):
                schema: Any = await client.execute("query-qmp-schema")
                names = await allowed(client, schema)
            for machine in ("none", "q35", "pc"):
                async with self._emulator(machine, "tcg", "--preconfig") as (client, _):
                    self._write(f"tree/{machine}-preconfig.json", await tree(client))
        self._write("preconfig.json", names)

    async def _machine(self, machine: str) -> None:
        async with self._emulator(machine, "tcg") as (client, _):
            self._write(f"tree/{machine}.json", await tree(client))
            await self._static(client, machine, ("common",))
            await self._idle(client, machine, ("common",))
            await self._bare(client, f"{machine}-bare", (machine, "common"))

    async def _static(self, client: QMPClient, layer: str, below: tuple[str, ...]) -> None:
        for command in STATIC:
            await self._reply(client, layer, below, command, None)

    async def _probes(self, client: QMPClient, layer: str, below: tuple[str, ...], models: list[str]) -> None:
        for device in DEVICES:
            await self._reply(client, layer, below, "device-list-properties", {"typename": device})
        for name in OBJECT_TYPES:
            await self._reply(client, layer, below, "qom-list-properties", {"typename": name})
        for model in models:
            for props in ({}, {"migratable": False}, {"migratable": False, "hv-passthrough": True}):
                kind = "full" if "hv-passthrough" in props else "static"
                expand = {"type": kind, "model": {"name": model, **({"props": props} if props else {})}}
                await self._reply(client, layer, below, "query-cpu-model-expansion", expand)

    async def _idle(self, client: QMPClient, layer: str, below: tuple[str, ...]) -> None:
        for command in IDLE:
            await self._reply(client, layer, below, command, None)

    async def _bare(self, client: QMPClient, layer: str, below: tuple[str, ...]) -> None:
        """Every other query without arguments, on a machine to which nothing was added."""
        schema: Any = await client.execute("query-qmp-schema")
        types = {info["name"]: info for info in schema}
        for info in schema:
            name = info["name"]
            if info["meta-type"] != "command" or not name.startswith(("query-", "x-query-")):
                continue
            members = types[info["arg-type"]]["members"]
            known = name in STATIC or name in IDLE or STATEFUL.match(name)
            if not known and all("default" in member for member in members):
                await self._reply(client, layer, below, name, None)

    async def _processors(self, accel: str) -> None:
        for model in CPU_MODELS[accel]:
            for cpu in (model, model + CPU_LESS) if model in ("host", "max") and accel == "kvm" else (model,):
                try:
                    about = await self._processor(accel, cpu)
                except RecordError as error:
                    self._progress(f"no processor {cpu} under {accel}: {error}")
                    continue
                name = cpu_file(accel, model)
                assert name is not None
                self._write(name, {"cpu": cpu, "accel": accel, **about})
                break
        async with self._emulator("q35", accel) as (client, _):
            self._write(models_file(accel), await models(client))

    async def _features(self) -> None:
        rows = json.loads(self._place(cpu_file("tcg", versions.MODEL)).read_bytes())["properties"]
        switches = [row["name"] for row in rows if row["type"] == "bool"]
        self._write(LACKING_FILE, await features.lacking(self.binary, switches, versions.MODEL))
        names = sorted(json.loads(self._place(models_file("tcg")).read_bytes()))
        self._write(VMX_FILE, await features.with_vmx(self.binary, names))

    async def _versions(self) -> None:
        async with self._emulator("none", "tcg") as (client, _):
            names, own = await versions.machine_types(client), await versions.features(client)
        file = self._place(cpu_file("tcg", versions.MODEL))
        order = list(json.loads(file.read_bytes())["values"])
        known = len(self._argv)
        values: dict[str, Any] = {}
        lacking: dict[str, Any] = {}
        for name in (*versions.NEWEST.values(), *names):
            async with self._emulator(name, "tcg") as (client, _):
                values[name] = await versions.properties(client, order)
                lacking[name] = await versions.lacking(client)
        del self._argv[known:]  # the file names the types
        found = {
            name: versions.differences(values[name], values[versions.newest(name)], own) for name in names
        }
        self._write(OLD_FILE, versions.otherwise(lacking, names))
        self._write("versions.json", {name: about for name, about in found.items() if any(about.values())})

    async def _processor(self, accel: str, cpu: str) -> dict[str, Any]:
        path = "/machine/unattached/device[0]"
        async with self._emulator("q35", accel, "-cpu", cpu) as (client, _):
            rows: Any = await client.execute("qom-list", {"path": path})
            values = {}
            for row in rows:
                if SCALARS.fullmatch(row["type"]):
                    with suppress(ExecuteError):  # some properties can only be set
                        asked = {"path": path, "property": row["name"]}
                        values[row["name"]] = await client.execute("qom-get", asked)
            return {"properties": rows, "values": values}

    async def _devices(self) -> None:
        types = devices.types(await output(self.binary, "-device", "help"))
        async with self._emulator("q35", "tcg") as (client, _):
            await devices.mark_unpluggable(client, types)
            for name, about in (await devices.objects(client)).items():
                self._write(added_file("object", name), about)
            for name in devices.further(types):
                await self._reply(client, "common", (), "device-list-properties", {"typename": name})
        self._write("devices.json", types)
        shown = qtree.Types()
        for name in sorted({*DEVICES, *devices.further(types)} & types.keys()):
            await self._device(name, shown, **types[name])
        async with self._emulator("pc", "tcg") as (client, _):
            await shown.read(client)
        self._write(QTREE_FILE, shown.told(self._parents()))

    def _classes(self) -> list[str]:
        """Every type that is a device."""
        asked = reply_file("common", "qom-list-types", {"implements": "device", "abstract": True})
        return [row["name"] for row in json.loads(self._place(asked).read_bytes())["return"]]

    async def _device(
        self, name: str, shown: qtree.Types, *, type: str, bus: str | None, pluggable: bool
    ) -> None:
        """Record one device by the first recipe that makes it, if any does; its file says which."""
        asked = reply_file("common", "device-list-properties", {"typename": type})
        properties = {row["name"] for row in json.loads(self._place(asked).read_bytes())["return"]}
        for words in devices.attempts(name, bus, properties):
            try:
                async with self._emulator("q35", "tcg", *words) as (client, _):
                    about = await devices.device(client)
                    await shown.read(client)
            except RecordError:  # refused, or made and refused when the machine is done
                continue
            self._write(added_file("device", name), {**about, "recording": self._argv.pop()})
            return
        self._progress(f"no device {name}: it needs something of the host's")

    def _parents(self) -> dict[str, str]:
        """Type -> the type above it."""
        asked = reply_file("common", "qom-list-types", {"abstract": True})
        rows = json.loads(self._place(asked).read_bytes())["return"]
        return {row["name"]: row["parent"] for row in rows if "parent" in row}

    async def _compat(self) -> None:
        recordings = []
        for file in sorted(self.folder.glob("device/*")):
            about = json.loads(file.read_bytes())
            kind = about["objects"][HOME]["values"]["type"]
            recordings.append((kind, about["recording"], about["pci"] is not None))
        async with self._emulator("none", "tcg") as (client, _):
            names = await versions.machine_types(client)
        known = len(self._argv)
        found = await compat.all_steps(names, recordings, self._emulator, self._parents())
        del self._argv[known:]  # the file names the types
        self._write(COMPAT_FILE, found)

    # --- tools ------------------------------------------------------------------------------------------------

    def _provenance(self, version: Any, kvm_present: bool) -> dict[str, Any]:
        qemu = version["qemu"]
        return {
            "version": {name: qemu[name] for name in ("major", "minor", "micro")},
            "package": version["package"],
            "banner": self.banner,
            "kvm_present": kvm_present,
            "binary_sha256": hashlib.sha256(Path(self.binary).read_bytes()).hexdigest(),
            "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "recorder": f"qmpemu {__version__}",
        }

    async def _reply(
        self,
        client: QMPClient,
        layer: str,
        below: tuple[str, ...],
        command: str,
        arguments: dict[str, Any] | None,
    ) -> None:
        """Ask, and store the reply unless a layer below has the very same.

        Asked without an id, so that the line that comes is `{"return": ...}` or `{"error": ...}` and nothing else: its
        bytes are stored as they are, member order, escapes and number forms included. The client's public methods
        return parsed values only, hence the underlined one.
        """
        asked = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            line = bytes(await client._raw(asked, assign_id=False)).rstrip()
        except ExecInterruptedError:
            raise RecordError(f"{self.binary} died when it was asked {command} {arguments or ''}") from None
        for lower in below:
            file = self._place(reply_file(lower, command, arguments))
            if file.exists():
                if file.read_bytes().rstrip() == line:
                    return
                break  # a layer further below is hidden by this one
        self._store(reply_file(layer, command, arguments), line)

    def _write(self, name: str, value: object) -> None:
        """One line of JSON."""
        self._store(name, json.dumps(value).encode("ascii"))

    def _store(self, name: str | None, line: bytes) -> None:
        file = self._place(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(line + b"\n")
        self.files += 1

    def _place(self, name: str | None) -> Path:
        assert name is not None, "what the recorder asks can be named"
        return self.folder / name

    @asynccontextmanager
    async def _emulator(self, machine: str, accel: str, *more: str) -> AsyncIterator[tuple[QMPClient, bytes]]:
        """A stopped emulator, with a negotiated client and the greeting's bytes. Raises RecordError."""
        words = [*BARE, "-machine", f"{machine},accel={accel}", *more]
        async with emulator(self.binary, words, lambda: self._progress(" ".join(words))) as talk:
            yield talk
        self._argv.append(" ".join(words))
