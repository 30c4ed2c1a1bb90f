"""Displays: -vnc, -vga, -display. No window is ever opened; VNC is served (`edge.vnc`)."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError

VNC_OPTIONS = frozenset(
    "audiodev connections display head id key-delay-ms lock-key-sync lossy non-adaptive password password-secret "
    "power-control reverse sasl sasl-authz share tls-authz tls-creds to vnc websocket".split()
)
VGA_NAMES = ("std", "cirrus", "vmware", "qxl", "xenfb", "tcx", "cg3", "virtio", "none")
WINDOWS = ("gtk", "sdl", "egl-headless", "curses", "spice-app", "dbus")


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


@option("vga")
def _vga(parser: Parser, name: str) -> None:
    if name not in VGA_NAMES:
        raise Unprefixed(f"unknown vga type: {name}")
    parser.config.vga = name


@option("display")
def _display(parser: Parser, argument: str) -> None:
    kind, equals, rest = argument.partition("=")
    if kind == "vnc" and equals:
        _vnc(parser, rest)
    elif argument.partition(",")[0] in WINDOWS:
        parser.config.not_emulated.append(parser.typed)
    elif kind == "vnc":
        raise OptionError("VNC requires a display argument vnc=<display>")
    elif argument not in ("none", "default"):
        raise OptionError(f"Parameter 'type' does not accept value '{argument.partition(',')[0]}'")
