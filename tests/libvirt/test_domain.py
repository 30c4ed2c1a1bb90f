"""Under an unmodified libvirt a domain of ours is a QEMU domain, and the guest in it decides how a shutdown ends.

Where no guest is needed the same test body runs on the real QEMU too: what holds there has to hold for ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.libvirt.conftest import define
from tests.libvirt.libvirtd import Libvirtd, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeDomain = Callable[..., str]

pytestmark = [pytest.mark.xdist_group("libvirt"), pytest.mark.timeout(180)]

BOTH = pytest.mark.parametrize(("emulator", "kind"), [("ours", "qemu"), ("ours", "kvm"), ("real", "qemu")])
OURS = pytest.mark.parametrize("kind", ["qemu", "kvm"])

FAST = "60x"
TOO_LATE_AT_TIMES = "Shutdown Finished after host request"
"""libvirt reads QEMU's last words, the SHUTDOWN event on SIGTERM, only if `destroy` has not closed the monitor yet."""
STARTED = ["Defined Added", "Resumed Unpaused", "Started Booted"]


def wait_for_guest(libvirtd: Libvirtd, name: str) -> None:
    """Until Windows in the domain has come far enough to run its agent: from then on it hears the button."""
    connected = "agent-lifecycle': state: 'connected'"
    until(
        lambda: any(e.startswith(connected) for e in libvirtd.events(name)),
        f"the agent of {name} is connected",
    )


def wait_for_lifecycle(libvirtd: Libvirtd, name: str, expected: list[str]) -> None:
    """Until the lifecycle events of the domain are as expected; fails showing both."""
    try:
        until(lambda: len(libvirtd.lifecycle(name)) >= len(expected), "lifecycle events")
    finally:
        assert libvirtd.lifecycle(name) == expected


@BOTH
def test_capabilities(libvirtd: Libvirtd, emulators: dict[str, str], emulator: str, kind: str) -> None:
    """libvirt's capability probe succeeds and finds QEMU 7.2's machine types, for `kvm` even where no KVM is."""
    found = libvirtd.ok("domcapabilities", "--emulatorbin", emulators[emulator], "--virttype", kind)
    assert f"<path>{emulators[emulator]}</path>" in found
    assert f"<domain>{kind}</domain>" in found
    assert "<machine>pc-i440fx-7.2</machine>" in found


def test_capabilities_are_those_of_real_qemu(libvirtd: Libvirtd, emulators: dict[str, str]) -> None:
    """What libvirt concludes from the probe is the same for ours and for the real QEMU, but for the path."""
    found = {
        name: libvirtd.ok("domcapabilities", "--emulatorbin", path, "--virttype", "qemu", "--machine", "q35")
        for name, path in emulators.items()
    }
    assert found["ours"].replace(emulators["ours"], emulators["real"]) == found["real"]


def test_default_emulator_is_found_in_path(libvirtd: Libvirtd, emulators: dict[str, str]) -> None:
    """A symlink named qemu-system-x86_64 in libvirtd's PATH makes ours the emulator of domains that name none."""
    assert f"<path>{emulators['ours']}</path>" in libvirtd.ok("domcapabilities", "--virttype", "qemu")


@BOTH
def test_life_of_a_domain(libvirtd: Libvirtd, make_domain: MakeDomain, emulator: str, kind: str) -> None:
    """start, suspend, resume, reset and destroy lead through the states and events that libvirt knows for QEMU."""
    name = make_domain(emulator, kind)
    libvirtd.ok("start", name)
    assert libvirtd.domain_state(name) == "running (booted)"
    libvirtd.ok("suspend", name)
    assert libvirtd.domain_state(name) == "paused (user)"
    libvirtd.ok("resume", name)
    assert libvirtd.domain_state(name) == "running (unpaused)"
    libvirtd.ok("reset", name)
    until(lambda: "reboot" in libvirtd.events(name), "event reboot")
    assert libvirtd.domain_state(name) == "running (unpaused)"
    libvirtd.ok("destroy", name)
    assert libvirtd.domain_state(name) == "shut off (destroyed)"
    until(lambda: "Stopped Destroyed" in libvirtd.lifecycle(name), "event Stopped Destroyed")
    seen = [event for event in libvirtd.lifecycle(name) if event != TOO_LATE_AT_TIMES]
    assert seen == [*STARTED, "Suspended Paused", "Resumed Unpaused", "Stopped Destroyed"]


@BOTH
def test_killed_emulator(libvirtd: Libvirtd, make_domain: MakeDomain, emulator: str, kind: str) -> None:
    """An emulator that dies by SIGKILL is a crashed domain."""
    name = make_domain(emulator, kind)
    libvirtd.ok("start", name)
    assert libvirtd.inside(f"kill -KILL {libvirtd.emulator_pid(name)}") == 0
    libvirtd.wait_for_state(name, "shut off (crashed)")
    wait_for_lifecycle(libvirtd, name, [*STARTED, "Stopped Failed"])


@BOTH
def test_libvirtd_restart(libvirtd: Libvirtd, make_domain: MakeDomain, emulator: str, kind: str) -> None:
    """A domain outlives its libvirtd; the new one finds it running and still rules it."""
    name = make_domain(emulator, kind)
    libvirtd.ok("start", name)
    pid = libvirtd.emulator_pid(name)
    libvirtd.restart()
    assert libvirtd.emulator_pid(name) == pid
    assert libvirtd.domain_state(name) == "running (booted)"
    libvirtd.ok("suspend", name)
    assert libvirtd.domain_state(name) == "paused (user)"
    libvirtd.ok("destroy", name)
    assert libvirtd.domain_state(name) == "shut off (destroyed)"


@OURS
def test_soft_shutdown(libvirtd: Libvirtd, make_domain: MakeDomain, kind: str) -> None:
    """`virsh shutdown --mode acpi` ends as `shut off (shutdown)`: Windows heard the button and powered off itself."""
    name = make_domain(kind=kind, QMPEMU_SPEED=FAST)
    libvirtd.ok("start", name)
    wait_for_guest(libvirtd, name)
    libvirtd.ok("shutdown", name, "--mode", "acpi")
    libvirtd.wait_for_state(name, "shut off (shutdown)")
    wait_for_lifecycle(
        libvirtd, name, [*STARTED, "Shutdown Finished after guest request", "Stopped Shutdown"]
    )


@OURS
def test_soft_shutdown_after_libvirtd_restart(libvirtd: Libvirtd, make_domain: MakeDomain, kind: str) -> None:
    """The soft shutdown works over the monitor connection that a restarted libvirtd has made."""
    name = make_domain(kind=kind, QMPEMU_SPEED=FAST)
    libvirtd.ok("start", name)
    wait_for_guest(libvirtd, name)
    libvirtd.restart()
    libvirtd.ok("shutdown", name, "--mode", "acpi")
    libvirtd.wait_for_state(name, "shut off (shutdown)")


@OURS
def test_ignored_shutdown(libvirtd: Libvirtd, make_domain: MakeDomain, kind: str) -> None:
    """With the power button set to do nothing the same command leaves the domain running (C5).

    The yardstick of "long enough" is a twin that obeys: it gets its press later, and is off first.
    """
    guest = {"QMPEMU_GUEST": "windows-server-2022-cloud", "QMPEMU_SPEED": FAST}
    ignoring = make_domain(kind=kind, QMPEMU_SET="PBUTTONACTION=0", **guest)
    obeying = make_domain(kind=kind, **guest)
    for name in (ignoring, obeying):
        libvirtd.ok("start", name)
        wait_for_guest(libvirtd, name)
    libvirtd.ok("shutdown", ignoring, "--mode", "acpi")
    libvirtd.ok("shutdown", obeying, "--mode", "acpi")
    libvirtd.wait_for_state(obeying, "shut off (shutdown)")
    assert libvirtd.domain_state(ignoring) == "running (booted)"
    assert libvirtd.lifecycle(ignoring) == STARTED
    libvirtd.ok("destroy", ignoring)
    assert libvirtd.domain_state(ignoring) == "shut off (destroyed)"


def test_wrong_guest_is_named(libvirtd: Libvirtd, make_domain: MakeDomain) -> None:
    """A guest that does not exist fails the start, and virsh shows our sentence about it."""
    name = make_domain(QMPEMU_GUEST="windows-2095")
    done = libvirtd.virsh("start", name)
    assert done.returncode != 0
    assert "windows-2095" in done.stderr


def test_kvm_domain_without_kvm(ours: Path) -> None:
    """A domain of type kvm starts where /dev/kvm is an empty placeholder, and the host's /dev is not touched."""
    before = sorted(os.listdir("/dev"))
    with Libvirtd({"qemu-system-x86_64": str(ours)}, kvm="placeholder") as libvirtd:
        assert libvirtd.inside("[ -f /dev/kvm ] && [ ! -s /dev/kvm ]") == 0
        define(libvirtd, "w", str(libvirtd.root / "bin/qemu-system-x86_64"), "kvm", {})
        libvirtd.ok("start", "w")
        assert libvirtd.domain_state("w") == "running (booted)"
        libvirtd.ok("destroy", "w")
    assert sorted(os.listdir("/dev")) == before
