"""What is plugged into the machine: -device, -blockdev, -netdev, -usb."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.groups import check_id
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.keyval_tree import tree, typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig


@option("device")
def _device(parser: Parser, argument: str) -> None:
    """Those in plain form are made before those in JSON, as in QEMU 7.2."""
    members = _members(argument, "driver")
    devices, typed = parser.config.devices, parser.config.typed.setdefault("device", [])
    if argument.startswith("{"):
        devices.append(members)
        typed.append(parser.typed)
        return
    name = members.get("id")
    check_id(parser, "device", None if name is None else str(name))
    devices.insert(parser.plain_devices, members)
    typed.insert(parser.plain_devices, parser.typed)
    parser.plain_devices += 1


@option("usb")
def _usb(parser: Parser, _: str) -> None:
    add_usb(parser.config)


def add_usb(config: MachineConfig) -> None:
    """The machine's own USB controllers: EHCI with its companions on q35, UHCI on pc."""
    if config.usb:
        return
    config.usb = True
    if config.family == "q35":
        config.usb_controllers = [
            {"driver": "ich9-usb-ehci1", "addr": "1d.7", "multifunction": True},
            *(
                {
                    "driver": f"ich9-usb-uhci{number + 1}",
                    "addr": f"1d.{number}",
                    "multifunction": True,
                    "masterbus": "usb-bus.0",
                    "firstport": 2 * number,
                }
                for number in range(3)
            ),
        ]
    elif config.family == "pc":
        config.usb_controllers = [{"driver": "piix3-usb-uhci", "addr": "1.2"}]


@option("blockdev")
def _blockdev(parser: Parser, argument: str) -> None:
    schema = parser.profile.schema
    if argument.startswith("{"):
        members = _members(argument, "driver")
    else:
        members = typed(schema, "blockdev-add", tree(argument, "driver"))
    try:
        schema.check("blockdev-add", members)
    except QmpError as error:
        raise OptionError(error.desc) from None
    parser.config.blockdevs.append(members)
    parser.remember("blockdev")


NETWORKS = "user tap l2tpv3 socket stream dgram vde bridge hubport netmap vhost-user vhost-vdpa".split()


@option("netdev")
def _netdev(parser: Parser, argument: str) -> None:
    members = _members(argument, "type")
    if "id" in members and not argument.startswith("{"):
        check_id(parser, "netdev", str(members["id"]))
    if members["type"] in ("none", "nic"):
        raise OptionError(f"network backend '{members['type']}' is not compiled into this binary")
    if members["type"] not in NETWORKS:
        raise OptionError(f"Parameter 'type' does not accept value '{members['type']}'")
    _require(members, "id")
    if not argument.startswith("{"):
        parser.plain_netdevs.append((members, parser.typed))
    parser.config.netdevs.append(members)
    parser.remember("netdev")


def _members(argument: str, implied: str) -> dict[str, object]:
    members = keyval.parse_json_or_keyval(argument, implied)
    _require(members, implied)
    return members


def _require(members: dict[str, object], name: str) -> None:
    if name not in members:
        raise OptionError(f"Parameter '{name}' is missing")
