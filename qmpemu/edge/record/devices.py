"""Records what can be added to a machine: where each device goes, and one of each in a machine that has not run.

    devices.json           every type or alias of -device: its `type`, `bus` (None for none), `pluggable` at run time
    device/<type>.json     objects below /machine/peripheral/ID as in `tree`; `pci` its row of query-pci
    object/<type>.json     the same of what object-add makes

A type that cannot be made without something of the host's is not among the files. What its back ends are differs from
type to type, so recipes are tried in order and the first that starts is taken.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

from qmpemu.edge.record.questions import DEVICES
from qmpemu.edge.record.tree import tree
from qmpemu.machine.devices.catalog import CPU_SUFFIX

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

LISTED = re.compile(r'^name "([^"]+)"(?:, bus ([^,]+))?(?:, alias "([^"]+)")?')
ID = "dev0"
"""The id of the recorded device; in the files it stands wherever QEMU derives a name from it (a bus, say)."""

BUSES = {
    "SCSI": ("-device", "virtio-scsi-pci,id=ctl"),
    "usb-bus": ("-device", "qemu-xhci,id=ctl"),
    "virtio-serial-bus": ("-device", "virtio-serial-pci,id=ctl"),
    "floppy-bus": ("-device", "isa-fdc,id=ctl"),
    "HDA": ("-device", "ich9-intel-hda,id=ctl"),
    "sd-bus": ("-device", "sdhci-pci,id=ctl"),
    "ccid-bus": ("-device", "qemu-xhci,id=usb", "-device", "usb-ccid,id=ctl"),
    "nvme-bus": ("-device", "nvme,serial=none,id=ctl"),
    "IndustryPack": ("-device", "tpci200,id=ctl"),
}
"""What makes a bus that a bare machine lacks."""

MEMORY = ("-m", "128,slots=2,maxmem=1G", "-object", "memory-backend-ram,id=back,size=128M")
RECIPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ()),
    (",drive=back", ("-blockdev", "null-co,node-name=back")),
    (",chardev=back", ("-chardev", "null,id=back")),
    (",memdev=back", MEMORY),
    (",chassis_nr=1", ()),
    (",drive=back,serial=none", ("-blockdev", "null-co,node-name=back")),
    (",fsdev=back,mount_tag=none", ("-fsdev", "local,id=back,path=/,security_model=none")),
    (",cryptodev=back", ("-object", "cryptodev-backend-builtin,id=back")),
    (",bus=port0", ("-device", "pcie-root-port,id=port0")),
    (",bmc=back", ("-device", "ipmi-bmc-sim,id=back")),
    (",memdev=back", ("-machine", "nvdimm=on", *MEMORY)),
    ("", ("-machine", "pc")),
    (",bus_nr=1", ("-machine", "pc")),
    (",bus_nr=1", ("-machine", "cxl=on")),
    (",bus=up0", ("-device", "pcie-root-port,id=port0", "-device", "x3130-upstream,id=up0,bus=port0")),
)
"""What a device may need: its own options, and others before it."""
OPTION = re.compile(r",(?!bus=)([^=]+)=")
"""Of a recipe's own options the names, but for the place."""

CREDENTIALS = "credentials"
"""Stands for a directory of `CREDENTIAL_FILES` that lasts as long as the recording."""
CREDENTIAL_FILES = {
    "ca-cert.pem": """\
-----BEGIN CERTIFICATE-----
MIIBWDCB/6ADAgECAgEBMAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCHJlY29yZGVy
MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjATMREwDwYDVQQDDAhy
ZWNvcmRlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBgeHiZAN+0GPtcFEw7M
k+wU5KK3hKhFZN8qu9ZpMIH6o0UrwzYTJ4/YZDPFdAgihbHCAQe4jh34+46wq7xx
5q+jQjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMB0GA1UdDgQW
BBQXRSefb+vMQwx/5emWPuOU4YvqizAKBggqhkjOPQQDAgNIADBFAiA7XteK44jz
gazPhY9kpPjnpWZLc47H5oDePcjTalyRBQIhAOTUxRU45pKNchyOF5jKpMMUpAw6
YDTEYIdzBwmUq6yY
-----END CERTIFICATE-----
""",
    "keys.psk": "nobody:00\n",
}
"""What is needed to be a client: a certificate authority that has signed nothing; and a shared key."""

OBJECTS: dict[str, dict[str, Any]] = {
    "authz-list": {},
    "authz-simple": {"identity": "nobody"},
    "cryptodev-backend-builtin": {},
    "iothread": {},
    "memory-backend-file": {"mem-path": "/dev/zero", "size": 1 << 20},
    "memory-backend-memfd": {"size": 1 << 20},
    "memory-backend-ram": {"size": 1 << 20},
    "rng-builtin": {},
    "rng-egd": {"chardev": "back"},
    "rng-random": {},
    "secret": {"data": "none"},
    "throttle-group": {},
    "tls-cipher-suites": {"priority": "NORMAL"},
    "tls-creds-anon": {"endpoint": "server"},
    "tls-creds-psk": {"dir": CREDENTIALS, "endpoint": "server"},
    "tls-creds-x509": {"dir": CREDENTIALS},
}
"""Object types of which one is recorded, and what each needs."""
DEADLY = ("virtio-gpu-gl-pci", "virtio-vga-gl")
"""Asked for the properties of these, QEMU 7.2 dies where its OpenGL module is missing."""
STUBBORN = ("ivshmem-doorbell",)
"""With any character device these wait for what its other end says, without end."""
UNENDED = {"isa-applesmc": "osk"}
"""Type -> the property whose text has no end: what lies behind it in the memory of QEMU 7.2 comes with it."""
NOT_PLUGGABLE = "Parameter 'driver' expects a pluggable device type"


def types(listing: str) -> dict[str, dict[str, Any]]:
    """What `-device help` lists, aliases among them."""
    found: dict[str, dict[str, Any]] = {}
    for line in listing.splitlines():
        if match := LISTED.match(line):
            name, bus, alias = match.groups()
            for each in filter(None, (name, alias)):
                found[each] = {"type": name, "bus": bus, "pluggable": True}
    return found


def further(found: dict[str, dict[str, Any]]) -> list[str]:
    """Every type that is listed and is not among those that libvirt asks about, processors left out."""
    listed = {about["type"] for about in found.values()}
    return sorted(name for name in listed - set(DEVICES) - set(DEADLY) if not name.endswith(CPU_SUFFIX))


async def mark_unpluggable(client: QMPClient, found: dict[str, dict[str, Any]]) -> None:
    """Ask a machine that is there already: it refuses such a type before it looks for the bus.

    Processor models are all of one kind, and each question takes the real one 60 ms: one of them is asked.
    """
    processors = [name for name in found if name.endswith(CPU_SUFFIX)]
    for name, about in found.items():
        if name in processors[1:]:
            about["pluggable"] = found[processors[0]]["pluggable"]
            continue
        try:
            await client.execute("device_add", {"driver": name, "bus": "no-such-bus"})
        except ExecuteError as error:
            about["pluggable"] = str(error) != NOT_PLUGGABLE


async def objects(client: QMPClient) -> dict[str, Any]:
    """Type -> its object's part of the tree."""
    found: dict[str, Any] = {}
    await client.execute("chardev-add", {"id": "back", "backend": {"type": "null", "data": {}}})
    with TemporaryDirectory() as folder:
        for name, text in CREDENTIAL_FILES.items():
            Path(folder, name).write_text(text)
        for name, arguments in OBJECTS.items():
            needs_files = arguments.get("dir") == CREDENTIALS
            given = {**arguments, "dir": folder} if needs_files else arguments
            try:
                await client.execute("object-add", {"qom-type": name, "id": ID, **given})
            except ExecuteError:
                continue  # this binary lacks it
            found[name] = {"objects": await tree(client, f"/objects/{ID}"), "pci": None}
            if needs_files:
                found[name]["objects"][f"/objects/{ID}"]["values"].pop("dir")
            await client.execute("object-del", {"id": ID})
    return found


def attempts(name: str, bus: str | None, properties: set[str]) -> list[tuple[str, ...]]:
    """Command lines that may make a device of this type, the simplest first: those with options that it has."""
    before = BUSES.get(bus or "", ())
    return [
        (*before, *words, "-device", f"{name},id={ID}{own}")
        for own, words in RECIPES
        if properties.issuperset(OPTION.findall(own)) and name not in STUBBORN
    ]


async def device(client: QMPClient) -> dict[str, Any]:
    """The recorded device of a running emulator."""
    rows: Any = await client.execute("query-pci")
    # the bus that an expander brings, on which a bridge has its name, comes before the bus that it is on
    found = [row for bus in rows for row in _functions(bus["devices"]) if row["qdev_id"] == ID]
    objects = await tree(client, f"/machine/peripheral/{ID}")
    for about in objects.values():
        about["values"].pop(UNENDED.get(about["values"].get("type"), ""), None)
    return {"objects": objects, "pci": found[-1] if found else None}


def _functions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every PCI function, those behind bridges included."""
    below = [each for row in rows for each in row.get("pci_bridge", {}).get("devices", ())]
    return [*rows, *(_functions(below) if below else ())]
