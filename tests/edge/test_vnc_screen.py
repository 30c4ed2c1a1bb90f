"""VNC: what only ours has to show, the screen of its Windows."""

from __future__ import annotations

import random
import socket
import struct
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator
from rfb import RAW, ZLIB, ZRLE
from viewers import BACKGROUNDS, WINDOWS, await_colour, connect, finish, start, windows


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
