"""A character device's options in plain form, `socket,id=c,path=P,server=on`, as QMP's tree."""

from __future__ import annotations

from qmpemu.core.options import parse
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.commands.registry import Context

KNOWN = frozenset(
    """
    socket stdio pty file null pipe udp serial tty parallel parport vc mux msmouse wctablet testdev qemu-vdagent ringbuf
    memory
    """.split()
)
SWITCHES = ("server", "wait", "nodelay", "telnet", "tn3270", "websocket", "append", "logappend")
NUMBERS = ("reconnect", "size")
IN_ADDRESS = {"path": "unix", "abstract": "unix", "tight": "unix", "fd": "fd", "host": "inet", "port": "inet"}
IN_ADDRESS |= dict.fromkeys(("to", "ipv4", "ipv6"), "inet")


def backend(ctx: Context, text: str) -> tuple[str | None, dict[str, object]]:
    """The id, and the back end as chardev-add takes it. Raises QmpError, OptionError."""
    options = parse(text, "backend")
    label, kind = options.pop("id", None), options.pop("backend", "")
    if kind not in KNOWN:
        raise QmpError(f"'{kind}' is not a valid char driver name")
    data: dict[str, object] = {}
    address: dict[str, object] = {}
    for name, value in options.items():
        wanted = value in ("on", "yes", "true", "y")
        typed: object = wanted if name in SWITCHES else int(value, 0) if name in NUMBERS else value
        if kind == "socket" and name in IN_ADDRESS:
            address["str" if name == "fd" else name] = value
        else:
            data[{"path": "out"}.get(name, name) if kind == "file" else name] = typed
    if kind == "socket":
        types = {IN_ADDRESS[name] for name in options if name in IN_ADDRESS}
        if not types:
            raise QmpError("chardev: socket: no host given")
        data["addr"] = {"type": types.pop(), "data": address}
        data.setdefault("server", False)
    return label, {"type": kind, "data": data}
