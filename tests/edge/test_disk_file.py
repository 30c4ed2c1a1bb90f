"""edge.disk_file: the guest's disk as a file beside the image, whole or not at all."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.edge.disk_file import FileStore
from qmpemu.edge.keyval import OptionError
from tests.edge.emulators import Client, Emulator


def silent(text: str) -> None:
    """Nothing is to be reported."""
    raise AssertionError(text)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The latest save is what another process finds; nothing else is left in the folder."""
    path = tmp_path / "disk"
    store = FileStore(str(path), silent)
    assert store.load() is None
    store.save(b"one")
    store.save(b'{"two": "\n"}')
    assert FileStore(str(path), silent).load() == b'{"two": "\n"}'
    assert list(tmp_path.iterdir()) == [path]


@given(cut=st.integers(0, 60))
def test_a_torn_file_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that ends at any byte before its last is refused with a sentence, and stays as it is."""
    path = tmp_path_factory.mktemp("torn") / "disk"
    FileStore(str(path), silent).save(b'{"format": 1, "boots": 3}')
    whole = path.read_bytes()
    torn = whole[: min(cut, len(whole) - 1)]
    path.write_bytes(torn)
    with pytest.raises(OptionError, match="disk state"):
        FileStore(str(path), silent)
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"QFI\xfb something else", "is no disk state of qmpemu: move it away"),
        (b"qmpemu disk state 2 1 00000000\nx", "is of another format than 1"),
        (b"qmpemu disk state 1 3 00000000\nabc", "is damaged: move it away"),
        (b"qmpemu disk state 1 3 352441c2\nabcd", "is damaged: move it away"),
    ],
)
def test_a_foreign_file_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    """Whatever it is, it is named and not written to."""
    path = tmp_path / "disk"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=sentence):
        FileStore(str(path), silent)
    assert path.read_bytes() == content


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said once, and the machine goes on with the state in memory."""
    said: list[str] = []
    store = FileStore(str(tmp_path / "nowhere" / "disk"), said.append)
    store.save(b"one")
    store.save(b"two")
    assert store.load() == b"two"
    assert len(said) == 1
    assert said[0].endswith("No such file or directory; the next start will not know of this one")


DISK = ["-blockdev", "driver=file,node-name=d,filename={}", "-device", "virtio-blk-pci,drive=d,id=disk"]
FLASH = ["-drive", "if=pflash,format=raw,file={}.vars"]
"""A firmware's variables: the first image that can be written to, and no disk."""
AGENT = ["-device", "virtio-serial-pci", "-chardev", "null,id=agent"]
AGENT += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0,id=port"]


def start(folder: Path, **environment: str) -> Emulator:
    """Our emulator with a raw disk of that folder."""
    image = folder / "vm.img"
    if not image.exists():
        image.write_bytes(bytes(1 << 20))
    Path(f"{image}.vars").write_bytes(bytes(1 << 20))
    words = [word.format(image) for word in FLASH + DISK]
    env = {"QMPEMU_SPEED": "100x", "QMPEMU_LOG": str(folder / "log"), **environment}
    return Emulator("ours", folder).start("-machine", "q35", "-S", *words, *AGENT, env=env)


def booted(emulator: Emulator) -> Client:
    """Wait until the guest agent opens its port, near the end of the boot; the client that heard it."""
    client = emulator.client()
    client.put("cont")
    while client.read().get("event") != "VSERPORT_CHANGE":
        pass
    return client


def events(folder: Path) -> list[int]:
    """The Windows event ids of the log."""
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return [line["id"] for line in lines if line["event"] == "EventLogged"]


def test_sigkill_shows_at_the_next_start(tmp_path: Path) -> None:
    """kill -9 leaves a state beside the image, from which the next process tells of it: 41, 6008, chkdsk."""
    first = start(tmp_path)
    try:
        booted(first)
    finally:
        first.kill()
    assert (tmp_path / "vm.img.qmpemu").read_bytes().startswith(b"qmpemu disk state 1 ")
    (tmp_path / "log").unlink()
    second = start(tmp_path)
    try:
        booted(second).put("quit")
        second.finish()  # by then the log is whole
    finally:
        second.kill()
    assert events(tmp_path)[:4] == [41, 6008, 6005, 1001]


def test_in_memory_on_request(tmp_path: Path) -> None:
    """QMPEMU_DISK=none writes nothing beside the image."""
    emulator = start(tmp_path, QMPEMU_DISK="none")
    try:
        booted(emulator)
    finally:
        emulator.kill()
    assert not (tmp_path / "vm.img.qmpemu").exists()


def test_a_foreign_file_ends_the_start(tmp_path: Path) -> None:
    """The process says what is wrong, with exit status 1, and leaves the file alone."""
    (tmp_path / "vm.img.qmpemu").write_text("mine")
    status, said = start(tmp_path).finish()
    assert status == 1
    assert "vm.img.qmpemu is no disk state of qmpemu" in said
    assert (tmp_path / "vm.img.qmpemu").read_text() == "mine"


def judged_clean(image: Path, kind: str) -> bool:
    """What Debian's own tools say of the volume."""
    tool = ["fsck.vfat", "-n"] if kind == "vfat" else ["ntfsinfo", "-m"]
    done = subprocess.run([*tool, str(image)], capture_output=True, text=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("kind", ["vfat", "ntfs"])
def test_the_image_s_own_dirty_flag(kind: str, tmp_path: Path) -> None:
    """Dirty while Windows runs and after kill -9, clean after a soft shutdown: by fsck.vfat and ntfsinfo."""
    image = tmp_path / "vm.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    make = ["mkfs.vfat", "-F", "32"] if kind == "vfat" else ["mkntfs", "-F", "-Q", "-q"]
    subprocess.run([*make, str(image)], check=True, capture_output=True)
    fresh = image.read_bytes()
    assert judged_clean(image, kind)
    first = start(tmp_path)
    try:
        booted(first)
    finally:
        first.kill()
    assert not judged_clean(image, kind)
    second = start(tmp_path)
    try:
        client = booted(second)
        client.put("system_powerdown")
        assert client.story()[-2:] == ["SHUTDOWN guest-shutdown", "EOF"]
        assert second.finish()[0] == 0
    finally:
        second.kill()
    assert judged_clean(image, kind)
    assert image.read_bytes() == fresh


SAVING = """
import sys
from qmpemu.edge.disk_file import FileStore
store = FileStore(sys.argv[1], sys.exit)
for number in range(10**9):
    store.save((b"%d," % number) * 2000)
    if number == 20:
        print("going", flush=True)
"""


def test_killed_while_it_saves(tmp_path: Path) -> None:
    """kill -9 in the middle of saving leaves one whole state or another, whenever it comes."""
    path = tmp_path / "disk"
    for microseconds in range(0, 4_000, 400):
        words = [sys.executable, "-c", SAVING, str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"going\n"
            select.select([], [], [], microseconds / 1e6)  # the moment is what varies; nothing is waited for
            process.kill()
        data = FileStore(str(path), silent).load()
        assert data is not None
        number, _, _ = data.partition(b",")
        assert data == (number + b",") * 2000
