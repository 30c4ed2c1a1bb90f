"""What user objects are refused for beside their names: values, other objects, what the host has. Texts: QEMU 7.2's."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices import limits, net_filters
from qmpemu.machine.devices.memory_backend import BEGINNING
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from typing import Any

    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.host import Host

    Rule = Callable[[Mapping[str, Any], Mapping[str, object], Host], object]
    """Properties of the object, the objects that are there (id -> its type), the host. Raises Refused, QmpError."""

TOLD = ("loaded", "opened")
"""Properties that only tell something."""
LINKS = {"canbus": "can-host-socketcan", "prealloc-context": BEGINNING}
"""Properties that name another object -> of which types."""


def check(given: Mapping[str, Any], others: Mapping[str, object], host: Host) -> None:
    """What an object needs to be complete. Raises Refused, QmpError."""
    kind = str(given["qom-type"])
    for name in TOLD:
        if name in given:
            raise Refused(f"Property '{kind}.{name}' is not writable")
    for name, start in LINKS.items():
        if kind.startswith(start) and given.get(name) and given[name] not in others:
            raise device_not_found(str(given[name]))
    rule = RULES.get(kind)
    if rule is not None:
        rule(given, others, host)


def check_names(
    given: Mapping[str, Any],
    chardevs: Mapping[str, Chardev],
    netdevs: Container[str],
    others: Mapping[str, UserObject],
) -> None:
    """Whether the character devices, networks and filters that it names are there. Raises Refused, QmpError."""
    kind = str(given["qom-type"])
    if kind.startswith("filter-"):
        if given.get("netdev") not in netdevs:
            raise Refused("Parameter 'netdev' expects a network backend id")
        net_filters.check(given, others, chardevs)
    if kind == "cryptodev-vhost-user" and given.get("chardev") not in chardevs:
        raise device_not_found(str(given.get("chardev")))
    if kind == "qtest" and given.get("chardev") not in chardevs:
        raise Refused(f"Cannot find character device '{given.get('chardev')}'")


def _random(given: Mapping[str, Any], _: object, host: Host) -> None:
    path = str(given.get("filename", "/dev/urandom"))
    reason = host.why_unreadable(path)
    if reason is not None:
        raise Refused(f"Could not open '{path}': {reason}")


def _event_device(given: Mapping[str, Any], _: object, host: Host) -> None:
    path = str(given.get("evdev"))
    reason = host.why_unreadable(path)
    if reason is None and path.startswith("/dev/input/"):
        raise Refused(f"qmpemu does not emulate the host's {path}")
    raise Refused(
        f"{path}: is not an evdev device" if reason is None else f"Could not open '{path}': {reason}"
    )


def _main_loop(_: object, others: Mapping[str, object], __: object) -> None:
    if "main-loop" in others.values():
        raise Refused("only one main-loop instance allowed")


def _ciphers(given: Mapping[str, Any], _: object, __: object) -> None:
    if "priority" not in given:
        raise Refused("'priority' property is not set")


def _threads(given: Mapping[str, Any], _: object, host: Host) -> None:
    if given.get("cpu-affinity") and given.get("node-affinity"):
        raise Refused("Mixing CPU and node affinity not supported")
    if given.get("cpu-affinity") and not host.has_processors(given["cpu-affinity"]):
        raise Refused("Setting CPU affinity failed: Invalid argument")
    if given.get("node-affinity") and not host.has_nodes(given["node-affinity"]):
        raise Refused("The nodes select no CPUs")


def _reservations(given: Mapping[str, Any], _: object, host: Host) -> None:
    """A helper of the host's that keeps SCSI reservations."""
    reason = host.why_no_listener(str(given.get("path")))
    if reason is not None:
        raise Refused(f"Failed to connect to '{given.get('path')}': {reason}")


def _barrier(given: Mapping[str, Any], _: object, host: Host) -> None:
    place = f"{given.get('server', 'localhost')}:{given.get('port', BARRIER_PORT)}"
    reason = host.why_no_listener(place)
    if reason is not None:
        raise Refused(f"Failed to connect to '{place}': {reason}")
    raise Refused("qmpemu does not emulate the object 'input-barrier'")


BARRIER_PORT = 24800


def _bus(given: Mapping[str, Any], _: object, host: Host) -> None:
    address = str(given["addr"])
    kind, colon, rest = address.partition(":")
    if not colon:
        raise Refused(
            f"failed to connect to DBus: 'Address element “{address}” does not contain a colon (:)'"
        )
    path = rest.partition(",")[0].removeprefix("path=")
    reason = host.why_no_listener(path) if kind == "unix" and path.startswith("/") else None
    if reason is not None:
        raise Refused(f"failed to connect to DBus: 'Could not connect: {reason}'")
    raise Refused("qmpemu does not emulate the object 'dbus-vmstate'")


def _key(given: Mapping[str, Any], _: object, host: Host) -> None:
    """No key of the kernel's is read."""
    serial = int(given["serial"])
    if host.has_key(serial):
        raise Refused("qmpemu does not emulate the object 'secret_keyring'")
    raise Refused(f"Unable to read serial key {serial:08x}: Required key not available")


def _threads_of_pool(given: Mapping[str, Any], _: object, __: object) -> None:
    if int(given.get("thread-pool-min", 0)) > int(given.get("thread-pool-max", POOL_MOST)):
        raise Refused("bad thread-pool-min/thread-pool-max values")


POOL_MOST = 64


def _builtin(given: Mapping[str, Any], _: object, __: object) -> None:
    if int(given.get("queues", 1)) != 1:
        raise Refused("Only support one queue in cryptdov-builtin backend")


RULES: dict[str, Rule] = {
    "cryptodev-backend-builtin": _builtin,
    "dbus-vmstate": _bus,
    "filter-dump": net_filters.begin_dump,
    "input-barrier": _barrier,
    "iothread": _threads_of_pool,
    "secret_keyring": _key,
    "input-linux": _event_device,
    "main-loop": _main_loop,
    "pr-manager-helper": _reservations,
    "rng-random": _random,
    "thread-context": _threads,
    "throttle-group": lambda given, _, __: limits.check(limits.of_group(dict(given))),
    "tls-cipher-suites": _ciphers,
}
