"""What -netdev is refused for beside its parameters' names: which go together, and what of the host they name.

Texts: QEMU 7.2's. A tap's descriptors are looked at; no packet moves through them.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.host import Host

    Options = Mapping[str, object]

OF_TAP = ("ifname", "script", "downscript", "vnet_hdr")
ALONE = {
    "fd": (*OF_TAP, "helper", "queues", "fds", "vhostfds"),
    "fds": (*OF_TAP, "helper", "queues", "vhostfd"),
    "helper": (*OF_TAP, "queues", "vhostfds"),
}
"""A way to have a tap device -> what cannot be said beside it."""
QUEUES_MOST = 1024


def check(options: Options, host: Host, chardevs: Mapping[str, Chardev]) -> None:
    """Look at a back end of the command line. Raises Refused."""
    kind = options["type"]
    if kind == "tap":
        _tap(options, host)
    elif kind == "vhost-user":
        _vhost_user(options, chardevs)
    elif kind == "vhost-vdpa":
        _vhost_vdpa(options, host)
    elif kind == "dgram":
        _datagrams(options)
    elif kind == "bridge":
        _helper(options, host)
    elif kind == "vde":
        raise Refused("Could not open vde: No such file or directory")


def _tap(options: Options, host: Host) -> None:
    way = next((name for name in ALONE if name in options), None)
    if way is None:
        if "vhostfds" in options:
            raise Refused("vhostfds= is invalid if fds= wasn't specified")
        return
    if any(name in options for name in ALONE[way]):
        *names, last = (f"{name}=" for name in ALONE[way])
        raise Refused(f"{', '.join(names)}, and {last} are invalid with {way}=")
    if way == "helper":
        _helper(options, host)
        return
    numbers = str(options[way]).split(":") if way == "fds" else [str(options[way])]
    if "vhostfds" in options and len(str(options["vhostfds"]).split(":")) != len(numbers):
        raise Refused("The number of fds passed does not match the number of vhostfds passed")
    for number in numbers:
        if not number.isdigit():
            raise Refused(f"Invalid file descriptor number '{number}'")
        _see(int(number), str(options["id"]), host)


def _helper(options: Options, host: Host) -> None:
    """It is not run; what it would fail at first is looked at."""
    needed = str(options["helper"]).split()[0] if options.get("helper") else ACL
    if host.why_unreadable(needed) is not None:
        raise Refused("bridge helper failed")


ACL = "/etc/qemu/bridge.conf"
"""Which bridges QEMU's own helper may put a tap device on; without it, none."""


def _see(fd: int, name: str, host: Host) -> None:
    why, is_open = host.why_no_tap(fd)
    if why and is_open:
        raise Refused(f"Unable to query TUNGETIFF on FD {fd}: {why}")
    if why:
        raise Refused(f"{name}: Can't use file descriptor {fd}: {why}")


def _vhost_user(options: Options, chardevs: Mapping[str, Chardev]) -> None:
    name = str(options.get("chardev"))
    found = chardevs.get(name)
    if found is None:
        raise Refused(f'chardev "{name}" not found')
    if found.backend != "socket":
        raise Refused(f'chardev "{name}" is not reconnectable')
    if "path" not in found.options:
        raise Refused(f'chardev "{name}" does not support FD passing')
    if not 1 <= int(str(options.get("queues", 1))) <= QUEUES_MOST:
        raise Refused(f"vhost-user number of queues must be in range [1, {QUEUES_MOST}]")


def _vhost_vdpa(options: Options, host: Host) -> None:
    device = options.get("vhostdev")
    if device is not None and "vhostfd" in options:
        raise Refused("vhost-vdpa: vhostdev= and vhostfd= are mutually exclusive")
    if device is None and "vhostfd" not in options:
        raise Refused("vhost-vdpa: neither vhostdev= nor vhostfd= was specified")
    reason = None if device is None else host.why_unreadable(str(device))
    if reason is not None:
        raise Refused(f"Could not open '{device}': {reason}")


def _datagrams(options: Options) -> None:
    def has(end: str) -> bool:
        return any(name == end or name.startswith(f"{end}.") for name in options)

    local = options.get("local")
    kind = local.get("type") if isinstance(local, dict) else options.get("local.type")
    if has("local") and not has("remote") and kind in ("inet", "unix"):
        raise Refused("type=inet or type=unix requires remote parameter")
    if has("remote") and not has("local"):
        remote = options.get("remote")
        group = remote.get("host") if isinstance(remote, dict) else options.get("remote.host")
        if not _is_group(str(group)):
            raise Refused("dgram requires local= parameter")


def _is_group(address: str) -> bool:
    first = address.partition(".")[0]
    return first.isdigit() and 224 <= int(first) < 240
