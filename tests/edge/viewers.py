"""Emulators with VNC, and who looks at them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from emulators import PATIENCE_S, Client, Emulator
from rfb import RAW, Rfb

WINDOWS = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": "60x", "QMPEMU_SET": "VIDEOIDLE=0,VIDEOCONLOCK=0"}


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


def finish(client: Client, command: str, **arguments: object) -> None:
    """Send a command, and read up to its reply."""
    client.put(command, **arguments)
    while "return" not in client.read():
        pass


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
