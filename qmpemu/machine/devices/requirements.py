"""What a device cannot be made without: options that have to be given, and devices of the host (texts measured).

The host's own devices are not emulated: where one is missing QEMU says so, where it is there qmpemu does.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices.bus import EXPRESS_PORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine

CHASSIS = "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0."
NEEDED = {
    "ivshmem-doorbell": ("chardev", "You must specify a 'chardev'"),
    "ivshmem-plain": ("memdev", "You must specify a 'memdev'"),
    "cxl-type3": ("memdev", "memdev property must be set"),
    "pci-bridge": ("chassis_nr", CHASSIS),
    "pci-bridge-seat": ("chassis_nr", CHASSIS),
    "vhost-user-gpio-pci": ("chardev", "vhost-user-gpio: chardev is mandatory"),
    "vhost-user-i2c-pci": ("chardev", "vhost-user-i2c: missing chardev"),
    "vhost-user-rng-pci": ("chardev", "missing chardev"),
    "vhost-user-scsi-pci": ("chardev", "vhost-user-scsi: missing chardev"),
    "vhost-scsi-pci": ("wwpn", "vhost-scsi: missing wwpn"),
    "ide-hd": ("drive", "No drive specified"),
    "scsi-generic": ("drive", "drive property not set"),
    "nvme": ("serial", "serial property not set"),
    "guest-loader": ("kernel", "Need to specify a kernel or initrd image"),
    "ipmi-bmc-extern": ("chardev", "IPMI external bmc requires chardev attribute"),
    "isa-debugcon": ("chardev", "Can't create debugcon device, empty char device"),
    "smbus-ipmi": ("bmc", "IPMI device requires a bmc attribute to be set"),
    "vhost-user-vsock-pci": ("chardev", "missing chardev"),
    "virtio-crypto-pci": ("cryptodev", "'cryptodev' parameter expects a valid object"),
    "ctucan_pci": ("canbus0", "ctucan_connect_to_bus failed"),
    "kvaser_pci": ("canbus", "can_sja_connect_to_bus failed"),
    "mioe3680_pci": ("canbus0", "can_sja_connect_to_bus failed"),
    "pcm3680_pci": ("canbus0", "can_sja_connect_to_bus failed"),
    "acpi-erst": ("memdev", "'memdev' property is not set"),
    "isa-ipmi-bt": ("bmc", "IPMI device requires a bmc attribute to be set"),
    "isa-ipmi-kcs": ("bmc", "IPMI device requires a bmc attribute to be set"),
    "isa-parallel": ("chardev", "Can't create parallel device, empty char device"),
    "nvdimm": ("memdev", "'memdev' property must be set"),
    "pci-ipmi-bt": ("bmc", "IPMI device requires a bmc attribute to be set"),
    "pci-ipmi-kcs": ("bmc", "IPMI device requires a bmc attribute to be set"),
    "tpm-crb": ("tpmdev", "'tpmdev' property is required"),
    "tpm-tis": ("tpmdev", "'tpmdev' property is required"),
    "vhost-user-blk-pci": ("chardev", "chardev is mandatory"),
    "vhost-user-fs-pci": ("chardev", "missing chardev"),
    "vhost-vsock-pci": ("guest-cid", "guest-cid property must be greater than 2"),
    "virtio-input-host-pci": ("evdev", "evdev property is required"),
    "virtio-mem-pci": ("memdev", "'memdev' property must be set"),
    "virtio-pmem-pci": ("memdev", "'memdev' property must be set"),
    "u2f-passthru": ("hidraw", "u2f-passthru: Failed to find a U2F USB device"),
    "usb-serial": ("chardev", "Property chardev is required"),
    "usb-braille": ("chardev", "Property chardev is required"),
    "usb-redir": ("chardev", "Parameter 'chardev' is missing"),
    "usb-mtp": ("rootdir", "usb-mtp: rootdir must be configured and be an absolute path"),
    "vmmouse": ("i8042", "'i8042' link is not set"),
}
"""Type -> the option without which it is refused, and how."""

LACKING = dict.fromkeys(
    ("virtio-gpu-gl-pci", "virtio-vga-gl"), "missing object type 'virtio-gpu-gl-device'"
) | dict.fromkeys(
    ("vhost-user-gpu-pci", "vhost-user-input-pci", "vhost-user-vga"),
    "vhost initialization failed: requires kvm",
)
"""Types that a QEMU without the package qemu-system-modules-opengl, or without KVM, lists and cannot make."""

VHOST = {
    "vhost-vsock-pci": ("/dev/vhost-vsock", "vhost-vsock: failed to open vhost device"),
    "vhost-scsi-pci": ("/dev/vhost-scsi", "vhost-scsi: open vhost char device failed"),
}
ON_Q35 = ("intel-iommu", "amd-iommu")
"""What only that board has a place for."""
VIRTIO_SUFFIXES = ("-non-transitional", "-transitional")


CARD_BACKENDS = ("nss-emulated", "certificates")
ADDRESS_BITS = (39, 48)
ACPI_INDEX_MAX = 16383


def check(kind: str, values: Mapping[str, object], machine: Machine) -> None:
    """Whether a device of type `kind` can be made. Raises Refused."""
    why_unreadable = machine.host.why_unreadable
    kind = _plain(kind)
    if kind in LACKING:
        raise Refused(LACKING[kind])
    option, text = NEEDED.get(kind, ("", ""))
    if option and not values.get(option):
        raise Refused(text)
    if kind in ON_Q35 and machine.config.family != "q35":
        raise Refused("Parameter 'driver' expects a dynamic sysbus device type for the machine")
    if kind in ("vfio-pci", "vfio-pci-nohotplug"):
        _vfio(values, why_unreadable)
    elif kind == "virtio-input-host-pci":
        path = str(values["evdev"])
        _host(path, f"Could not open '{path}'", why_unreadable)
    elif kind in VHOST and values.get("vhostfd") is None:
        path, text = VHOST[kind]
        _host(path, text, why_unreadable)
    elif kind in SPECIAL:
        SPECIAL[kind](values, machine)
    rom = values.get("romfile")
    if isinstance(rom, str) and rom and not rom.startswith(SHIPPED_ROMS) and why_unreadable(rom) is not None:
        raise Refused(f'failed to find romfile "{rom}"')
    if values.get("duplex", "full") not in DUPLEX:
        raise Refused("'duplex' must be 'half' or 'full'")
    if kind == "virtio-rng-pci" and int(str(values.get("max-bytes", 0))) >= 1 << 63:
        raise Refused("'max-bytes' parameter must be non-negative, and less than 2^63")
    interval = values.get("guest-stats-polling-interval", 0)
    if isinstance(interval, int) and interval < 0:
        raise Refused("timer value must be greater than zero")


NOTES = {
    "sga": "warning: -device sga is deprecated, use -machine graphics=off",
    "vmbus-bridge": "VMBus requires usable Hyper-V SynIC and VP_INDEX",
}
"""Type -> what is said where one is made all the same."""
KEY_LETTERS = 64
SHIPPED_ROMS = ("efi-", "pxe-", "vgabios-", "kvmvapic.bin", "linuxboot", "multiboot")
"""Beginnings of ROMs that come with QEMU and are named without a path."""
NETWORK = (
    *(
        "virtio-net",
        "e1000",
        "rtl8139",
        "ne2k_",
        "pcnet",
        "vmxnet3",
        "igb",
        "i8255",
        "i8256",
        "i8280",
        "tulip",
    ),
    "vfio-pci",
)
DUPLEX = ("half", "full")
TIMERS = ("timer", "bh")


def note(device: Device) -> str | None:
    """What is said of a device that is made all the same."""
    if device.kind == "isa-applesmc" and len(str(device.values.get("osk", ""))) != KEY_LETTERS:
        return "warning: Using AppleSMC with invalid key"
    way = device.values.get("tx", TIMERS[1])
    if device.kind.startswith("virtio-net") and way not in TIMERS:
        return (
            f'warning: virtio-net: Unknown option tx={way}, valid options: "timer" "bh"\nDefaulting to "bh"'
        )
    return NOTES.get(device.kind)


SOUND = {
    **dict.fromkeys(("hda-duplex", "hda-micro", "hda-output"), "hda"),
    **{name: name.lower() for name in ("AC97", "ES1370", "adlib", "cs4231a", "gus", "sb16", "usb-audio")},
}
"""What has sound -> how its audio device calls it."""


def without_sound(device: Device, audiodevs: list[str]) -> str | None:
    """What the audio layer says of a device that takes the first audio device without naming it."""
    if not audiodevs or device.kind not in SOUND or "audiodev" in device.values:
        return None
    name = SOUND[device.kind]
    return f"audio: Device {name}: audiodev default parameter is deprecated, please specify audiodev={audiodevs[0]}"


PASSED_THROUGH = ("scsi-block", "scsi-generic")


def check_passed_through(kind: str, drivers: Iterable[str]) -> None:
    """Whether a device of the host's can be behind a drive, by the drivers of its nodes. Raises Refused."""
    if kind in PASSED_THROUGH and "file" in drivers:
        raise Refused("cannot get SG_IO version number: Operation not supported", "Is this a SCSI device?")


def check_failover(device: Device) -> None:
    """Whether a device can be the one that a virtio card takes over from. Raises Refused."""
    if "failover_pair_id" not in device.values:
        return
    if device.bus is None or device.bus.kind != "PCIE":
        raise Refused("failover primary device must be on PCIExpress bus")
    if not device.kind.startswith(NETWORK):
        raise Refused("failover primary device is not an Ethernet device")


def check_slot(device: Device, others: Iterable[Device]) -> None:
    """The number of a slot within its chassis, by which a port is known. Raises Refused."""
    if device.kind not in EXPRESS_PORTS:
        return
    number = _slot(device)
    if any(each.kind in EXPRESS_PORTS and _slot(each) == number for each in others):
        raise Refused("Can't add chassis slot, error -16")


def _slot(device: Device) -> tuple[int, int]:
    return int(str(device.values.get("chassis", 0))), int(str(device.values.get("slot", 0)))


def check_boot_index(index: object, others: Iterable[Device]) -> None:
    """The place among what is booted from: each is taken once. Raises Refused."""
    if (
        isinstance(index, int)
        and index >= 0
        and any(each.values.get("bootindex") == index for each in others)
    ):
        raise Refused(f"The bootindex {index} has already been used")


def check_acpi_index(index: object, others: Iterable[object]) -> None:
    """The number by which firmware tells an operating system of a PCI device. Raises Refused."""
    if not isinstance(index, int) or not index:
        return
    if index > ACPI_INDEX_MAX:
        raise Refused(f"acpi-index should be less or equal to {ACPI_INDEX_MAX}")
    if index in others:
        raise Refused(f"a PCI device with acpi-index = {index} already exist")


def _iommu(values: Mapping[str, object], machine: Machine) -> None:
    if values.get("eim") == "on" and values.get("intremap") == "off":
        raise Refused("eim=on cannot be selected without intremap=on")
    if values.get("eim") == "on" and machine.config.accel != "kvm" and not values.get("x-buggy-eim"):
        raise Refused("eim=on requires accel=kvm,kernel-irqchip=split")
    if values.get("aw-bits", ADDRESS_BITS[0]) not in ADDRESS_BITS:
        raise Refused("Supported values for aw-bits are: 39, 48")


def _with_vmbus(values: Mapping[str, object], machine: Machine) -> None:
    if next(machine.plugging.devices.of_kind("vmbus-bridge"), None) is None:
        raise Refused("hv-syndbg device requires vmbus-bridge device")


def _loader(values: Mapping[str, object], machine: Machine) -> None:
    if not values:
        raise Refused("please include valid arguments")


def _lpc_bridge(values: Mapping[str, object], machine: Machine) -> None:
    if values.get("addr") != LPC_PLACE:
        raise Refused("VFIO dummy ISA/LPC bridge must have address 1f.0")


LPC_PLACE = 0x1F * 8


def _card(values: Mapping[str, object], machine: Machine) -> None:
    """No smart card of the host's can be emulated; what QEMU looks at before comes first."""
    if values.get("backend") not in CARD_BACKENDS:
        raise Refused("\n".join(("backend must be one of:", *CARD_BACKENDS)))
    if values["backend"] == "certificates" and not {"cert1", "cert2", "cert3"} <= values.keys():
        raise Refused("ccid-card-emulated: you must provide all three certs for certificates backend")
    raise Refused("ccid-card-emulated: failed to initialize vcard")


def _folder(values: Mapping[str, object], machine: Machine) -> None:
    root = str(values["rootdir"])
    if not root.startswith("/"):
        raise Refused(NEEDED["usb-mtp"][1])
    if machine.host.why_unreadable(root) not in (None, "Is a directory"):
        raise Refused("usb-mtp: rootdir does not exist/not readable")


def _shared_memory(values: Mapping[str, object], machine: Machine) -> None:
    memory = machine.objects.all.get(str(values.get("memdev")))
    size = 0 if memory is None else int(str(memory.values.get("size", 0)))
    if size & (size - 1):
        raise Refused(
            f"qmpemu does not emulate shared memory of {size} bytes, no power of two: QEMU ends by an assertion"
        )


def _tpm(kind: str) -> Callable[[Mapping[str, object], Machine], None]:
    """A machine has one back end of -tpmdev, and that serves one device."""

    def check_backend(values: Mapping[str, object], machine: Machine) -> None:
        name = values.get("tpmdev")
        if name not in machine.config.tpms:
            raise Refused(f"Property '{kind}.tpmdev' can't find value '{name}'")
        if any(machine.plugging.devices.of_kind("tpm-")):
            raise Refused(f"TPM backend '{name}' is already initialized")

    return check_backend


def _numbered(kind: str, what: str, most: int) -> Callable[[Mapping[str, object], Machine], None]:
    """A port of the ISA bus, which has room for so many."""

    def check_number(values: Mapping[str, object], machine: Machine) -> None:
        index = values.get("index", NO_INDEX)
        if index == NO_INDEX:
            index = sum(1 for _ in machine.plugging.devices.of_kind(kind))
        if int(str(index)) >= most:
            raise Refused(f"Max. supported number of {what} ports is {most}.")

    return check_number


def _alone(kind: str, text: str) -> Callable[[Mapping[str, object], Machine], None]:
    """One of which a machine has no second."""

    def check_others(values: Mapping[str, object], machine: Machine) -> None:
        if any(each.kind == kind for each in machine.plugging.devices.all):
            raise Refused(text)

    return check_others


SECOND = "at most one {} device is permitted"
NO_INDEX = 0xFFFF_FFFF
SPECIAL: dict[str, Callable[[Mapping[str, object], Machine], None]] = {
    "intel-iommu": _iommu,
    "hv-syndbg": _with_vmbus,
    "loader": _loader,
    "vfio-pci-igd-lpc-bridge": _lpc_bridge,
    "ivshmem-plain": _shared_memory,
    "usb-mtp": _folder,
    "ccid-card-emulated": _card,
    "tpm-crb": _tpm("tpm-crb"),
    "tpm-tis": _tpm("tpm-tis"),
    "vmgenid": _alone("vmgenid", SECOND.format("vmgenid")),
    "vmcoreinfo": _alone("vmcoreinfo", SECOND.format("vmcoreinfo")),
    "pvpanic": _alone("pvpanic", "duplicate fw_cfg file name: etc/pvpanic-port"),
    "isa-serial": _numbered("isa-serial", "ISA serial", 4),
    "isa-parallel": _numbered("isa-parallel", "parallel", 3),
}


def _vfio(values: Mapping[str, object], why_unreadable: Callable[[str], str | None]) -> None:
    path = values.get("sysfsdev")
    if path is None and values.get("host") is None:
        raise Refused(
            "No provided host device",
            "Use -device vfio-pci,host=DDDD:BB:DD.F or -device vfio-pci,sysfsdev=PATH_TO_DEVICE",
        )
    path = str(path or f"/sys/bus/pci/devices/{_host_address(str(values['host']))}")
    if why_unreadable(path) is not None:
        _host(path, f"vfio {path}: no such host device", why_unreadable)
    _host(
        f"{path}/iommu_group",
        f"vfio {path.rstrip('/').rpartition('/')[2]}: no iommu_group found",
        why_unreadable,
    )


def _host_address(given: str) -> str:
    """[DOMAIN:]BUS:SLOT.FUNCTION, with its domain and all digits. Raises Refused."""
    place, _, function = given.partition(".")
    try:
        numbers = [int(each, 16) for each in place.split(":")]
        if not 2 <= len(numbers) <= 3 or not int(function, 16) < 8 or numbers[-1] > 31 or numbers[-2] > 255:
            raise ValueError
    except ValueError:
        raise Refused(f"Property 'vfio-pci.host' doesn't take value '{given}'") from None
    *domain, bus, slot = numbers
    return f"{(domain or [0])[0]:04x}:{bus:02x}:{slot:02x}.{int(function, 16)}"


def _host(path: str, text: str, why_unreadable: Callable[[str], str | None]) -> None:
    reason = why_unreadable(path)
    raise Refused(f"qmpemu does not emulate the host's {path}" if reason is None else f"{text}: {reason}")


def _plain(kind: str) -> str:
    """The type without the suffix that only says which virtio it speaks."""
    for suffix in VIRTIO_SUFFIXES:
        kind = kind.removesuffix(suffix)
    return kind
