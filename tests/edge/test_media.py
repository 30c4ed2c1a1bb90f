"""blockdev-change-medium: files that go into drives and out again, on ours and the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator

DISC = "driver=raw,node-name=disc,read-only=on,file.driver=file,file.filename=one.iso"


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in (("one.iso", 1 << 20), ("two.iso", 2 << 20)):
        (tmp_path / name).write_bytes(bytes(size))
    for form in ("qcow2", "vmdk"):
        subprocess.run(["qemu-img", "create", "-q", "-f", form, f"disk.{form}", "1M"], check=True)


@pytest.fixture
def client(emulator: Emulator) -> Any:
    disc = ("-blockdev", DISC, "-device", "ide-cd,id=cd0,drive=disc")
    emulator.start("-machine", "q35", "-m", "64", "-S", *disc)
    return emulator.client()


def change(client: Any, filename: str, **more: object) -> list[bool]:
    """Put a file in; how the tray moved."""
    client.put("blockdev-change-medium", id="cd0", filename=filename, **more)
    moved: list[bool] = []
    while "return" not in (message := client.read()):
        moved.append(message["data"]["tray-open"])
    return moved


def medium(client: Any) -> Any:
    """What is in the drive."""
    return client.ask("query-block")["return"][0].get("inserted")


def files(client: Any) -> list[str]:
    """The files of all format nodes, newest first."""
    rows = client.ask("query-named-block-nodes")["return"]
    return [each["file"] for each in rows if each["drv"] != "file"]


@pytest.mark.parametrize("form", [None, "raw"])
def test_a_file_takes_the_place_of_the_medium(client: Any, form: str | None) -> None:
    """The node that blockdev-add has made stays; one that came so goes when the next one comes."""
    more = {} if form is None else {"format": form}
    assert change(client, "two.iso", **more) == [True, False]
    shown = medium(client)
    assert (shown["file"], shown["drv"], shown["ro"]) == ("two.iso", "raw", True)
    assert shown["node-name"].startswith("#block")
    assert files(client) == ["two.iso", "one.iso"]
    assert change(client, "one.iso", read_only_mode="read-write", **more) == [True, False]
    assert medium(client)["ro"] is False
    assert files(client) == ["one.iso", "one.iso"]


def test_what_comes_into_an_open_tray_shuts_it(client: Any) -> None:
    """And what is ejected is gone."""
    change(client, "two.iso")
    client.put("eject", id="cd0")
    assert client.story("return") == ["DEVICE_TRAY_MOVED", "return"]
    assert (medium(client), files(client)) == (None, ["one.iso"])
    assert change(client, "two.iso") == [False]


@pytest.mark.parametrize("form", ["qcow2", "vmdk"])
def test_the_format_is_guessed(client: Any, form: str) -> None:
    """By what the file begins with."""
    change(client, f"disk.{form}")
    assert (medium(client)["drv"], medium(client)["image"]["virtual-size"]) == (form, 1 << 20)


@pytest.mark.parametrize(
    ("filename", "form", "why"),
    [
        ("two.iso", "qcow2", "Image is not in qcow2 format"),
        ("gone.iso", "raw", "Could not open 'gone.iso': No such file or directory"),
        (".", "raw", "'file' driver requires '.' to be a regular file"),
    ],
)
def test_what_cannot_be_opened_changes_nothing(client: Any, filename: str, form: str, why: str) -> None:
    """The tray stays shut."""
    reply = client.ask("blockdev-change-medium", id="cd0", filename=filename, format=form)
    assert reply["error"]["desc"] == why
    assert (medium(client)["node-name"], files(client)) == ("disc", ["one.iso"])


def test_a_medium_in_use_by_a_job(client: Any) -> None:
    """Its name is known to the real block layer: a copy of it can be made, and watched."""
    change(client, "two.iso")
    name = medium(client)["node-name"]
    client.put("drive-backup", device=name, target="copy.raw", sync="full", format="raw", job_id="j")
    while (message := client.read()).get("data", {}).get("status") != "null":
        assert "error" not in message, message
    assert medium(client)["node-name"] == name
    assert Path("copy.raw").stat().st_size == 2 << 20
