"""What a machine is built from: the command line or the Python API, already parsed. Pure data."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.migration.memory import MemoryModel

NO_UUID = "00000000-0000-0000-0000-000000000000"


class OldDrive:
    """A drive of the old kind (-drive, -hda): a name that devices use. interface: as in -drive's `if`.

    node: the options of its block node with its file's path for `file`, without `driver` where that is to be guessed;
    None for an empty drive. write_through: each write is flushed. policies: werror and rerror. throttle: as in
    block_set_io_throttle, in the group `group`.
    """

    __slots__ = (
        "bus",
        "cdrom",
        "group",
        "id",
        "interface",
        "node",
        "policies",
        "read_only",
        "temporary",
        "throttle",
        "unit",
        "write_through",
    )

    def __init__(self, identity: str, interface: str, bus: int, unit: int) -> None:
        self.id = identity
        self.interface = interface
        self.bus = bus
        self.unit = unit
        self.cdrom = False
        self.read_only = False
        self.temporary = False
        """Whether what is written goes into an image that ends with the process (snapshot=on)."""
        self.node: dict[str, object] | None = None
        self.policies: dict[str, object] = {}
        self.throttle: dict[str, int] = {}
        self.group = ""
        self.write_through = False


class OnBoard:
    """A device that the board makes itself. group: when (`onboard`); given: as in -device."""

    __slots__ = ("given", "group")

    def __init__(self, group: str, given: dict[str, object]) -> None:
        self.group = group
        self.given = given


class Global:
    """-global: a property's value, as a text, in each device of a class."""

    __slots__ = ("driver", "name", "value")

    def __init__(self, driver: str, name: str, value: str) -> None:
        self.driver = driver
        self.name = name
        self.value = value

    def settled(self, family: str) -> bool:
        """Whether it is one of those that libvirt gives, and nothing has to be looked up for it."""
        if self.driver == "kvm-pit":
            return self.name == "lost_tick_policy" and self.value in ("delay", "discard")
        here = self.driver == "ICH9-LPC" or (self.driver == "PIIX4_PM" and family == "pc")
        return here and self.name in ("disable_s3", "disable_s4") and self.value in ("0", "1")


FIRST_WITH_NODE = (2, 11)
"""The first version whose machine types have a NUMA node where memory may be plugged in."""
PARTS = frozenset("acpi hpet i8042 pic pit sata smbus vmport".split())
"""What a board can be without (`onboard`)."""


class MachineConfig:
    """One machine's configuration, QEMU's option names and units (memory in bytes)."""

    name: str | None = None
    uuid = NO_UUID
    machine = "pc-i440fx-7.2"
    """The machine type, aliases resolved (`q35` is `pc-q35-7.2`)."""
    accel = "tcg"
    cpu = "qemu64"
    cpu_given = False
    """Whether there was a -cpu: a machine without a board has a processor only then."""
    cpu_vp_index = False
    """Whether that sets hv-vpindex, by no sign: TCG does not start then."""
    cpus = 1
    cpus_max = 1
    topology = (1, 1, 1, 1)
    """sockets, dies, cores, threads: their product is cpus_max."""
    numa = False
    """Whether there are nodes; a slot that is in no -numa belongs to node 0."""
    numa_memory = False
    """Whether nodes have memory back ends of their own."""
    nodefaults = False
    """-nodefaults: no device is there that was not asked for."""
    memory_asked_bytes: int | None = None
    memory_slots = 0
    memory_most_bytes = 0
    """-m slots=, maxmem=: what can be plugged in."""
    main_memory: str | None = None
    """-machine memory-backend=: the object that is the machine's RAM."""
    memory_path: str | None = None
    """-mem-path: the file, or the folder, that the machine's memory is in."""
    memory_at_once = False
    """-mem-prealloc: memory is taken when it is made."""
    firmware: str | None = None
    """-bios: a firmware file other than the machine's own."""
    firmware_bytes = 0
    """Its size."""
    splash_fault: str | None = None
    """What is wrong with the picture of -boot splash=."""
    start_paused = False
    incoming: str | None = None
    """-incoming: where a migration comes from; until it has come the machine waits."""
    loadvm: str | None = None
    """-loadvm: the internal snapshot to start from."""
    memory_model: MemoryModel | None = None
    """What a migration finds in the guest's memory; None for the default."""
    preconfig = False
    """--preconfig: nothing starts before x-exit-preconfig."""
    qtest_accel = False
    """-accel qtest: nothing runs on the processor, and only qtest moves the virtual clock."""
    debugger: str | None = None
    """-gdb: the label of its character device."""
    qtest: str | None = None
    """-qtest: the label of its character device."""
    qtest_log: str | None = None
    """-qtest-log: the file, or None for standard error."""
    rtc_slews = False
    """-rtc driftfix=slew: interrupts that the guest has missed are given later."""
    rtc_virtual = False
    """-rtc clock=vm: the battery-backed clock follows the virtual clock."""
    nographic = False
    """-nographic: there is no display."""
    no_place: str | None = None
    """The text with which the board refuses one of the drives, once they are open."""
    default_network = False
    """Whether the network is the board's own, since none was asked for."""
    usb = False
    guest: str | None = None
    """The simulated guest, or None for the default one."""
    seed = "0"
    operator = False
    """Whether query-commands lists the operator's commands."""
    participants: tuple[str, ...] = ()
    """Names of installed participants (`qmpemu.participants`) that join the guest's own."""
    vga: str | None = None
    """-vga: the built-in display adapter, `none` without one; None is the default, which -nodefaults takes away."""
    spice: dict[str, str] | None = None
    """-spice by QEMU's option names; `typed` is the whole option."""

    def __init__(self) -> None:
        self.cpu_features: dict[str, object] = {}
        """-cpu NAME,feature=value: what it sets of a processor's properties."""
        self.numa_nodes: dict[int, int] = {}
        """-numa: index of a processor's slot -> its node."""
        self.numa_sizes: dict[int, str] = {}
        """-numa: node -> its memory back end, or the text of a size."""
        self.flash: dict[str, str] = {}
        """-machine pflash0=, pflash1=: the nodes in the chips that hold the firmware."""
        self.switches: dict[str, bool] = {}
        """-machine dump-guest-core=on, nvdimm=on ...: those that are given, by their names as properties."""
        self.choices: dict[str, str] = {}
        """-machine smm=on, vmport=auto ...: `on`, `off` or `auto`, those that are given."""
        self.boot_times: dict[str, int] = {}
        """-boot splash-time=, reboot-timeout=: milliseconds, those that are given."""
        self.globals: list[Global] = []
        self.actions: dict[str, str] = {}
        self.chardevs: list[Chardev] = []
        self.devices: list[dict[str, object]] = []
        """-device: members as in device_add; `driver` is always there."""
        self.objects: list[dict[str, object]] = []
        self.blockdevs: list[dict[str, object]] = []
        self.tpms: dict[str, dict[str, str]] = {}
        """-tpmdev: `type` and the rest of its options, by its name."""
        self.netdevs: list[dict[str, object]] = []
        self.drives: list[OldDrive] = []
        """-drive and its like, and the default ones, in order."""
        self.onboard: list[OnBoard] = []
        """What the board makes beside the bare machine's devices, in order."""
        self.unmade_cards: list[str] = []
        """-net nic, -nic: names and models of cards for which there is no board."""
        self.hub: list[tuple[str, int]] = []
        """-net: who is on the hub, in order: a back end's id, or the number of a card of the board."""
        self.warnings: list[str] = []
        """What is said on standard error at the start."""
        self.audiodevs: list[str] = []
        """-audiodev: ids; the first is that of devices that name none."""
        self.file_systems: dict[str, str] = {}
        """-fsdev, -virtfs: name -> the host's folder."""
        self.passed_fds: list[tuple[int, int, str | None]] = []
        """-add-fd: descriptor, number of its set, what was said of it."""
        self.usb_controllers: list[dict[str, object]] = []
        """-usb: the machine's own controllers, made before all devices."""
        self.typed: dict[str, list[str]] = {}
        """How each -device, -object, -blockdev and -netdev was typed, in their order: messages begin with it."""
        self.settings: dict[str, str] = {}
        """The guest's, by their Windows' names."""
        self.vnc: list[dict[str, str]] = []
        """-vnc, each by QEMU's option names, the first word as `vnc`; `typed` is the whole option."""
        self.not_emulated: list[str] = []
        """Options that were accepted because QEMU has them, and that change nothing here."""

    @property
    def switched_off(self) -> frozenset[str]:
        """Parts of the board that -machine has switched off, by the names of its properties."""
        off = {name for name, is_on in self.switches.items() if not is_on}
        return PARTS & off.union(name for name, choice in self.choices.items() if choice == "off")

    @property
    def has_acpi(self) -> bool:
        """Whether firmware gives an operating system ACPI tables."""
        return self.family != "none" and "acpi" not in self.switched_off

    def is_newest(self, version: dict[str, int]) -> bool:
        """Whether the machine's type is of the newest version, that of the program."""
        return self.machine.endswith("-{major}.{minor}".format_map(version))

    @property
    def has_pm(self) -> bool:
        """Whether the board has power management registers: a PC's are a device that is there for ACPI alone."""
        return self.family == "q35" or self.has_acpi

    @property
    def s3_disabled(self) -> bool:
        """Whether the chipset does not offer suspend to RAM."""
        return self._disabled("disable_s3")

    @property
    def s4_disabled(self) -> bool:
        """Whether the chipset does not offer suspend to disk."""
        return self._disabled("disable_s4")

    def _disabled(self, name: str) -> bool:
        driver = "ICH9-LPC" if self.family == "q35" else "PIIX4_PM"
        said = [each.value for each in self.globals if (each.driver, each.name) == (driver, name)]
        return bool(said) and said[-1].strip("0x") != ""

    @property
    def grows(self) -> bool:
        """Whether there may be more memory than at the start, for which there is a NUMA node in any case."""
        return self.memory_most_bytes > self.memory_bytes

    @property
    def has_node(self) -> bool:
        """Whether there is a NUMA node since memory may be plugged in: older machine types have none then."""
        numbers = self.machine.rpartition("-")[2].split(".")
        older = len(numbers) > 1 and (int(numbers[0]), int(numbers[1])) < FIRST_WITH_NODE
        return self.grows and not older

    @property
    def memory_bytes(self) -> int:
        """RAM as asked for by -m, else the machine's default: 128 MiB, none for `-machine none`."""
        if self.memory_asked_bytes is not None:
            return self.memory_asked_bytes
        return 0 if self.family == "none" else 128 << 20

    @property
    def bare(self) -> bool:
        """Whether nothing was added to the machine."""
        added = self.devices or self.objects or self.blockdevs or self.netdevs or self.cpus_max > 1
        if added or self.onboard or self.drives:
            return False
        return self.nodefaults and self.memory_asked_bytes is None

    @property
    def family(self) -> str:
        """Which recorded machine this is like: `none`, `q35` or `pc`."""
        if self.machine == "none":
            return "none"
        return "q35" if "q35" in self.machine else "pc"
