"""SPICE servers: what the monitor is told of them, on ours as on the real one; a client is told of an error by ours."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


ASKED: list[dict[str, Any]] = [
    {"command": "query-spice"},
    {"command": "set_password", "protocol": "spice", "password": "abc"},
    {"command": "set_password", "protocol": "spice", "password": "abc", "connected": "disconnect"},
    {"command": "expire_password", "protocol": "spice", "time": "+30"},
    {"command": "client_migrate_info", "protocol": "spice", "hostname": "127.0.0.1"},
    {"command": "client_migrate_info", "protocol": "spice", "hostname": "127.0.0.1", "port": 5999},
    {"command": "chardev-add", "id": "n", "backend": {"type": "spicevmc", "data": {"type": "vdagent"}}},
    {"command": "query-chardev"},
    {"command": "human-monitor-command", "command_line": "info spice"},
]
WORDS = (
    "port={port},addr=127.0.0.1,disable-ticketing=on,seamless-migration=on",
    "port={port},addr=127.0.0.1 -device qxl-vga -chardev spiceport,id=c,name=org.x",
    "unix=on,addr=spice.sock,sasl=on",
)


def heard(kind: str, folder: Path, words: str) -> list[Any]:
    """What each command brings."""
    emulator = Emulator(kind, folder).start("-S", "-spice", *words.split(), cwd=folder)
    try:
        client = emulator.client()
        return [json.dumps(client.ask(**each)) for each in ASKED]
    finally:
        emulator.kill()


@pytest.mark.parametrize("words", WORDS)
def test_as_the_real_one(tmp_path: Path, words: str) -> None:
    """The same answers in the same order of members."""
    words = words.format(port=free_port())
    assert heard("ours", tmp_path, words) == heard("real", tmp_path, words)


def test_clients_followed(tmp_path: Path) -> None:
    """A migration that clients were told of ends with their own event, and is told of from then on."""
    told = []
    for kind in ("ours", "real"):
        words = f"port={free_port()},addr=127.0.0.1,disable-ticketing=on"
        emulator = Emulator(kind, tmp_path).start("-spice", words, env={"QMPEMU_GUEST": "none"})
        try:
            client = emulator.client()
            client.ask("client_migrate_info", protocol="spice", hostname="127.0.0.1", port=5999)
            client.ask("migrate", uri="exec:cat >/dev/null")
            told.append(client.story("SPICE_MIGRATE_COMPLETED")[-1])
            told.append(client.ask("query-spice")["return"]["migrated"])
        finally:
            emulator.kill()
    assert told[:2] == told[2:]
    assert told[1] is True


def test_a_client_is_told_of_an_error(tmp_path: Path) -> None:
    """The reply of the link stage says that there was one."""
    port = free_port()
    emulator = Emulator("ours", tmp_path).start("-S", "-spice", f"port={port},addr=127.0.0.1")
    try:
        emulator.client()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, sock.makefile("rb") as file:
            reply = file.read()
        magic, major, _, size, error = struct.unpack_from("<4sIIII", reply)
        assert (magic, major, size, error) == (b"REDQ", 2, len(reply) - 16, 1)
    finally:
        emulator.kill()
