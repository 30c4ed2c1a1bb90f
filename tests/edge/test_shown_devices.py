"""Machines with devices that bring more than themselves: what is shown of them, on ours as on the real one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

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
        found = [client.ask("query-pci")]
        for path in (each.replace("@0", " ") for each in paths.split()):
            rows = client.ask("qom-list", path=path)["return"]
            found += [
                (path, row, client.ask("qom-get", path=path, property=row["name"]))
                for row in sorted(rows, key=lambda row: str(row["name"]))
            ]
        return found
    finally:
        emulator.kill()


@pytest.mark.parametrize("line", SHOWN)
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """The same functions, objects and values."""
    ours, real = (seen(kind, tmp_path, line, SHOWN[line]) for kind in ("ours", "real"))
    assert ours == real
