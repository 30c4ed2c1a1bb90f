"""Command lines that cannot work: ours refuses each with the line, and the exit status, of the real QEMU."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = """
-action reboot=none
-no-shutdown -action reboot=none
-action panic=pause -action reboot=none
-watchdog-action foo
-watchdog i6300esb
-drive file=/none,if=none,id=x
-cdrom /none
-drive file=nbd+unix:///ex,format=raw
-drive file=nbd:unix:/none:exportname=ex,format=raw
-drive file=nbd:foo,format=raw
-drive file=nbd://127.0.0.1:1/ex?x=y,format=raw
-drive file=rbd:pool/image,format=raw
-drive file=http://127.0.0.1:1/x,format=raw
-drive file=iscsi://127.0.0.1/target/0,format=raw
-drive file=foo:bar,format=raw
-drive file=fat:rw:/none,format=raw
-numa x
-m 1G -numa node
-m 1G -numa node,mem=512M
-m 1G -numa node,memdev=x
-object memory-backend-ram,id=a,size=64M -numa node,memdev=a
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a,cpus=0-9
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a,nodeid=3
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a -numa node,nodeid=0
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a -numa dist,src=0,dst=1,val=20
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a -numa dist,src=0,dst=0,val=20
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a -numa cpu,node-id=1
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a -numa cpu,node-id=0,socket-id=9
-object memory-backend-ram,id=a,size=128M -numa node,memdev=a,initiator=0
-m 1G,slots=4,maxmem=4G -object memory-backend-ram,id=m,size=128M -device virtio-mem-pci,memdev=m,node=1
-m 1G,slots=4,maxmem=4G -object memory-backend-ram,id=m,size=128M -device pc-dimm,memdev=m,node=1
-m 1G,slots=300,maxmem=2G
-m 900T
-smp 256
-smp 2,nosuch=1
-cpu host
-object input-linux,id=i,evdev=/dev/input/nosuch
-object input-linux,id=i,evdev=/dev/null
-object iothread,id=i -device virtio-rng-pci,rng=i
-device virtio-serial-pci,id=s -device virtio-rng-pci,rng=s
-device isa-ipmi-kcs,bmc=ide.0
-device ipmi-bmc-sim,id=b -device pci-ipmi-kcs,bmc=b -device isa-ipmi-kcs,bmc=b
-object secret,id=s,file=/none
-object secret,id=s,file=/etc
-object secret,id=s,file=/none,data=x
-object secret,id=s,data=!,format=base64
-object secret,id=s,data=x,keyid=none
-object iothread,id=k -object secret,id=s,data=x,keyid=k
-object secret,id=k,data=x -object secret,id=s,data=x,keyid=k
-object secret,id=k,data=01234567890123456789012345678901 -object secret,id=s,data=x,keyid=k
-object secret,id=k,data=01234567890123456789012345678901 -object secret,id=s,data=x,keyid=k,iv=AAAA
-object secret,id=k,data=01234567890123456789012345678901 -object secret,id=s,data=x,keyid=k,iv=eHh4eHh4eHh4eHh4eHh4eA==
-object secret,id=s,file=/none -qmp tcp:127.0.0.1:x
-object memory-backend-file,id=m,size=64M,mem-path=/none/x -netdev socket,id=n,listen=none
-netdev socket,id=n,listen=none -blockdev file,node-name=f,filename=/none -qmp tcp:127.0.0.1:x
-netdev socket,id=n,listen=none -blockdev file,node-name=f,filename=/none
-device none -netdev socket,id=n,listen=none
-M q35 -device ide-hd,bus=ide.0,unit=1,drive=d -blockdev null-co,node-name=d
-device virtio-scsi-pci -drive if=none,id=d,file=/etc/passwd,format=raw,readonly=on -device scsi-block,drive=d
-device virtio-scsi-pci -device scsi-generic
-device lsi53c895a -device scsi-cd,scsi-id=8
-device lsi53c895a -device scsi-cd,scsi-id=1,lun=1
-device megasas -device scsi-cd,channel=1,scsi-id=65,lun=256
-device mptsas1068 -device scsi-cd,scsi-id=9
-device pvscsi -device scsi-cd,scsi-id=64 -device scsi-cd,scsi-id=64
-rtc driftfix=foo
-blockdev null-co,node-name=n -device '{"driver":"virtio-blk-pci","drive":"n","write-cache":true}'
-M q35 -device ide-cd,bus=ide.0 -device ide-cd,bus=ide.0
-device ide-cd,bus=ide.0 -device ide-cd,bus=ide.0 -device ide-cd,bus=ide.0
-net user -device none
-usb -device usb-bot -device scsi-cd -device scsi-cd
-m 0xM
-m 128,slots=-1,maxmem=1G
-device vfio-pci,host=foo
-device vfio-pci,host=ff:1f.7
-device vfio-pci,host=1:ff:1f.7
-device vfio-pci,host=0000:00:20.0
-device vfio-pci,sysfsdev=/tmp
-device vmgenid,guid=foo
-device vmgenid,guid=324e6eafd1d14bf6bf41b9bb6c91fb87
-device vmgenid,guid=
-cpu qemu64,memory=x
-cpu qemu64,realized=on
-net nic,macaddr=01:00:00:00:00:01
-net nic,addr=foo -net user
-net nic,addr=0x20 -net user
-net nic,addr=1:5,model=virtio -net user
-net nic,addr=5.1 -net user
-net nic,vectors=-1
-net user,name=a
-nic user,name=a
-nic user,addr=5
-netdev vde,id=a,port=1x
-netdev tap,id=a,queues=x
-netdev tap,id=a,sndbuf=x
-netdev vhost-user,id=a,chardev=c,queues=x -chardev null,id=c
-netdev user,id=a,ipv6-prefixlen=x
-netdev l2tpv3,id=a,src=a,dst=b,txsession=x
-netdev tap,id=a,helper=/none
-kernel /dev/null
-kernel /
-kernel /etc/hostname
-kernel /bin/true
-M none -kernel /none
-numa node,nodeid=x
-boot order=q
-boot c,menu
-netdev socket,id=n,listen=127.0.0.1:0,foo=1
-nodefaults -netdev hubport,id=n,hubid=x
-netdev l2tpv3,id=n,src=1
-nodefaults -netdev tap,id=n,vhost=maybe
-netdev tap,id=n,fd=x
-netdev tap,id=n,fd=99
-netdev tap,id=n,fds=0:0
-netdev tap,id=n,fd=0,ifname=x
-netdev tap,id=n,fds=0,script=no
-netdev tap,id=n,helper=x,queues=2
-netdev tap,id=n,vhostfds=1
-netdev tap,id=n,fds=99,vhostfds=1:2
-netdev vhost-user,id=n,chardev=x
-chardev null,id=x -netdev vhost-user,id=n,chardev=x
-chardev socket,id=x,host=127.0.0.1,port=0,server=on,wait=off -netdev vhost-user,id=n,chardev=x
-netdev vhost-vdpa,id=n
-netdev vhost-vdpa,id=n,vhostdev=/none/x
-netdev vhost-vdpa,id=n,vhostdev=a,vhostfd=3
-netdev dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=0
-netdev dgram,id=n,remote.type=inet,remote.host=127.0.0.1,remote.port=0
-netdev vde,id=n
-netdev stream,id=n
-netdev user,id=n,net=x
-device usb-ehci -device usb-hub
-device piix3-usb-uhci -device usb-uas
-device pcie-root-port -device pcie-root-port
-M q35 -device virtio-rng-pci,disable-legacy=on,disable-modern=on
-device e1000,id=a,bus=no -device e1000,id=a
-netdev user,id=a,foo=1 -netdev user,id=a
-smp 2,foo
-rtc utc
-audiodev none,id=x,foo
-object rng-random,id=x,foo
-drive foo
-boot x=1
-boot menu=maybe
-debugcon foo
-debugcon null -debugcon null
-debugcon file:/none/x
-M none -debugcon null
-boot strict=x
-boot splash-time=65536
-boot splash=/none,reboot-timeout=-2
-boot reboot-timeout=x
-sandbox x
-sandbox on,obsolete=maybe
-msg x=1
-overcommit x=1
-overcommit mem-lock=x
-mem-path /none/x
-smbios type=99
-smbios file=/none
-fw_cfg x
-fw_cfg name=opt/x
-fw_cfg name=opt/x,string=a -fw_cfg name=opt/x,string=b
-fw_cfg name=opt/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,string=a
-readconfig /none
-D /none/x
-pidfile /none/x
-runas none
-chroot /none
-uuid x
-name x,y=z
-name debug-threads=x
-kernel /none
-append x
-initrd /none
-tpmdev none,id=x
-tpmdev passthrough
-tpmdev emulator,id=x
-tpmdev passthrough,id=x,path=/none
-tpmdev passthrough,id=x,path=/dev/null
-device tpm-crb,tpmdev=x
-tpmdev emulator,id=x,chardev=none
-spice x=1
-spice port=99999,disable-ticketing=on
-spice port=5936,disable-ticketing=on,image-compression=foo
-spice port=5936,disable-ticketing=on,tls-channel=main
-spice port=5936,password-secret=none
-audiodev driver=foo,id=x
-audiodev alsa
-fsdev local
-fsdev none,id=x
-fsdev local,id=x,path=/tmp
-virtfs local
-icount x
-accel none
-cpu none
-cpu qemu64,foo
-cpu qemu64,foo_bar=1
-cpu qemu64,+hv_time
-cpu qemu64,tsc_freq=1X
-cpu qemu64,migratable=no
-cpu Haswell,enforce=on,hv_vpindex
-cpu qemu64,vendor=foo
-cpu qemu64,family=999
-cpu qemu64,phys-bits=99
-cpu qemu64,level=foo
-cpu qemu64,svm=maybe
-M q35,smm=foo
-M q35,sata=maybe
-M q35,max-ram-below-4g=8G
-M q35,x-oem-id=abcdefghij
-M q35,phandle-start=x
-M q35,nvdimm-persistence=foo
-M q35,smbios-entry-point-type=99
-M q35,memory-backend=x
-M q35,memory-encryption=x
-M q35,pcspk-audiodev=x
-M q35,kernel=x
-M q35,nosuch
-M q35,pcie_ecam=1
-M q35,smp.cpus=x
-M q35,boot.order=q
-accel hvf -accel whpx
-M accel=hvf:whpx
-M accel=tcg -accel tcg
-accel tcg,thread=foo
-accel tcg,tb-size=foo
-accel tcg,nosuch=1
-cpu qemu64,enforce=on,+vmx
-cpu EPYC,enforce=on,-svm,+npt
-cpu phenom,legacy-cache=off
-cpu qemu64,type=x
-cpu qemu64,hotplugged=on
-cpu Nehalem,core-id=1
-M none -cpu EPYC
-M q35 -device pxb,bus_nr=2
-device pxb-pcie,bus_nr=2
-device pxb
-nodefaults -device pxb,bus_nr=20 -device e1000
-M q35 -device pxb-pcie,bus_nr=20 -device pxb-pcie,bus_nr=20,bus=pcie.0
-M q35 -device pxb-pcie,bus_nr=20,numa_node=4
-M q35 -device pxb-cxl
-M pc -device intel-iommu
-device isa-debugcon
-device virtio-crypto-pci
-device vmgenid -device vmgenid
-device vmcoreinfo -device vmcoreinfo
-device pvpanic,id=a -device pvpanic,ioport=0x606
-object memory-backend-ram,id=m,size=64M -device virtio-pmem-pci,memdev=m
-m 128M,maxmem=128M -object memory-backend-ram,id=m,size=64M -device virtio-mem-pci,memdev=m
-m 128M,maxmem=128M,slots=1
-device intel-hda,nr=1,unit=1
-device e1000,foo=1,bar=2,nr=1,unit=2,zz=1
-device virtio-net-pci,vectors=x,mac=y,rombar=z
-device cs4231a,multifunction=on,rombar=0
-device smbus-ipmi
-device loader
-device kvaser_pci
-device virtio-balloon-pci,guest-stats-polling-interval=-1
-device virtio-balloon-pci,guest-stats=x
-device virtio-blk-pci,drive=,id=x
-device virtio-rng-pci,max-bytes=-1
-device virtio-rng-pci,failover_pair_id=x
-device virtio-rng-pci,virtio-backend=x
-device virtio-rng-pci,period=99999999999999999999
-device e1000,romfile=none.rom
-device virtio-net-pci,duplex=x
-device qemu-xhci -device usb-tablet,port=
-device qemu-xhci -device usb-tablet,attached=x
-global e1000.mitigation
-global e1000=1
-global driver=e1000
-global e1000.mitigation=foo
-global PIIX4_PM.disable_s3=foo
-global hpet.nosuch=1
-global driver=cfi.pflash01,property=secure,value=foo
-M q35,cxl-fmw.0.targets.0=x
-global cpu.nosuch=1
-global pci-device.romsize=foo -device e1000
-nodefaults -global virtio-device.iommu_platform=foo -device virtio-rng-pci
-global isa-serial.index=9 -device isa-serial
-smp 2,cores=3
-object none,id=x
-object rng-builtin
-object secret,id=x
-object secret,id=x,data=y,z=1
-object secret,id=x,data=y,format=foo
-object rng-builtin,id=a -object rng-builtin,id=a
-object rng-random,id=x,filename=/none
-object memory-backend-file,id=x
-object memory-backend-file,id=x,size=1M,mem-path=/none/x
-object memory-backend-memfd,id=x
-object memory-backend-ram,id=x,size=0
-object memory-backend-ram,id=x,size=1M,prealloc=maybe
-object '{"qom-type":"memory-backend-ram","id":"x","size":1048576,"z":1}'
-incoming none:x
-set x
-set device.x.y=1
-add-fd fd=99,set=1
-add-fd fd=1,set=1
-add-fd set=1
-chardev file,id=x,path=/dev/fdset/9
-chardev null,id=x,logfile=/none/x
-chardev null,id=x,logfile=/dev/fdset/9
-chardev serial,id=x,path=/none/x
-chardev pipe,id=x,path=/none/x
-chardev parallel,id=x,path=/dev/null
-chardev udp,id=x
-chardev dbus,id=x
-chardev socket,id=x,path=/none,reconnect=x
-audiodev jack,id=x
-audiodev spice,id=x
-display sdl
-vnc unix:x -k none
-vnc 192.0.2.77:44
-fsdev local,id=x,security_model=none
-fsdev local,id=x,path=/tmp,security_model=none -fsdev local,id=x,path=/tmp,security_model=none
-M q35 -device virtio-9p-pci,fsdev=none,mount_tag=x
-M q35 -fsdev local,id=x,path=/none,security_model=none -device virtio-9p-pci,fsdev=x,mount_tag=x
-M q35 -device intel-iommu,eim=on
-M q35 -device intel-iommu,aw-bits=40
-device isa-parallel,chardev=n,index=3 -chardev null,id=n
-device VGA,romfile=/none/x
-device rtl8139,acpi-index=16384
-device rtl8139,acpi-index=7 -device VGA,acpi-index=7
-compat x
-compat deprecated-input=x
-compat '{"deprecated-output":"x"}'
-acpitable file=/none
-rotate 1
-M q35 -m 256,slots=1,maxmem=1G -object memory-backend-ram,id=m,size=2M -device virtio-mem-pci,memdev=m,requested-size=3
-M q35 -m 256,slots=1,maxmem=1G -object memory-backend-ram,id=m,size=2M -device virtio-mem-pci,memdev=m,memaddr=1
-M q35 -m 256,slots=1,maxmem=1G -object memory-backend-ram,id=m,size=2M -device pc-dimm,memdev=m,addr=1
-device VGA,id=1a
-device pcie-root-port,io-reserve=1kB
-m nope=1
-qmp chardev:nope
-chardev tty,id=x,path=/none
-chardev null,id=x -chardev null,id=x
-chardev socket,id=x,path=a,host=b
-chardev socket,id=x,path=a,server,wait=off,reconnect=2
-chardev null,id=x,logfile=/none/x
-chardev mux,id=x,chardev=y
-chardev null,id=x -mon x,mode=nope
-daemonize -monitor stdio
-fsdev local,id=a,path=/tmp,security_model=none,nope=1
-virtfs local,path=/none,mount_tag=a,security_model=none
-device virtio-9p-pci,fsdev=nope,mount_tag=b
-xen-domid 1
-qmp unix:LONG,server=on,wait=off
-chardev socket,id=x,path=LONG
-vnc unix:LONG
-incoming unix:LONG
"""
LONG = "x" * 109
"""A byte more than the path of a UNIX socket may have, without a NUL behind it."""


def refused(kind: str, folder: Path, line: str) -> tuple[int, list[str]]:
    """Exit status, and what stands on standard error, of one that is told to end at once."""
    program = Emulator(kind, folder).program
    done = subprocess.run(
        [program, "-S", "-display", "none", *shlex.split(line.replace("LONG", LONG))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        cwd=folder,
        env={**os.environ, "QMPEMU_GUEST": "none"},
        check=False,
    )
    return done.returncode, done.stderr.strip().splitlines()


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """Status 1 and the same text."""
    real = refused("real", tmp_path, line)
    assert real[0] == 1 and real[1]
    assert refused("ours", tmp_path, line) == real
