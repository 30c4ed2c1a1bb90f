"""QAPI module `ui`: screenshots, keys and pointer, VNC. Texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.display import VncConnected, VncDisconnected, VncInitialized
from qmpemu.machine.runstate import RUNNING, SUSPENDED
from qmpemu.machine.spice import SpiceMigrated
from qmpemu.qmp.errors import DEVICE_NOT_ACTIVE, QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.display import VncServer
    from qmpemu.machine.spice import Spice

NO_PASSWORD_AUTH = (
    "If you want use passwords please enable password auth using '-vnc ${dpy},password'."  # QEMU's own words
)
"""What QEMU says beside "Could not set password": to its standard error, or to the human monitor."""


# --- screen ---------------------------------------------------------------------------------------------------


@command("screendump")
def screendump(
    ctx: Context, *, filename: str, device: str | None = None, head: int | None = None, format: str = "ppm"
) -> object:
    """Draw what the display shows into a file of the host, as PPM or PNG."""
    if device is not None:
        ctx.machine.display.check_head(device, head or 0)
    elif head is not None:
        raise QmpError("'head' must be specified together with 'device'")
    if not ctx.machine.display.has_console:
        raise QmpError("There is no console to take a screendump from")
    try:
        ctx.machine.host.write_picture(filename, format, ctx.machine.console.screen())
    except OSError as error:
        raise QmpError(f"failed to open file '{filename}': {error.strerror}") from None
    return {}


@command("query-display-options")
def query_display_options(ctx: Context) -> object:
    """-> no window is ever opened here."""
    return {"type": "none"}


# --- keys and pointer -----------------------------------------------------------------------------------------


@command("send-key")
def send_key(ctx: Context, *, keys: list[dict[str, Any]], hold_time: int | None = None) -> object:
    """Press keys one after the other and release them in reverse; the reply does not wait for that."""
    ctx.machine.display.input.send_keys([qcode(key) for key in keys], hold_time)
    return {}


@command("input-send-event")
def input_send_event(
    ctx: Context, *, events: list[dict[str, Any]], device: str | None = None, head: int = 0
) -> object:
    """Send key, button and movement events together. A paused machine takes none."""
    if device is not None:
        ctx.machine.display.check_head(device, head)
    if ctx.machine.board.runstate not in (RUNNING, SUSPENDED):
        raise QmpError("VM not running")
    source = ctx.machine.display.input
    for each in events:
        if not source.handles(each["type"]):
            raise QmpError(f"Input handler not found for event type {each['type']}")
    for each in events:
        kind, data = each["type"], each["data"]
        if kind == "key":
            source.key(qcode(data["key"]), data["down"])
        elif kind == "btn":
            source.pointer("btn", data["button"], int(data["down"]))
        else:
            source.pointer(kind, data["axis"], data["value"])
    return {}


def qcode(key: dict[str, Any]) -> str:
    """A key's name, from it or from its number."""
    if key["type"] == "qcode":
        return str(key["data"])
    from qmpemu.machine.display_keys import QCODES

    return QCODES.get(key["data"], "unmapped")


@command("query-mice")
def query_mice(ctx: Context) -> object:
    """-> the pointing devices; the last one is the current one."""
    mice = ctx.machine.display.input.mice()
    return [
        {"index": each.index, "name": each.name, "current": each is mice[-1], "absolute": each.absolute}
        for each in mice
    ]


# --- VNC ------------------------------------------------------------------------------------------------------


@command("query-vnc")
def query_vnc(ctx: Context) -> object:
    """-> the first server at its first address, with its clients, the latest first."""
    server = ctx.machine.display.server(None)
    addresses = [] if server is None else [each for each in server.addresses if not each.websocket]
    if server is None or not addresses:
        return {"enabled": False}
    first = addresses[0].members()
    return {
        "enabled": True,
        "auth": server.shown_auth,
        "family": first["family"],
        "clients": _clients(server),
        "service": first["service"],
        "host": first["host"],
    }


@command("query-vnc-servers")
def query_vnc_servers(ctx: Context) -> object:
    """-> all servers, the last one first, each with all its addresses, the last one first."""
    return [
        {
            "auth": server.auth,
            "clients": _clients(server),
            **({"vencrypt": server.vencrypt} if server.vencrypt else {}),
            "server": server.rows(),
            "id": server.id,
        }
        for server in reversed(ctx.machine.display.vnc.values())
    ]


def _clients(server: VncServer) -> list[dict[str, object]]:
    return [client.members() for client in reversed(server.clients)]


@command("set_password")
def set_password(
    ctx: Context, *, protocol: str, password: str, connected: str = "keep", display: str | None = None
) -> object:
    """Set the password of a VNC server that was started with password=on."""
    if protocol == "spice":
        spice = _spice(ctx)
        if spice.auth != "spice":
            raise QmpError("Could not set password")
        spice.password = password
        return {}
    if connected != "keep":
        raise QmpError("Invalid parameter 'connected'")
    set_vnc_password(ctx, password, display)
    return {}


@command("change-vnc-password")
def change_vnc_password(ctx: Context, *, password: str) -> object:
    """The same for the first server."""
    set_vnc_password(ctx, password, None)
    return {}


def set_vnc_password(ctx: Context, password: str, display: str | None) -> None:
    """Set a password where there is password authentication. Raises QmpError."""
    server = ctx.machine.display.server(display)
    if server is None or server.auth == "none":
        if server is not None:
            ctx.machine.host.complain(NO_PASSWORD_AUTH)
        raise QmpError("Could not set password")
    server.password = password


@command("expire_password")
def expire_password(ctx: Context, *, protocol: str, time: str, display: str | None = None) -> object:
    """time: `now`, `never`, `+SECONDS` from now, or seconds since 1970; other texts count as far as they are digits."""
    if protocol == "spice":
        _spice(ctx)  # which lets nobody in, so that a password is never too old
        return {}
    server = ctx.machine.display.server(display)
    if server is None:
        raise QmpError("Could not set password expire time")
    now_s, _ = ctx.machine.host.timestamp()
    server.expires_s = _end_of_life(time, now_s)
    return {}


def _end_of_life(time: str, now_s: int) -> int | None:
    if time == "never":
        return None
    if time == "now":
        return 0
    digits = time.removeprefix("+")
    count = next((n for n, char in enumerate(digits) if char not in "0123456789"), len(digits))
    return int(digits[:count] or 0) + (now_s if time.startswith("+") else 0)


@command("client_migrate_info")
def client_migrate_info(
    ctx: Context, *, protocol: str, hostname: str, port: int = 0, tls_port: int = 0, cert_subject: str = ""
) -> object:
    """Tell SPICE clients where the machine goes: an event tells when all have followed it."""
    if protocol != "spice":
        raise QmpError("Parameter 'protocol' expects 'spice'")
    spice = _spice(ctx)
    if not port and not tls_port:
        raise QmpError("Parameter 'port/tls-port' is missing")
    spice.moves, spice.migrated = True, False
    return {}


@command("query-spice")
def query_spice(ctx: Context) -> object:
    """-> the SPICE server; nobody is ever connected."""
    spice = ctx.machine.display.spice
    return (
        spice.members()
        if spice is not None
        else {"enabled": False, "migrated": False, "mouse-mode": "client"}
    )


def _spice(ctx: Context) -> Spice:
    """The server. Raises QmpError where there is none."""
    spice = ctx.machine.display.spice
    if spice is None:
        raise QmpError("SPICE is not in use", DEVICE_NOT_ACTIVE)
    return spice


@event(SpiceMigrated, "SPICE_MIGRATE_COMPLETED")
def spice_migrated(fact: SpiceMigrated) -> dict[str, object] | None:
    """No data."""
    return None


@command("display-reload")
def display_reload(ctx: Context, *, type: str, tls_certs: bool = False) -> object:
    """Read TLS certificates anew, which counts for those who come from now on."""
    if tls_certs:
        server = ctx.machine.display.server(None)
        if server is None:
            raise QmpError("Can not find vnc display")
        if "tls-creds" not in server.options:
            raise QmpError("vnc tls is not enabled")
        ctx.machine.host.reload_credentials(server.credentials)
    return {}


@command("display-update")
def display_update(ctx: Context, *, type: str, addresses: list[dict[str, object]] | None = None) -> object:
    """Listen at other addresses, be it none; clients stay connected."""
    server = ctx.machine.display.server(None)
    if server is None:
        raise QmpError("Can not find vnc display")
    if addresses is not None:
        server.listen(addresses)
    return {}


@command("add_client")
def add_client(
    ctx: Context, *, protocol: str, fdname: str, skipauth: bool = False, tls: bool = False
) -> object:
    """Serve a VNC client on a descriptor that getfd has named."""
    fd = ctx.machine.named_fds.pop(fdname, None)
    if fd is None:
        raise QmpError(f"File descriptor named '{fdname}' has not been found")
    server = ctx.machine.display.server(None)
    if protocol == "vnc" and server is not None:
        server.take(fd, skipauth)
        return {}
    ctx.machine.host.close_fd(fd)
    if protocol == "vnc":
        return {}  # the real one closes it, too, and says no more
    if protocol == "spice":
        _spice(ctx)
        raise QmpError("spice failed to add client")
    if protocol == "@dbus-display":
        raise QmpError("D-Bus display is not in use", DEVICE_NOT_ACTIVE)
    raise QmpError(f"protocol '{protocol}' is invalid")


@event(VncConnected, "VNC_CONNECTED")
def vnc_connected(fact: VncConnected) -> dict[str, object]:
    """server, client: addresses."""
    return fact.data()


@event(VncInitialized, "VNC_INITIALIZED")
def vnc_initialized(fact: VncInitialized) -> dict[str, object]:
    """server, client: addresses."""
    return fact.data()


@event(VncDisconnected, "VNC_DISCONNECTED")
def vnc_disconnected(fact: VncDisconnected) -> dict[str, object]:
    """server, client: addresses."""
    return fact.data()
