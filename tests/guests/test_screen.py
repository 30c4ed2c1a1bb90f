"""What the simulated Windows shows in each state of its life."""

from __future__ import annotations

from qmpemu.console import Element, Screen
from tests.guests.seat import CLIENT, Seat


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
