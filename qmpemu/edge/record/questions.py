"""What a recording asks: commands, device types, processor models, options that -help leaves out."""

from __future__ import annotations

import re

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

DEVICE_TYPES: tuple[dict[str, object], ...] = ({"abstract": True}, {"implements": "device", "abstract": True})
"""qom-list-types with these arguments: all types, and all devices, the abstract ones included."""

BEFORE_MODULES = ("query-command-line-options", "query-chardev-backends")
"""What answers otherwise before qom-list-types has loaded QEMU's modules; no other query loads them."""

DEVICES = """
    AC97 ES1370 ICH9-LPC PIIX4_PM VGA ahci am53c974 bochs-display cirrus-vga dc390 e1000 e1000e floppy hda-duplex
    hda-micro hda-output i6300esb i82559er i82801b11-bridge ib700 ich9-ahci ich9-intel-hda ich9-usb-ehci1
    ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ide-cd ide-hd intel-hda intel-iommu isa-debugcon isa-fdc isa-serial
    isa-vga kvm-pit lsi53c895a mch megasas mptsas1068 ne2k_pci nec-usb-xhci nvdimm nvme nvme-ns pc-dimm pci-bridge
    pci-serial pcie-pci-bridge pcie-root-port pcnet piix3-usb-uhci piix4-usb-uhci pvpanic pvpanic-pci pvscsi pxb
    pxb-pcie qemu-xhci qxl qxl-vga ramfb rtl8139 sb16 scsi-block scsi-cd scsi-generic scsi-hd sd-card sdhci-pci
    secondary-vga smbus-eeprom tpm-crb tpm-tis tulip u2f-passthru usb-audio usb-bot usb-ccid usb-ehci usb-host
    usb-hub usb-kbd usb-mouse usb-mtp usb-net usb-redir usb-serial usb-storage usb-tablet usb-uas usb-wacom-tablet
    vfio-pci vhost-scsi-pci vhost-user-blk-pci vhost-user-fs-device vhost-user-fs-pci vhost-vsock-pci virtconsole
    virtio-9p-pci virtio-9p-pci-non-transitional virtio-9p-pci-transitional virtio-balloon-ccw virtio-balloon-device
    virtio-balloon-pci virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional virtio-blk-pci
    virtio-blk-pci-non-transitional virtio-blk-pci-transitional virtio-crypto-pci virtio-gpu-device virtio-gpu-pci
    virtio-input-host-pci virtio-iommu-pci virtio-keyboard-pci virtio-mem-pci virtio-mouse-pci virtio-net-ccw
    virtio-net-pci virtio-net-pci-non-transitional virtio-net-pci-transitional virtio-pmem-pci virtio-rng-pci
    virtio-rng-pci-non-transitional virtio-rng-pci-transitional virtio-scsi-ccw virtio-scsi-pci
    virtio-scsi-pci-non-transitional virtio-scsi-pci-transitional virtio-serial-pci
    virtio-serial-pci-non-transitional virtio-serial-pci-transitional virtio-tablet-pci virtio-vga virtserialport
    vmcoreinfo vmgenid vmware-svga vmxnet3 x3130-upstream xio3130-downstream
""".split()
"""Device types that libvirt asks about and its drivers make: their properties are recorded under each accelerator."""

IDLE = """
    query-pr-managers query-block-exports query-dump query-tpm query-spice query-vnc query-vnc-servers
    query-display-options query-xen-replication-status query-colo-status query-dirty-rate query-vcpu-dirty-limit
    query-replay query-sev query-sev-launch-measure query-sgx query-acpi-ospm-status
""".split()
"""Queries about what nothing in qmpemu can switch on: the answer of an idle machine is the truth for any."""

OBJECT_TYPES = ("memory-backend-file", "memory-backend-memfd", "max-x86_64-cpu", "none-machine")
CPU_MODELS = {"tcg": ("qemu64", "max"), "kvm": ("host", "max", "qemu64")}
CPU_LESS = ",arch-capabilities=off"
"""Where a host is itself virtual, QEMU may abort on MSR 0x10a with its models `host` and `max`; with this it starts."""

UNLISTED_OPTIONS = """
    M portrait no-fd-bootchk mon readconfig nouserconfig no-user-config qtest qtest-log
""".split()
"""Options that -help leaves out, for want of a text. What the binary does not have is not recorded.

Not among them: options of other targets (-g, -prom-env, -semihosting), which are parsed and then refused.
"""

STATEFUL = re.compile(
    r"query-(status|name|uuid|version|kvm|chardev|yank|cpus-fast|iothreads|current-machine|fdsets)$"
)
"""Queries that depend on how the process was started, even on a bare machine."""
