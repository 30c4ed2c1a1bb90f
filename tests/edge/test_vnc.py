"""VNC: ours and the real one behind the same clients, then what only ours has to show."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

sys.path.insert(0, str(Path(__file__).parent))

from emulators import PATIENCE_S, Client, Emulator
from rfb import OPEN, RAW, ZLIB, ZRLE, Rfb

from qmpemu.edge.vnc import des

WINDOWS = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": "60x", "QMPEMU_SET": "VIDEOIDLE=0,VIDEOCONLOCK=0"}


@pytest.fixture(autouse=True)
def _all_closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def start(emulator: Emulator, options: str = "", *words: str, env: dict[str, str] | None = None) -> Client:
    """An emulator with VNC on a UNIX socket; its QMP client."""
    where = f"unix:{emulator.folder}/vnc.sock" + (f",{options}" if options else "")
    emulator.start("-machine", "q35", "-vnc", where, "-device", "VGA,id=video0", "-S", *words, env=env)
    return emulator.client()


def connect(emulator: Emulator) -> Rfb:
    return Rfb(str(emulator.folder / "vnc.sock"))


def event(client: Client, name: str) -> dict[str, Any]:
    """The next message, which is that event; its data."""
    message = client.read()
    assert message.get("event") == name, message
    data: dict[str, Any] = message["data"]
    return data


# --- on both --------------------------------------------------------------------------------------------------


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


def finish(client: Client, command: str, **arguments: object) -> None:
    """Send a command, and read up to its reply."""
    client.put(command, **arguments)
    while "return" not in client.read():
        pass


# --- ours -----------------------------------------------------------------------------------------------------


def windows(ours: Emulator, *words: str, until_kind: str = "desktop") -> tuple[Client, Rfb]:
    """A Windows that has booted, its QMP client, and a viewer."""
    client = start(ours, "", "-device", "qemu-xhci", "-device", "usb-tablet", *words, env=WINDOWS)
    finish(client, "cont")
    viewer = connect(ours).open()
    viewer.encodings(RAW, -223)
    await_colour(viewer, BACKGROUNDS[until_kind])
    return client, viewer


BACKGROUNDS = {"desktop": (0x0A, 0x5A, 0x8C), "blocked": (0x00, 0x3E, 0x73), "log-on": (0x10, 0x38, 0x4F)}


def await_colour(viewer: Rfb, colour: tuple[int, int, int]) -> None:
    """Read updates until the screen's corner has that colour."""
    viewer.request()
    deadline = time.monotonic() + PATIENCE_S
    while viewer.image.size != (1280, 800) or viewer.image.getpixel((2, 2)) != colour:
        assert time.monotonic() < deadline
        viewer.update()
        viewer.request(incremental=True)


def test_the_viewer_sees_what_screendump_draws(ours: Emulator) -> None:
    """The same pixels in PNG, PPM and the viewer; the PPM is as long as its size says."""
    client, viewer = windows(ours)
    finish(client, "stop")
    for form in ("png", "ppm"):
        path = ours.folder / f"a.{form}"
        finish(client, "screendump", filename=str(path), format=form)
        with Image.open(path) as image:
            assert image.format == form.upper()
            second = connect(ours).open()
            assert ImageChops.difference(image.convert("RGB"), second.picture()).getbbox() is None
    assert path.read_bytes()[:16] == b"P6\n1280 800\n255\n"
    assert path.stat().st_size == 16 + 1280 * 800 * 3
    viewer.close()


@pytest.mark.parametrize(
    ("bits", "big", "maxima", "shifts", "mode"),
    [
        (32, 0, (255, 255, 255), (0, 8, 16), "RGBX"),
        (32, 1, (255, 255, 255), (16, 8, 0), "XRGB"),
        (16, 0, (31, 63, 31), (11, 5, 0), "BGR;16"),
        (8, 0, (7, 7, 3), (5, 2, 0), ""),
    ],
)
def test_pixel_formats(
    ours: Emulator, bits: int, big: int, maxima: tuple[int, ...], shifts: tuple[int, ...], mode: str
) -> None:
    """A viewer may ask for other pixels; the picture stays the same as far as they can show it."""
    start(ours)
    plain = connect(ours).open().picture()
    viewer = connect(ours).open()
    viewer.sock.sendall(struct.pack(">B3xBBBBHHHBBB3x", 0, bits, min(bits, 24), big, 1, *maxima, *shifts))
    viewer.pixel = (mode, bits // 8)
    seen = viewer.picture()
    if mode:
        assert max(high for _, high in ImageChops.difference(plain, seen).getextrema()) <= 255 // min(maxima)


def test_an_impossible_pixel_format_ends_the_connection(ours: Emulator) -> None:
    """24 bits a pixel do not exist."""
    start(ours)
    viewer = connect(ours).open()
    viewer.sock.sendall(struct.pack(">B3xBBBBHHHBBB3x", 0, 24, 24, 0, 1, 255, 255, 255, 16, 8, 0))
    assert viewer.ended()


def test_only_what_changed_is_sent(ours: Emulator) -> None:
    """After a movement of the pointer the update is as small as two pointers, unless the minute changes as well."""
    _, viewer = windows(ours)
    viewer.picture()
    sizes = []
    for x in (700, 720, 740):
        viewer.request(incremental=True)
        viewer.pointer(x, 420)
        ((encoding, (_, _, width, height)),) = viewer.update()
        assert encoding == RAW
        sizes.append(max(width, height))
    assert min(sizes) < 150
    viewer.close()


def test_keys_and_clicks_answer_a_prompt(ours: Emulator) -> None:
    """A program blocks the shutdown; the person at the viewer clicks `Shut down anyway`."""
    client, viewer = windows(ours)
    finish(client, "__org.qmpemu_veto_app", value="game.exe")
    finish(client, "system_powerdown")
    await_colour(viewer, BACKGROUNDS["blocked"])
    viewer.pointer(255, 446)
    viewer.pointer(255, 446, 1)
    viewer.pointer(255, 446, 0)
    assert client.story("EOF")[-2:] == ["SHUTDOWN guest-shutdown", "EOF"]
    assert ours.finish()[0] == 0


def test_a_client_that_never_reads_is_bounded(ours: Emulator) -> None:
    """Requests of one who does not read are merged: the process does not grow, and others are served."""
    _, viewer = windows(ours)
    lazy = connect(ours).open()
    lazy.sock.setblocking(False)
    with pytest.raises(BlockingIOError):  # at some time the server stops to read it
        lazy.sock.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 1280, 800) * 1_000_000)
    viewer.picture()
    assert ours.process is not None
    status = Path(f"/proc/{ours.process.pid}/status").read_text()
    (rss,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    assert rss < 120_000, f"{rss} KiB"
    lazy.close()


def test_half_a_handshake_holds_no_place(ours: Emulator) -> None:
    """Of those who never finish, the oldest are sent away when there are too many."""
    start(ours, "connections=3")
    waiting = [connect(ours) for _ in range(4)]
    for each in waiting:
        assert each.read(12) == b"RFB 003.008\n"
    assert waiting[0].ended()
    assert waiting[3].greet is not None and connect(ours).open().size == (640, 480)


def test_nothing_is_drawn_for_nobody(ours: Emulator) -> None:
    """A machine with VNC that nobody looks at does not load what draws."""
    client = start(ours, env=WINDOWS)
    finish(client, "cont")
    assert ours.process is not None

    def loads_pillow() -> bool:
        return "PIL" in Path(f"/proc/{ours.process.pid}/maps").read_text()  # type: ignore[union-attr]

    assert not loads_pillow()
    connect(ours).open().picture()
    assert loads_pillow()


def test_random_input_harms_nobody(ours: Emulator) -> None:
    """Hundreds of clients that say anything at any stage: each is served or sent away, and the next one is served."""
    start(ours, "share=ignore")
    pick = random.Random(7)
    sent_away = 0
    for _ in range(300):
        stage = pick.randrange(4)
        viewer = connect(ours)
        if stage:
            viewer.greet()
        if stage > 1:
            viewer.security()
        if stage > 2:
            viewer.init()
        try:
            viewer.sock.sendall(b"".join(_message(pick) for _ in range(pick.randrange(12))))
            viewer.sock.shutdown(socket.SHUT_WR)
            while viewer.sock.recv(1 << 20):
                pass
        except OSError:
            sent_away += 1  # in the middle of its speech
        viewer.close()
    assert sent_away < 300
    assert connect(ours).open().picture().size == (640, 480)


def _message(pick: random.Random) -> bytes:
    """A message that is right, or right in its type only, or not even that."""
    kind = pick.choice([0, 2, 3, 3, 3, 4, 5, 6, 251, 255, pick.randrange(256)])
    size = {0: 19, 2: 3, 3: 9, 4: 7, 5: 5, 6: 7, 251: 7, 255: 11}.get(kind, 3)
    if kind == 2:
        numbers = [
            pick.choice([RAW, ZLIB, ZRLE, -223, -258, -257, -308, 5, 7]) for _ in range(pick.randrange(6))
        ]
        return struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers)
    if kind == 3:
        return struct.pack(
            ">BBHHHH", 3, pick.randrange(2), *(pick.choice([0, 1, 70, 640, 65535]) for _ in range(4))
        )
    if kind == 0:
        maxima = [pick.choice([0, 1, 7, 31, 63, 255, 65535]) for _ in range(3)]
        shifts = [pick.randrange(34) for _ in range(3)]
        bits = pick.choice([8, 16, 32, 24])
        return struct.pack(
            ">B3xBBBBHHHBBB3x", 0, bits, bits, pick.randrange(2), pick.randrange(2), *maxima, *shifts
        )
    return bytes([kind]) + pick.randbytes(size)
