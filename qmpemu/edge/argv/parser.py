"""One pass over a command line: finds each option's handler, and carries what the options have said so far.

An option is a small function in a file of this folder, `@option("name")`. Which options exist, and which take an
argument, is recorded data of the profile; an option without a handler is accepted, changes nothing, and is listed in
`MachineConfig.not_emulated` (rule 6 of the design: not emulated is said).
"""

from __future__ import annotations

import os

from qmpemu.edge import keyval
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.actions import ACTION_VALUES
from qmpemu.machine.config import MachineConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmpemu.machine.chardev import Chardev
    from qmpemu.profile import Profile

    Handler = Callable[["Parser", str], None]


class Monitor:
    """One QMP or HMP monitor on a character device."""

    __slots__ = ("chardev", "control", "option", "pretty")

    def __init__(self, chardev: Chardev, *, control: bool, pretty: bool, option: str) -> None:
        self.chardev = chardev
        self.control = control
        """True for QMP, False for the human monitor."""
        self.pretty = pretty
        self.option = option
        """The option as typed, for messages: `-qmp unix:...`."""


class ProcessOptions:
    """What concerns the process and not the machine."""

    def __init__(self) -> None:
        self.daemonize = False
        self.pidfile: str | None = None
        self.timestamps = False
        """-msg timestamp=on: messages on standard error begin with the time."""
        self.show: str | None = None
        """`version` or `help`: print that and exit."""
        self.monitors: list[Monitor] = []
        self.escape = 0x01
        """-echr: the key behind which keys are for a shared character device itself; 0 for none."""
        self.sources: dict[str, str] = {}
        self.sequels: dict[str, str] = {}
        """By character device: the second line that tells that it could not be opened."""
        """Chardev label -> the option as typed, for messages."""


AT_ONCE = frozenset(
    """
    action acpitable add-fd audiodev blockdev compat display global m name object overcommit qmp readconfig sandbox set
    smbios spice trace uuid
    """.split()
)
"""Options that QEMU refuses as it meets them, so a later -msg puts no time before it; the others wait (measured)."""
OPTIONS: dict[str, Handler] = {}
RARE = {
    **dict.fromkeys(("append", "dtb", "initrd", "kernel"), "kernel_options"),
    **dict.fromkeys(("fsdev", "virtfs"), "file_systems"),
    **dict.fromkeys(("gdb", "s"), "gdb_options"),
    **dict.fromkeys(("audio", "audiodev"), "audio_options"),
    "numa": "numa_options",
    "object": "object_options",
    "readconfig": "config_file",
    "spice": "spice_options",
}
"""Options whose file is imported when one is met: most emulators start without."""
BARE, EARLY, STAMPED = "\x02", "\x03", "\x04"
"""What begins a warning before which the program's name does not stand; one said before -msg; one with the time."""


def option(*names: str) -> Callable[[Handler], Handler]:
    """Register what an option does."""

    def register(handler: Handler) -> Handler:
        OPTIONS.update(dict.fromkeys(names, handler))
        return handler

    return register


def _handler(name: str) -> Handler | None:
    if name in RARE:
        __import__(f"{__package__}.{RARE[name]}")
    return OPTIONS.get(name)


class Shown(Exception):
    """A list that was asked for, as it goes to standard output (`help_lists`)."""


STRICT = ("smp", "boot", "audio", "audiodev")
"""Options whose words all need a value."""
NAMED = frozenset(
    "accel audio audiodev boot device fw_cfg mon name net netdev nic numa object sandbox smp tpmdev vnc".split()
)
PLAIN = frozenset("drive msg overcommit rtc smbios spice".split())
"""Options whose switches are looked at here: those whose first word may stand without a name, and the others."""


class Parser:
    """One pass over a command line, in order; the first mistake ends it."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.config = MachineConfig()
        self.process = ProcessOptions()
        self.pending_monitors: list[tuple[str, str]] = []
        self.smp: dict[str, str] = {}
        """What all -smp so far have said."""
        self.action_source: str | None = None
        """The first option that named an action: messages about the values of all of them begin with it (measured)."""
        self.boots: dict[str, str] = {}
        """-kernel, -append, -initrd."""
        self.temporary = False
        """Whether drives that do not say otherwise write into images that end with the process."""
        self.drives: list[tuple[dict[str, str], str]] = []
        """-drive and its like: options and how they were typed."""
        self.networks: list[tuple[str, dict[str, str], str]] = []
        """-nic and -net: which, options, and how they were typed."""
        self._networks_named = 0
        self.lines: dict[str, list[tuple[str, str]]] = {"serial": [], "parallel": []}
        self.usb_devices: list[tuple[str, str]] = []
        self.audio: list[str] = []
        """The drivers of -audiodev."""
        self.sound: tuple[str, str] | None = None
        """-audio: the model of its card, and the audio device that is behind it."""
        self.spice = False
        """Whether there is a -spice, wherever it stands."""
        self.machine_accel: str | None = None
        """-machine accel=, -enable-kvm: names between colons."""
        self.accelerators: list[tuple[str, str]] = []
        """-accel: names, and how they were typed."""
        self.numa: list[tuple[str, str, list[tuple[str, str]]]] = []
        """-numa: how it was typed, its kind, its parameters."""
        self.deprecated = False
        """Whether the machine type is one that will be gone."""
        self.debuggers: list[tuple[str, str]] = []
        """-gdb, -s: where, and how it was typed."""
        self.debug_console: str | None = None
        """-debugcon as it was typed."""
        self.speaker: str | None = None
        """-machine pcspk-audiodev="""
        self.window = "default"
        """The last -display that is neither served nor opened last."""
        self.displays: list[str] = []
        """-display of the kinds that are opened last."""
        self.keymap = "en-us"
        self.nographic = False
        self.monitor_given = False
        """Whether any option was about monitors: there is none of its own accord then."""
        self.ids: dict[str, set[str]] = {}
        """The ids that an option group has."""
        self.plain_netdevs: list[tuple[dict[str, object], str]] = []
        """-netdev in plain form, each with how it was typed: looked at once all options are read."""
        self.plain_devices = 0
        """How many -device in plain form there were."""
        self.typed = ""
        """The option being parsed, as typed."""

    def parse(self, words: list[str]) -> None:
        """Read all options. Raises OptionError or Unprefixed with QEMU's text."""
        given = list(self._split(words))
        self.process.daemonize = any(name == "daemonize" for name, _, _ in given)
        self.spice = any(name == "spice" for name, _, _ in given)
        stamps = any(name == "msg" and "timestamp=on" in argument for name, _, argument in given)
        name = None
        try:
            for name, word, argument in given:
                if name is None:
                    self._image(word)
                else:
                    self.option(name, f"{word} {argument}" if argument else word, argument)
            name = None
            self._check_actions()
            self.monitor_given |= bool(self.pending_monitors or self.process.monitors)
            for argument, typed in self.pending_monitors:
                self._add_monitor(argument, typed)
        except (OptionError, Unprefixed) as error:
            error.stamped = self.process.timestamps or (stamps and name not in AT_ONCE)
            raise

    def _split(self, words: list[str]) -> Iterator[tuple[str | None, str, str]]:
        """Name (None for an image), word and argument of each option. Raises OptionError, before any has effect."""
        takes_argument = self.profile.options()
        rest = iter(words)
        for word in rest:
            name = word.lstrip("-") if word.startswith("-") else None
            if name is None:
                yield None, word, ""
                continue
            if name not in takes_argument:
                raise OptionError(f"{word}: invalid option")
            argument = next(rest, None) if takes_argument[name] else ""
            if argument is None:
                raise OptionError(f"{word}: requires an argument")
            yield name, word, argument

    def option(self, name: str, typed: str, argument: str) -> None:
        """Carry out an option. typed: how it was typed, for messages. Raises OptionError, Unprefixed."""
        self.typed = typed
        handler = _handler(name)
        if handler is None:
            self.config.not_emulated.append(self.typed)
            return
        if "help" in argument or "?" in argument:
            self._help(name, argument)
        try:
            self.tell_switches(name, argument)
            handler(self, argument)
        except OptionError as error:
            if error.located:
                raise
            raise OptionError(
                f"{self.typed}: {error}".replace("{prefix}", f"{{prefix}}{self.typed}: ")
            ) from None

    def tell_switches(self, name: str, argument: str) -> None:
        """Switches that are given without a value are warned of, or refused. Raises OptionError."""
        if argument.startswith("{") or not (name in NAMED or name in PLAIN):
            return
        for item in keyval.split_items(argument)[name in NAMED :]:
            if "=" in item or not item:
                continue
            if name in STRICT:
                raise OptionError(f"Expected '=' after parameter '{item}'")
            self.warn_switch(item)

    def warn_switch(self, item: str) -> None:
        """Say how a switch should have been given."""
        off = item.startswith("no") and len(item) > 2
        instead = f"{item[2:]}=off" if off else f"{item}=on"
        if item in ("delay", "nodelay"):
            instead = f"nodelay={'on' if off else 'off'}"
        self.warn(f"short-form boolean option '{item}' deprecated\nPlease use {instead} instead")

    def _help(self, name: str, argument: str) -> None:
        """End with a list, if one is asked for. Raises Shown."""
        from qmpemu.edge.argv.help_lists import LISTS, asks, show, show_properties

        first, _, rest = argument.partition(",")
        if name == "device" and rest and asks(rest):
            show_properties(self.profile, first)
        if name in LISTS and argument.startswith(LISTS[name]) and asks(argument.removeprefix(LISTS[name])):
            show(self.profile, name)

    def _check_actions(self) -> None:
        """The values of all -action together, once the last option was read."""
        for key, value in self.config.actions.items():
            if value not in ACTION_VALUES[key]:
                raise OptionError(f"{self.action_source}: Parameter '{key}' does not accept value '{value}'")

    def _image(self, path: str) -> None:
        if not os.path.exists(path):
            raise OptionError(f"{path}: Could not open '{path}': No such file or directory")
        self.drives.append(({"index": "0", "media": "disk", "file": path}, path))

    def next_network(self) -> str:
        """A name for a card or a back end that has none; QEMU takes the last two digits by chance."""
        self._networks_named += 1
        return f"#net{self._networks_named - 1}00"

    def add_chardev(self, chardev: Chardev) -> Chardev:
        """Add a character device that the current option defines. Raises OptionError."""
        if chardev.backend == "stdio" and self.process.daemonize:
            raise OptionError("cannot use stdio with -daemonize")
        if chardev.backend == "stdio" and any(each.backend == "stdio" for each in self.config.chardevs):
            raise OptionError("cannot use stdio by multiple character devices")
        self.config.chardevs.append(chardev)
        self.process.sources[chardev.label] = self.typed
        return chardev

    def add_monitor(self, chardev: Chardev) -> None:
        """A human monitor on a character device."""
        self.monitor_given = True
        self.process.monitors.append(Monitor(chardev, control=False, pretty=False, option=self.typed))

    def warn(self, text: str) -> None:
        """Say on standard error what is odd about the current option."""
        early = "" if self.process.timestamps else EARLY
        self.config.warnings.append(f"{early}{self.typed}: warning: {text}")

    def warnings(self) -> list[str]:
        """All that was said, each with its mark."""
        late = STAMPED if self.process.timestamps else ""
        return [
            text
            if text.startswith(BARE)
            else text.removeprefix(EARLY)
            if text.startswith(EARLY)
            else late + text
            for text in self.config.warnings
        ]

    def remember(self, option: str) -> None:
        """How the option being parsed was typed, for messages of what is made of it later."""
        self.config.typed.setdefault(option, []).append(self.typed)

    def _add_monitor(self, argument: str, typed: str) -> None:
        options = keyval.parse(argument, "chardev")
        known = self.profile.parameters("mon")
        wrong = next((name for name in options if name not in known and name != "id"), None)
        if wrong is not None:
            raise OptionError(f"{typed}: Invalid parameter '{wrong}'")
        label, mode = options.get("chardev"), options.get("mode", "readline")
        if label is None:
            raise OptionError(f"{typed}: Parameter 'chardev' is missing")
        if mode not in ("readline", "control"):
            raise OptionError(f"{typed}: Parameter 'mode' does not accept value '{mode}'")
        pretty = keyval.switch("pretty", options.get("pretty", "off"))
        control = mode == "control"
        if pretty and not control:
            raise OptionError(f"{typed}: 'pretty' is not compatible with HMP monitors")
        chardev = next((c for c in self.config.chardevs if c.label == label), None)
        if chardev is None:
            raise OptionError(f'{typed}: chardev "{label}" not found')
        if any(each.chardev is chardev for each in self.process.monitors) and chardev.backend != "mux":
            raise OptionError(f"{typed}: Device '{label}' is in use")
        self.process.monitors.append(Monitor(chardev, control=control, pretty=pretty, option=typed))


class Unprefixed(Exception):
    """A refusal that QEMU prints without naming the option; program: what stands in front instead of its own name."""

    def __init__(self, text: str, program: str | None = None) -> None:
        super().__init__(text)
        self.program = program

    stamped = False
