"""The domain XML of the tests: what virt-install writes for a Windows guest, with the emulator filled in.

The simulated guest is chosen where libvirt lets a domain carry something for its emulator: `<qemu:env>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

XML = """\
<domain type={kind} xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
    <apic/>
    <hyperv mode='custom'>
      <relaxed state='on'/>
      <vapic state='on'/>
      <spinlocks state='on' retries='8191'/>
    </hyperv>
    <vmport state='off'/>
  </features>
  {cpu}
  <clock offset='localtime'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
    <timer name='hypervclock' present='yes'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <pm>
    <suspend-to-mem enabled='yes'/>
    <suspend-to-disk enabled='no'/>
  </pm>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{disk_format}' discard='unmap'/>
      <source file={disk}/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <controller type='usb' model='qemu-xhci' ports='15'/>
    <interface type='user'>
      <mac address='52:54:00:12:34:56'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'/>
    <console type='pty'/>
    <channel type='unix'>
      <source mode='bind'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
    </channel>
    <input type='tablet' bus='usb'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <video><model type='vga'/></video>
    <memballoon model='virtio'/>
  </devices>
  <qemu:commandline>{environment}</qemu:commandline>
</domain>
"""


def windows(
    name: str,
    emulator: str,
    disk: Path,
    *,
    kind: str = "qemu",
    memory_mib: int = 2048,
    env: Mapping[str, str] | None = None,
) -> str:
    """The XML of a Windows domain of type `kind` (`qemu` or `kvm`); `env` reaches the emulator's environment."""
    cpu = "<cpu mode='host-passthrough' check='none' migratable='on'/>" if kind == "kvm" else ""
    pairs = (env or {}).items()
    return XML.format(
        name=name,
        kind=quoteattr(kind),
        memory_mib=memory_mib,
        emulator=emulator,
        cpu=cpu,
        disk=quoteattr(str(disk)),
        disk_format=disk.suffix.lstrip("."),
        environment="".join(f"<qemu:env name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in pairs),
    )
