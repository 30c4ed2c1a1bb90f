"""machine.watchdog, the guest's driver of an i6300esb, and the devices that hear of a dead kernel."""

from __future__ import annotations

from typing import Any

import pytest

from qmpemu.machine.qtest import Qtest
from tests.driven import Driven

FED = "-machine q35 -device i6300esb"
SETTINGS = {"QMPEMU_SET": "watchdog_s=30,AutoReboot=0"}


def booted(line: str) -> Driven:
    """A machine whose Windows has come up and feeds its watchdog, if it has one."""
    driven = Driven(line, **SETTINGS)
    driven.run(300)
    return driven


def events(said: list[dict[str, Any]]) -> list[str]:
    """The events among what was said."""
    return [each["event"] for each in said if "event" in each]


@pytest.mark.parametrize(
    ("action", "follows"),
    [
        ("reset", ["WATCHDOG", "RESET"]),
        ("shutdown", ["WATCHDOG", "POWERDOWN"]),
        ("poweroff", ["WATCHDOG"]),
        ("pause", ["WATCHDOG", "STOP"]),
        ("none", ["WATCHDOG"]),
        ("debug", ["WATCHDOG"]),
        ("inject-nmi", ["WATCHDOG"]),
    ],
)
def test_an_expired_watchdog(action: str, follows: list[str]) -> None:
    """Fed it says nothing; when Windows hangs it expires after its time, once, and the action follows."""
    driven = booted(f"{FED} -action watchdog={action}")
    assert "WatchdogStarted" in driven.facts() and driven.run(100) == []
    driven.say("__org.qmpemu_hang")
    assert driven.run(19) == []
    assert driven.run(12) == follows
    assert driven.last("WatchdogExpired").data() == {"action": action}
    assert driven.vm.exit_status == (0 if action == "poweroff" else None)
    if action == "inject-nmi":
        assert "Bugchecked" in driven.facts()


def test_time_that_the_machine_stands_still_does_not_count() -> None:
    """A watchdog counts the machine's time, and a reset stops it."""
    driven = booted(f"{FED} -action watchdog=pause")
    driven.say("__org.qmpemu_stop_feeding")
    driven.say("stop")
    assert driven.run(3600) == []
    driven.say("system_reset")
    driven.say("cont")
    assert driven.run(5) == []


def test_without_a_driver_nothing_counts() -> None:
    """Windows has no driver of its own (watchdog_s=0), and one that is told to feed no more has to feed."""
    driven = Driven(FED)
    driven.run(300)
    driven.say("__org.qmpemu_hang")
    assert driven.run(3600) == []
    driven = booted("-machine q35")
    assert "error" in driven.say("__org.qmpemu_stop_feeding")[-1]


def test_the_ports_of_an_ib700() -> None:
    """30 seconds, less two for each step; a write to the other port stops it."""
    driven = Driven("-machine pc -device ib700 -action watchdog=pause")
    qtest = Qtest(driven.vm.machine, lambda line: None)
    qtest.receive(b"outb 0x443 10\noutb 0x441 0\n")
    assert driven.run(60) == []
    qtest.receive(b"outb 0x443 10\n")
    assert driven.run(9) == []
    assert driven.run(2) == ["WATCHDOG", "STOP"]
    assert driven.say("query-status")[-1]["return"]["status"] == "watchdog"


@pytest.mark.parametrize("device", ["pvpanic", "pvpanic-pci"])
def test_a_crash_is_told(device: str) -> None:
    """A bugcheck of Windows is heard by the panic device, on the ISA bus or on PCI."""
    driven = booted(f"-machine q35 -device {device} -action panic=pause")
    assert events(driven.say("__org.qmpemu_crash")) == ["GUEST_PANICKED", "STOP"]
    assert "DumpWritten" not in driven.facts()


def test_a_crash_that_nobody_hears() -> None:
    """Without a panic device, or with one that takes crash kernels only, Windows crashes in silence."""
    for line in ("-machine q35", "-machine q35 -device pvpanic,events=2"):
        driven = booted(line)
        assert events(driven.say("__org.qmpemu_crash")) == driven.run(60) == []
        assert "DumpWritten" in driven.facts()
