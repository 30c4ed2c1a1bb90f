"""What the simulated Windows shows in each state of its life, and what keys and clicks do there."""

from __future__ import annotations

import pytest

from qmpemu.console import Console, Element, Screen
from tests.driven import Driven

SERVER, CLIENT = "windows-server-2022", "windows-10"


class Seat:
    """Somebody before the screen of a machine that has booted."""

    def __init__(self, guest: str = SERVER, settings: str = "", *, boot_s: float = 30) -> None:
        self.driven = Driven(
            "-machine q35 -vga std -device qemu-xhci -device usb-tablet",
            QMPEMU_GUEST=guest,
            QMPEMU_SET=settings,
        )
        self.driven.run(boot_s)

    @property
    def screen(self) -> Screen:
        return self.driven.vm.machine.console.screen()

    @property
    def texts(self) -> str:
        return " | ".join(self.screen.texts())

    def press(self, *keys: str, seconds: float = 1) -> None:
        """Press keys together and let them go."""
        self.driven.say("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
        self.driven.run(seconds)

    def type(self, *keys: str) -> None:
        for key in keys:
            self.press(key)

    def click(self, place: str) -> None:
        """Point at an element and press the left button."""
        element = self.screen.find(place)
        assert element is not None, f"no {place} on {self.screen}"
        left, top, width, height = element.box
        for axis, value, extent in (("x", left + width // 2, 1280), ("y", top + height // 2, 800)):
            self.event("abs", axis=axis, value=value * 0x8000 // extent + 1)
        for down in (True, False):
            self.event("btn", button="left", down=down)
        self.driven.run(1)

    def event(self, kind: str, **data: object) -> None:
        self.driven.say("input-send-event", events=[{"type": kind, "data": data}])

    def do(self, act: str, value: str = "") -> None:
        said = self.driven.say(f"__org.qmpemu_{act}", **({"value": value} if value else {}))
        assert "return" in said[-1], said

    def log_on(self) -> Seat:
        self.press("ctrl", "alt", "delete")
        self.press("a")
        self.press("ret", seconds=4)
        return self


# --- what is shown --------------------------------------------------------------------------------------------


def test_a_boot_goes_from_nothing_to_the_log_on_screen() -> None:
    """Each phase of a boot has its screen; the loader's spinner turns."""
    seat = Seat(boot_s=0)
    kinds = [seat.screen.kind]
    spinners = set()
    for _ in range(40):
        seat.driven.run(0.5)
        kinds.append(seat.screen.kind)
        spinners.update(each.value for each in seat.screen.elements if each.look == "spinner")
    assert list(dict.fromkeys(kinds)) == ["no display", "firmware", "boot loader", "please wait", "log-on"]
    assert len(spinners) > 3


def test_text_mode_then_windows_own_size() -> None:
    """The size changes with the software that draws."""
    seat = Seat(boot_s=0)
    sizes = [seat.screen.size]
    for seconds in (1, 20):
        seat.driven.run(seconds)
        sizes.append(seat.screen.size)
    assert sizes == [(640, 480), (720, 400), (1280, 800)]


def test_the_log_on_screen_has_a_clock_that_goes() -> None:
    """The log-on screen shows the guest's time of day."""
    seat = Seat(settings="VIDEOIDLE=0")
    assert seat.screen.find("clock") == Element("clock", "0:00", (80, 480, 700, 120), "clock")
    seat.driven.run(3600)
    clock = seat.screen.find("clock")
    assert clock is not None and clock.text == "1:00"


def test_a_client_logs_on_by_itself_and_shows_its_desktop() -> None:
    """Programs with a window are on the task bar, and those without are not."""
    seat = Seat(CLIENT)
    assert seat.screen.kind == "desktop"
    assert "msedge.exe" in seat.texts and "sihost.exe" not in seat.texts


def test_unsaved_documents_have_a_star() -> None:
    """A document with changes has `*` before its name until it is saved."""
    seat = Seat(CLIENT)
    seat.do("edit_document", "Report.docx")
    assert "*Report.docx - WINWORD.EXE" in seat.texts
    seat.do("save_document", "Report.docx")
    assert "*" not in seat.texts and "Report.docx - WINWORD.EXE" in seat.texts


def test_a_hung_program_says_so() -> None:
    """A program that does not respond has it in its title."""
    seat = Seat(CLIENT)
    seat.do("open_document", "notes.txt")
    seat.do("hang_app", "notepad.exe")
    assert "notes.txt - notepad.exe (Not Responding)" in seat.texts


def test_the_display_goes_dark_and_a_key_only_lights_it() -> None:
    """A dark display shows nothing; the key that lights it does nothing else."""
    seat = Seat(settings="VIDEOIDLE=60", boot_s=120)
    assert seat.screen == Screen("dark", (1280, 800))
    seat.press("ctrl", "alt", "delete")
    assert seat.screen.kind == "log-on" and seat.screen.find("field:password") is not None
    seat.driven.run(120)
    assert seat.screen.kind == "dark"
    seat.press("esc")
    assert seat.screen.find("field:password") is not None, "Esc only lit the display"


def test_moving_the_mouse_lights_the_display() -> None:
    """Movement is input, too."""
    seat = Seat(settings="VIDEOIDLE=60", boot_s=120)
    seat.event("abs", axis="x", value=100)
    seat.driven.run(1)
    assert seat.screen.kind == "log-on" and seat.screen.pointer == (3, 400)


def test_updates_show_their_true_percentage() -> None:
    """The screen says what the update's state says, and then that Windows shuts down."""
    seat = Seat("windows-server-2022-cloud", "pending_update=quick")
    seat.driven.say("system_powerdown")
    shown = []
    for _ in range(70):
        seat.driven.run(1)
        shown += [text for text in seat.screen.texts() if text.startswith("Working")]
    assert "Working on updates 35% complete. Don't turn off your computer" in shown
    assert shown == sorted(shown, key=lambda text: int(text.split()[3].rstrip("%")))
    assert len(set(shown)) == 20


def test_a_blocked_shutdown_names_the_program() -> None:
    """The full-screen wait shows who prevents the shutdown, and what can be done."""
    seat = Seat(CLIENT)
    seat.do("veto_app", "game.exe")
    seat.driven.say("system_powerdown")
    seat.driven.run(10)
    assert seat.screen.kind == "blocked"
    assert "game.exe is preventing shutdown" in seat.texts
    assert "This app is preventing shutdown." in seat.texts
    assert "Shut down anyway | Cancel" in seat.texts


def test_a_restart_says_restart() -> None:
    """The same wait before a restart has other words."""
    seat = Seat(CLIENT)
    seat.do("veto_app", "game.exe")
    seat.do("shutdown_exe", "/r /t 0")
    seat.driven.run(10)
    assert "Restart anyway" in seat.texts and "preventing restart" in seat.texts


def test_a_bugcheck_counts_its_dump() -> None:
    """The crash screen has the stop code, and how much of the dump is written."""
    seat = Seat(settings="AutoReboot=0")
    seat.driven.say("inject-nmi")
    seat.driven.run(4)
    assert seat.screen.kind == "bugcheck"
    assert "40% complete | Stop code: NMI_HARDWARE_FAILURE" in seat.texts
    seat.driven.run(60)
    assert "100% complete" in seat.texts


def test_what_an_unclean_end_costs_is_seen() -> None:
    """The boot after a power cut shows chkdsk with its progress."""
    seat = Seat()
    seat.driven.say("system_reset")
    kinds, texts = [], []
    for _ in range(60):
        seat.driven.run(0.5)
        kinds.append(seat.screen.kind)
        texts += seat.screen.texts()
    assert "chkdsk" in kinds
    checks = [text for text in texts if text.startswith("Scanning and repairing drive (C:): ")]
    done = [int(text.split()[5].rstrip("%")) for text in checks]
    assert done == sorted(done) and len(set(done)) > 30 and done[-1] > 90


def test_startup_repair_and_undone_updates_are_seen() -> None:
    """Two failed starts bring Startup Repair; a broken-off update is undone on the screen."""
    seat = Seat("windows-server-2022-cloud", "pending_update=slow")
    seat.driven.say("system_powerdown")
    seat.driven.run(100)
    kinds, texts = [], []
    for _ in range(3):
        seat.driven.say("system_reset")
        seat.driven.run(5)
    for _ in range(600):
        seat.driven.run(1)
        kinds.append(seat.screen.kind)
        texts += seat.screen.texts()
    assert "startup repair" in kinds and "Preparing Automatic Repair" in texts
    assert "Undoing changes made to your computer" in texts


def test_asleep_and_off_are_black() -> None:
    """In S3, and after the power has gone, nothing is drawn."""
    seat = Seat("windows-server-2022-cloud").log_on()
    seat.do("sleep")
    seat.driven.run(20)
    assert (seat.screen.kind, seat.screen.elements) == ("asleep", ())
    off = Seat("windows-server-2022-cloud")
    off.driven.say("system_powerdown")
    off.driven.run(60)
    assert (off.screen.kind, off.screen.elements) == ("blank", ())


def test_an_announced_shutdown_counts_down() -> None:
    """shutdown.exe's dialog has the time that is left and the comment; /a takes it away."""
    seat = Seat(CLIENT)
    seat.do("shutdown_exe", '/s /t 100 /c "maintenance"')
    assert "Windows will shut down in 2 minutes. | maintenance" in seat.texts
    seat.driven.run(60)
    assert "Windows will shut down in 40 seconds." in seat.texts
    seat.do("shutdown_exe", "/a")
    assert "maintenance" not in seat.texts


def test_the_same_state_is_the_same_screen() -> None:
    """One seed, one history: two machines show equal screens."""
    one, other = Seat(CLIENT), Seat(CLIENT)
    assert one.screen == other.screen
    other.do("edit_document", "a.txt")
    assert one.screen != other.screen


# --- what keys and clicks do ----------------------------------------------------------------------------------


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
