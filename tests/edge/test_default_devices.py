"""What a machine has that nobody asked for by -device: the same on ours and on the real QEMU, beside each other."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import REAL, Emulator

if TYPE_CHECKING:
    from pathlib import Path

QUERIES: tuple[tuple[str, dict[str, str]], ...] = (
    ("query-block", {}),
    ("query-named-block-nodes", {}),
    ("query-blockstats", {}),
    ("query-chardev", {}),
    ("query-pci", {}),
    ("query-mice", {}),
    ("query-rx-filter", {}),
    ("qom-list", {"path": "/machine"}),
    ("qom-list", {"path": "/machine/unattached"}),
    ("qom-list", {"path": "/machine/peripheral-anon"}),
    ("qom-list", {"path": "/chardevs"}),
    ("human-monitor-command", {"command-line": "info network"}),
    ("human-monitor-command", {"command-line": "info block"}),
    ("human-monitor-command", {"command-line": "info pci"}),
    ("human-monitor-command", {"command-line": "info usb"}),
    ("human-monitor-command", {"command-line": "info qom-tree"}),
    ("human-monitor-command", {"command-line": "info numa"}),
    ("human-monitor-command", {"command-line": "info memdev"}),
    ("human-monitor-command", {"command-line": "info uuid"}),
    ("human-monitor-command", {"command-line": "info qtree"}),
    ("x-query-usb", {}),
    ("x-query-numa", {}),
)
LINES = """
    -name defaults
    -machine q35
    -smp 2 -m 256 -hda {folder}/d.qcow2
    -machine q35 -drive file={folder}/d.qcow2,format=qcow2 -cdrom {folder}/d.iso
    -drive file={folder}/d.qcow2,if=virtio,cache=none,discard=unmap
    -drive file={folder}/d.qcow2,if=none,id=hd0,format=qcow2 -device virtio-blk-pci,drive=hd0
    -machine q35 -device virtio-scsi-pci,id=s -drive file={folder}/d.qcow2,id=d,if=none -device scsi-hd,drive=d
    -drive file={folder}/d.iso,media=cdrom,index=3
    -fda {folder}/floppy.img
    -nodefaults -drive file={folder}/d.iso,format=raw,readonly=on,if=virtio
    -nic user,model=virtio-net-pci,id=n0,mac=52:54:00:00:00:01
    -nic user,model=e1000 -nic user,model=virtio
    -nic none
    -net nic -net user
    -netdev user,id=n0 -device e1000,netdev=n0
    -serial null -parallel none
    -serial chardev:c0 -chardev null,id=c0
    -nographic -serial none
    -vga none
    -vga virtio
    -audio none,model=hda -usbdevice tablet
    -machine q35 -audio driver=none,model=ac97,id=x -device virtio-balloon-pci
    -nodefaults -audio none,model=sb16
    -device bochs-display
    -device isa-serial
    -device ide-cd
    -machine q35 -usbdevice tablet
    -machine none
    -machine none -hda {folder}/d.qcow2 -cdrom {folder}/d.iso
    -machine none -nodefaults -serial null -parallel null
    -nodefaults -machine none -vga std
    {folder}/d.qcow2
    -drive file={folder}/d.iso,format=raw,cache=directsync,werror=stop,rerror=report,bps=1000,iops_wr=5
    -drive file={folder}/d.iso,format=raw,throttling.iops-total=10,throttling.group=g,cache=writethrough
    -drive file={folder}/d.iso,format=raw,if=none,id=a -cdrom {folder}/d.iso
    -nodefaults -drive file={folder}/d.iso,format=raw,if=none,id=a -usb -device usb-storage,drive=a
    -nodefaults -device virtio-blk-pci,drive=n,write-cache=off -blockdev null-co,node-name=n
    -nodefaults -serial /dev/null -serial udp:127.0.0.1:5555 -serial none -serial vc:80Cx24C
    -net nic,model=virtio
    -nodefaults -net nic -net nic -net user
    -nodefaults -net user
    -nodefaults -virtfs local,path=/tmp,mount_tag=shared-folder,security_model=none -device e1000,romfile=
    -nodefaults -chardev null,id=a,mux=on -serial chardev:a -chardev socket,id=c,path=/none,reconnect=9
    -nodefaults -readconfig {folder}/machine.cfg
    -machine pc,vmport=off -usbdevice tablet -usbdevice mouse -m 256,slots=2,maxmem=1G -device virtio-serial-pci
    -nodefaults -netdev hubport,id=a,hubid=3 -netdev hubport,id=b,hubid=4 -device e1000,netdev=b -nic user
    -netdev user,id=u -netdev hubport,id=a,hubid=0,netdev=u -netdev hubport,id=b,hubid=0 -device e1000,netdev=b
    -netdev hubport,id=a,hubid=1 -device e1000,netdev=a,id=n -net user -net nic,addr=0:7 -netdev user,id=q
    -netdev user,id=n -device e1000,netdev=n -object filter-dump,id=g,netdev=n,file=x,maxlen=100 -m 128,maxmem=1G
    -netdev user,id=n -object filter-replay,id=f,netdev=n -object filter-rewriter,id=g,netdev=n,position=id=f -m 0
    -netdev user,id=n -object filter-replay,id=f,netdev=n -object filter-buffer,id=g,netdev=n,interval=5,position=head
    -net nic,model=rtl8139 -nic user,model=virtio -net user -rtc driftfix=slew
    -nodefaults -device virtio-net-pci,mq=on -chardev null,id=c,mux=on -device virtio-serial-pci -device virtconsole
    -nodefaults -chardev null,id=c,mux=on -device virtio-serial-pci -device virtserialport,chardev=c,name=x
    -nodefaults -chardev ringbuf,id=c,size=64k -device virtio-serial-pci -device virtserialport,chardev=c,name=x
    -smp 5 -m 4G
    -machine pc,hpet=off,nvdimm=on -smp 2
    -machine pc,i8042=off,pit=off
    -machine pc,pic=off,acpi=off
    -machine q35,pic=off,smbus=off -smp 3
    -machine q35,nvdimm=on -m 1G,slots=2,maxmem=6G
    -machine q35,hpet=off -smbios type=1,uuid=5e3b1a44-8d51-4b0a-8f5e-000000000001
""".strip().splitlines()
ORDERED = """
    -machine none
    -name defaults
    -machine q35
    -nodefaults -smp 5 -m 4G -hda {folder}/d.qcow2
    -machine pc,hpet=off,nvdimm=on -smp 2
    -machine pc,i8042=off,pit=off -usb
    -machine pc,pic=off,acpi=off
    -machine q35,pic=off,smbus=off,hpet=off -smp 3
    -machine q35,nvdimm=on -m 1G,slots=2,maxmem=6G -audio none,model=hda
    -machine q35,nvdimm=on -m 1G,slots=2,maxmem=6G -drive if=pflash,file={folder}/d.iso,format=raw,readonly=on
    -nodefaults -drive if=pflash,file={folder}/d.iso,format=raw
""".strip().splitlines()
REFUSED = """
    -audio none
    -audio driver=foo,model=ac97
    -audio driver=none,model=pcspk
    -audio model=hda
    -audio pa,model=hda
    -audio none,model=hda -audio none,model=ac97
    -audio none,model=hda -M none
    -audio none,model=sb16 -M none
    -audio none,model=hda,foo=bar
    -audiodev none,id=a,timer-period=x
    -audiodev none,id=a,timer-period=-1
    -audiodev none,id=a,in.mixing-engine=x
    -audiodev none,id=a,in.format=foo
    -audiodev none,id=a,in.foo=1
    -audiodev none,id=a,in=x
    -audiodev none,id=a,in.fixed-settings=off,in.channels=1
    -audiodev wav,id=a,server=x
    -audiodev id=a
    -audiodev none,id=a -device AC97,audiodev=b
    -device intel-hda -device hda-duplex,audiodev=b
    -nodefaults -drive if=foo
    -nodefaults -drive file={folder}/d.iso,if=scsi,format=raw
    -cdrom {folder}/d.iso -drive file={folder}/d.iso,media=cdrom,index=2
    -drive media=foo
    -drive file={folder}/d.iso,format=foo
    -drive file={folder}/d.iso,format=raw,cache=foo
    -drive file={folder}/d.iso,format=raw,foo=1
    -drive if=none,id=a -drive if=none,id=a
    -hda /none
    -hda /nbd:x
    -drive file=/none,if=virtio
    -nic foo
    -nic user,model=foo
    -nic user,foo=1
    -nic user,id=a -nic user,id=a
    -usbdevice foo
    -serial chardev:none
    -serial foo
    -serial pty:x
    -serial vc:foo
    -serial tcp:1
    -serial unix:
    -serial unix:/none/x
    -serial file:/none/x
    -serial /dev/none
    -nodefaults -serial mon:stdio
    -parallel null -parallel null -parallel null -parallel null
    -drive file={folder}/d.iso,format=raw,index=4
    -machine q35 -drive file={folder}/d.iso,format=raw,bus=1,unit=1
    -drive file={folder}/d.iso,format=raw,index=1,bus=1
    -drive file={folder}/d.iso,format=raw,unit=x
    -drive if=floppy,index=2,file={folder}/floppy.img,format=raw
    -sd {folder}/d.iso
    -drive if=virtio
    -drive if=ide
    -drive file={folder}/d.iso,format=qcow2
    -drive file={folder}/d.iso,format=raw,werror=foo
    -drive file={folder}/d.iso,format=raw,rerror=enospc
    -drive file={folder}/floppy.img,format=raw,if=floppy,werror=stop
    -drive if=none,id=1a
    -drive file={folder}/d.iso,format=raw,readonly=maybe
    -drive file={folder}/d.iso,format=raw,aio=foo
    -drive file={folder}/d.iso,format=raw,aio=native
    -drive file={folder}/d.iso,format=raw,discard=foo
    -drive file={folder}/d.iso,format=raw,detect-zeroes=foo
    -drive file={folder}/d.iso,format=raw,if=none,id=a,node-name=a
    -drive file={folder}/d.iso,format=raw,bps=1,bps_rd=1
    -drive file={folder}/d.iso,format=raw,id=c -device virtio-blk-pci,drive=c
    -hda {folder}/d.qcow2 -hdb {folder}/d.qcow2
    -machine none -drive file={folder}/d.qcow2,if=virtio
    -nic nic
    -nic user,mac=foo
    -nic user,mac=01:00:00:00:00:00
    -nic user,vectors=3
    -nic user,hostfwd=foo
    -nic user,id=1
    -netdev user,id=a -nic user,id=a
    -net nic,foo=1
    -net nic,netdev=none
    -nographic
    -parallel x
    -drive if=none,id=a,file={folder}/d.qcow2 -device ide-hd,drive=a -device ide-hd,drive=a
    -nodefaults -drive file={folder}/d.iso,format=raw,if=ide,readonly=on
    -nodefaults -readconfig {folder}/no-bus.cfg
    -nodefaults -readconfig {folder}/no-group.cfg
""".strip().splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images: d.qcow2, d.iso, floppy.img; files of options: machine.cfg, and two that are wrong."""
    made = tmp_path_factory.mktemp("images")
    line = ["qemu-img", "create", "-q", "-f", "qcow2", "d.qcow2", "1G"]
    subprocess.run(line, cwd=made, check=True)
    for name, size in (("d.iso", 4 << 20), ("floppy.img", 1474560)):
        with (made / name).open("wb") as file:
            file.truncate(size)
    for name, text in CONFIGS.items():
        (made / f"{name}.cfg").write_text(text)
    return made


CONFIGS = {
    "machine": """# as Proxmox and LXD write them
[machine]
  type = "q35"
[memory]
  size = "256M"
[smp-opts]
  cpus = "2"

[chardev "console"]
  backend = "null"
[device "ehci"]
  driver = "ich9-usb-ehci1"
  multifunction = "on"
  addr = "1d.7"
[device "uhci-1"]
  driver = "ich9-usb-uhci1"
  multifunction = "on"
  addr = "1d.0"
  masterbus = "ehci.0"
  firstport = "0"
[device]
  driver = "isa-serial"
  chardev = "console"
[drive "d"]
  if = "none"
  file = "d.qcow2"
[device "disk"]
  driver = "virtio-blk-pci"
  drive = "d"
""",
    "no-bus": """[device "a"]\n  driver = "virtio-net-pci"\n\n  bus = "none"\n""",
    "no-group": """[none "a"]\n  driver = "VGA"\n""",
}


def ended(binary: str, line: str, folder: Path, asked: str) -> subprocess.CompletedProcess[str]:
    """An emulator that is asked these lines over its standard input, and ends."""
    words = ["-S", "-display", "none", "-qmp", "stdio", *line.format(folder=folder).split()]
    where = {"QMPEMU_GUEST": "none", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [binary, *words],
        input=asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=where,
        cwd=folder,
    )


def told(binary: str, line: str, folder: Path) -> list[Any]:
    """The answers to QUERIES, without what is random; lists of the object tree by name."""
    asked = [{"execute": "qmp_capabilities"}]
    asked += [{"execute": name, **({"arguments": given} if given else {})} for name, given in QUERIES]
    asked.append({"execute": "quit"})
    done = ended(binary, line, folder, "\n".join(map(json.dumps, asked)) + "\n")
    plain = re.sub(r"#(block|net)\d+", r"#\1", done.stdout)
    rows = [each for each in map(json.loads, plain.splitlines()) if "return" in each or "error" in each]
    for row in rows:
        if isinstance(row.get("return"), list) and row["return"] and "type" in row["return"][0]:
            row["return"].sort(key=lambda each: str(each.get("name", "")))
    return [*rows, done.stderr]


@pytest.mark.parametrize("line", [line.strip() for line in LINES])
def test_devices_without_device(ours: Emulator, folder: Path, line: str) -> None:
    """Drives, lines, cards and PCI functions with their names and places, and the words on standard error."""
    real = told(REAL, line, folder)
    assert len(real) == len(QUERIES) + 3
    assert told(ours.program, line, folder) == real


@pytest.mark.parametrize("line", [line.strip() for line in ORDERED])
def test_order_as_real(ours: Emulator, folder: Path, line: str) -> None:
    """What qom-list tells of a machine and its board stands in the same order."""
    asked = [{"execute": "qmp_capabilities"}]
    asked += [
        {"execute": "qom-list", "arguments": {"path": path}} for path in ("/machine", "/machine/unattached")
    ]
    asked.append({"execute": "quit"})
    real, mine = (
        ended(binary, line, folder, "".join(map(json.dumps, asked))).stdout.splitlines()[2:4]
        for binary in (REAL, ours.program)
    )
    assert [json.loads(each) for each in mine] == [json.loads(each) for each in real]


@pytest.mark.parametrize("line", [line.strip() for line in REFUSED])
def test_refused(ours: Emulator, folder: Path, line: str) -> None:
    """With the real one's text, and nothing else."""
    real = ended(REAL, line, folder, "")
    found = ended(ours.program, line, folder, "")
    assert real.returncode == 1
    assert (found.returncode, found.stderr) == (1, real.stderr)


def test_the_format_of_an_image_elsewhere_is_not_guessed(ours: Emulator, folder: Path) -> None:
    """It is said, and nothing starts without it."""
    done = ended(ours.program, "-drive file=nbd:localhost:1,if=none,id=d", folder, "")
    assert done.returncode == 1
    assert (
        "-drive file=nbd:localhost:1,if=none,id=d: qmpemu does not emulate guessing the format" in done.stderr
    )
