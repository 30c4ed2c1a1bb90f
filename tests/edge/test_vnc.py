"""VNC: ours and the real one behind the same clients."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from pathlib import Path

import pytest
from PIL import ImageChops

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator
from rfb import RAW, ZLIB, ZRLE, Rfb
from viewers import connect, event, start

from qmpemu.edge.vnc import des


def test_a_client_comes_and_goes(emulator: Emulator) -> None:
    """Three events with the addresses of both sides, and query-vnc shows who is there."""
    client = start(emulator, "", "-name", "abc")
    path = str(emulator.folder / "vnc.sock")
    viewer = connect(emulator)
    there = {"family": "unix", "service": "", "host": "", "websocket": False}
    server = {"auth": "none", "family": "unix", "service": path, "host": "", "websocket": False}
    assert event(client, "VNC_CONNECTED") == {"server": server, "client": there}
    viewer.open()
    assert (viewer.size, viewer.name) == ((640, 480), "QEMU (abc)")
    assert viewer.format.hex() == "2018000100ff00ff00ff100800000000"
    assert event(client, "VNC_INITIALIZED") == {"server": server, "client": there}
    assert client.ask("query-vnc")["return"]["clients"] == [there]
    viewer.close()
    assert event(client, "VNC_DISCONNECTED") == {"server": server, "client": there}
    assert client.ask("query-vnc-servers")["return"][0]["clients"] == []


def test_tcp_clients_are_listed_the_latest_first(emulator: Emulator, tmp_path: Path) -> None:
    """Over TCP a client has a host and a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    if number < 5900:
        pytest.fail("the host gives ports below 5900 to clients: VNC cannot be asked to listen there")
    emulator.start("-machine", "pc", "-vnc", f"127.0.0.1:{number - 5900}", "-S")
    client = emulator.client()
    viewers = [Rfb(number) for _ in range(2)]
    ports = [str(each.sock.getsockname()[1]) for each in viewers]
    for port in ports:
        data = event(client, "VNC_CONNECTED")
        assert data["client"] == {"family": "ipv4", "service": port, "host": "127.0.0.1", "websocket": False}
        assert data["server"]["service"] == str(number)
    assert [each["service"] for each in client.ask("query-vnc")["return"]["clients"]] == ports[::-1]
    for viewer in viewers:
        viewer.close()


def test_versions(emulator: Emulator) -> None:
    """3.3, 3.7 and 3.8 are spoken, 3.5 counts as 3.3, 3.9 is refused, and no RFB ends the connection."""
    start(emulator)
    old = connect(emulator).greet(b"RFB 003.003\n")
    assert old.read(4) == struct.pack(">I", 1)
    assert old.init().size == (640, 480)
    seven = connect(emulator).greet(b"RFB 003.007\n")
    assert seven.read(2) == b"\1\1"
    seven.sock.sendall(b"\1")
    assert seven.init().size == (640, 480), "3.7 has no result for no security"
    five = connect(emulator).greet(b"RFB 003.005\n")
    assert five.read(4) == struct.pack(">I", 1)
    nine = connect(emulator).greet(b"RFB 003.009\n")
    assert nine.read(4) == bytes(4) and nine.ended()
    web = connect(emulator).greet(b"GET / HTTP/1")
    assert web.read(4) in (b"", bytes(4)) and web.ended()


def test_a_wrong_security_type_is_refused(emulator: Emulator) -> None:
    """The refusal has a reason in 3.8."""
    start(emulator)
    viewer = connect(emulator).greet()
    assert viewer.read(2) == b"\1\1"
    viewer.sock.sendall(b"\2")
    assert viewer.read(30) == bytes(3) + b"\1" + bytes(3) + b"\x16Authentication failed\0"
    assert viewer.ended()


def test_passwords(emulator: Emulator) -> None:
    """Without a password set nobody comes in; with one who knows it; after its end nobody again."""
    client = start(emulator, "password=on")
    assert client.ask("query-vnc")["return"]["auth"] == "vnc"

    def opens(password: str) -> bool:
        viewer = connect(emulator).greet().security(2)
        viewer.sock.sendall(des.answer(password, viewer.read(16)))
        opened = viewer.read(4) == bytes(4)
        viewer.close()
        assert event(client, "VNC_CONNECTED")["server"]["auth"] == "vnc"
        event(client, "VNC_DISCONNECTED")
        return opened

    assert not opens("")
    client.ask("set_password", protocol="vnc", password="verysecret")
    assert opens("verysecret") and opens("verysecrXX"), "eight characters count"
    assert not opens("wrong")
    client.ask("expire_password", protocol="vnc", time="now")
    assert not opens("verysecret")
    client.ask("expire_password", protocol="vnc", time="+60")
    assert opens("verysecret")
    client.ask("expire_password", protocol="vnc", time="never")
    client.ask("change-vnc-password", password="other")
    assert opens("other") and not opens("verysecret")


def test_a_secret_object_is_the_password(emulator: Emulator) -> None:
    """-object secret and password-secret: no command is needed."""
    start(emulator, "password-secret=s0", "-object", "secret,id=s0,data=hello123")
    viewer = connect(emulator).greet().security(2)
    viewer.sock.sendall(des.answer("hello123", viewer.read(16)))
    assert viewer.read(4) == bytes(4)


def test_who_does_not_share_is_alone(emulator: Emulator) -> None:
    """A client that does not share sends the others away."""
    client = start(emulator)
    first = connect(emulator).open()
    second = connect(emulator).open(shared=False)
    assert first.ended()
    assert second.size == (640, 480)
    first.close()
    words = [client.read()["event"] for _ in range(5)]
    assert sorted(words) == ["VNC_CONNECTED"] * 2 + ["VNC_DISCONNECTED"] + ["VNC_INITIALIZED"] * 2
    third = connect(emulator).open()
    assert third.ended(), "somebody is alone here"


def test_shared_only(emulator: Emulator) -> None:
    """share=force-shared refuses who does not share, share=ignore does not care."""
    start(emulator, "share=force-shared")
    assert connect(emulator).open(shared=False).ended()
    assert connect(emulator).open().size == (640, 480)


def test_nonsense_ends_a_connection(emulator: Emulator) -> None:
    """A message of an unknown type: that client is gone, the others stay."""
    start(emulator)
    good, bad = connect(emulator).open(), connect(emulator).open()
    bad.sock.sendall(b"\xee" * 20)
    assert bad.ended()
    assert good.picture().size == (640, 480)


def test_what_a_client_is_told_of(emulator: Emulator) -> None:
    """Extended keys, pointer changes and the screen's layout are announced to who knows them."""
    start(emulator)
    viewer = connect(emulator).open()
    viewer.encodings(RAW, -223, -257, -258, -308)
    viewer.request()
    told: dict[int, object] = {}
    while RAW not in told:
        told.update(viewer.update())
    assert sorted(told) == [-308, -258, -257, RAW]
    assert set(told.values()) == {(0, 0, 640, 480)}


def test_a_screen_before_its_guest(emulator: Emulator) -> None:
    """A machine that has not run: each encoding gives the same picture, and it is not one colour."""
    start(emulator)
    pictures = []
    for encoding in (RAW, ZLIB, *([ZRLE] if emulator.kind == "ours" else [])):
        viewer = connect(emulator).open()
        viewer.encodings(encoding)
        pictures.append(viewer.picture())
        assert len(pictures[-1].getcolors(1 << 20) or []) > 1
    for other in pictures[1:]:
        assert ImageChops.difference(pictures[0], other).getbbox() is None


def test_add_client(emulator: Emulator) -> None:
    """A descriptor that was passed becomes a VNC connection; skipauth leaves its password out."""
    client = start(emulator, "password=on")
    ours, theirs = socket.socketpair()
    with theirs:
        message = json.dumps({"execute": "getfd", "arguments": {"fdname": "vnc"}}).encode()
        socket.send_fds(client.sock, [message], [theirs.fileno()])
        assert client.read() == {"return": {}}
    client.put("add_client", protocol="vnc", fdname="vnc", skipauth=True)
    assert event(client, "VNC_CONNECTED")["client"]["family"] == "unix"
    assert client.read() == {"return": {}}
    assert Rfb(ours).open().size == (640, 480)


def test_listening_elsewhere(emulator: Emulator) -> None:
    """display-update moves the server; who is connected stays."""
    client = start(emulator)
    viewer = connect(emulator).open()
    assert [client.read()["event"] for _ in range(2)] == ["VNC_CONNECTED", "VNC_INITIALIZED"]
    other = str(emulator.folder / "other.sock")
    assert client.ask("display-update", type="vnc", addresses=[{"type": "unix", "path": other}]) == {
        "return": {}
    }
    assert Rfb(other).open().size == (640, 480)
    assert viewer.picture().size == (640, 480)
    assert not os.path.exists(emulator.folder / "vnc.sock")


@pytest.mark.parametrize(
    "option",
    [
        "127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:70000",
        "127.0.0.1:79,foo=1",
        "127.0.0.1:79,share=xx",
        "127.0.0.1:79,password=maybe",
        "nohost.invalid:1",
        "unix:/nonexistent/x",
        "127.0.0.1:79,password-secret=foo",
        "127.0.0.1:79,tls-creds=foo",
        "127.0.0.1:79,display=nope",
        "127.0.0.1:79,id=5x",
    ],
)
def test_refused_options(option: str, tmp_path: Path) -> None:
    """The same words and the same status as the real one's."""
    said = []
    for kind in ("real", "ours"):
        emulator = Emulator(kind, tmp_path)
        status, stderr = emulator.start("-machine", "pc", "-S", "-vnc", option).finish()
        said.append((status, stderr.replace(emulator.program, "qemu").replace("qemu-system-x86_64", "qemu")))
        emulator.kill()
    assert said[0] == said[1]


def test_a_busy_port(emulator: Emulator) -> None:
    """A port that is taken ends the start, and nothing is left behind; `to=` goes on to the next one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1] - 5900
        status, stderr = emulator.start("-machine", "pc", "-S", "-vnc", f"127.0.0.1:{number}").finish()
        assert status == 1
        assert f"-vnc 127.0.0.1:{number}: Failed to find an available port: Address already in use" in stderr
        assert not emulator.socket_path.exists() or emulator.kind == "real"
        emulator.kill()
        emulator.start("-machine", "pc", "-S", "-vnc", f"127.0.0.1:{number},to={number + 50}")
        assert int(emulator.client().ask("query-vnc")["return"]["service"]) > number + 5900
