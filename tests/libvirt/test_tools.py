"""Programs on top of libvirt, unmodified: virt-install, the Python bindings with their event loop, `virsh event`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.libvirt.libvirtd import COMMAND_S, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.libvirt.libvirtd import Libvirtd

pytestmark = [pytest.mark.xdist_group("scenarios"), pytest.mark.timeout(180)]

PYTHON = "/usr/bin/python3"
"""Debian's own, which Debian's bindings are for."""
GUEST = {"QMPEMU_GUEST": "windows-10-cloud", "QMPEMU_SPEED": "600x"}


def run(*words: str) -> str:
    """Standard output of a program that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def test_virt_install(libvirtd_of_ours: Libvirtd) -> None:
    """virt-install makes a domain from nothing and starts it; it runs, hears its button, and can be undefined."""
    if shutil.which("virt-install") is None:
        pytest.fail("virt-install is missing: Debian package virtinst, which `make test` installs")
    libvirtd, name = libvirtd_of_ours, "installed"
    disk = libvirtd.root / "disks/installed.qcow2"
    run(
        *f"virt-install --connect {libvirtd.uri} --name {name} --osinfo win10 --import".split(),
        *f"--virt-type qemu --memory 512 --vcpus 2 --disk {disk},size=1,format=qcow2,bus=virtio".split(),
        *"--network user,model=virtio --graphics vnc --noautoconsole".split(),
        *"--channel unix,target.type=virtio,target.name=org.qemu.guest_agent.0".split(),
        *"--qemu-commandline env=QMPEMU_SPEED=600x".split(),
    )
    assert libvirtd.domain_state(name) == "running (booted)"
    assert json.loads(run("qemu-img", "info", "-U", "--output=json", str(disk)))["virtual-size"] == 1 << 30
    ping = '{"execute":"guest-ping"}'
    until(lambda: libvirtd.virsh("qemu-agent-command", name, ping).returncode == 0, "its agent answers")
    libvirtd.ok("shutdown", name, "--mode", "acpi")
    libvirtd.wait_for_state(name, "shut off (shutdown)")
    libvirtd.ok("undefine", name, "--nvram", "--remove-all-storage")
    assert not disk.exists()


def test_python_bindings(libvirtd_of_ours: Libvirtd, make_domain: Callable[..., str]) -> None:
    """The bindings' event loop tells of a whole life in order: agent, pause, shutdown by the agent."""
    name = make_domain(**GUEST)
    told = run(PYTHON, str(Path(__file__).with_name("callbacks.py")), libvirtd_of_ours.uri, name)
    events = [json.loads(line) for line in told.splitlines()]
    assert [event for event in events if event != ["agent", "disconnected"]] == [
        ["lifecycle", "Resumed"],
        ["lifecycle", "Started"],
        ["agent", "connected"],
        ["lifecycle", "Suspended"],
        ["lifecycle", "Resumed"],
        ["lifecycle", "Shutdown"],
        ["lifecycle", "Stopped"],
    ]
    assert ["agent", "disconnected"] in events


def test_virsh_event(libvirtd_of_ours: Libvirtd, make_domain: Callable[..., str]) -> None:
    """`virsh event --all --loop --timestamp` reports a life with rising time stamps, and nothing of another's."""
    name = make_domain(**GUEST)
    libvirtd = libvirtd_of_ours
    libvirtd.ok("start", name)
    until(lambda: any("'connected'" in event for event in libvirtd.events(name)), "the agent is connected")
    libvirtd.ok("reset", name)
    until(lambda: "reboot" in libvirtd.events(name), "event reboot")
    libvirtd.ok("destroy", name)
    until(lambda: "Stopped Destroyed" in libvirtd.lifecycle(name), "event Stopped")
    lines = [line for line in libvirtd.events_log.read_text().splitlines() if f"'{name}'" in line]
    stamps = [re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: event ", line) for line in lines]
    assert all(stamps)
    assert [match[0] for match in stamps if match] == sorted(match[0] for match in stamps if match)
    assert "lifecycle': Started Booted" in libvirtd.events(name)
