"""The human monitor's verbs that take words: screen, keys, mouse, VNC, watchdog. Texts as measured on QEMU 7.2.

`words` says how a verb's parameters are written.
"""

from __future__ import annotations

from qmpemu.commands import ui
from qmpemu.commands.hmp import block
from qmpemu.commands.hmp.words import answered
from qmpemu.machine.actions import ACTION_VALUES
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context
    from qmpemu.machine.display import Address, VncServer
    from qmpemu.qmp.later import Later

    Verb = Callable[[Context, dict[str, str]], str | Later]

PARAMETERS = {
    "screendump": "filename:F format:-f device:s? head:i?",
    "sendkey": "keys:s hold-time:i?",
    "mouse_move": "dx:s dy:s dz:s?",
    "mouse_button": "state:i",
    "mouse_set": "index:i",
    "set_password": "protocol:s password:s display:-d connected:s?",
    "expire_password": "protocol:s time:s display:-d",
    "change": "device:B target:F arg:s? read-only-mode:s?",
    "watchdog_action": "action:s",
    "device_del": "id:s",
    "netdev_del": "id:s",
    "object_del": "id:s",
    "chardev-remove": "id:s",
    "set_link": "name:s up:b",
}
PROTOCOLS = ("vnc", "spice")
CONNECTED = ("keep", "fail", "disconnect")
FORMATS = ("ppm", "png")
BUTTONS = {1: "left", 2: "right", 4: "middle"}
"""Bits of mouse_button's state."""


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in VERBS:
        return None
    return answered(verb, PARAMETERS[verb], words, lambda given: VERBS[verb](ctx, given))


# --- screen, keys, mouse --------------------------------------------------------------------------------------


def _screendump(ctx: Context, given: dict[str, str]) -> str:
    form = given.get("format", "ppm")
    if form not in FORMATS:
        raise QmpError(f"invalid parameter value: {form}")
    members: dict[str, object] = {"filename": given["filename"], "format": form}
    if "device" in given:
        members.update(device=given["device"], head=int(given.get("head", 0)))
    ctx.commands("screendump", members)
    return ""


def _sendkey(ctx: Context, given: dict[str, str]) -> str:
    names = key_names(ctx)
    keys: list[dict[str, object]] = []
    for name in given["keys"].split("-"):
        if name.startswith("0x"):
            try:
                number = int(name, 16)
            except ValueError:
                return f"invalid parameter: {name}\r\n"
            keys.append({"type": "number", "data": number & 0xFFFFFFFF})
            continue
        name = "less" if name == "<" else name
        if name not in names:
            return f"invalid parameter: {name}\r\n"
        keys.append({"type": "qcode", "data": name})
    hold = {"hold-time": int(given["hold-time"])} if "hold-time" in given else {}
    ctx.commands("send-key", {"keys": keys, **hold})
    return ""


def key_names(ctx: Context) -> frozenset[str]:
    """Every key's name: the values of the one enumeration that has `unmapped` among them."""
    from json import loads

    infos = loads(ctx.profile.schema_bytes())
    return next(
        frozenset(info["values"])
        for info in infos
        if info["meta-type"] == "enum" and "unmapped" in info["values"]
    )


def _mouse_move(ctx: Context, given: dict[str, str]) -> str:
    source = ctx.machine.display.input
    for axis in ("x", "y"):
        source.pointer("rel", axis, _leading(given[f"d{axis}"]))
    wheel = _leading(given.get("dz", "0"))
    if wheel:
        for down in (1, 0):
            source.pointer("btn", "wheel-up" if wheel > 0 else "wheel-down", down)
    return ""


def _leading(text: str) -> int:
    """The number that a text begins with, 0 without one."""
    sign = -1 if text.startswith("-") else 1
    digits = text.removeprefix("-")
    count = next((n for n, char in enumerate(digits) if char not in "0123456789"), len(digits))
    return sign * int(digits[:count] or 0)


def _mouse_button(ctx: Context, given: dict[str, str]) -> str:
    source, state = ctx.machine.display.input, int(given["state"])
    for bit, name in BUTTONS.items():
        if (state ^ source.monitor_buttons) & bit:
            source.pointer("btn", name, int(bool(state & bit)))
    source.monitor_buttons = state
    return ""


def _mouse_set(ctx: Context, given: dict[str, str]) -> str:
    index = int(given["index"])
    return "" if ctx.machine.display.input.choose_mouse(index) else f"Mouse at index '{index}' not found\r\n"


# --- VNC ------------------------------------------------------------------------------------------------------


def _set_password(ctx: Context, given: dict[str, str]) -> str:
    _one_of(given["protocol"], PROTOCOLS)
    _one_of(given.get("connected", "keep"), CONNECTED)
    members = {name: value for name, value in given.items() if name != "connected"}
    members["connected"] = given.get("connected", "keep")
    return _with_hint(ctx, given.get("display"), lambda: ctx.commands("set_password", dict(members)))


def _expire_password(ctx: Context, given: dict[str, str]) -> str:
    _one_of(given["protocol"], PROTOCOLS)
    ctx.commands("expire_password", dict(given))
    return ""


def _change(ctx: Context, given: dict[str, str]) -> str | Later:
    if given["device"] != "vnc":
        return block.change(ctx, given)
    if given["target"] not in ("password", "passwd"):
        return "Expected 'password' after 'vnc'\r\n"
    if "arg" not in given:
        return _prompt(ctx)
    return _with_hint(ctx, None, lambda: ctx.commands("change-vnc-password", {"password": given["arg"]}))


def _prompt(ctx: Context) -> str:
    """The password is the next line, where a human types it; what is wrong with it is not told (measured)."""
    if ctx.asker is None:
        return "terminal does not support password prompting\r\n"

    def then(password: str) -> str:
        shown = _with_hint(ctx, None, lambda: ctx.commands("change-vnc-password", {"password": password}))
        return shown.partition("Error: ")[0]

    ctx.asker.ask_password(then)
    return ""


def _one_of(value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise QmpError(f"invalid parameter value: {value}")


def _with_hint(ctx: Context, display: str | None, call: Callable[[], object]) -> str:
    """A password's change; where the server takes none, the monitor is told how to make it."""
    server = ctx.machine.display.server(display)
    try:
        call()
    except QmpError as error:
        hint = f"{ui.NO_PASSWORD_AUTH}\r\n" if server is not None and server.auth != "vnc" else ""
        return f"{hint}Error: {error}\r\n"
    return ""


def _watchdog_action(ctx: Context, given: dict[str, str]) -> str:
    if given["action"] not in ACTION_VALUES["watchdog"]:
        raise QmpError(f"invalid parameter value: {given['action']}")
    ctx.commands("watchdog-set-action", dict(given))
    return ""


def _by_id(command: str) -> Verb:
    """A verb that does what a QMP command of one argument does."""

    def verb(ctx: Context, given: dict[str, str]) -> str:
        ctx.commands(command, dict(given))
        return ""

    return verb


def _set_link(ctx: Context, given: dict[str, str]) -> str:
    ctx.commands("set_link", {"name": given["name"], "up": given["up"] == "on"})
    return ""


VERBS: dict[str, Verb] = {
    "screendump": _screendump,
    "sendkey": _sendkey,
    "mouse_move": _mouse_move,
    "mouse_button": _mouse_button,
    "mouse_set": _mouse_set,
    "set_password": _set_password,
    "expire_password": _expire_password,
    "change": _change,
    "watchdog_action": _watchdog_action,
    "device_del": _by_id("device_del"),
    "netdev_del": _by_id("netdev_del"),
    "object_del": _by_id("object-del"),
    "chardev-remove": _by_id("chardev-remove"),
    "set_link": _set_link,
}


# --- info -----------------------------------------------------------------------------------------------------


def info_mice(ctx: Context) -> str:
    """The pointing devices, the current one with a star."""
    mice = ctx.machine.display.input.mice()
    if not mice:
        return "No mouse devices connected\r\n"
    return "".join(
        f"{'*' if mouse is mice[-1] else ' '} Mouse #{mouse.index}: {mouse.name}"
        f"{' (absolute)' if mouse.absolute else ''}\r\n"
        for mouse in mice
    )


def info_vnc(ctx: Context) -> str:
    """Servers, the last one first, with their addresses and clients."""
    servers = list(ctx.machine.display.vnc.values())
    return "".join(_server(server) for server in reversed(servers)) or "None\r\n"


def _server(server: VncServer) -> str:
    text = f"{server.id}:\r\n"
    for address in reversed(server.addresses):
        auth, sub = (
            (server.inside(), "none") if address.websocket else (server.auth, server.vencrypt or "none")
        )
        text += f"  Server: {_where(address)}\r\n    Auth: {auth} (Sub: {sub})\r\n"
    if not server.addresses:
        text += f"  Auth: {server.auth} (Sub: {server.vencrypt or 'none'})\r\n"
    for client in reversed(server.clients):
        name = client.subject or "none"
        text += f"  Client: {_where(client.remote)}\r\n    x509_dname: {name}\r\n    sasl_username: none\r\n"
    return text


def _where(address: Address) -> str:
    kind = f"{address.family} (Websocket)" if address.websocket else address.family
    return f"{address.host}:{address.service} ({kind})"


def info_spice(ctx: Context) -> str:
    """The server, and that nobody is connected."""
    spice = ctx.machine.display.spice
    if spice is None:
        return "Server: disabled\r\n"
    members = spice.members()
    address = f"     address: {spice.host}:{spice.port}\r\n" if spice.port is not None else ""
    return (
        f"Server:\r\n{address}    migrated: {'true' if spice.migrated else 'false'}\r\n"
        f"        auth: {spice.auth}\r\n    compiled: {members['compiled-version']}\r\n"
        f"  mouse-mode: {members['mouse-mode']}\r\nChannels: none\r\n"
    )


INFO = {"mice": info_mice, "vnc": info_vnc, "spice": info_spice}
