"""Character devices over TLS and WebSockets, on ours and the real one."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulators import Client, Emulator
from test_vnc_wrapped import AGREED, REQUEST, connect, receive, secured
from two import poll

from tests.certificates import usual

GREETING = b'{"QMP": '


@pytest.fixture(params=["ours", "real"])
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    """Of either kind, not started."""
    made = Emulator(request.param, tmp_path)
    yield made
    made.kill()


def say(client: Client, command: str, **arguments: Any) -> Any:
    client.put(command, **arguments)
    reply = client.read()
    return reply["return"] if "return" in reply else reply["error"]["desc"]


def shown(client: Client, label: str) -> str:
    return next(str(row["filename"]) for row in say(client, "query-chardev") if row["label"] == label)


def ended(sock: socket.socket) -> bool:
    """Whether the other side parts without a word."""
    try:
        return GREETING not in receive(sock, 100)
    except ConnectionError:
        return True


def port_of(client: Client, label: str) -> int:
    return int(shown(client, label).partition(",")[0].rpartition(":")[2])


def test_servers_and_clients(emulator: Emulator, tmp_path: Path) -> None:
    """A monitor greets whoever is through the handshake; nobody else is a client; a client of a server with TLS."""
    folder = str(usual(tmp_path / "x509").folder / "good.d")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{folder}/ca-cert.pem")
    theirs.verify_mode = ssl.CERT_REQUIRED
    theirs.load_cert_chain(f"{folder}/server-cert.pem", f"{folder}/server-key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[Any] = []

    def serve() -> None:
        with theirs.wrap_socket(listener.accept()[0], server_side=True) as peer:
            heard.extend((peer.recv(8), peer.getpeercert()))

    server = threading.Thread(target=serve)
    server.start()
    words = []
    for endpoint in ("server", "client"):
        words += ["-object", f"tls-creds-x509,id={endpoint},dir={folder},endpoint={endpoint}"]
    port = listener.getsockname()[1]
    for label, options in {
        "tls": "port=0,server=on,wait=off,tls-creds=server",
        "web": "port=0,server=on,wait=off,websocket=on",
        "out": f"port={port},tls-creds=client",
    }.items():
        words += ["-chardev", f"socket,id={label},host=127.0.0.1,{options}", "-mon", f"{label},mode=control"]
    client = emulator.start("-machine", "none", *words).client()
    server.join()
    listener.close()
    assert heard[0] == GREETING
    assert heard[1]["subject"][0][0] == ("commonName", "client")
    poll(lambda: shown(client, "out") == f"disconnected:tcp:127.0.0.1:{port}")
    tls, web = port_of(client, "tls"), port_of(client, "web")
    with connect(tls) as sock:
        sock.sendall(b'{"execute": "qmp_capabilities"}\r\n')
        assert ended(sock)
    with secured(connect(tls), folder, known=True) as viewer:
        assert receive(viewer, 8)[:8] == GREETING
        assert shown(client, "tls").startswith(f"tcp:127.0.0.1:{tls},server=on <-> ")
    with connect(web) as browser:
        assert shown(client, "web") == f"disconnected:websocket:127.0.0.1:{web},server=on"
        browser.sendall(REQUEST.encode())
        answer = receive(browser, len(AGREED))
        assert b"101 Switching" in answer
        assert GREETING in answer


def test_what_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    """At run time as at the start."""
    folder = str(usual(tmp_path / "x509").folder / "good.d")
    client = emulator.start(
        "-machine", "none", "-object", f"tls-creds-x509,id=c,endpoint=client,dir={folder}"
    ).client()
    inet = {"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}
    for data, wrong in (
        ({"addr": inet, "server": True, "wait": False, "tls-creds": "x"}, "No TLS credentials with id 'x'"),
        (
            {"addr": inet, "server": True, "wait": False, "tls-creds": "c"},
            "Expected TLS credentials for a server endpoint",
        ),
        ({"addr": inet, "server": False, "websocket": True}, "Websocket client is not implemented"),
        ({"addr": inet, "tls-authz": "x"}, "'tls_authz' option requires 'tls_creds' option"),
    ):
        backend = {"type": "socket", "data": data}
        assert say(client, "chardev-add", id="y", backend=backend) == f"Failed to add chardev 'y': {wrong}"


@pytest.mark.parametrize("server", ["ours", "real"])
def test_ours_and_the_real_one_with_each_other(server: str, tmp_path: Path) -> None:
    """OpenSSL here, GnuTLS there: connected where both are trusted, and nobody there where one is not."""
    made = usual(tmp_path / "x509")
    folders = {True: f"{made.folder}/good.d", False: made.directory("distrustful", "other")}
    kinds = (server, "real" if server == "ours" else "ours")
    for trusted, folder in folders.items():
        for kind in kinds:
            (tmp_path / f"{kind}{trusted}").mkdir()
        ends = [Emulator(kind, tmp_path / f"{kind}{trusted}") for kind in kinds]
        try:
            listening = tls_line(ends[0], "server", folders[True], "port=0,server=on,wait=off")
            port = port_of(listening, "c")
            calling = tls_line(ends[1], "client", folder, f"port={port}")
            seen = {shown(each, "c").startswith("disconnected:") for each in (listening, calling) * 200}
            assert (False in seen) == trusted
            assert shown(calling, "c").startswith("disconnected:") != trusted
        finally:
            for each in ends:
                each.kill()


def tls_line(emulator: Emulator, endpoint: str, folder: str, options: str) -> Client:
    """A machine with a serial line over TLS."""
    credentials = f"tls-creds-x509,id=t,dir={folder},endpoint={endpoint}"
    chardev = f"socket,id=c,host=127.0.0.1,tls-creds=t,{options}"
    words = ("-object", credentials, "-chardev", chardev, "-serial", "chardev:c")
    return emulator.start("-machine", "q35", "-S", *words).client()
