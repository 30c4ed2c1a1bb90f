"""Displays: -vnc, -vga, -display. No window is ever opened; VNC is served (`edge.vnc`)."""

from __future__ import annotations

import os

from qmpemu.edge import keyval
from qmpemu.edge.argv.checked_options import MODULE_MISSING
from qmpemu.edge.argv.parser import BARE, Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError

VNC_OPTIONS = frozenset(
    "audiodev connections display head id key-delay-ms lock-key-sync lossy non-adaptive password password-secret "
    "power-control reverse sasl sasl-authz share tls-authz tls-creds to vnc websocket".split()
)
VGA_NAMES = ("std", "cirrus", "vmware", "qxl", "xenfb", "tcx", "cg3", "virtio", "none")
DEFAULT_VNC = "localhost:0,to=99,id=default"
"""What is served where nothing was said of displays, since a QEMU without qemu-system-gui has no window."""
WINDOWS = ("gtk", "sdl")
"""Displays of the package qemu-system-gui, without which they are refused."""
KEYMAPS = frozenset(
    "ar bepo cz da de de-ch en-gb en-us es et fi fo fr fr-be fr-ca fr-ch hr hu is it ja lt lv mk nl no "
    "pl pt pt-br ru sl sv th tr".split()
)


@option("vnc")
def _vnc(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "vnc")
    wrong = next((key for key in options if key not in VNC_OPTIONS), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    name = options.get("id", "default")
    if not (name[:1].isalpha() and all(char.isalnum() or char in "-._" for char in name)):
        raise OptionError(
            "Parameter 'id' expects an identifier\n"
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
        )
    parser.config.vnc.append({**options, "typed": argument})


@option("k")
def _keymap(parser: Parser, name: str) -> None:
    parser.config.not_emulated.append(parser.typed)
    parser.keymap = name


def choose(parser: Parser) -> None:
    """Serve the default display, where nothing was said of one. Raises Unprefixed for a window, which is not there."""
    for name in (each.partition(",")[0] for each in parser.displays):
        if name in WINDOWS and not parser.nographic:
            missing = MODULE_MISSING.format(f"ui-ui-{name}")
            raise Unprefixed(f"{missing}\n{{prefix}}Display '{name}' is not available.", program="qemu")
    told = parser.nographic or parser.spice or parser.config.vnc or parser.displays
    if told or parser.window != "default":
        return
    for name in WINDOWS:
        parser.config.warnings.append(BARE + "qemu: " + MODULE_MISSING.format(f"ui-ui-{name}"))
    _vnc(parser, DEFAULT_VNC)


def finish(parser: Parser) -> None:
    """What is only tried once the machine is there. Raises OptionError, Unprefixed."""
    for each in parser.displays:
        name, _, rest = each.partition(",")
        if name == "egl-headless" and not os.path.exists("/dev/dri"):
            raise OptionError("egl: no drm render node available\n{prefix}egl: render node init failed")
        if name != "dbus" or keyval.parse(rest).get("p2p", "off") not in ("on", "yes"):
            raise OptionError(f"qmpemu does not emulate -display {name}")
        parser.config.not_emulated.append(f"-display {each}")
    if parser.keymap not in KEYMAPS and parser.config.vnc:
        typed = parser.config.vnc[0]["typed"]
        option = "" if typed == DEFAULT_VNC else f"-vnc {typed}: "
        raise OptionError(f"{option}could not read keymap file: '{parser.keymap}'")


@option("vga")
def _vga(parser: Parser, name: str) -> None:
    if name not in VGA_NAMES:
        raise Unprefixed(f"unknown vga type: {name}")
    parser.config.vga = name


@option("display")
def _display(parser: Parser, argument: str) -> None:
    kind, equals, rest = argument.partition("=")
    if kind == "vnc" and equals:
        parser.tell_switches(kind, rest)
        _vnc(parser, rest)
    elif argument.partition(",")[0] in (*WINDOWS, "egl-headless", "dbus", "spice-app", "curses"):
        parser.displays.append(argument)
    elif kind == "vnc":
        raise OptionError("VNC requires a display argument vnc=<display>")
    elif argument not in ("none", "default"):
        raise OptionError(f"Parameter 'type' does not accept value '{argument.partition(',')[0]}'")
    else:
        parser.window = argument
