"""Screens, keys and consoles of a domain through an unmodified libvirt."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops

from tests.libvirt.libvirtd import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.libvirt.libvirtd import Libvirtd

pytestmark = pytest.mark.xdist_group("libvirt")

VNCDO = Path(sys.executable).with_name("vncdo")
SERVER = {"QMPEMU_GUEST": "windows-server-2022-cloud", "QMPEMU_SPEED": "20x", "QMPEMU_SET": "VIDEOIDLE=0"}
PATIENCE_S = 20.0
BUSY = 6999


def shown(libvirtd: Libvirtd, name: str, folder: Path) -> Image.Image:
    """What `virsh screenshot` makes of the screen."""
    file = folder / f"{name}.png"
    libvirtd.ok("screenshot", name, str(file))
    with Image.open(file) as image:
        assert image.format == "PNG"
        return image.convert("RGB")


def vncdo(libvirtd: Libvirtd, name: str, *words: str) -> None:
    """A real VNC client, in the libvirtd's own network: connect, do, leave."""
    display = libvirtd.ok("vncdisplay", name)
    host, _, number = display.rpartition(":")
    line = f"{VNCDO} -s {host}::{5900 + int(number)} {' '.join(words)} >/dev/null 2>{libvirtd.root}/vncdo.log"
    assert libvirtd.inside(line) == 0, (libvirtd.root / "vncdo.log").read_text()


def until_size(libvirtd: Libvirtd, name: str, folder: Path, size: tuple[int, int]) -> Image.Image:
    """Wait until the screen has that size."""
    until(lambda: shown(libvirtd, name, folder).size == size, f"a screen of {size}", PATIENCE_S)
    return shown(libvirtd, name, folder)


def test_screenshot_shows_what_a_vnc_client_sees(
    libvirtd: Libvirtd, make_domain: Callable[..., str], tmp_path: Path
) -> None:
    """virsh screenshot and a real VNC client get the same picture, pixel for pixel."""
    name = make_domain(**SERVER)
    libvirtd.ok("start", name)
    until_size(libvirtd, name, tmp_path, (1280, 800))
    until(lambda: len(colours(shown(libvirtd, name, tmp_path))) > 10, "a log-on screen", PATIENCE_S)
    libvirtd.ok("suspend", name)
    vncdo(libvirtd, name, "capture", str(tmp_path / "vnc.png"))
    with Image.open(tmp_path / "vnc.png") as seen:
        shot = shown(libvirtd, name, tmp_path)
        assert seen.size == (1280, 800)
        assert ImageChops.difference(seen.convert("RGB"), shot).getbbox() is None
    heard = f"event 'graphics' for domain '{name}': "
    until(lambda: f"{heard}disconnect" in libvirtd.events_log.read_text(), "the viewer's end", PATIENCE_S)
    assert f"{heard}connect" in libvirtd.events_log.read_text()
    assert f"{heard}initialize" in libvirtd.events_log.read_text()


def colours(image: Image.Image) -> set[object]:
    return {colour for _, colour in image.getcolors(1 << 20) or []}


def test_domdisplay_and_a_busy_port(libvirtd: Libvirtd, make_domain: Callable[..., str]) -> None:
    """libvirt names the display; a port that is taken ends the start with QEMU's own words."""
    name = make_domain(**SERVER)
    libvirtd.ok("start", name)
    assert re.fullmatch(r"vnc://127\.0\.0\.1:\d+", libvirtd.ok("domdisplay", name))
    other = make_domain(**SERVER)
    xml = libvirtd.ok("dumpxml", other)
    xml = re.sub(r"port='-1' autoport='yes'", f"port='{BUSY}' autoport='no'", xml)
    holder = f"import socket; s = socket.create_server(('127.0.0.1', {BUSY})); print(flush=True); s.accept()"
    assert libvirtd.inside(f'coproc {sys.executable} -c "{holder}"; read -r -u "${{COPROC[0]}}" _') == 0
    file = libvirtd.root / "busy.xml"
    file.write_text(xml)
    libvirtd.ok("define", str(file))
    failed = libvirtd.virsh("start", other)
    assert failed.returncode != 0
    assert "Failed to find an available port: Address already in use" in failed.stderr
    assert libvirtd.inside('kill "$COPROC_PID"') == 0
    assert libvirtd.domain_state(name).startswith("running")


def test_send_key_logs_on(libvirtd: Libvirtd, make_domain: Callable[..., str], tmp_path: Path) -> None:
    """virsh send-key reaches the guest: Ctrl+Alt+Del, a password, Enter, and the desktop is there."""
    name = make_domain(**SERVER)
    libvirtd.ok("start", name)
    until_size(libvirtd, name, tmp_path, (1280, 800))
    until(
        lambda: shown(libvirtd, name, tmp_path).getpixel((5, 5)) == (0x10, 0x38, 0x4F), "log-on", PATIENCE_S
    )
    libvirtd.ok("send-key", name, "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE")
    libvirtd.ok("send-key", name, "KEY_P")
    libvirtd.ok("send-key", name, "--codeset", "win32", "0x0D")
    until(
        lambda: shown(libvirtd, name, tmp_path).getpixel((5, 5)) == (0x0A, 0x5A, 0x8C), "desktop", PATIENCE_S
    )


def test_a_person_answers_over_vnc(
    libvirtd: Libvirtd, make_domain: Callable[..., str], tmp_path: Path
) -> None:
    """A program blocks the shutdown; a click on `Shut down anyway` in a VNC viewer lets the domain end."""
    name = make_domain(QMPEMU_GUEST="windows-10", QMPEMU_SPEED="20x", QMPEMU_SET="VIDEOIDLE=0,VIDEOCONLOCK=0")
    libvirtd.ok("start", name)
    until(
        lambda: shown(libvirtd, name, tmp_path).getpixel((5, 5)) == (0x0A, 0x5A, 0x8C), "desktop", PATIENCE_S
    )
    act = '{"execute":"__org.qmpemu_veto_app","arguments":{"value":"game.exe"}}'
    libvirtd.ok("qemu-monitor-command", name, act)
    libvirtd.ok("shutdown", name, "--mode", "acpi")
    until(
        lambda: shown(libvirtd, name, tmp_path).getpixel((5, 5)) == (0x00, 0x3E, 0x73), "blocked", PATIENCE_S
    )
    assert libvirtd.domain_state(name) == "running (booted)"
    vncdo(libvirtd, name, "move", "255", "446", "click", "1")
    libvirtd.wait_for_state(name, "shut off (shutdown)")


def test_a_password(libvirtd: Libvirtd, make_domain: Callable[..., str], tmp_path: Path) -> None:
    """A domain with a VNC password: the right one opens the screen, another does not."""
    name = make_domain(**SERVER)
    xml = libvirtd.ok("dumpxml", name).replace("type='vnc'", "type='vnc' passwd='s3cret'")
    file = libvirtd.root / "password.xml"
    file.write_text(xml)
    libvirtd.ok("define", str(file))
    libvirtd.ok("start", name)
    vncdo(libvirtd, name, "-p", "s3cret", "capture", str(tmp_path / "right.png"))
    assert (tmp_path / "right.png").stat().st_size > 0
    with pytest.raises(AssertionError):
        vncdo(libvirtd, name, "-p", "wrong", "capture", str(tmp_path / "wrong.png"))
    assert not (tmp_path / "wrong.png").exists()


def test_the_serial_console_speaks(libvirtd: Libvirtd, make_domain: Callable[..., str]) -> None:
    """The terminal that virsh names has the firmware's text, and the guest's special administration console."""
    name = make_domain(**SERVER)
    libvirtd.ok("start", name, "--paused")
    terminal = libvirtd.ok("ttyconsole", name)
    fd = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        libvirtd.ok("resume", name)
        assert b"Power-on self test" in read_until(fd, b"SAC>")
    finally:
        os.close(fd)
    with console(libvirtd, name, "--safe") as (first, line):
        read_until(line, b"Escape character is")
        with console(libvirtd, name, "--safe") as (second, other):
            read_until(other, b"Active console session exists for this domain")
            assert second.wait(PATIENCE_S) == 1
        typed(line, b"i\r")
        read_until(line, b"SAC>")
        os.write(line, b"\x1d")  # Ctrl+]
        assert first.wait(PATIENCE_S) == 0
    with console(libvirtd, name, "--force") as (last, line):
        typed(line, b"shutdown\r")
        libvirtd.wait_for_state(name, "shut off (shutdown)")
        assert last.wait(PATIENCE_S) == 0


def typed(line: int, keys: bytes) -> None:
    """Type at the terminal of a console, as soon as it is handed on as it is."""
    until(lambda: not termios.tcgetattr(line)[3] & termios.ECHO, "a raw terminal", PATIENCE_S)
    os.write(line, keys)


@contextmanager
def console(libvirtd: Libvirtd, name: str, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`virsh console` at a terminal of its own: the process and our end."""
    ours, theirs = os.openpty()
    words = ["virsh", "-c", libvirtd.uri, "console", name, *options]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(fd: int, end: bytes) -> bytes:
    """What a terminal says up to `end`."""
    said, deadline = b"", time.monotonic() + PATIENCE_S
    while end not in said:
        assert time.monotonic() < deadline, said
        if select.select([fd], [], [], 0.1)[0]:
            said += os.read(fd, 4096)
    return said


def test_the_client_is_there() -> None:
    """The VNC client of these tests is installed beside the interpreter that runs them."""
    assert subprocess.run([VNCDO, "--version"], capture_output=True, check=False).returncode == 0
