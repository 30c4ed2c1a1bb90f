"""The guest agent through an unmodified libvirt where it is absent, stopped, hung, dying, slow.

libvirt's own time-outs are real time: 5 s for the first sign of life of an agent, 60 s for a shutdown it has taken on.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.libvirt.agent import CONNECTED, DISCONNECTED, booted, operate
from tests.libvirt.libvirtd import Libvirtd, until

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeDomain = Callable[..., str]

pytestmark = [pytest.mark.xdist_group("libvirt"), pytest.mark.timeout(180)]

OFF = "shut off (shutdown)"
STARTED = ["Defined Added", "Resumed Unpaused", "Started Booted"]
SYNC_TIMEOUT_S = 5.0


@pytest.mark.parametrize("state", ["absent", "stopped"])
def test_without_an_agent(libvirtd: Libvirtd, start: Callable[..., str], state: str) -> None:
    """KubeVirt's published case: no agent in the guest, DEFAULT flag. Nobody waits for 60 s: the port never opened.

    libvirt knows by VSERPORT_CHANGE that nobody is there, and goes to ACPI at once; asked for the agent's way, it
    says so.
    """
    name = start(f"QEMU-GA={state}", connected=False)
    booted(libvirtd, name)
    refused = libvirtd.virsh("shutdown", name, "--mode", "agent")
    assert "QEMU guest agent is not connected" in refused.stderr
    began = time.monotonic()
    libvirtd.ok("shutdown", name)
    assert time.monotonic() - began < SYNC_TIMEOUT_S
    libvirtd.wait_for_state(name, OFF)
    assert CONNECTED not in libvirtd.events(name)


@pytest.mark.parametrize("emulator", ["ours", "real"])
def test_what_needs_an_agent(libvirtd: Libvirtd, make_domain: MakeDomain, emulator: str) -> None:
    """Without one, libvirt refuses the same things in the same words on ours and on the real QEMU."""
    name = make_domain(emulator, QMPEMU_SET="QEMU-GA=absent") if emulator == "ours" else make_domain(emulator)
    libvirtd.ok("start", name)
    for words in (
        ("shutdown", "--mode", "agent"),
        ("reboot", "--mode", "agent"),
        ("domtime",),
        ("guestinfo",),
        ("domfsinfo",),
        ("domfsfreeze",),
        ("domfstrim",),
        ("domifaddr", "--source", "agent"),
        ("guestvcpus",),
        ("set-user-password", "u", "p"),
        ("dompmsuspend", "mem"),
        ("qemu-agent-command", '{"execute": "guest-ping"}'),
    ):
        refused = libvirtd.virsh(words[0], name, *words[1:])
        assert "QEMU guest agent is not connected" in refused.stderr, words


def test_hung_agent(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """An agent that never answers costs the 5 s of libvirt's sync, then ACPI ends the guest."""
    name = start("QEMU-GA=hung")
    began = time.monotonic()
    libvirtd.ok("shutdown", name)
    assert time.monotonic() - began >= SYNC_TIMEOUT_S
    libvirtd.wait_for_state(name, OFF)


def test_hung_agent_is_named(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Any other use of a hung agent fails with libvirt's sentence; guest-agent-timeout shortens the wait."""
    name = start("QEMU-GA=hung")
    libvirtd.ok("guest-agent-timeout", name, "--timeout", "1")
    began = time.monotonic()
    assert "Guest agent is not responding" in libvirtd.virsh("domtime", name).stderr
    assert time.monotonic() - began < SYNC_TIMEOUT_S


def test_agent_that_takes_a_shutdown_on_and_hangs(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """An agent that answers the sync and never comes back from guest-shutdown holds libvirt past the sync's time-out.

    This is the wait of 60 s (measured: 60.0 s, then ACPI); here it is ended from outside by `destroy`.
    """
    name = start("agent_hangs_at=guest-shutdown")
    virsh = ["virsh", "-q", "-c", libvirtd.uri, "shutdown", name]
    waiting = subprocess.Popen(
        virsh, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(SYNC_TIMEOUT_S + 1)
    assert libvirtd.domain_state(name) == "running (booted)"
    libvirtd.ok("destroy", name)
    waiting.wait(20)
    assert libvirtd.lifecycle(name)[:3] == STARTED


def test_agent_that_dies_over_a_shutdown(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """libvirt takes the closing of the port for the beginning of the end: the command succeeds, the guest runs on.

    The next attempt finds no agent, and ACPI ends it.
    """
    name = start("agent_dies_at=guest-shutdown")
    libvirtd.ok("shutdown", name)
    until(lambda: DISCONNECTED in libvirtd.events(name), "the agent's port is closed")
    assert libvirtd.domain_state(name) == "running (booted)"
    libvirtd.ok("shutdown", name)
    libvirtd.wait_for_state(name, OFF)


def test_agent_that_dies_over_a_question(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """The question fails; once Windows has started the service again, the next one is answered."""
    name = start("agent_dies_at=guest-get-timezone", "agent_restart_ms=60000")
    done = libvirtd.virsh("guestinfo", name, "--timezone")
    assert done.returncode != 0 and "agent" in done.stderr
    until(lambda: libvirtd.events(name).count(CONNECTED) == 2, "the agent is connected again")
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"


def test_late_agent(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Until the agent opens its port libvirt says that nobody is connected; then it is, and the domain goes on."""
    name = start("agent_start_ms=300000", connected=False)
    booted(libvirtd, name)
    assert "QEMU guest agent is not connected" in libvirtd.virsh("domtime", name).stderr
    until(lambda: CONNECTED in libvirtd.events(name), "the agent is connected")
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"


def test_agent_stopped_and_started(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Somebody stops the service, and starts it again."""
    name = start()
    operate(libvirtd, name, "stop_service", "QEMU-GA")
    until(lambda: DISCONNECTED in libvirtd.events(name), "the agent is disconnected")
    assert "QEMU guest agent is not connected" in libvirtd.virsh("domtime", name).stderr
    operate(libvirtd, name, "start_service", "QEMU-GA")
    until(lambda: libvirtd.events(name).count(CONNECTED) == 2, "the agent is connected again")
    assert libvirtd.ok("domtime", name).startswith("Time: ")


def test_agent_after_libvirtd_restart(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """A new libvirtd finds the port open and talks to the agent at once."""
    name = start()
    libvirtd.restart()
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"


def test_slow_agent(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """An agent that takes 2 s is given up by who waits 1 s; its late replies do not confuse who waits longer."""
    name = start("agent_answer_ms=120000")
    libvirtd.ok("guest-agent-timeout", name, "--timeout", "1")
    assert "Guest agent is not responding" in libvirtd.virsh("domtime", name).stderr
    libvirtd.ok("guest-agent-timeout", name, "--timeout", "10")
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"
