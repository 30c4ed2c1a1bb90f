"""save, restore and managedsave: whatever the guest was in the middle of goes on after the restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.libvirt.libvirtd import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.libvirt.libvirtd import Libvirtd

pytestmark = [pytest.mark.xdist_group("saves"), pytest.mark.timeout(120)]


def act(libvirtd: Libvirtd, name: str, act: str, value: str | None = None) -> bool:
    """Whether somebody at the guest's console could do it."""
    message: dict[str, Any] = {"execute": f"__org.qmpemu_{act}"}
    if value is not None:
        message["arguments"] = {"value": value}
    return '"return"' in libvirtd.ok("qemu-monitor-command", name, json.dumps(message))


def typing(libvirtd: Libvirtd, name: str) -> None:
    """Somebody is logged on, and has a document open."""
    until(lambda: act(libvirtd, name, "edit_document", "A.docx"), "somebody is logged on and types")


@pytest.mark.parametrize("options", [(), ("--paused",), ("--running",)])
def test_a_saved_guest_still_has_its_document_open(
    libvirtd: Libvirtd, start: Callable[..., str], options: tuple[str, ...]
) -> None:
    """save, restore; --paused and --running decide how it comes back."""
    name = start(QMPEMU_GUEST="windows-10", connected=False)
    typing(libvirtd, name)
    file = libvirtd.root / f"{name}.saved"
    libvirtd.ok("save", name, str(file), *options)
    assert libvirtd.domain_state(name) == "shut off (saved)"
    libvirtd.ok("restore", str(file))
    if options == ("--paused",):
        assert libvirtd.domain_state(name) == "paused (migrating)"
        libvirtd.ok("resume", name)
    assert act(libvirtd, name, "save_document", "A.docx")
    assert file.read_bytes()[:16] == b"LibvirtQemudSave"


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_saved_through_a_compressing_program(
    libvirtd: Libvirtd, start: Callable[..., str], form: str
) -> None:
    """save_image_format: libvirt puts a program into the pipe, both ways."""
    conf = libvirtd.root / "etc/qemu.conf"
    before = conf.read_text()
    conf.write_text(before + f'save_image_format = "{form}"\n')
    libvirtd.restart()
    try:
        name = start(QMPEMU_GUEST="windows-10", connected=False)
        typing(libvirtd, name)
        file = libvirtd.root / f"{name}.saved"
        libvirtd.ok("save", name, str(file))
        libvirtd.ok("restore", str(file))
        assert act(libvirtd, name, "save_document", "A.docx")
    finally:
        conf.write_text(before)
        libvirtd.restart()


def test_a_shutdown_that_was_in_progress_ends_after_the_restore(
    libvirtd: Libvirtd, start: Callable[..., str]
) -> None:
    """Saved while Windows installs updates on its way down, it goes on with them and powers off."""
    name = start("pending_update=slow", QMPEMU_GUEST="windows-10", QMPEMU_SPEED="300x", connected=False)
    typing(libvirtd, name)
    assert act(libvirtd, name, "save_document", "A.docx")
    libvirtd.ok("shutdown", name, "--mode", "acpi")
    libvirtd.ok("managedsave", name)
    assert libvirtd.domain_state(name) == "shut off (saved)"
    libvirtd.ok("start", name)
    assert libvirtd.domain_state(name) in ("running (restored)", "shut off (shutdown)")
    libvirtd.wait_for_state(name, "shut off (shutdown)", timeout_s=60)


def test_the_agent_answers_after_the_restore(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Connected again at once, with what it knew; and no reply comes twice."""
    name = start()
    assert libvirtd.ok("qemu-agent-command", name, '{"execute": "guest-ping"}') == '{"return":{}}'
    file = libvirtd.root / f"{name}.saved"
    libvirtd.ok("save", name, str(file))
    libvirtd.ok("restore", str(file))
    until(lambda: libvirtd.virsh("domhostname", name).returncode == 0, "the agent answers")
    for _ in range(3):
        assert libvirtd.ok("qemu-agent-command", name, '{"execute": "guest-ping"}') == '{"return":{}}'


def test_uptime_goes_on_from_where_it_stood(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Saved twice: no new boot is told of, and a reset starts one."""
    name = start(QMPEMU_GUEST="windows-10", connected=False, QMPEMU_LOG=str(libvirtd.root / "saves.facts"))
    typing(libvirtd, name)
    for number in range(2):
        file = libvirtd.root / f"{name}.{number}"
        libvirtd.ok("save", name, str(file))
        libvirtd.ok("restore", str(file))
    assert act(libvirtd, name, "save_document", "A.docx")
    libvirtd.ok("reset", name)
    typing(libvirtd, name)


def test_a_damaged_file_is_refused_and_the_guest_in_it_is_not_started(
    libvirtd: Libvirtd, start: Callable[..., str]
) -> None:
    """Cut short or overwritten: one error, no domain; the whole file still restores."""
    name = start(QMPEMU_GUEST="windows-10", connected=False)
    typing(libvirtd, name)
    file = libvirtd.root / f"{name}.saved"
    libvirtd.ok("save", name, str(file))
    whole = file.read_bytes()
    for damaged in (whole[:-40], whole[:-200] + bytes(100) + whole[-100:]):
        other = libvirtd.root / f"{name}.damaged"
        other.write_bytes(damaged)
        done = libvirtd.virsh("restore", str(other))
        assert done.returncode != 0
        assert libvirtd.domain_state(name).startswith("shut off")
    libvirtd.ok("restore", str(file))
    assert act(libvirtd, name, "save_document", "A.docx")
