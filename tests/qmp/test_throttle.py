"""qmp.throttle: at most one event a second from each limited source, and the last one is never lost."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS, NS_PER_S, Clock
from qmpemu.qmp.throttle import Throttle


class Rig:
    """A throttle on a clock; `sent` tells what passed and when, in seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sent: list[tuple[float, bytes]] = []
        self.throttle = Throttle(
            lambda event: self.sent.append((self.clock.now_ns / NS_PER_S, event)),
            lambda delay_ns, call: self.clock.call_at(self.clock.now_ns + delay_ns, call),
        )

    def wait(self, ms: int) -> None:
        self.clock.run_until(self.clock.now_ns + ms * NS_PER_MS)


def test_first_at_once_then_the_last_of_each_second() -> None:
    """A guest that sets its clock 100 times a second for 2.95 s is heard at 0, 1, 2 and 3 s, each time the latest."""
    rig = Rig()
    for turn in range(296):
        rig.throttle.emit("RTC_CHANGE", {"offset": turn}, b"%d" % turn)
        rig.wait(10)
    rig.wait(5000)
    assert rig.sent == [(0.0, b"0"), (1.0, b"99"), (2.0, b"199"), (3.0, b"295")]


def test_a_quiet_second_opens_the_gate() -> None:
    """After a second with nothing kept, the next event passes at once."""
    rig = Rig()
    rig.throttle.emit("WATCHDOG", {"action": "none"}, b"a")
    rig.wait(1000)
    rig.throttle.emit("WATCHDOG", {"action": "none"}, b"b")
    assert [event for _, event in rig.sent] == [b"a", b"b"]


def test_sources_are_kept_apart_by_their_key() -> None:
    """Ports are limited each for itself; the clock's events are one source whatever their data."""
    rig = Rig()
    for port in ("a", "b", "a"):
        rig.throttle.emit("VSERPORT_CHANGE", {"id": port, "open": True}, port.encode())
    rig.throttle.emit("RTC_CHANGE", {"offset": 1}, b"1")
    rig.throttle.emit("RTC_CHANGE", {"offset": 2}, b"2")
    assert [event for _, event in rig.sent] == [b"a", b"b", b"1"]
    rig.wait(1000)
    assert [event for _, event in rig.sent[3:]] == [b"a", b"2"]


def test_run_state_events_are_never_limited() -> None:
    """STOP and RESUME in a tight loop all pass, in order."""
    rig = Rig()
    for name in ("STOP", "RESUME") * 3:
        rig.throttle.emit(name, None, name.encode())
    assert [event for _, event in rig.sent] == [b"STOP", b"RESUME"] * 3
