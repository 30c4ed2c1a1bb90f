"""What keys and clicks do on the screens of the simulated Windows."""

from __future__ import annotations

import pytest

from qmpemu.console import Console
from tests.guests.seat import CLIENT, Seat


def test_logging_on_with_the_keyboard() -> None:
    """Ctrl+Alt+Del, a password, Enter: welcome, then the desktop."""
    seat = Seat()
    seat.type("a", "ret")
    assert seat.screen.find("field:password") is None, "a server wants Ctrl+Alt+Del first"
    seat.press("ctrl", "alt", "delete")
    seat.type("p", "w", "d", "backspace")
    field = seat.screen.find("field:password")
    assert field is not None and field.text == "**"
    seat.press("ret", seconds=0.5)
    assert seat.screen.kind == "welcome"
    seat.driven.run(3)
    assert seat.screen.kind == "desktop"


def test_locking_and_unlocking() -> None:
    """Win+L locks, Enter with the password unlocks; the mouse does it, too."""
    seat = Seat(CLIENT)
    seat.press("meta_l", "l")
    assert seat.screen.kind == "lock" and "User: locked" in seat.texts
    seat.type("x", "p", "ret")
    assert seat.screen.kind == "desktop"
    seat.press("ctrl", "alt", "delete")
    assert seat.screen.kind == "security options"
    seat.click("menu:lock")
    assert seat.screen.kind == "lock"
    seat.click("clock")
    seat.click("logon:submit")
    assert seat.screen.kind == "desktop"


def test_typing_changes_the_document_in_front_and_ctrl_s_saves_it() -> None:
    """Keys go to the program in front."""
    seat = Seat(CLIENT)
    seat.do("open_document", "a.txt")
    seat.press("h")
    assert "*a.txt - notepad.exe" in seat.texts
    seat.press("ctrl", "s")
    assert "*" not in seat.texts


@pytest.mark.parametrize(("entry", "fact"), [("shut down", "ShutdownStarted"), ("sign out", "LogOffStarted")])
def test_alt_f4_offers_the_ways_out(entry: str, fact: str) -> None:
    """Alt+F4 opens the shutdown dialog, whose entries do what they say."""
    seat = Seat(CLIENT)
    seat.press("alt", "f4")
    assert "Shut Down Windows" in seat.texts
    seat.press("esc")
    assert "Shut Down Windows" not in seat.texts
    seat.press("alt", "f4")
    seat.click(f"menu:{entry}")
    assert fact in seat.driven.facts()


@pytest.mark.parametrize("way", ["click", "enter"])
def test_shut_down_anyway(way: str) -> None:
    """A click on the button, or Enter, ends the wait: the program is killed and Windows goes down."""
    seat = Seat(CLIENT)
    seat.do("veto_app", "game.exe")
    seat.driven.say("system_powerdown")
    seat.driven.run(10)
    if way == "click":
        seat.click("answer:continue")
    else:
        seat.press("ret")
    seat.driven.run(60)
    assert seat.driven.last("BlockedAnswered").data() == {"by": "user: continue"}
    assert "MachineShutDown" in seat.driven.facts()


def test_cancel_keeps_windows_running() -> None:
    """Tab moves to Cancel and Enter takes it; Esc does the same."""
    seat = Seat(CLIENT)
    seat.do("veto_app", "game.exe")
    for keys in (("tab", "ret"), ("esc",)):
        seat.driven.say("system_powerdown")
        seat.driven.run(10)
        seat.type(*keys)
        assert seat.screen.kind == "desktop"
        assert seat.driven.last("ShutdownCancelled")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (("ret",), "Other (Planned)"),
        (("down", "ret"), "Operating System: Reconfiguration (Planned)"),
        (("shift", "o", "k", "ret"), "ok"),
    ],
)
def test_the_tracker_takes_a_reason(keys: tuple[str, ...], reason: str) -> None:
    """The tracker's dialog: Enter gives the chosen reason, or what has been typed."""
    seat = Seat(settings="ShutdownWithoutLogon=1").log_on()
    seat.do("service_error", "Spooler")
    seat.driven.say("system_powerdown")
    seat.driven.run(5)
    assert seat.screen.kind == "tracker"
    seat.type(*keys)
    assert seat.driven.last("ReasonGiven").data()["reason"] == reason


def test_enter_takes_the_button_that_has_the_focus() -> None:
    """Cancel with the focus is meant by Enter, whatever has been typed; a click on OK gives what has been typed."""
    seat = Seat(settings="ShutdownWithoutLogon=1").log_on()
    seat.do("service_error", "Spooler")
    for keys in (("o", "k", "tab", "down", "ret"), ("o", "k", "up")):
        seat.driven.say("system_powerdown")
        seat.driven.run(5)
        seat.type(*keys)
    assert seat.driven.facts().count("ShutdownCancelled") == 1
    seat.click("answer:ok")
    assert seat.driven.last("ReasonGiven").data()["reason"] == "ok"


def test_the_tracker_takes_clicks() -> None:
    """An option is chosen with a click and given with OK; Cancel keeps Windows running."""
    seat = Seat(settings="ShutdownWithoutLogon=1").log_on()
    seat.do("service_error", "Spooler")
    for button in ("answer:cancel", "answer:ok"):
        seat.driven.say("system_powerdown")
        seat.driven.run(5)
        seat.click("option:1")
        seat.click(button)
    assert seat.driven.facts().count("ShutdownCancelled") == 1
    assert str(seat.driven.last("ReasonGiven").data()["reason"]).startswith("Operating System")


def test_keys_mean_nothing_where_nothing_listens() -> None:
    """Firmware, boot and crash screens take no keys, and nothing breaks."""
    seat = Seat(boot_s=1)
    for seconds in (1, 2, 3, 4):
        seat.press("ret", seconds=seconds)
        seat.event("btn", button="left", down=True)
    seat.driven.run(30)
    seat.driven.say("inject-nmi")
    seat.driven.run(1)
    seat.press("esc")
    assert seat.screen.kind == "bugcheck"


def test_input_that_waits_is_bounded() -> None:
    """A console whose machine does not run keeps a limited number of events."""

    class Still:
        calls: list[object] = []

        def call_in(self, delay_ns: int, call: object) -> None:
            self.calls.append(call)

    console = Console(Still())  # type: ignore[arg-type]
    for _ in range(10_000):
        console.key("a", True)
    assert len(Still.calls) == 4096
