"""edge.record: recording the installed QEMU again gives the shipped profile; mistakes leave nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmpemu.edge import shipped
from qmpemu.edge.record import RecordError, record

REAL = "/usr/bin/qemu-system-x86_64"
SHIPPED = Path(shipped.FOLDER) / shipped.DEFAULT

HOST_DEPENDENT = ("cpu/kvm", "replies/common-kvm")
"""What depends on the processor and kernel of the machine that recorded."""


def files(folder: Path) -> dict[str, str]:
    """Every file that depends on the binary alone."""
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.json")}
    return {
        name: text
        for name, text in found.items()
        if not name.startswith(HOST_DEPENDENT)
        and name != "profile.json"
        and "sev" not in name
        and "sgx" not in name
    }


async def test_recording_again_gives_the_shipped_profile(tmp_path: Path) -> None:
    """The profile is what the real QEMU says, and a recording can be repeated."""
    assert Path(REAL).exists(), f"{REAL} is missing; `make test` installs it"
    said: list[str] = []
    await record(REAL, tmp_path / "profile", progress=said.append)
    ours, again = files(SHIPPED), files(tmp_path / "profile")
    assert sorted(ours) == sorted(again)
    assert [name for name in ours if ours[name] != again[name]] == []
    about = json.loads((tmp_path / "profile" / "profile.json").read_text())
    assert about["banner"] == json.loads((SHIPPED / "profile.json").read_text())["banner"]
    assert said[0].startswith("QEMU emulator version 7.2")


@pytest.mark.parametrize(
    ("binary", "sentence"),
    [
        ("/nope", "there is no executable /nope"),
        ("/bin/true", "/bin/true does not call itself a QEMU emulator"),
    ],
)
async def test_a_wrong_binary_is_one_sentence(tmp_path: Path, binary: str, sentence: str) -> None:
    """Nothing is left in the folder where the profile would have been."""
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        await record(binary, tmp_path / "profile", progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []


async def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    """A folder that is there stays as it is."""
    (tmp_path / "keep").write_text("me")
    with pytest.raises(RecordError, match="exists already"):
        await record(REAL, tmp_path, progress=lambda _: None)
    assert (tmp_path / "keep").read_text() == "me"


async def test_a_missing_parent_folder(tmp_path: Path) -> None:
    """The folder above must exist."""
    with pytest.raises(RecordError, match="is no folder"):
        await record(REAL, tmp_path / "a" / "b", progress=lambda _: None)
