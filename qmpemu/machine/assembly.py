"""What a machine has at its start: the board's own devices and what the command line asks for, in QEMU's order.

(`early_backends` ─>) late objects ─> the board's devices ─> -device
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices import memory_backend
from qmpemu.machine.devices.bus import Bus
from qmpemu.machine.devices.requirements import note, without_sound
from qmpemu.machine.early_backends import add_each, is_late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.config import OnBoard
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine
    from qmpemu.profile import Profile


def assemble(machine: Machine, profile: Profile) -> None:
    """Make it all. Raises Refused whose text begins with the option."""
    config, plugging = machine.config, machine.plugging

    late = [given for given in config.objects if is_late(given)]
    add_each([], late, plugging.add_object)  # these name no option, once they were understood
    if config.tpms:
        add_each(config.typed["tpmdev"], [*config.tpms.values()], lambda given: _reach_tpm(machine, given))
    _have_memory(machine)
    _settle_globals(machine, profile)
    _tell_of_processors(machine, profile)
    if config.boot_times or config.splash_fault:
        _tell_of_boot_menu(machine)
    if config.onboard or config.hub:
        _make_board(machine, profile, config.onboard)
    names = config.typed.get("device", [])
    typed = iter(names)
    add_each(names, config.devices, lambda given: _add_device(machine, given, next(typed, "")))
    if not config.switches.get("cxl") and next(plugging.devices.of_kind("pxb-cxl"), None) is not None:
        raise Refused("CXL host bridges present, but cxl=off")
    if machine.tpm is not None:
        machine.tpm.reset(machine.host.report, start=config.incoming is None)


RESERVED = (
    "object name '{}' is reserved for the default RAM backend, it can't be used for any other purposes. "
    "Change the object's 'id' to something else"
)


def _have_memory(machine: Machine) -> None:
    """Take the back end that is the machine's memory, or make it. Raises Refused."""
    config, plugging = machine.config, machine.plugging
    if config.main_memory is None:
        if not config.memory_bytes or config.numa_memory:
            return
        made = memory_backend.main(config)
        if made["id"] in plugging.objects.all:
            raise Refused(RESERVED.format(made["id"]))
        if config.memory_path is None and config.family != "none":
            machine.host.back_memory(made)
            plugging.objects.main_memory = str(made["id"])  # it stands in the recorded tree
            return
        plugging.add_object(made)
        config.main_memory = str(made["id"])
    main = plugging.objects.all.get(config.main_memory)
    if main is None:
        raise Refused(f"Memory backend '{config.main_memory}' not found")
    main.users.append(plugging)
    if main.values.get("size") != config.memory_bytes:
        raise Refused("Machine memory size does not match the size of the memory backend")


def _reach_tpm(machine: Machine, given: Mapping[str, str]) -> None:
    """Agree with the emulator of a TPM. Raises Refused."""
    from qmpemu.machine.devices.tpm import connected

    chardev = machine.chardevs.get(given["chardev"])
    if chardev is None:
        raise Refused(f"tpm-emulator: tpm chardev '{given['chardev']}' not found")
    machine.tpm = connected(chardev, machine.host, machine.config.typed["tpmdev"][0])


def _add_device(machine: Machine, given: dict[str, object], typed: str) -> None:
    """Make a device of the command line, and say what is to be said of it. Raises Refused, QmpError."""
    device = machine.plugging.devices.add(given, running=False)
    if machine.tpm is not None and device.kind.startswith("tpm-"):
        machine.tpm.has_device = True
    sound = without_sound(device, machine.config.audiodevs)
    if sound is not None:
        machine.host.report(sound)
    said = note(device)
    if said is not None:
        machine.host.report(f"{typed}: {said}")
    machine.plugging.plugged(device)


PLAIN = ("qemu64", "max")
"""Models that need no look at what the accelerator lacks."""


def _settle_globals(machine: Machine, profile: Profile) -> None:
    """Have the devices that are made from now on take their values. Raises Refused."""
    config = machine.config
    if all(each.settled(config.family) for each in config.globals):
        return
    from qmpemu.machine.devices.globals import Globals

    given = Globals(config.globals, profile, machine.host.report)
    if config.family != "none":
        given.check_processor(config)
        from qmpemu.machine.block.flash import empty

        given.check_board([empty(), *machine.recorded_objects().values()])
    machine.devices.globals = given


def _tell_of_processors(machine: Machine, profile: Profile) -> None:
    """The plain model has everything, and needs no look. Raises Refused."""
    config = machine.config
    plain = config.cpu in PLAIN and not config.cpu_features and config.topology[3] == 1
    if not plain or (config.cpu_given and config.family == "none"):
        from qmpemu.machine.features import tell

        tell(config, profile, machine.host)


def _tell_of_boot_menu(machine: Machine) -> None:
    """What firmware shows before it boots, and how long it waits. Raises Refused."""
    config = machine.config
    if config.family == "none":
        return
    if not 0 <= config.boot_times.get("splash-time", 0) <= MOST_MS:
        raise Refused(f"splash-time is invalid,it should be a value between 0 and {MOST_MS}")
    if config.splash_fault:
        machine.host.report(config.splash_fault)
    if not -1 <= config.boot_times.get("reboot-timeout", 0) <= MOST_MS:
        raise Refused(f"reboot timeout is invalid,it should be a value between -1 and {MOST_MS}")


MOST_MS = 65535


def _make_board(machine: Machine, profile: Profile, onboard: list[OnBoard]) -> None:
    """What the board makes itself. Raises Refused."""
    from qmpemu.machine.onboard import Numbers

    plugging = machine.plugging
    cards: list[Device] = []
    for each, path in zip(onboard, Numbers(machine.config, profile).paths, strict=True):
        device = plugging.devices.add(each.given, running=False, path=path)
        plugging.plugged(device)
        if each.group == "nic":
            cards.append(device)
    plugging.netdevs.wire(machine.config.hub, cards)


def next_unattached(machine: Machine, reserved: str) -> str:
    """A path behind all that the board has made so far."""
    from qmpemu.machine.onboard import UNATTACHED

    start = f"{UNATTACHED}/device["
    made = machine.plugging.devices.all
    paths = [reserved, *machine.recorded_objects(), *(device.path for device in made)]
    paths += [bus.path.rpartition("/")[0] for device in made for bus in device.buses]
    taken = [int(path[len(start) : -1]) for path in paths if path.startswith(start) and path.count("/") == 3]
    return f"{start}{max(taken) + 1}]"


def board_buses(machine: Machine) -> list[Bus]:
    """The machine's own buses, with what stands on them, from the bare machine's tree."""
    found = []
    objects = machine.recorded_objects(
        lambda values: "hotplug-handler" in values or ("parent_bus" in values and "addr" in values)
    )
    for path, each in objects.items():
        if "hotplug-handler" in each.values:
            above, _, name = path.rpartition("/")
            bus = Bus(name, each.type_name, path, str(each.values["hotplug-handler"]), None)
            if above in objects and objects[above].type_name == "ich9-ahci":
                bus.units = 1
            bus.children = sum(name.startswith("child[") for name in each.values)
            found.append(bus)
    for each in objects.values():
        parent = next((bus for bus in found if bus.path == each.values.get("parent_bus")), None)
        if parent is not None and "addr" in each.values:
            parent.taken[int(str(each.values["addr"]))] = each.type_name
    return found
