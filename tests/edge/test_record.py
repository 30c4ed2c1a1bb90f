"""edge.record: recording the installed QEMU again gives the shipped profile; mistakes leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from qmpemu.edge import shipped
from qmpemu.edge.record import RecordError, process, record

REAL = "/usr/bin/qemu-system-x86_64"
SHIPPED = Path(shipped.FOLDER) / shipped.DEFAULT

HOST_DEPENDENT = ("cpu/kvm", "replies/common-kvm")
"""What depends on the processor and kernel of the machine that recorded."""
OF_THE_PROCESSOR = ("ucode-rev", "vendor", "feature-words", "tsc-frequency")
"""The same of a processor in a tree of objects."""


def files(folder: Path) -> dict[str, str]:
    """Every file that depends on the binary alone; with KVM, without what the host's processor says."""
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.json")}
    for name in [name for name in found if name.startswith("tree/") and name.endswith("-kvm.json")]:
        tree = json.loads(found[name])
        processor = next(each for each in tree.values() if "ucode-rev" in each["values"])
        for word in OF_THE_PROCESSOR:
            del processor["values"][word]
        found[name] = json.dumps(tree)
    return {
        name: text
        for name, text in found.items()
        if not name.startswith(HOST_DEPENDENT)
        and name != "profile.json"
        and "sev" not in name
        and "sgx" not in name
        and "x-query-jit" not in name  # the size of the translation buffer follows the host's memory
    }


@pytest.mark.timeout(900)  # more than a thousand starts of the real one
async def test_recording_again_gives_the_shipped_profile(tmp_path: Path) -> None:
    """The profile is what the real QEMU says, and a recording can be repeated."""
    assert Path(REAL).exists(), f"{REAL} is missing; `make test` installs it"
    said: list[str] = []
    await record(REAL, tmp_path / "profile", progress=said.append)
    ours, again = files(SHIPPED), files(tmp_path / "profile")
    if any(line.startswith("nothing is recorded under KVM") for line in said):  # as on many machines
        ours = {name: text for name, text in ours.items() if not name.endswith("-kvm.json")}
    assert sorted(ours) == sorted(again)
    assert [name for name in ours if ours[name] != again[name]] == []
    about = json.loads((tmp_path / "profile" / "profile.json").read_text())
    assert about["banner"] == json.loads((SHIPPED / "profile.json").read_text())["banner"]
    assert said[0].startswith("QEMU emulator version 7.2")


def script(folder: Path, name: str, body: str) -> str:
    """A shell script as an executable."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


SILENT = """case "$*" in
    -version) echo QEMU emulator version 0;;
    *"-qmp unix"*) echo $$ >"$0.pid"; exec sleep 1000;;
esac"""
"""Calls itself a QEMU, tells its pid, and never opens a monitor."""


@pytest.mark.timeout(400)
async def test_without_kvm_tcg_alone_is_recorded_and_it_says_so(tmp_path: Path) -> None:
    """What KVM alone could have answered is absent, not made up, and the provenance tells."""
    no_kvm = f"""case "$*" in
        *accel=kvm*) echo no kvm >&2; exit 1;;
        "-device help") exit;;  # a recording without devices takes a third of the time
    esac
    exec {REAL} "$@\""""
    said: list[str] = []
    await record(script(tmp_path, "qemu", no_kvm), tmp_path / "profile", progress=said.append)
    about = json.loads((tmp_path / "profile" / "profile.json").read_text())
    assert (about["kvm_recorded"], [words for words in about["recordings"] if "kvm" in words]) == (False, [])
    assert [path for path in (tmp_path / "profile").rglob("*kvm") if path.is_dir()] == []
    assert any("nothing is recorded under KVM" in line and "no kvm" in line for line in said)


async def test_a_binary_that_never_answers_is_given_up_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, no process, no half profile."""
    monkeypatch.setattr(process, "DIALOGUE_S", 1.0)
    with pytest.raises(RecordError, match=r"gave no answer$"):
        await record(script(tmp_path, "silent", SILENT), tmp_path / "profile", progress=lambda _: None)
    assert not is_running(tmp_path / "silent.pid")
    assert {path.name for path in tmp_path.iterdir()} == {"silent", "silent.pid"}


async def test_a_cancelled_recording_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends the emulator too."""
    binary = script(tmp_path, "silent", SILENT)
    recording = asyncio.create_task(record(binary, tmp_path / "profile", progress=lambda _: None))
    async with asyncio.timeout(20):
        while not (tmp_path / "silent.pid").exists():
            await asyncio.sleep(0.01)
    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording
    assert not is_running(tmp_path / "silent.pid")
    assert {path.name for path in tmp_path.iterdir()} == {"silent", "silent.pid"}


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


async def test_a_folder_that_cannot_be_written() -> None:
    """The system's own word for why."""
    with pytest.raises(RecordError, match=r"^/proc/profile cannot be written: \w+"):
        await record(REAL, Path("/proc/profile"), progress=lambda _: None)
