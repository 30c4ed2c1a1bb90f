"""What a machine has unless told otherwise: video, serial and parallel ports, a network card, drives for media.

Read once all options are known. -nodefaults takes it all away; an option or a -device of the same sort takes the
default of its sort away (measured on QEMU 7.2). The board makes these devices itself: `machine.onboard`.
"""

from __future__ import annotations

from qmpemu.edge.argv import drive_options, network_options
from qmpemu.edge.argv.chardev_options import compat_chardev, multiplexed
from qmpemu.edge.argv.parser import Parser
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.block.old_drives import is_taken, named, units
from qmpemu.machine.config import OldDrive, OnBoard

VIDEO = {
    "std": "VGA",
    "cirrus": "cirrus-vga",
    "vmware": "vmware-svga",
    "qxl": "qxl-vga",
    "virtio": "virtio-vga",
}
REPLACES = {
    **dict.fromkeys(("isa-serial",), "serial"),
    **dict.fromkeys(("isa-parallel",), "parallel"),
    **dict.fromkeys(("isa-fdc", "floppy"), "floppy"),
    **dict.fromkeys(("ide-cd", "ide-hd", "ide-cf", "scsi-cd", "scsi-hd"), "cdrom"),
    **dict.fromkeys(
        """
        VGA isa-vga cirrus-vga isa-cirrus-vga vmware-svga qxl-vga virtio-vga virtio-vga-gl vhost-user-vga ati-vga
        """.split(),
        "video",
    ),
}
"""-device, or -global, of a type -> the default that it takes away."""
USB = {
    "tablet": "usb-tablet",
    "mouse": "usb-mouse",
    "keyboard": "usb-kbd",
    "wacom-tablet": "usb-wacom-tablet",
}
MOST_SERIAL, MOST_PARALLEL = 4, 3
VGA_UNUSED = (
    "A -vga option was passed but this machine type does not use that option; No VGA device has been created"
)


def finish(parser: Parser) -> None:
    """Complete the configuration. Raises OptionError, Unprefixed."""
    config = parser.config
    drive_options.finish(parser)
    if config.family == "none":
        _check_background(parser, set(parser.lines))
        _without_board(parser)
        _monitor(parser)
        return
    if not config.machine.startswith(("pc-q35-", "pc-i440fx-")):
        return
    absent = set(REPLACES.values()) if config.nodefaults else set()
    named = [str(each["driver"]) for each in config.devices] + [each.driver for each in config.globals]
    absent |= {REPLACES[driver] for driver in named if driver in REPLACES}
    _check_background(parser, absent)
    _default_drives(parser, absent)
    drive_options.check_places(parser)
    parts = {
        "video": _video(parser, absent),
        "serial": _lines(parser, "serial", absent),
        "parallel": _lines(parser, "parallel", absent),
        "floppy": _floppies(parser),
        "nic": network_options.finish(parser),
        "ide": _disks(parser),
        "usb": [OnBoard("usb", each) for each in config.usb_controllers],
        "end": [*_sound(parser), *_usb_devices(parser)],
    }
    _monitor(parser)
    late = ("video", "nic", "end") if config.family == "q35" else ("end",)
    order = [name for name in parts if name not in late] + list(late)
    config.onboard = [each for name in order for each in parts[name]]
    _virtio(parser)


def _check_background(parser: Parser, absent: set[str]) -> None:
    """What would be on the terminal by default cannot be where there is none. Raises OptionError."""
    lines = any(not given and kind not in absent for kind, given in parser.lines.items())
    monitor = not (parser.monitor_given or parser.config.nodefaults)
    if parser.nographic and parser.process.daemonize and (lines or monitor):
        raise OptionError("-nographic cannot be used with -daemonize")


def _without_board(parser: Parser) -> None:
    """Back ends are made all the same; nothing is on them."""
    network_options.finish(parser)
    _sound(parser)
    _virtio(parser)
    for kind in parser.lines:
        _lines(parser, kind, {kind})
    if parser.config.vga is not None:
        parser.config.warnings.append(f"warning: {VGA_UNUSED}")


def _default_drives(parser: Parser, absent: set[str]) -> None:
    config = parser.config
    if config.nodefaults:
        return
    bus, unit = divmod(2, units(config.family, "ide"))
    defaults = [OldDrive("", "sd", 0, 0)]
    if config.family == "pc" and "floppy" not in absent:
        defaults.insert(0, OldDrive("", "floppy", 0, 0))
    if "cdrom" not in absent:
        defaults.insert(0, OldDrive("", "ide", bus, unit))
        defaults[0].cdrom = defaults[0].read_only = True
    for drive in defaults:
        if not is_taken(config.drives, drive.interface, drive.bus, drive.unit):
            drive.id = named(config.family, drive)
            config.drives.append(drive)


def _video(parser: Parser, absent: set[str]) -> list[OnBoard]:
    config = parser.config
    if config.vga is None:
        config.vga = "none" if "video" in absent else "std"
    driver = VIDEO.get(config.vga)
    return [] if driver is None else [OnBoard("video", {"driver": driver})]


def _lines(parser: Parser, kind: str, absent: set[str]) -> list[OnBoard]:
    """Serial or parallel ports, each on its character device, numbered with those that are `none`."""
    given = parser.lines[kind]
    if not given and kind not in absent:
        quiet = ("stdio" if parser.monitor_given else "mon:stdio") if kind == "serial" else "null"
        given = [(quiet if parser.nographic else "vc", "")]
    found = []
    for number, (where, typed) in enumerate(given):
        if kind == "parallel" and number == MOST_PARALLEL:
            raise OptionError(f"{typed}: too many parallel ports")
        if where == "none":
            continue
        label = _line(parser, f"{kind}{number}", kind, where, typed)
        if number < MOST_SERIAL:
            found.append(OnBoard(kind, {"driver": f"isa-{kind}", "chardev": label, "index": number}))
    return found


def _line(parser: Parser, label: str, kind: str, where: str, typed: str) -> str:
    """The label of a port's character device."""
    parser.typed = typed
    backend, _, name = where.partition(":")
    known = {chardev.label for chardev in parser.config.chardevs}
    if backend == "chardev" and name in known:
        return name
    if typed and not where:
        typed += " "
    prefix = f"{typed}: " if typed else ""
    failed = f"could not connect {kind} device to character backend '{where}'"
    try:
        if backend == "chardev":
            raise OptionError("")
        if backend == "mon":
            base = parser.add_chardev(compat_chardev(f"{label}-base", name))
            if base.backend == "stdio":
                base.options["signal"] = "off"  # the interrupt key is for the guest
            shared = multiplexed(label, base)
            parser.add_monitor(parser.add_chardev(shared))
        else:
            parser.add_chardev(compat_chardev(label, where))
        parser.process.sequels[label] = failed
    except OptionError as error:
        first = str(error).partition("\n")[0]
        why = "" if first.startswith("parse error: ") or not first else f"{first}\n{{prefix}}{prefix}"
        raise OptionError(f"{prefix}{why}{failed}") from None
    return label


def _monitor(parser: Parser) -> None:
    """The human monitor of -nographic, where it has not been put beside the first line."""
    if parser.nographic and not (parser.monitor_given or parser.config.nodefaults):
        number = len(parser.process.monitors)
        parser.add_monitor(parser.add_chardev(compat_chardev(f"compat_monitor{number}", "stdio")))


def _floppies(parser: Parser) -> list[OnBoard]:
    drives = [each for each in parser.config.drives if each.interface == "floppy"]
    made = [
        OnBoard("floppy", {"driver": "floppy", "drive": each.id, "unit": each.unit, "bus": "floppy-bus.0"})
        for each in drives
    ]
    if made and parser.config.family == "q35":
        made.insert(0, OnBoard("floppy", {"driver": "isa-fdc"}))
    return made


def _disks(parser: Parser) -> list[OnBoard]:
    if drive_options.has_no_disks(parser):
        return []
    drives = [each for each in parser.config.drives if each.interface == "ide"]
    return [
        OnBoard(
            "ide",
            {
                "driver": "ide-cd" if each.cdrom else "ide-hd",
                "drive": each.id,
                "unit": each.unit,
                "bus": f"ide.{each.bus}",
            },
        )
        for each in sorted(drives, key=lambda each: (each.bus, each.unit))
    ]


def _usb_devices(parser: Parser) -> list[OnBoard]:
    for name, typed in parser.usb_devices:
        if name not in USB:
            raise OptionError(f"{typed}: could not add USB device '{name}'")
    return [OnBoard("end", {"driver": USB[name]}) for name, _ in parser.usb_devices]


def _sound(parser: Parser) -> list[OnBoard]:
    if parser.sound is None:
        return []
    from qmpemu.edge.argv import audio_options

    return audio_options.cards(parser)


def _virtio(parser: Parser) -> None:
    """Their devices come behind those of -device in plain form."""
    config = parser.config
    typed = config.typed.setdefault("device", [])
    for drive, (_, said) in zip(config.drives, parser.drives, strict=False):
        if drive.interface == "virtio":
            given: dict[str, object] = {"driver": "virtio-blk", "drive": drive.id}
            config.devices.insert(parser.plain_devices, given)
            typed.insert(parser.plain_devices, said)
            parser.plain_devices += 1
