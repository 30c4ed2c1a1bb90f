"""What devices are joined with on the host's side, as options name it: drives, networks, character devices, objects."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block import properties
from qmpemu.machine.devices import memory, requirements
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.catalog import Listed, Recorded
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine

LINK = "link<"
CHARDEVS = ("chardev", "chardev1", "chardev2", "chardev3", "chardev4")
KINDS = {"rng-backend": "rng-"}
"""What a link's type is -> how the types of what it may name begin, where that is not the same."""
WRONG_KIND = "Invalid parameter type for '{}', expected: {}"
MOUNT_TAG_MAX = 31
BUSY = "can't use already busy memdev: "
BUSY_MEMORY = {"virtio-mem-pci": "'memdev' property specifies a busy memdev: "}


class Backends:
    """Joins and parts, on behalf of `table.Devices`."""

    __slots__ = ("_held", "_machine")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._held: dict[Device, list[UserObject]] = {}

    def join(self, device: Device, about: Recorded | Listed | None) -> None:
        """Take what the options name, all or nothing. about: what is known of the type. Raises Refused or QmpError."""
        machine = self._machine
        if device.kind == "nvdimm" and not machine.config.switches.get("nvdimm"):
            raise Refused("nvdimm is not enabled: missing 'nvdimm' in '-M'")
        machine.blocks.check_drive(device.kind, device.values.get("drive"))
        if "acpi-index" in device.values:
            others = (each.values.get("acpi-index") for each in machine.plugging.devices.all)
            requirements.check_acpi_index(device.values["acpi-index"], others)
        if "bootindex" in device.values:
            requirements.check_boot_index(device.values["bootindex"], machine.plugging.devices.all)
        try:
            if about is not None:
                self._join_named(device, about)
        except Exception:
            self.part(device)
            raise

    def check_processor(self, device: Device) -> None:
        """Whether processors have the properties that it is given. Raises Refused."""
        known = self._machine.qom_processor().properties
        wrong = next((name for name in device.values if name not in known), None)
        if wrong is not None:
            raise Refused(f"Property '{device.kind}.{wrong}' not found")

    def realize(self, device: Device) -> None:
        """The rest, once it has its place on a bus. Raises Refused; the device is then to be parted."""
        machine = self._machine
        requirements.check(device.kind, device.values, machine)
        requirements.check_failover(device)
        requirements.check_slot(device, machine.plugging.devices.all)
        if "disable-modern" in device.values:
            from qmpemu.machine.devices import virtio_modes

            virtio_modes.check(device)
        if device.kind.startswith("virtio-9p-pci"):
            self._file_system(device)
        if device.kind in requirements.PASSED_THROUGH:
            self._passed_through(device)
        machine.blocks.plug({"driver": device.kind, "id": device.id or "", **device.values}, device.path)
        owner = device.bus.owner if device.bus is not None else None
        if owner is not None and owner.kind.startswith("virtio-scsi"):
            machine.blocks.check_not_below(device.values.get("drive"))
        properties.check(device.kind, device.values)

    def part(self, device: Device) -> None:
        """Release everything."""
        machine = self._machine
        machine.netdevs.part(device)
        machine.blocks.unplug(device.id or "", device.path)
        for held in self._held.pop(device, ()):
            held.users.remove(device)

    def _join_named(self, device: Device, about: Recorded | Listed) -> None:
        kinds = about.kinds()
        for name, value in list(device.values.items()):
            if kinds.get(name, "").startswith(LINK):
                self._link(device, name, str(value), kinds[name][len(LINK) : -1])
            elif name == "netdev":
                self._machine.netdevs.join(str(value), device, about.owner("netdev"))
            elif name == "audiodev" and value not in self._machine.config.audiodevs:
                raise Refused(f"Property '{about.owner(name)}.audiodev' can't find value '{value}'")
            elif name in CHARDEVS:
                self._chardev(str(value), f"{about.owner(name)}.{name}")

    def _passed_through(self, device: Device) -> None:
        """A device of the host's that is passed on as it is. Raises Refused."""
        blocks, name = self._machine.blocks, str(device.values.get("drive"))
        drive = blocks.named(name)
        node = blocks.nodes.get(name) if drive is None else drive.node
        below = [each.driver for each in (node, node.file) if each is not None] if node is not None else []
        requirements.check_passed_through(device.kind, below)

    def _file_system(self, device: Device) -> None:
        """A folder of the host, and the name by which the guest would mount it. Raises Refused."""
        name, tag = device.values.get("fsdev"), str(device.values.get("mount_tag", ""))
        folder = self._machine.config.file_systems.get(str(name))
        if folder is None:
            named = "NULL" if name is None else name
            raise Refused(f"9pfs device couldn't find fsdev with the id = {named}")
        if not tag:
            raise Refused(f"fsdev with id {name} needs mount_tag arguments")
        if len(tag) > MOUNT_TAG_MAX:
            raise Refused(
                f"mount tag '{tag}' ({len(tag)} bytes) is longer than maximum ({MOUNT_TAG_MAX} bytes)"
            )
        reason = self._machine.host.why_unreadable(folder)
        if reason is not None and reason != "Is a directory":
            raise Refused(f"cannot initialize fsdev '{name}': failed to open '{folder}': {reason}")

    def _link(self, device: Device, name: str, target: str, wanted: str) -> None:
        found = self._machine.objects.all.get(target.removeprefix("/objects/"))
        if found is None:
            self._link_device(name, target, wanted)
            return
        if not found.kind.startswith(KINDS.get(wanted, wanted)):
            raise Refused(WRONG_KIND.format(name, wanted))
        if name == "memdev":
            if found.users:
                raise Refused(BUSY_MEMORY.get(device.kind, BUSY) + target)
            labels = device.values.get("label-size", 0) if device.kind == "nvdimm" else 0
            device.values["size"] = int(str(found.values["size"])) - int(labels)
            device.granule = memory.PAGE if found.kind == "memory-backend-ram" else memory.FILE_PAGE
        found.users.append(device)
        self._held.setdefault(device, []).append(found)

    def _link_device(self, name: str, target: str, wanted: str) -> None:
        """Look for another device that a link names, or for anything else of that name. Raises Refused or QmpError."""
        device = self._machine.devices.at(target)
        if device is None:
            from qmpemu.machine.qom import Ambiguous, NotFound

            try:
                self._machine.qom.find(target)
            except (NotFound, Ambiguous):
                raise device_not_found(target) from None
        if device is None or not (wanted == "device" or device.kind.startswith(KINDS.get(wanted, wanted))):
            raise Refused(WRONG_KIND.format(name, wanted))
        if name == "bmc" and any(each.values.get("bmc") == target for each in self._machine.devices.all):
            raise Refused("BMC object is already in use")

    def _chardev(self, label: str, named: str) -> None:
        chardev = self._machine.chardevs.get(label)
        if chardev is None:
            raise Refused(f"Property '{named}' can't find value '{label}'")
        if chardev.taken:
            raise Refused(f"Property '{named}' can't take value '{label}': Device '{label}' is in use")
