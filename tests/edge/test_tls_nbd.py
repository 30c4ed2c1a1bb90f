"""NBD over TLS, served to qemu-img by ours and the real one: objects come and go while the real block layer runs."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators import Client, Emulator, say

from tests.certificates import usual


@pytest.fixture(params=["ours", "real"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """A monitor of either."""
    emulator = Emulator(request.param, tmp_path)
    yield emulator.start("-machine", "q35", "-S", "-blockdev", "null-co,node-name=n,size=1048576").client()
    emulator.kill()


def look(port: str, *words: str, more: str = "") -> subprocess.CompletedProcess[str]:
    image = f"driver=nbd,host=127.0.0.1,port={port},export=x{more}"
    return subprocess.run(["qemu-img", "info", *words, "--image-opts", image], capture_output=True, text=True)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_who_may_look(client: Client, tmp_path: Path) -> None:
    """With a certificate; not in the clear, and not somebody whom the authorization object does not name."""
    good = str(usual(tmp_path / "x509").folder / "good.d")
    port = free_port()
    where = {"type": "inet", "data": {"host": "127.0.0.1", "port": port}}
    assert say(client, "nbd-server-start", addr=where) == {}
    assert say(client, "nbd-server-stop") == {}
    assert say(client, "nbd-server-start", addr=where, tls_creds="t") == "No TLS credentials with id 't'"
    for name, endpoint in {"t": "server", "c": "client"}.items():
        added = say(client, "object-add", qom_type="tls-creds-x509", id=name, dir=good, endpoint=endpoint)
        assert added == {}
    wrong_end = say(client, "nbd-server-start", addr=where, tls_creds="c")
    assert wrong_end == "Expected TLS credentials for a server endpoint"
    assert say(client, "object-add", qom_type="authz-simple", id="a", identity="CN=client,O=qmp") == {}
    assert say(client, "object-add", qom_type="authz-simple", id="b", identity="somebody else") == {}
    credentials = "--object", f"tls-creds-x509,id=c,dir={good},endpoint=client"
    for who, comes in {"a": True, "b": False}.items():
        assert say(client, "nbd-server-start", addr=where, tls_creds="t", tls_authz=who) == {}
        assert say(client, "block-export-add", type="nbd", id="e", node_name="n", name="x") == {}
        found = look(port, *credentials, more=",tls-creds=c")
        assert ("1 MiB (1048576 bytes)" in found.stdout) == comes, found.stderr
        assert "TLS negotiation required" in look(port).stderr
        assert say(client, "nbd-server-stop") == {}
    assert say(client, "object-del", id="t") == {}
    assert say(client, "nbd-server-start", addr=where, tls_creds="t") == "No TLS credentials with id 't'"
