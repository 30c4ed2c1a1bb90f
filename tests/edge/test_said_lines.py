"""Command lines that start, and of which something is said: ours says it in the words of the real QEMU."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

QUIT = '{"execute": "qmp_capabilities"}{"execute": "quit"}'
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z", re.MULTILINE)
CHANCE = re.compile(r"#net\d{3}")
SAID = """
-smp 0 -chardev socket,path=x,server,nowait,id=c -msg timestamp=on -M pc-i440fx-1.7 -accel hvf -accel tcg
-cpu Skylake-Client,-hle -smp 2
-cpu EPYC,check=off -smp 4,cores=2,threads=2
-cpu qemu64,+vmx,+ffxsr,+ds_cpl,-svm
-cpu Skylake-Client,+vmx
-cpu Nehalem,+vmx,-vmx-ept,+vmx-rdseed-exit,vmx-secondary-ctls=off -smp 2
-cpu EPYC,-svm,+npt,check=off
-cpu EPYC-Rome,+pause-filter,-svm -M pc-i440fx-2.12
-cpu EPYC -M pc-q35-3.1 -smp 2
-cpu EPYC-Milan,+vmx-ept -M pc-i440fx-2.4
-cpu Snowridge-v2,+nx,+arch-lbr,-core-capability,+split-lock-detect,+full-width-write
-cpu Broadwell,+mds-no,vmx-activity-wait-sipi=on,+vmx,-lm,-rdtscp,+vmx-rdtscp-exit,+vmx-entry-ia32e-mode
-cpu qemu64,-aes,aes=on,x2apic=on,+x2apic,+hv-vpindex,+avx,avx,tsc_freq=1.5G,+vmx,hv_time
-display default
-M q35 -boot splash=/none,splash-time=0 -cpu qemu64,+vmx
-boot splash=/etc/passwd -boot reboot-timeout=-1,menu=on
-boot splash=/tmp
-vnc none,websocket -device VGA,nomultifunction -device e1000,multifunction -drive if=none,id=a,readonly -msg timestamp
-name a,debug-threads -nic user,restrict -overcommit mem-lock -smbios type=0,uefi -fw_cfg name=opt/a,string
-smp 4,sockets=2,dies=2 -object memory-backend-ram,id=a,size=128M -numa node,memdev=a,cpus=0-1 -device sga
-M pc-i440fx-5.0 -numa node,mem=64M -numa node,mem=64M -smp 0 -device vmbus-bridge
-accel hvf -accel tcg,thread=multi -M pc-i440fx-1.7,kernel-irqchip=split -cpu qemu64,hv-vendor-id=0123456789abcdef
-M q35,accel=hvf:tcg,smp.cpus=2,boot.order=d,memory.size=1G
-global foo.bar=1 -global VGA.x=1 -global PIIX4_PM.disable_s3=1 -M q35 -device e1000 -msg guest-name=on
-global qemu64-x86_64-cpu.vmx=on -global driver=e1000,property=mitigation,value=off
-m 0x10M
-m 0x10 -msg timestamp=on
-M none -net nic
-M none -net user
-M none -net nic,model=foo -net user -msg timestamp=on
-M none -nic user -nic user,id=x,model=virtio
-M none -net nic,id=a -net nic -net user
-audiodev none,id=a -audiodev wav,id=b,path=x.wav -device intel-hda -device hda-micro -device sb16 -msg timestamp=on
-nodefaults -netdev user,id=u -netdev hubport,id=a,hubid=1,netdev=u -netdev hubport,id=b,hubid=2 -device e1000,netdev=b
"""


def said(kind: str, folder: Path, line: str) -> tuple[int, str]:
    """Exit status, and what stands on standard error, of one that is told to end as soon as it listens."""
    words = [Emulator(kind, folder).program, "-S", "-display", "none", "-qmp", "stdio", *shlex.split(line)]
    env = {**os.environ, "QMPEMU_GUEST": "none"}
    done = subprocess.run(
        words, input=QUIT, capture_output=True, text=True, timeout=20, cwd=folder, env=env, check=False
    )
    return done.returncode, CHANCE.sub("#net", STAMP.sub("TIME", done.stderr))


@pytest.mark.parametrize("line", SAID.strip().splitlines())
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """Status 0 and the same text, the time as good as any other."""
    real = said("real", tmp_path, line)
    assert real[0] == 0 and real[1]
    assert said("ours", tmp_path, line) == real
