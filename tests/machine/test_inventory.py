"""machine.inventory: what the software sees of the machine's devices."""

from __future__ import annotations

import pytest

from qmpemu.hardware import Hardware, PciAddress
from qmpemu.machine.inventory import hardware
from tests.driven import Driven

NODES = (
    "-blockdev driver=null-co,node-name=n1,size=1073741824 -blockdev driver=null-co,node-name=n2,size=4096 "
    "-blockdev driver=null-co,node-name=n3,size=8192 "
)
Q35 = (
    "-machine q35 -smp 2,maxcpus=2 -m 512 -nodefaults "
    + NODES
    + "-device pcie-root-port,id=pci.1,bus=pcie.0,addr=0x2,chassis=1,port=16 "
    "-device pcie-root-port,id=pci.2,bus=pcie.0,addr=0x3,chassis=2,port=17 "
    "-device virtio-blk-pci,bus=pci.1,addr=0x0,drive=n1,id=d1,serial=ABC "
    "-device virtio-scsi-pci,id=scsi0,bus=pci.2,addr=0x0 "
    "-device scsi-hd,bus=scsi0.0,channel=0,scsi-id=3,lun=1,drive=n2,id=d2 "
    "-device ide-cd,bus=ide.1,drive=n3,id=d3 -device ide-cd,bus=ide.2,id=d4 "
    "-netdev user,id=net0 -device virtio-net-pci,netdev=net0,mac=52:54:00:AB:CD:EF,bus=pcie.0,addr=0x4.0x1 "
    "-device e1000e"
)


def of(line: str) -> Hardware:
    """The inventory of such a machine, once its firmware has numbered the buses."""
    driven = Driven(line)
    driven.run(60)
    return hardware(driven.vm.machine)


def place(address: PciAddress | None) -> tuple[int, int, int] | None:
    """Bus, slot and function."""
    return (address.bus, address.slot, address.function) if address is not None else None


def test_disks_of_q35() -> None:
    """Sizes and serials, the bus and where on it, the PCI function of the disk or of its controller."""
    found = of(Q35).disks
    assert [(d.bus, d.size_bytes, d.serial, d.optical) for d in found] == [
        ("virtio", 1 << 30, "ABC", False),
        ("scsi", 4096, "", False),
        ("sata", 8192, "", True),
        ("sata", None, "", True),
    ]
    assert [(d.channel, d.target, d.unit) for d in found] == [(0, 0, 0), (0, 3, 1), (0, 0, 1), (0, 0, 2)]
    assert [place(d.pci) for d in found] == [(1, 0, 0), (2, 0, 0), (0, 31, 2), (0, 31, 2)]


def test_the_rest_of_q35() -> None:
    """Adapters with MAC and network, processors, memory, virtio functions."""
    found = of(Q35)
    assert [(n.driver, n.mac, n.network, n.link_up) for n in found.nics] == [
        ("virtio-net-pci", "52:54:00:ab:cd:ef", "user", True),
        ("e1000e", "52:54:00:12:34:56", "", True),
    ]
    assert (found.processors, found.memory_bytes, found.uefi) == (2, 512 << 20, False)
    virtio = [device for vendor, device in found.pci_ids if vendor == 0x1AF4]
    assert sorted(virtio) == [0x1000, 0x1042, 0x1048]  # behind a root port modern, beside it transitional


def test_pc() -> None:
    """On the older machine IDE disks are IDE's, and virtio functions on its bus are transitional."""
    found = of(
        f"-machine pc -nodefaults {NODES} -device ide-hd,bus=ide.0,unit=1,drive=n1,id=d1 "
        "-device virtio-balloon-pci,bus=pci.0,addr=0x5"
    )
    (disk,) = found.disks
    assert (disk.bus, place(disk.pci), disk.unit) == ("ide", (0, 1, 1), 1)
    assert (0x1AF4, 0x1002) in found.pci_ids


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_a_machine_without_devices(machine: str) -> None:
    """There is nothing, and nothing fails."""
    found = of(f"-machine {machine} -nodefaults")
    assert (found.disks, found.nics) == ((), ())
    assert all(vendor != 0x1AF4 for vendor, _ in found.pci_ids)
