"""Machines with devices that bring more than themselves: what is shown of them, on ours as on the real one."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator, say
from tests.edge.two import poll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge.emulators import Client

OLD_DEVICES = (
    "-smp 3 -blockdev null-co,node-name=n1,read-zeroes=on -blockdev null-co,node-name=n2,read-zeroes=on "
    "-device pcie-root-port,id=p1,chassis=1 -device pcie-root-port,id=p2,chassis=2 "
    "-device virtio-rng-pci,bus=p1,id=r -device virtio-net-pci,bus=p2,id=n -device virtio-blk-pci,drive=n1,id=d "
    "-device nvme,drive=n2,serial=x,id=nv -device e1000e,id=e -device pcie-pci-bridge,id=b"
)
OLD_PATHS = (
    " ".join(
        f"/machine/peripheral/{path}"
        for path in (
            "p1 p1/p1 r r/virtio-backend n n/msix-table[0] d d/virtio-pci[0] d/virtio-pci[1] nv nv/nvme[0] "
            "nv/msix-pba[0] e b b/b"
        ).split()
    )
    + " /machine/unattached/device[4] /machine/q35 /machine/q35/mch"
)
"""Devices that older machine types have otherwise, and what is looked at."""
SHOWN = {
    "-M q35 -device pxb-pcie,bus_nr=20,id=a -device pxb-pcie,bus_nr=40,id=b,bus=pcie.0 "
    "-device pcie-root-port,bus=b,id=rb,chassis=1 -device pcie-root-port,bus=a,id=ra,chassis=2 "
    "-device virtio-rng-pci,bus=ra": "/machine/peripheral/rb /machine/unattached/device[26]",
    "-M pc -device pxb,id=b,bus_nr=20 -device e1000,bus=b,id=e "
    "-device pci-bridge,id=c,chassis_nr=3,bus=pci.0,shpc=off": (
        "/machine/peripheral/e /machine/unattached/device[28] /machine/unattached/device[27]"
    ),
    "-M q35 -smp 2 -device pcie-root-port,chassis=1,id=p1 -device pcie-root-port,chassis=2,id=p2 "
    "-device pcie-pci-bridge,id=pb,bus=p2 -device qemu-xhci,id=usb,p2=6,p3=5 -device nvme,serial=x,id=nv "
    "-device qxl-vga,id=v,vgamem_mb=64,vram_size=33554432,vram64_size_mb=256 -device ide-cd,bus=ide.1,id=cd "
    "-device virtio-gpu-pci,max_outputs=2 -device VGA,vgamem_mb=64 -device e1000,rombar=0,id=e": (
        "/machine/peripheral/p1/p1 /machine/peripheral/pb/pb /machine/peripheral/pb/pci_bridge_mem[0] "
        "/machine/peripheral/cd /machine/peripheral/v /backend/console[0] /backend/console[2] /machine/peripheral/e "
        "/machine/unattached/device[2]/lapic/apic-msi[0] /machine/unattached/device[2]/smram[0] "
        "/machine/peripheral/usb/bus@0master[0]"
    ),
    "-M q35 -device pcie-root-port,id=p,chassis=1 -device pcie-pci-bridge,id=b,bus=p "
    "-device pci-bridge,id=c,bus=b,addr=1,chassis_nr=4,shpc=off -device pxb-pcie,id=x,bus_nr=50 "
    "-device pcie-root-port,id=px,chassis=2,bus=x "
    "-device pcie-root-port,id=off,chassis=3,hotplug=off,bus=pcie.0 -device ramfb,id=fb": (
        "/machine/peripheral/p/p /machine/peripheral/b/b /machine/peripheral/c/c /machine/peripheral/px/px "
        "/machine/peripheral/px /machine/peripheral/off/off /machine/peripheral/fb /machine/unattached/sysbus"
    ),
    f"-M pc-q35-6.1 {OLD_DEVICES}": OLD_PATHS,
    f"-M pc-q35-5.0 {OLD_DEVICES}": OLD_PATHS,
    "-M pc-q35-4.0.1 -device virtio-balloon-pci,id=v -device bochs-display,id=g -device pcie-root-port,id=p": (
        "/machine/peripheral/v /machine/peripheral/v/virtio-pci[1] /machine/peripheral/g /machine/peripheral/p"
    ),
    "-M pc-i440fx-3.1 -device virtio-balloon-pci,id=v -device usb-ehci -device usb-tablet,id=t -device VGA,id=g": (
        "/machine/peripheral/v /machine/peripheral/v/virtio-pci[1] /machine/peripheral/t /machine/peripheral/g"
    ),
    f"-M pc-q35-2.6 {OLD_DEVICES}": OLD_PATHS,
    "-M pc-i440fx-2.9 -device pci-bridge,id=b,chassis_nr=1 -device virtio-balloon-pci,id=v,bus=b,addr=1 "
    "-device cirrus-vga,id=c -device usb-ehci -device usb-tablet,id=t": (
        "/machine/peripheral/b /machine/peripheral/b/b /machine/peripheral/v /machine/peripheral/c "
        "/machine/peripheral/t "
        "/machine/i440fx /machine/fw_cfg /machine/unattached/device[18] /machine/unattached/device[13]"
    ),
    "-M pc -global PIIX4_PM.acpi-root-pci-hotplug=off -device pci-bridge,id=b,chassis_nr=1": (
        "/machine/i440fx/pci.0 /machine/peripheral/b/b /machine/unattached/device[18]"
    ),
    "-M q35 -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -device pcie-root-port,id=p": (
        "/machine/peripheral/p/p /machine/unattached/device[2]"
    ),
    "-M pc,acpi=off,i8042=off,vmport=on -vga std -chardev msmouse,id=m": (
        "/machine/unattached/device[13] /machine/i440fx/pci.0 /machine/i440fx"
    ),
    "-M q35,sata=off,smbus=off,acpi=off -smp 2": "/machine/unattached/device[15] /machine/fw_cfg",
    "-M q35,smm=on,vmport=off -m 8G,slots=4,maxmem=32G -smp 2,maxcpus=4,cores=4 "
    "-drive driver=null-co,size=540672,if=pflash,unit=0,read-zeroes=on "
    "-global driver=cfi.pflash01,property=secure,value=on": (
        "/machine/system.flash0 /machine/system.flash0/system.flash0[0] /machine/unattached/sysbus /machine/q35 "
        "/machine/device-memory[0] /objects/pc.ram /machine/unattached/ram-above-4g[0] "
        "/machine/unattached/device[3]/acpi-mem-hotplug[0]"
    ),
}
"""Command line -> objects whose properties are looked at."""


def seen(kind: str, folder: Path, line: str, paths: str) -> list[Any]:
    """query-pci, and each object's properties with what is read of them."""
    emulator = Emulator(kind, folder).start("-S", *shlex.split(line), env={"QMPEMU_GUEST": "none"})
    try:
        client = emulator.client()
        found = [client.ask("query-pci"), client.ask("query-mice"), client.ask("query-current-machine")]
        for path in (each.replace("@0", " ") for each in paths.split()):
            rows = client.ask("qom-list", path=path)["return"]
            found += [
                (path, row, client.ask("qom-get", path=path, property=row["name"]))
                for row in sorted(rows, key=lambda row: str(row["name"]))
            ]
        return found
    finally:
        emulator.kill()


FIRMWARE = (
    "-M q35 -vga std -device pcie-root-port,id=a,chassis=1,bus-reserve=2 -device virtio-net-pci,bus=a "
    "-device pcie-root-port,id=b,chassis=2,io-reserve=8k,pref64-reserve=64M -device x3130-upstream,bus=b,id=u "
    "-device xio3130-downstream,bus=u,id=d,chassis=3 -device e1000e,bus=d -device pcie-pci-bridge,id=p "
    "-device lsi,bus=p,addr=2 -device pci-testdev,membar=8G -device virtio-rng-pci,disable-legacy=on "
    "-device virtio-balloon-pci,disable-modern=on -device pxb-pcie,id=x,bus_nr=100 "
    "-device ioh3420,bus=x,id=i,chassis=4 -device qemu-xhci,bus=pcie.0 -device usb-tablet -device usb-uas",
    "-M pc -m 3G -usb -device pci-bridge,id=a,chassis_nr=1 -device pci-bridge,id=b,chassis_nr=2,bus=a,addr=3,shpc=off "
    "-device qxl,bus=b,addr=1,vram64_size_mb=512 -device e1000,bus=a,addr=1 -device usb-kbd "
    "-device rtl8139",
)
"""Command lines of machines whose PCI functions the firmware sets up, and whose USB devices it gives addresses."""


def set_up(client: Client) -> Any:
    """What query-pci tells, and `info usb` once each USB device has an address: the last that is set up."""
    listed = say(client, "human-monitor-command", command_line="info usb")
    products = [row.split(", ", 1)[1] for row in listed.splitlines()]
    return say(client, "query-pci"), None if "Device 0.0" in listed else products


@pytest.mark.parametrize("line", FIRMWARE)
def test_firmware_sets_up_as_the_real_one(tmp_path: Path, line: str) -> None:
    """The same numbers, interrupt lines, addresses and windows, in a machine that has no guest."""
    found: list[Any] = []
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start(*shlex.split(line), env={"QMPEMU_GUEST": "none"})
        try:
            client = emulator.client()
            poll(lambda: set_up(client)[1] is not None)  # noqa: B023
            with contextlib.suppress(AssertionError):  # the real firmware may begin again
                poll(lambda: [each[0] for each in found[:1]] in ([], [set_up(client)]))  # noqa: B023
            told = say(client, "human-monitor-command", command_line="qom-get /machine/q35 MCFG")
            found.append((set_up(client), told))
        finally:
            emulator.kill()
    assert found[0] == found[1]


@pytest.mark.parametrize("line", SHOWN)
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """The same functions, objects and values."""
    ours, real = (seen(kind, tmp_path, line, SHOWN[line]) for kind in ("ours", "real"))
    assert ours == real


@pytest.mark.parametrize("line", ["-M pc -smp 3 -vga std", "-M q35 -m 5G -smp 2"])
def test_the_boards_parts_are_listed_in_order(tmp_path: Path, line: str) -> None:
    """The order of a hash table, in which names collide as they came."""
    heard = []
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start("-S", *shlex.split(line))
        heard.append(emulator.client().ask("qom-list", path="/machine/unattached"))
        emulator.kill()
    assert heard[0] == heard[1]


PLUGGED = (
    "-device pcie-root-port,id=r1,chassis=1 -device pcie-root-port,id=r2,chassis=2 "
    "-device pcie-root-port,id=off,chassis=3,hotplug=off -device virtio-net-pci,id=n1,bus=r1 "
    "-device i82801b11-bridge,id=old -device pcie-pci-bridge,id=pb -device pci-bridge,id=so,bus=pb,addr=1,shpc=off,"
    "chassis_nr=9"
)
ADDED = (
    {"driver": "virtio-net-pci", "id": "n2", "bus": "r2"},
    {"driver": "virtio-net-pci", "id": "n3", "bus": "off"},
    {"driver": "e1000", "id": "n4", "bus": "old"},
    {"driver": "e1000", "id": "n5", "bus": "pb", "addr": "2"},
    {"driver": "e1000", "id": "n6", "bus": "so", "addr": "2"},
)


def there(client: Client) -> list[str]:
    """The devices that have ids."""
    rows: Any = say(client, "qom-list", path="/machine/peripheral")
    return sorted(row["name"] for row in rows)


@pytest.mark.parametrize("machine", ["pc-q35-6.0", "pc-q35-7.2"])
def test_who_plugs_in_as_on_the_real_one(tmp_path: Path, machine: str) -> None:
    """ACPI asks the guest, and takes what it was asked for at a reset; a port lets go what it has not switched on."""
    heard = []
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start("-S", "-M", machine, *shlex.split(PLUGGED))
        client = emulator.client()
        found = [say(client, "device_add", **each) for each in ADDED]
        for name in "n1 n1 n2 n5 so r1".split():
            found.append(say(client, "device_del", id=name))
        poll(lambda: machine == "pc-q35-7.2" or "not found" in str(say(client, "qom-list", path="n5")))  # noqa: B023
        found.append(there(client))
        client.put("system_reset")
        waited = {"return", "RESET"}
        while waited:
            message = client.read()
            waited.discard(str(message.get("event", "return")))
        heard.append([*found, there(client), say(client, "device_del", id="r2")])
        emulator.kill()
    assert heard[0] == heard[1]


SET = (
    ("/machine/unattached/ram-below-4g[0]", "size", 1),
    ("/machine/unattached/sysbus", "child[0]", "/machine/q35"),
    ("/machine/peripheral/d", "iothread", ""),
    ("/machine/peripheral/d", "bootindex", 1),
    ("/machine/peripheral/d", "bootindex", 2),
    ("/machine/peripheral/d", "vectors", 2),
    ("/machine/peripheral/d", "parent_bus", "/machine/q35/pcie.0"),
    ("/machine/peripheral/d", "nosuch", 2),
)


def test_what_may_be_set_as_on_the_real_one(tmp_path: Path) -> None:
    """Little of a device that is there, and nothing of memory and buses."""
    heard = []
    line = (
        "-M q35 -blockdev null-co,node-name=n,read-zeroes=on -device virtio-blk-pci,drive=n,id=d,bootindex=1"
    )
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start("-S", *line.split())
        client = emulator.client()
        heard.append(
            [say(client, "qom-set", path=path, property=name, value=value) for path, name, value in SET]
        )
        emulator.kill()
    assert heard[0] == heard[1]


PLUGGED_IN = (
    {"driver": "qemu64-x86_64-cpu", "id": "c", "socket-id": 1, "core-id": 0, "thread-id": 0},
    {"driver": "pc-dimm", "id": "m", "memdev": "back"},
    {"driver": "virtio-balloon-pci", "id": "b", "bus": "br", "addr": "1"},
)
PARTS = "c c/lapic c/lapic/apic-msi[0] c/memory[1] m b b/virtio-backend b/virtio-pci[1]"
UNSHOWN = ("feature-words", "filtered-features", "legacy-instance-id")
"""What is not recorded of processors."""


@pytest.mark.parametrize("machine", ["pc-i440fx-2.10", "pc-i440fx-7.2"])
def test_what_is_plugged_in_is_as_on_the_real_one(tmp_path: Path, machine: str) -> None:
    """A processor has its own number, memory is asked for as often as one likes, a node is there since 2.11."""
    heard = []
    line = (
        f"-M {machine} -smp 1,maxcpus=2,sockets=2 -m 256M,slots=2,maxmem=1G -device pci-bridge,id=br,chassis_nr=1 "
        "-object memory-backend-ram,id=back,size=128M"
    )
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start("-S", *line.split())
        client = emulator.client()
        found = [say(client, "device_add", **each) for each in PLUGGED_IN]
        found += [say(client, f"query-{name}") for name in ("hotpluggable-cpus", "memory-devices", "pci")]
        for part in PARTS.split():
            path = f"/machine/peripheral/{part}"
            rows = say(client, "qom-list", path=path)
            names = sorted({row["name"] for row in rows}.difference(UNSHOWN))
            found += [(part, name, say(client, "qom-get", path=path, property=name)) for name in names]
        heard.append([*found, *(say(client, "device_del", id="m") for _ in range(2))])
        emulator.kill()
    assert heard[0] == heard[1]
