"""Records a real QEMU binary as a profile (`profile.py` describes the files): the only way a profile is made.

    -version, -help ─> banner, options        machine none (TCG, KVM) ─> common, none        q35, pc ─> what differs
    a processor object under each accelerator ─> cpu/

What is recorded describes the version: capabilities, types, models, and what is idle for want of any means to use it.
State of a machine is recorded only for one to which nothing was added (`none`, `<machine>-bare`). A second recording of
the same binary on the same machine gives the same files but for the date.
"""

from __future__ import annotations

import asyncio
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
from qemu.qmp.error import QMPError

from qmpemu import __version__
from qmpemu.edge.record_refusals import refusals
from qmpemu.edge.record_widths import Asker
from qmpemu.profile import reply_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 30.0

STATIC = (
    "query-target",
    "query-qmp-schema",
    "query-commands",
    "query-machines",
    "query-cpu-definitions",
    "query-tpm-models",
    "query-tpm-types",
    "query-migrate-capabilities",
    "query-migrate-parameters",
    "query-sev-capabilities",
    "query-sgx-capabilities",
    "query-gic-capabilities",
    "query-dump-guest-memory-capability",
    "query-stats-schemas",
    "qom-list-types",
    "query-command-line-options",  # behind qom-list-types, which loads modules that add options; libvirt asks so too
    "query-chardev-backends",  # likewise
)
"""Commands without arguments whose answer belongs to the version (libvirt's capability probe asks them)."""

DEVICES = """
    AC97 ES1370 ICH9-LPC PIIX4_PM VGA ahci am53c974 bochs-display dc390 e1000 e1000e floppy hda-duplex hda-micro
    hda-output i6300esb i82559er i82801b11-bridge ib700 ich9-ahci ich9-intel-hda ich9-usb-ehci1 ich9-usb-uhci1
    ide-cd ide-hd intel-hda intel-iommu isa-debugcon isa-fdc isa-serial kvm-pit lsi53c895a mch megasas mptsas1068
    ne2k_pci nec-usb-xhci nvdimm nvme pc-dimm pci-bridge pci-serial pcie-pci-bridge pcie-root-port pcnet
    piix3-usb-uhci piix4-usb-uhci pvpanic pvpanic-pci pvscsi pxb pxb-pcie qemu-xhci qxl qxl-vga rtl8139 sb16
    scsi-block scsi-cd scsi-generic scsi-hd sd-card sdhci-pci secondary-vga smbus-eeprom tpm-crb tpm-tis tulip
    u2f-passthru usb-audio usb-bot usb-ccid usb-ehci usb-host usb-hub usb-kbd usb-mouse usb-mtp usb-net usb-redir
    usb-serial usb-storage usb-tablet usb-uas vfio-pci vhost-scsi-pci vhost-user-blk-pci vhost-user-fs-device
    vhost-user-fs-pci vhost-vsock-pci virtconsole virtio-balloon-ccw virtio-balloon-device virtio-balloon-pci
    virtio-blk-pci virtio-crypto-pci virtio-gpu-device virtio-gpu-pci virtio-input-host-pci virtio-iommu-pci
    virtio-keyboard-pci virtio-mem-pci virtio-mouse-pci virtio-net-ccw virtio-net-pci virtio-pmem-pci virtio-rng-pci
    virtio-scsi-ccw virtio-scsi-pci virtio-serial-pci virtio-tablet-pci virtio-vga virtserialport vmcoreinfo vmgenid
    vmware-svga vmxnet3 x3130-upstream xio3130-downstream
""".split()
"""Device types whose properties are recorded: those libvirt asks about and those its drivers make.

Not among them: virtio-gpu-gl-pci and virtio-vga-gl. Asked for these, QEMU 7.2 dies where its OpenGL module is missing.
"""

IDLE = """
    query-pr-managers query-block-exports query-dump query-tpm query-spice query-vnc query-vnc-servers
    query-display-options query-xen-replication-status query-colo-status query-dirty-rate query-vcpu-dirty-limit
    query-replay query-sev query-sev-launch-measure query-sgx query-acpi-ospm-status
""".split()
"""Queries about what nothing in qmpemu can switch on: the answer of an idle machine is the truth for any."""

OBJECT_TYPES = ("memory-backend-file", "memory-backend-memfd", "max-x86_64-cpu", "none-machine")
CPU_MODELS = {"tcg": ("qemu64", "max"), "kvm": ("host", "qemu64")}
SCALARS = re.compile(r"bool|str|strList|string|u?int\d*|OnOffAuto")
OPTION_LINE = re.compile(r"^-([A-Za-z0-9][\w-]*)(?:/-([\w-]+))?(?:.* or -([\w-]+))?")
UNLISTED_OPTIONS = ("M", "portrait", "no-fd-bootchk", "mon", "readconfig", "nouserconfig", "no-user-config")
"""Options that -help may leave out; what the binary does not have is not recorded."""

STATEFUL = re.compile(
    r"query-(status|name|uuid|version|kvm|chardev|yank|cpus-fast|iothreads|current-machine|fdsets)$"
)
"""Queries that depend on how the process was started even on a bare machine."""


class RecordError(Exception):
    """The binary cannot be recorded; one sentence."""


async def record(binary: str, target: Path, *, progress: Callable[[str], object]) -> str:
    """Record `binary` into the new folder `target`; a sentence about what was made. Raises RecordError."""
    path = shutil.which(binary)
    if path is None:
        raise RecordError(f"there is no executable {binary}")
    if target.exists():
        raise RecordError(f"{target} exists already; give --into a folder that does not")
    if not target.parent.is_dir():
        raise RecordError(f"{target.parent}, in which --into lies, is no folder")
    with tempfile.TemporaryDirectory(prefix=".qmpemu-", dir=target.parent) as folder:
        recorder = Recorder(path, Path(folder) / "profile", progress)
        await recorder.run()
        recorder.folder.rename(target)
    return f"recorded {recorder.banner} into {target}: {recorder.files} files"


class Recorder:
    """One recording."""

    def __init__(self, binary: str, folder: Path, progress: Callable[[str], object]) -> None:
        self.binary = binary
        self.folder = folder
        self.banner = ""
        self.files = 0
        self._progress = progress
        self._argv: list[str] = []

    async def run(self) -> None:
        """Record everything."""
        self.banner = (await self._output("-version")).partition("\n")[0]
        if not self.banner.startswith("QEMU emulator version"):
            raise RecordError(f"{self.binary} does not call itself a QEMU emulator")
        self._progress(self.banner)
        self._write("options.json", await self._options())
        kvm_recorded = await self._common()
        for machine in ("q35", "pc"):
            await self._machine(machine)
        for accel in ("tcg", "kvm") if kvm_recorded else ("tcg",):
            await self._processors(accel)

    # --- parts ------------------------------------------------------------------------------------------------

    async def _options(self) -> dict[str, bool]:
        """Every option and whether it takes an argument: two invalid options behind it, which one is refused?"""
        names = set(UNLISTED_OPTIONS)
        for line in (await self._output("-help")).splitlines():
            if match := OPTION_LINE.match(line):
                names.update(name for name in match.groups() if name)
        options: dict[str, bool] = {}
        for name in sorted(names):
            refused = await self._output(f"-{name}", "-qmpemu-first", "-qmpemu-second")
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
            self._about(version, present)
            (self.folder / "greeting.json").write_bytes(greeting + b"\n")
            await self._static(client, "common", ())
            await self._probes(client, "common", (), ["max"])
            await self._idle(client, "common", ())
            await self._bare(client, "none", ("common",))
            schema: Any = await client.execute("query-qmp-schema")
            self._write("widths.json", await Asker(client, schema).run())
            self._write("refusals.json", await refusals(client, schema))
        if not present:
            return False
        try:
            async with self._emulator("none", "kvm") as (client, _):
                await self._static(client, "common-kvm", ("common",))
                await self._probes(client, "common-kvm", ("common",), ["host", "max"])
        except RecordError as error:
            self._progress(f"nothing is recorded under KVM: {error}")
            return False
        return True

    async def _machine(self, machine: str) -> None:
        async with self._emulator(machine, "tcg") as (client, _):
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
            try:
                async with self._emulator("q35", accel, "-cpu", model) as (client, _):
                    rows: Any = await client.execute("qom-list", {"path": "/machine/unattached/device[0]"})
                    values = {}
                    for row in rows:
                        asked = {"path": "/machine/unattached/device[0]", "property": row["name"]}
                        if SCALARS.fullmatch(row["type"]):
                            with suppress(ExecuteError):  # some properties can only be set
                                values[row["name"]] = await client.execute("qom-get", asked)
                    self._write(f"cpu/{accel}/{model}.json", {"properties": rows, "values": values})
            except RecordError as error:
                self._progress(f"no processor {model} under {accel}: {error}")

    # --- tools ------------------------------------------------------------------------------------------------

    def _about(self, version: Any, kvm_present: bool) -> None:
        qemu = version["qemu"]
        self._write(
            "profile.json",
            {
                "version": {name: qemu[name] for name in ("major", "minor", "micro")},
                "package": version["package"],
                "banner": self.banner,
                "kvm_present": kvm_present,
                "binary_sha256": hashlib.sha256(Path(self.binary).read_bytes()).hexdigest(),
                "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "recorder": f"qmpemu {__version__}",
                "argv": " ".join(self._argv),
            },
        )

    async def _reply(
        self,
        client: QMPClient,
        layer: str,
        below: tuple[str, ...],
        command: str,
        arguments: dict[str, Any] | None,
    ) -> None:
        """Ask, and store the reply unless a layer below has the very same."""
        try:
            reply: dict[str, Any] = {"return": await client.execute(command, arguments)}
        except ExecInterruptedError:
            raise RecordError(f"{self.binary} died when it was asked {command} {arguments or ''}") from None
        except ExecuteError as error:
            reply = {"error": {"class": error.error_class, "desc": str(error)}}
        for lower in below:
            file = self.folder / reply_file(lower, command, arguments)
            if file.exists() and json.loads(file.read_text()) == reply:
                return
        self._write(reply_file(layer, command, arguments), reply)

    def _write(self, name: str, value: object) -> None:
        """One line of JSON in QEMU's own spelling: its spaces, and the order in which it sent the members."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value) + "\n", encoding="ascii")
        self.files += 1

    async def _output(self, *words: str) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                self.binary, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
        except OSError as error:
            raise RecordError(f"{self.binary} cannot be run: {error.strerror}") from None
        try:
            output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise RecordError(f"{self.binary} {' '.join(words)} does not end") from None
        return output.decode("utf-8", "replace")

    @asynccontextmanager
    async def _emulator(self, machine: str, accel: str, *more: str) -> AsyncIterator[tuple[QMPClient, bytes]]:
        """A stopped emulator, with a negotiated client and the greeting's bytes. Raises RecordError."""
        words = [
            "-S",
            "-no-user-config",
            "-nodefaults",
            "-nographic",
            "-machine",
            f"{machine},accel={accel}",
            *more,
        ]
        self._argv = words
        self._progress(" ".join(words))
        with tempfile.TemporaryDirectory(prefix="qmpemu-") as folder:
            socket = f"{folder}/qmp"
            process = await asyncio.create_subprocess_exec(
                self.binary,
                *words,
                "-qmp",
                f"unix:{socket},server=on,wait=off",
                stderr=asyncio.subprocess.PIPE,
                stdin=asyncio.subprocess.DEVNULL,
            )
            client = QMPClient("recorder")
            try:
                greeting = await self._greeting(socket, process)
                await client.connect(socket)
                try:
                    yield client, greeting
                finally:
                    with suppress(EOFError):  # it left first; what that broke says so itself
                        await client.disconnect()
            except QMPError as error:
                raise RecordError(f"{self.binary} {' '.join(words)} broke off: {error}") from None
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    async def _greeting(self, socket: str, process: asyncio.subprocess.Process) -> bytes:
        """The greeting's bytes, read below the client library, by a connection of its own."""
        for _ in range(int(PATIENCE_S / 0.02)):
            try:
                reader, writer = await asyncio.open_unix_connection(socket)
                line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
                writer.close()
                return line.rstrip()
            except OSError:
                if process.returncode is not None:
                    assert process.stderr is not None
                    said = (await process.stderr.read()).decode("utf-8", "replace").strip()
                    raise RecordError(f"it left with status {process.returncode}: {said[:300]}") from None
                await asyncio.sleep(0.02)
        raise RecordError(f"{self.binary} did not open its monitor within {PATIENCE_S:.0f} s")
