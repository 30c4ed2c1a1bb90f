"""Keys and pointer on their way to the guest: order, pace and limits; what a paused machine makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from qmpemu.core.clock import NS_PER_MS
from tests.driven import FIRMWARE, Driven


class Listener:
    """Software that notes what its console is told, and when (in ms)."""

    def __init__(self, driven: Driven) -> None:
        self.machine = driven.vm.machine
        self.heard: list[tuple[Any, ...]] = []
        self.machine.console.attach(self)  # type: ignore[arg-type]

    def key(self, qcode: str, down: bool) -> None:
        self.heard.append((self.machine.clock.now_ns // NS_PER_MS, qcode, down))

    def pointer(self, kind: str, name: str, value: int) -> None:
        self.heard.append((kind, name, value))

    def drives_tablet(self) -> bool:
        return True


def listener(line: str = "-machine q35", **environment: str) -> tuple[Driven, Listener]:
    """A machine whose firmware is a file, so that nothing else takes the console."""
    driven = Driven(f"{line} -bios {FIRMWARE}", **{"QMPEMU_GUEST": "none", **environment})
    return driven, Listener(driven)


def keys(*names: str | int) -> list[dict[str, object]]:
    return [{"type": "qcode" if isinstance(name, str) else "number", "data": name} for name in names]


def test_keys_go_down_in_order_and_up_in_reverse() -> None:
    """10 ms between any two, where nobody says otherwise."""
    driven, heard = listener()
    assert driven.say("send-key", keys=keys("ctrl", "alt", "delete")) == [{"return": {}}]
    driven.run(1)
    assert heard.heard == [
        (0, "ctrl", True),
        (10, "alt", True),
        (20, "delete", True),
        (30, "delete", False),
        (40, "alt", False),
        (50, "ctrl", False),
    ]


@pytest.mark.parametrize(("hold", "apart_ms"), [(0, 10), (1, 1), (250, 250), (1 << 40, 10)])
def test_the_hold_time(hold: int, apart_ms: int) -> None:
    """hold-time stands between the events; 0, and what is 0 in 32 bits, mean the default."""
    driven, heard = listener()
    driven.say("send-key", keys=keys("a"), hold_time=hold)
    driven.run(1)
    assert heard.heard == [(0, "a", True), (apart_ms, "a", False)]


def test_one_command_after_another_waits_its_turn() -> None:
    """A second send-key begins when the first has ended."""
    driven, heard = listener()
    driven.say("send-key", keys=keys("a"), hold_time=100)
    driven.say("send-key", keys=keys("b"))
    driven.run(1)
    assert [(at_ms, name) for at_ms, name, down in heard.heard if down] == [(0, "a"), (200, "b")]


def test_numbers_are_scan_codes() -> None:
    """30 is A, 211 Delete; numbers without a key arrive as `unmapped`."""
    driven, heard = listener()
    driven.say("send-key", keys=keys(30, 211, 0, 100_000))
    driven.run(1)
    assert [name for _, name, down in heard.heard if down] == ["a", "delete", "unmapped", "unmapped"]


def test_the_queue_is_as_long_as_qemus() -> None:
    """Of 600 keys the first 342 presses arrive, as measured on the real one."""
    driven, heard = listener()
    driven.say("send-key", keys=keys(*["a"] * 600), hold_time=1)
    driven.run(5)
    assert len(heard.heard) == 342
    assert all(down for _, _, down in heard.heard)


def test_a_paused_machine_drops_keys() -> None:
    """send-key says nothing and does nothing; the release that waits at a pause is not delivered before cont."""
    driven, heard = listener()
    driven.say("send-key", keys=keys("a"), hold_time=100)
    driven.run(0.05)
    driven.say("stop")
    driven.say("send-key", keys=keys("b"))
    driven.run(5)
    assert [name for _, name, _ in heard.heard] == ["a"]
    driven.say("cont")
    driven.run(1)
    assert heard.heard == [(0, "a", True), (100, "a", False)]


def test_pointer_events_arrive_as_they_were_sent() -> None:
    """Axes and buttons, together and in order."""
    driven, heard = listener("-machine q35 -vga std -device qemu-xhci -device usb-tablet")
    events = [
        {"type": "abs", "data": {"axis": "x", "value": 100}},
        {"type": "rel", "data": {"axis": "y", "value": -3}},
        {"type": "btn", "data": {"button": "left", "down": True}},
    ]
    assert driven.say("input-send-event", events=events) == [{"return": {}}]
    driven.run(0.1)
    assert heard.heard == [("abs", "x", 100), ("rel", "y", -3), ("btn", "left", 1)]


def test_mice_and_which_is_current() -> None:
    """A tablet becomes the current one when the guest's driver reads it, or when somebody chooses it."""
    driven = Driven(
        "-machine q35 -device qemu-xhci -device usb-kbd -device usb-tablet,id=t", QMPEMU_GUEST="none"
    )
    (before,) = driven.say("query-mice")
    assert [(each["index"], each["current"]) for each in before["return"]] == [(4, False), (2, True)]
    Listener(driven)
    (after,) = driven.say("query-mice")
    assert [(each["index"], each["current"]) for each in after["return"]] == [(2, False), (4, True)]
    driven.say("human-monitor-command", command_line="mouse_set 2")
    (chosen,) = driven.say("query-mice")
    assert [each["current"] for each in chosen["return"] if each["index"] == 2] == [True]


def test_the_monitors_mouse_button_holds_what_it_presses() -> None:
    """mouse_button takes the state of all buttons, and tells what has changed."""
    driven, heard = listener()
    for state in (1, 3, 0):
        driven.say("human-monitor-command", command_line=f"mouse_button {state}")
    driven.run(0.1)
    assert heard.heard == [
        ("btn", "left", 1),
        ("btn", "right", 1),
        ("btn", "left", 0),
        ("btn", "right", 0),
    ]


def test_a_key_wakes_a_windows_that_sleeps() -> None:
    """In S3 a key of the PS/2 keyboard wakes the machine, and Windows comes back to its screen."""
    driven = Driven("-machine q35 -vga std", QMPEMU_GUEST="windows-10")
    driven.run(30)
    driven.say("__org.qmpemu_sleep")
    assert "SUSPEND" in driven.run(30)
    assert [each.get("event") for each in driven.say("send-key", keys=keys("spc"))] == ["WAKEUP", None]
    driven.run(5)
    assert driven.vm.machine.console.screen().kind == "desktop"


def test_what_the_guest_is_told_can_be_noted_and_told_again() -> None:
    """Every event passes one place at its own machine time; told to another machine, the guest shows the same."""
    first = Driven(
        "-machine q35 -vga std -device qemu-xhci -device usb-tablet", QMPEMU_GUEST="windows-server-2022"
    )
    noted: list[tuple[int, str, str, int]] = []
    clock = first.vm.machine.clock
    first.vm.machine.console.on_input = lambda *event: noted.append((clock.now_ns, *event))
    first.run(30)
    first.say("send-key", keys=keys("ctrl", "alt", "delete"))
    first.run(1)
    first.say("send-key", keys=keys("p"))
    first.say("input-send-event", events=[{"type": "abs", "data": {"axis": "x", "value": 9000}}])
    first.run(2)
    assert [kind for _, kind, _, _ in noted] == ["key"] * 7 + ["abs", "key"]
    second = Driven(
        "-machine q35 -vga std -device qemu-xhci -device usb-tablet", QMPEMU_GUEST="windows-server-2022"
    )
    for at_ns, kind, name, value in noted:
        second.clock.run_until(at_ns)
        second.vm.machine.console.take(kind, name, value)
    second.clock.run_until(first.clock.now_ns)
    assert second.vm.machine.console.screen() == first.vm.machine.console.screen()
