"""VNC through a WebSocket and through TLS, on ours and the real one: what each step is answered with."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators import Client, Emulator

from tests.certificates import usual

REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: base64, binary\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nServer: QEMU VNC\r\nDate: X\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: binary\r\n\r\n\x82\x0cRFB 003.008\n"
)
BAD = (
    b"HTTP/1.1 400 Bad Request\r\nServer: QEMU VNC\r\nDate: X\r\nConnection: close\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)
REQUESTS = {
    ("", ""): AGREED,
    ("Sec-WebSocket-Protocol: base64, binary\r\n", ""): AGREED.replace(
        b"Sec-WebSocket-Protocol: binary\r\n", b""
    ),
    (": websocket", ": WebSocket"): AGREED,
    ("GET / ", "GET /websockify "): b"HTTP/1.1 404 Not Found\r\nServer: QEMU VNC\r\nDate: X\r\n"
    b"Connection: close\r\n\r\n",
    ("GET", "POST"): BAD,
    ("HTTP/1.1", "HTTP/1.0"): BAD,
    (", binary", ""): BAD,
    ("dGhlIHNhbXBsZSBub25jZQ==", "abc"): BAD,
    ("Version: 13", "Version: 8"): BAD,
    ("Host: localhost\r\n", ""): BAD,
    ("keep-alive, Upgrade", "close"): BAD,
    ("Upgrade: websocket\r\n", ""): BAD,
    ("Host", "no colon\r\nHost"): BAD,
    ("Host", "".join(f"X{number}: 1\r\n" for number in range(40)) + "Host"): BAD,
}
"""What of the request is replaced by what -> the answer."""
UNSUPPORTED = b"\x889\x03\xebonly binary, close, ping, and pong frames are supported"


def frame(opcode: int, data: bytes, *, mask: bytes = b"\1\2\3\4", final: bool = True) -> bytes:
    head = bytes([opcode | 0x80 * final, len(data) | 0x80 * bool(mask)])
    return head + mask + bytes(byte ^ mask[at % 4] if mask else byte for at, byte in enumerate(data))


VERSION = b"RFB 003.008\n"
FRAMES = {
    frame(2, VERSION): b"\x82\x02\x01\x01",
    frame(2, VERSION[:5], final=False) + frame(0, VERSION[5:]): b"\x82\x02\x01\x01",
    b"\x82\xfe\0\x0c\0\0\0\0" + VERSION: b"\x82\x02\x01\x01",
    frame(9, b"hello"): b"\x8a\x05hello",
    frame(10, b"hello") + frame(9, b""): b"\x8a\x00",
    frame(8, b"\x03\xe8bye"): b"\x88\x16\x03\xe8peer requested close",
    frame(1, VERSION): UNSUPPORTED,
    frame(0, VERSION): UNSUPPORTED,
    frame(2, VERSION, mask=b""): b"\x88\x1e\x03\xeaclient frames must be masked",
    frame(9, b"x", final=False): b"\x88&\x03\xf0only binary frames may be fragmented",
    b"\x89\xfe\0\x7e" + bytes(130): b"\x88\x1c\x03\xeacontrol frame is too large",
}
"""What is sent once the upgrade is through -> what comes."""


@pytest.fixture(params=["ours", "real"])
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    """Of either kind, not started."""
    made = Emulator(request.param, tmp_path)
    yield made
    made.kill()


def start(emulator: Emulator, options: str, *words: str) -> tuple[Client, dict[bool, int]]:
    """A client, and the ports by whether they are for browsers."""
    where = f"127.0.0.1:0,to=90,websocket=0{options}"
    client = emulator.start("-machine", "q35", "-S", "-vga", "std", *words, "-vnc", where).client()
    client.put("query-vnc-servers")
    rows = client.read()["return"][0]["server"]
    assert [row["websocket"] for row in rows] == [True, False]
    return client, {row["websocket"]: int(row["service"]) for row in rows}


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def receive(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer at the end; the date of an answer left out."""
    data = b""
    while len(re.sub(rb"Date: [^\r]*", b"Date: X", data)) < size and (piece := sock.recv(4096)):
        data += piece
    return re.sub(rb"Date: [^\r]*", b"Date: X", data)


def test_a_browser_comes(emulator: Emulator) -> None:
    """Every kind of request and frame; a browser is known as one in queries and events."""
    client, ports = start(emulator, "")
    for (old, new), answer in REQUESTS.items():
        with connect(ports[True]) as sock:
            sock.sendall(REQUEST.replace(old, new).encode())
            assert receive(sock, len(answer)) == answer, new
    for sent, answer in FRAMES.items():
        with connect(ports[True]) as sock:
            sock.sendall(REQUEST.encode())
            assert receive(sock, len(AGREED)) == AGREED
            sock.sendall(sent)
            assert receive(sock, len(answer)) == answer, sent
    first = client.read()
    assert (first["event"], first["data"]["client"]["websocket"]) == ("VNC_CONNECTED", True)
    assert first["data"]["server"]["service"] == str(ports[False])


def secured(sock: socket.socket, folder: str, *, known: bool) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=f"{folder}/ca-cert.pem")
    if known:
        context.load_cert_chain(f"{folder}/client-cert.pem", f"{folder}/client-key.pem")
    return context.wrap_socket(sock, server_hostname="localhost")


def test_listening_elsewhere_browsers_still_come(emulator: Emulator) -> None:
    """display-update is about the others."""
    client, ports = start(emulator, "")
    where = [{"type": "inet", "host": "127.0.0.1", "port": "5790", "to": 5899}]
    client.put("display-update", type="vnc", addresses=where)
    assert client.read() == {"return": {}}
    client.put("query-vnc-servers")
    rows = client.read()["return"][0]["server"]
    assert [row["websocket"] for row in rows] == [True, False]
    assert rows[0]["service"] == str(ports[True])
    assert rows[1]["service"] != str(ports[False])


def vencrypt(port: int, subtype: int) -> socket.socket:
    """As far as TLS begins."""
    sock = connect(port)
    for size, sent in ((12, VERSION), (2, b"\x13"), (2, b"\0\2")):
        receive(sock, size)
        sock.sendall(sent)
    assert receive(sock, 6) == struct.pack(">BBI", 0, 1, subtype)
    sock.sendall(struct.pack(">I", subtype))
    assert receive(sock, 1) == b"\1"
    return sock


def test_tls(emulator: Emulator, tmp_path: Path) -> None:
    """VeNCrypt's x509 for viewers, TLS from the first byte for browsers; both by certificate, whose name is shown."""
    folder = str(usual(tmp_path / "x509").folder / "good.d")
    credentials = f"tls-creds-x509,id=t,endpoint=server,dir={folder}"
    client, ports = start(emulator, ",tls-creds=t", "-object", credentials)
    with secured(vencrypt(ports[False], 260), folder, known=True) as viewer:
        assert receive(viewer, 4) == bytes(4)
        viewer.sendall(b"\1")
        assert receive(viewer, 24)[20:24] == bytes(4)[:3] + b"\4"
        with secured(connect(ports[True]), folder, known=True) as browser:
            browser.sendall(REQUEST.encode())
            assert receive(browser, len(AGREED)) == AGREED
            browser.sendall(frame(2, VERSION))
            assert receive(browser, 4) == b"\x82\x02\x01\x01"
            client.put("query-vnc-servers")
            while "return" not in (reply := client.read()):
                pass
    shown = reply["return"][0]
    assert [row["x509_dname"] for row in shown["clients"]] == ["CN=client,O=qmp"] * 2
    assert (shown["auth"], shown["vencrypt"]) == ("vencrypt", "x509-none")
    assert [(row["auth"], row.get("vencrypt")) for row in shown["server"]] == [
        ("none", None),
        ("vencrypt", "x509-none"),
    ]
    client.put("human-monitor-command", command_line="info vnc")
    while "return" not in (reply := client.read()):
        pass
    assert f":{ports[True]} (ipv4 (Websocket))\r\n    Auth: none (Sub: none)\r\n" in reply["return"]
    assert f":{ports[False]} (ipv4)\r\n    Auth: vencrypt (Sub: x509-none)\r\n" in reply["return"]
    client.put("object-del", id="t")  # whom the server has it does not lose
    client.put("display-reload", type="vnc", tls_certs=True)
    while "return" not in (reply := client.read()):
        assert reply["event"] in ("VNC_INITIALIZED", "VNC_DISCONNECTED", "VNC_CONNECTED"), reply
    while "return" not in (reply := client.read()):
        assert reply["event"] in ("VNC_INITIALIZED", "VNC_DISCONNECTED", "VNC_CONNECTED"), reply
    with secured(vencrypt(ports[False], 260), folder, known=False) as stranger:
        if emulator.kind == "real":
            assert receive(stranger, 4) == b""
        else:
            with pytest.raises(ssl.SSLError, match="certificate required"):
                receive(stranger, 4)


def test_tls_with_a_password(emulator: Emulator, tmp_path: Path) -> None:
    """The password's turn comes behind TLS; without verify-peer nobody needs a certificate."""
    folder = str(usual(tmp_path / "x509").folder / "good.d")
    credentials = f"tls-creds-x509,id=t,endpoint=server,verify-peer=off,dir={folder}"
    client, ports = start(emulator, ",tls-creds=t,password=on", "-object", credentials)
    client.put("set_password", protocol="vnc", password="sesame")
    assert client.read() == {"return": {}}
    client.put("query-vnc")
    assert client.read()["return"]["auth"] == "vencrypt+x509+vnc"
    with secured(vencrypt(ports[False], 261), folder, known=False) as viewer:
        assert len(receive(viewer, 16)) == 16
        viewer.sendall(bytes(16))
        assert receive(viewer, 30) == struct.pack(">II", 1, 22) + b"Authentication failed\0"


@pytest.mark.parametrize(
    ("options", "wrong"),
    {
        "127.0.0.1:0,to=90,websocket=abc": "address resolution failed for 127.0.0.1:abc: "
        "Servname not supported for ai_socktype",
        "127.0.0.1:0,to=90,websocket=unix:/x": "UNIX sockets not supported with websock",
        "127.0.0.1:0,reverse=on,websocket=on": "Cannot use websockets in reverse mode",
        "127.0.0.1:0,to=90,tls-creds=t": "No TLS credentials with id 't'",
        "127.0.0.1:0,to=90,tls-creds=i": "Object with id 'i' is not TLS credentials",
    }.items(),
)
def test_refused_options(emulator: Emulator, options: str, wrong: str) -> None:
    """At the start, with its words."""
    status, said = emulator.start("-object", "iothread,id=i", "-vnc", options, qmp=False).finish()
    assert (status, said) == (1, f"qemu-system-x86_64: -vnc {options}: {wrong}\n")
