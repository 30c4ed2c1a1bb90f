"""`info qtree` of machines as libvirt makes them, on ours as on the real one: buses, devices, properties, addresses."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator, say

if TYPE_CHECKING:
    from pathlib import Path

DISKS = "-blockdev null-co,node-name=n1,read-zeroes=on -blockdev null-co,node-name=n2,read-zeroes=on"
LINES = (
    f"-M q35 -smp 2 {DISKS} -device pcie-root-port,id=p1,chassis=1 -device pcie-root-port,id=p2,chassis=2 "
    "-device virtio-blk-pci,bus=p1,drive=n1,id=disk,bootindex=1 -device qemu-xhci,id=usb,bus=p2,p2=15,p3=15 "
    "-device usb-hub,id=hub -device usb-tablet,id=input -device usb-storage,drive=n2,id=stick,serial=abc "
    "-device virtio-serial-pci,id=vs -chardev null,id=c -device virtserialport,chardev=c,id=port,name=x "
    "-device ide-cd,bus=ide.0,id=cd -device VGA,id=video -device ich9-intel-hda,id=sound -device hda-duplex "
    "-device intel-iommu,id=iommu -device pxb-pcie,id=px,bus_nr=40",
    f"-M pc-i440fx-4.0 {DISKS} -device ich9-usb-ehci1,id=e,addr=5.7,multifunction=on "
    "-device ich9-usb-uhci1,masterbus=e.0,firstport=0,addr=5.0,multifunction=on -device usb-kbd,bus=e.0 "
    "-device virtio-scsi-pci,id=scsi -device scsi-hd,drive=n1,serial=xyz -device lsi,id=old "
    "-netdev user,id=u -device virtio-net-pci,netdev=u,mac=52:54:00:00:00:01 -device cirrus-vga -device isa-serial",
    "-M none",
)


@pytest.mark.parametrize("line", LINES)
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """Every line."""
    heard = []
    for kind in ("ours", "real"):
        emulator = Emulator(kind, tmp_path).start("-S", *shlex.split(line))
        try:
            heard.append(say(emulator.client(), "human-monitor-command", command_line="info qtree"))
        finally:
            emulator.kill()
    assert heard[0].splitlines() == heard[1].splitlines()
