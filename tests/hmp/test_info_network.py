"""`info network`: back ends that carry frames over sockets; texts measured on QEMU 7.2."""

from __future__ import annotations

import pytest

from qmpemu.machine.host import Host
from tests.driven import Driven

SHOWN = {
    "stream,server=on,addr.type=unix,addr.path=/none/a": "stream,",
    "stream,addr.type=unix,addr.path=/none/a": "stream,connection error",
    "dgram,local.type=inet,local.host=localhost,local.port=7,remote.type=inet,remote.host=10.0.0.1,remote.port=8": (
        "dgram,udp=127.0.0.1:7/10.0.0.1:8"
    ),
    "dgram,local.type=unix,local.path=/a,remote.type=unix,remote.path=/b": "dgram,udp=/a:/b",
    "dgram,remote.type=inet,remote.host=230.0.0.1,remote.port=7": "dgram,mcast=230.0.0.1:7",
    '{"type":"dgram","remote":{"type":"inet","host":"230.0.0.1","port":"7"},"id":"v"}': "dgram,mcast=230.0.0.1:7",
}


class Bare(Host):
    """A host without files."""

    def why_unreadable(self, path: str) -> str | None:
        return "No such file or directory"


@pytest.mark.parametrize("netdev", SHOWN)
def test_sockets_with_addresses(netdev: str) -> None:
    """Given by words with dots, or as an object."""
    text = netdev if netdev.startswith("{") else f"{netdev},id=v"
    driven = Driven(f"-machine q35 -nodefaults -netdev {text}", Bare(), QMPEMU_GUEST="none")
    [reply] = driven.say("human-monitor-command", command_line="info network")
    assert reply["return"] == f"v: index=0,type={SHOWN[netdev]}\r\n"
