"""The private libvirtd itself: it serves, it keeps to itself, and nothing of it is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.libvirt import libvirtd as module
from tests.libvirt.conftest import REAL, define
from tests.libvirt.libvirtd import Libvirtd, LibvirtError, until

pytestmark = [pytest.mark.xdist_group("libvirt"), pytest.mark.timeout(120)]


def processes_of(root: Path) -> list[str]:
    """Command lines of all processes that name the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(root) in line:
                found.append(line)
    return found


def test_nothing_is_left_behind() -> None:
    """After the end of the block neither libvirtd nor a running real QEMU nor a file of theirs exists."""
    with Libvirtd() as libvirtd:
        libvirtd.watch_events()
        define(libvirtd, "w", str(REAL), "qemu", {})
        libvirtd.ok("start", "w")
        assert libvirtd.domain_state("w") == "running (booted)"
        assert processes_of(libvirtd.root)
    until(lambda: not processes_of(libvirtd.root), "all processes are gone")
    assert not libvirtd.root.exists()


def test_two_do_not_see_each_other() -> None:
    """Two private libvirtds run side by side, each with domains of its own."""
    with Libvirtd() as one, Libvirtd() as other:
        define(one, "w", str(REAL), "qemu", {})
        assert one.ok("list", "--all", "--name") == "w"
        assert other.ok("list", "--all", "--name") == ""


def test_failure_shows_the_logs() -> None:
    """A virsh command that fails raises an error with its own words and libvirtd's log."""
    with (
        Libvirtd() as libvirtd,
        pytest.raises(LibvirtError, match=r"failed to get domain 'nope'[^$]*libvirtd\.log"),
    ):
        libvirtd.ok("start", "nope")


def test_missing_libvirtd_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the libvirtd binary the error names the Debian package and `make test`."""
    monkeypatch.setattr(module, "LIBVIRTD", "/nonexistent/libvirtd")
    with pytest.raises(LibvirtError, match=r"libvirt-daemon-system .*`make test`"):
        Libvirtd()
