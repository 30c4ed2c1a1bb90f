"""What the machine has of displays at run time: video adapters, input devices, VNC servers and their clients.

    -vnc ──> VncServer ──(edge listens, speaks RFB)──> VncClient     connected ──> initialized ──> gone
                                                                     VNC_CONNECTED  VNC_INITIALIZED  VNC_DISCONNECTED

The edge owns sockets and pixels; the commands read and change what is here.
"""

from __future__ import annotations

from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.machine.display_input import Input
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.spice import Spice

VIDEO_DRIVERS = frozenset(
    "VGA ati-vga bochs-display cirrus-vga isa-cirrus-vga isa-vga qxl qxl-vga ramfb secondary-vga virtio-gpu-pci "
    "virtio-gpu-gl-pci virtio-gpu-device virtio-gpu-gl-device virtio-vga virtio-vga-gl vhost-user-gpu vhost-user-vga "
    "vhost-user-gpu-pci vmware-svga".split()
)
"""Devices with a console."""

NEVER = None
"""A password's end of life, where it has none."""


class VncConnected(Fact):
    """A client connected to a VNC server; nothing of it is known but its address."""

    server: dict[str, object]
    client: dict[str, object]


class VncInitialized(Fact):
    """A VNC client is through its security handshake and shares the screen."""

    server: dict[str, object]
    client: dict[str, object]


class VncDisconnected(Fact):
    """A VNC client is gone."""

    server: dict[str, object]
    client: dict[str, object]


class Address:
    """Where a socket is, in QEMU's words. family: ipv4, ipv6 or unix."""

    __slots__ = ("family", "host", "service", "websocket")

    def __init__(self, family: str, host: str, service: str, *, websocket: bool = False) -> None:
        self.family = family
        self.host = host
        self.service = service
        self.websocket = websocket

    def members(self, **security: object) -> dict[str, object]:
        """As VncBasicInfo, and what TLS adds; the order of members is that of the wire."""
        return {
            "family": self.family,
            "service": self.service,
            **security,
            "host": self.host,
            "websocket": self.websocket,
        }


class VncClient:
    """A client. local: the server's address; disconnect: part from it (set by the edge).

    subject: whom its certificate names.
    """

    __slots__ = ("disconnect", "local", "remote", "subject")

    def __init__(self, remote: Address, local: Address, disconnect: Callable[[], object]) -> None:
        self.remote = remote
        self.local = local
        self.disconnect = disconnect
        self.subject = ""

    def members(self) -> dict[str, object]:
        """As VncClientInfo."""
        return self.remote.members(**({"x509_dname": self.subject} if self.subject else {}))


class VncServer:
    """One VNC server. auth: none, vnc, vencrypt; vencrypt: x509-none or x509-vnc, where it is that.

    addresses: in the order in which they were opened.
    """

    __slots__ = (
        "_machine",
        "addresses",
        "auth",
        "clients",
        "credentials",
        "expires_s",
        "id",
        "listen",
        "options",
        "password",
        "take",
        "vencrypt",
    )

    def __init__(self, machine: Machine, options: dict[str, str]) -> None:
        self._machine = machine
        self.options = options
        self.id = options.get("id", "default")
        self.auth = "none"
        self.vencrypt = ""
        self.credentials: object = None
        """For TLS, as the host holds them; they stay when their object goes."""
        self.addresses: list[Address] = []
        self.clients: list[VncClient] = []
        self.password: str | None = None
        self.expires_s: int | None = NEVER
        """When the password ends, in seconds since 1970."""
        self.listen: Callable[[list[dict[str, object]]], None] = _nothing_listens
        """Listen at these SocketAddresses instead; wired by the edge. Raises Refused."""
        self.take: Callable[[int, bool], None] = _takes_nobody
        """Serve a client on this descriptor, its authentication left out if asked; wired by the edge."""

    def connected(self, client: VncClient) -> None:
        """A client is there."""
        self.clients.append(client)
        self._machine.facts.publish(VncConnected(**self._pair(client)))

    def initialized(self, client: VncClient) -> None:
        """It shares the screen."""
        self._machine.facts.publish(VncInitialized(**self._pair(client)))

    def disconnected(self, client: VncClient) -> None:
        """It is gone."""
        if client in self.clients:
            self.clients.remove(client)
            self._machine.facts.publish(VncDisconnected(**self._pair(client)))

    def usable_password(self, now_s: int) -> str | None:
        """The password that clients must give now; None if none is set, or it has expired."""
        expired = self.expires_s is not NEVER and self.expires_s <= now_s
        return None if expired else self.password

    def _pair(self, client: VncClient) -> dict[str, dict[str, object]]:
        server: dict[str, object] = {"auth": self.shown_auth, **client.local.members()}
        return {"server": server, "client": client.members()}

    @property
    def shown_auth(self) -> str:
        """In one word, as where there is no place for two."""
        return f"vencrypt+{self.vencrypt.replace('-', '+')}" if self.vencrypt else self.auth

    def inside(self) -> str:
        """What is asked for behind TLS, or without it; that is all of it for a WebSocket, whose TLS is its own."""
        return self.vencrypt.removeprefix("x509-") or self.auth

    def rows(self) -> list[dict[str, object]]:
        """Every address as VncServerInfo2, the last one first."""
        made: list[dict[str, object]] = []
        for each in reversed(self.addresses):
            if each.websocket or not self.vencrypt:
                made.append({"auth": self.inside(), **each.members()})
            else:
                made.append({"auth": self.auth, **each.members(vencrypt=self.vencrypt)})
        return made


class Display:
    """A machine's displays."""

    __slots__ = ("_machine", "input", "spice", "vnc")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.input = Input(machine)
        self.spice: Spice | None = None
        if machine.config.spice is not None:
            from qmpemu.machine.spice import Spice

            options = dict(machine.config.spice)
            self.spice = Spice(options, options.pop("typed"))
        self.vnc: dict[str, VncServer] = {}
        """By id, in the order of the command line."""
        for options in machine.config.vnc:
            server = VncServer(machine, options)
            self.vnc[server.id] = server

    def server(self, name: str | None) -> VncServer | None:
        """A VNC server by its id; without one the first."""
        if name is None:
            return next(iter(self.vnc.values()), None)
        return self.vnc.get(name)

    @property
    def has_console(self) -> bool:
        """Whether anything draws: a video adapter of the machine's own, or one that was added."""
        return any(self.heads(device) for device in self._machine.devices.all)

    def heads(self, device: Device) -> int:
        """How many screens a device has, 0 for one that is no video adapter."""
        if device.kind not in VIDEO_DRIVERS:
            return 0
        outputs = str(device.values.get("max_outputs", 1))
        return max(1, int(outputs)) if outputs.isdigit() else 1

    def check_head(self, name: str, head: int) -> None:
        """Whether the device of that id draws on that screen of its. Raises Refused, QmpError for no such device."""
        device = next((each for each in self._machine.devices.all if each.id == name), None)
        if device is None:
            raise device_not_found(name)
        if not 0 <= head < self.heads(device):
            raise Refused(f"Device {name} (head {head}) is not bound to a QemuConsole")


def _nothing_listens(addresses: list[dict[str, object]]) -> None:
    """No edge: nobody can connect."""


def _takes_nobody(fd: int, skip_auth: bool) -> None:
    """No edge: nobody is served."""
