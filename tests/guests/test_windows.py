"""guests.windows: boot, button, policy, sleep, crash, and what a power cut costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpemu.acpi import ICH9, PIIX4, PM1_CNT, PM1_EN, PWRBTN, SCI_EN, Chipset
from qmpemu.core.table import Refused
from qmpemu.guests.windows.participants import Application
from qmpemu.guests.windows.system import LIFE
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig

WORD = Application(name="WINWORD.EXE", documents=("Report.docx",))


# --- boot -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chipset", [ICH9, PIIX4], ids=["ich9", "piix4"])
def test_boot_order(chipset: Chipset) -> None:
    """Firmware, loader, kernel, services, log-on screen; the power button is enabled where OSPM takes over."""
    rig = Rig(CLIENT, chipset=chipset)
    enabled: list[tuple[str, bool]] = []
    rig.facts.subscribe(lambda fact: enabled.append((fact.name, bool(rig.acpi.pm1_en & PWRBTN))))
    rig.boot()
    phases = [fact.data()["phase"] for fact in rig.all("PhaseEntered")]
    assert phases == ["firmware", "boot loader", "kernel start", "services start", "running"]
    assert [on for name, on in enabled if name == "PhaseEntered"] == [False, False, False, True, True]
    assert rig.acpi.read(chipset.pm_base + PM1_CNT) & SCI_EN
    assert rig.one("UserLoggedOn").data()["user"] == "User"
    assert rig.one("BootCompleted").data() == {"logged_on": "User"}
    assert rig.events() == [6005]


def test_boot_durations_are_settings() -> None:
    """The boot takes as long as its settings say, after the hardware's own power-good delay."""
    rig = Rig(
        settings={f"boot_{part}_ms": "1000" for part in ("firmware", "loader", "kernel", "services")}
    ).boot()
    assert rig.one("BootCompleted").at_ns == 4_100_000_000


def test_an_idle_guest_schedules_nothing() -> None:
    """A booted guest with its display always on waits for the hardware and for nothing else."""
    assert Rig(CLOUD_SERVER).boot().host.next_due_ns() is None


@pytest.mark.parametrize("at_s", [0.05, 0.2, 2.0, 4.0, 8.0])
def test_a_press_before_ospm_is_lost(at_s: float) -> None:
    """Firmware, boot loader and early kernel do not see the button: the register itself keeps nothing."""
    rig = Rig().boot(at_s).press(300)
    assert rig.all("ButtonLost")
    assert rig.all("ButtonLatched") == []
    assert rig.one("BootCompleted")
    assert rig.board.exit_status is None


def test_a_press_while_services_start_waits_for_the_log_on_screen() -> None:
    """Once OSPM has the button a press counts, and is carried out when Windows has started."""
    rig = Rig().boot(9).press(300)
    steps = ("ButtonLatched", "ShutdownDeferred", "BootCompleted", "ShutdownStarted", "MachineShutDown")
    assert rig.names(*steps) == list(steps)


def test_jitter_follows_the_seed() -> None:
    """With boot_jitter_percent the boot varies, equally for equal seeds; without it no seed matters."""
    jitter = {"boot_jitter_percent": "20"}
    ends = [Rig(settings=jitter, seed=seed).boot().one("BootCompleted").at_ns for seed in ("a", "a", "b")]
    assert ends[0] == ends[1] != ends[2]
    assert Rig(seed="a").boot().history() == Rig(seed="b").boot().history()


# --- the button -----------------------------------------------------------------------------------------------


def test_an_obeying_guest_reaches_s5() -> None:
    """From the latched press to SLP_EN every step happens, in Windows' order, each because of the one before."""
    rig = Rig(STOCK_SERVER, {"AutoAdminLogon": "1"}).boot().press()
    steps = (
        "PowerdownRequested",
        "ButtonLatched",
        "PowerButtonPressed",
        "PowerPolicyApplied",
        "ShutdownRequested",
        "ShutdownStarted",
        "UserLoggedOff",
        "CoreServicesStopped",
        "DriversNotified",
        "VolumeFlushed",
        "SleepRequested",
    )
    assert rig.names(*steps) == list(steps)
    chain = [fact.name for fact in rig.one("SleepRequested").causes()][::-1]
    assert [name for name in chain if name in steps] == list(steps[:-1])
    assert rig.one("SleepRequested").data()["state"] == "S5"
    assert rig.one("VolumeFlushed").data() == {"volume": "C:", "dirty": False}
    assert not rig.windows.volume.dirty
    assert rig.one("MachineShutDown").data() == {"guest": True, "reason": "guest-shutdown", "stays": False}
    assert rig.events() == [6005, 1074, 6006, 109, 13]
    assert rig.all("PowerLost") == []


def test_the_interrupt_clears_the_status_bit() -> None:
    """Windows acknowledges the press by writing 1 to PM1_STS, so the line goes down before anything else."""
    rig = Rig(settings={"PBUTTONACTION": "0"}).boot().press(1)
    assert [fact.data()["level"] for fact in rig.all("SciChanged")] == [True, False]
    assert not rig.acpi.pm1_sts & PWRBTN
    assert rig.names("SciChanged", "PowerButtonPressed") == ["SciChanged", "SciChanged", "PowerButtonPressed"]


def test_c5_the_button_does_nothing() -> None:
    """With PBUTTONACTION=0 the guest stays up, and says which setting decided it."""
    rig = Rig(settings={"PBUTTONACTION": "0"}).boot().press(3600)
    assert rig.board.exit_status is None
    assert rig.one("PowerPolicyApplied").data() == {
        "action": "do nothing",
        "setting": "PBUTTONACTION",
        "value": 0,
    }
    assert rig.one("ButtonIgnored").data() == {"why": "the power button is set to do nothing"}
    assert rig.one("ButtonIgnored").because is rig.one("PowerPolicyApplied")


def test_c3_discarded_with_nobody_logged_on() -> None:
    """A stock server at its log-on screen throws the request away; the next one is judged anew."""
    rig = Rig(STOCK_SERVER).boot().press(300)
    assert rig.board.exit_status is None
    assert rig.one("ShutdownDiscarded").data() == {
        "setting": "ShutdownWithoutLogon",
        "value": 0,
        "why": "nobody is logged on",
    }
    rig.windows.sessions.log_on("Administrator")
    assert rig.press().board.exit_status == 0


@pytest.mark.parametrize("settings", [{"ShutdownWithoutLogon": "1"}, {"AutoAdminLogon": "1"}])
def test_c3_its_remedies(settings: dict[str, str]) -> None:
    """ShutdownWithoutLogon=1, or somebody who is logged on, lets the same press through."""
    assert Rig(STOCK_SERVER, settings).boot().press().board.exit_status == 0


def test_a_dark_display_takes_the_first_press() -> None:
    """After VIDEOIDLE seconds the first press only lights the display, and the second one shuts down."""
    rig = Rig(CLIENT, {"VIDEOIDLE": "120"}).boot(200)
    assert rig.one("DisplayTurnedOff").data() == {"why": "VIDEOIDLE"}
    rig.press(60)
    assert rig.board.exit_status is None
    assert rig.one("ButtonIgnored").data() == {"why": "it only lit the dark display"}
    assert rig.press(60).board.exit_status == 0


def test_the_button_can_turn_the_display_off() -> None:
    """PBUTTONACTION=4 darkens the display, and the next press lights it."""
    rig = Rig(settings={"PBUTTONACTION": "4"}).boot().press().press()
    assert rig.names("DisplayTurnedOff", "DisplayLit") == ["DisplayTurnedOff", "DisplayLit"]


def test_a_second_press_changes_nothing() -> None:
    """A press during a shutdown is ignored, and the shutdown takes no longer."""
    plain, twice = Rig().boot().press(), Rig().boot().press(0.2).press()
    assert twice.one("ButtonIgnored").data() == {"why": "a shutdown is in progress"}
    assert twice.one("SleepRequested").at_ns == plain.one("SleepRequested").at_ns


def test_a_press_while_paused_is_delivered_on_cont() -> None:
    """A paused machine latches the press; Windows shuts down after `cont`."""
    rig = Rig().boot()
    rig.ask(rig.board.stop)
    rig.press(100)
    assert rig.all("PowerButtonPressed") == []
    rig.ask(rig.board.cont)
    assert rig.run(60).board.exit_status == 0


# --- sleep ----------------------------------------------------------------------------------------------------

ASLEEP = {"PBUTTONACTION": "1"}


def test_sleep_and_wake() -> None:
    """The button sends Windows to S3; a wake-up brings it back, and its fake press is no press."""
    rig = Rig(settings=ASLEEP).boot().press()
    assert rig.board.runstate == "suspended"
    rig.ask(rig.board.request_wakeup)
    rig.run(60)
    assert rig.board.runstate == "running"
    assert rig.events() == [6005, 42, 107, 1]
    assert len(rig.all("PowerButtonPressed")) == 1
    assert rig.acpi.pm1_en & PWRBTN
    assert not rig.acpi.pm1_sts & PWRBTN
    assert rig.acpi.read(ICH9.pm_base + PM1_EN) & PWRBTN
    assert rig.press().board.runstate == "suspended"


def test_c6_a_press_while_asleep_is_not_processed() -> None:
    """A press in S3 neither wakes Windows nor reaches it after the wake-up."""
    rig = Rig(settings=ASLEEP).boot().press().press(3600)
    assert rig.board.runstate == "suspended"
    rig.ask(rig.board.request_wakeup)
    rig.run(60)
    assert len(rig.all("PowerButtonPressed")) == 1
    assert rig.board.runstate == "running"


def test_a_press_while_waking_is_lost() -> None:
    """Until OSPM has the registers again after S3, a press finds PWRBTN disabled."""
    rig = Rig(settings=ASLEEP).boot().press()
    rig.ask(rig.board.request_wakeup)
    assert rig.run(0.1).press(60).names("ButtonLost", "SleepEnded") == ["ButtonLost", "SleepEnded"]


def test_hibernation_powers_off_and_loses_nothing() -> None:
    """PBUTTONACTION=2 writes hiberfil.sys and enters S4, with the volume still in use."""
    rig = Rig(CLIENT, {"PBUTTONACTION": "2"}, applications=(WORD,)).boot().press()
    assert rig.board.exit_status == 0
    steps = ["VolumeFlushed", "SleepRequested", "MachineSuspendedToDisk", "MachineShutDown"]
    assert rig.names("PowerLost", *steps) == steps
    assert rig.one("VolumeFlushed").data() == {"volume": "C:", "dirty": True}


def test_a_power_cut_in_s3_loses_memory() -> None:
    """Asleep is not off: documents are lost and the volume stays dirty."""
    rig = Rig(CLIENT, ASLEEP, applications=(WORD,)).boot().press()
    rig.cut_power()
    lost = rig.one("PowerLost").data()
    assert (lost["phase"], lost["volumes"]) == ("asleep", ("C:",))
    assert lost["documents"] == ("WINWORD.EXE: Report.docx",)


@pytest.mark.parametrize(("value", "state"), [("1", "S3"), ("2", "S4")])
def test_a_state_the_firmware_lacks_is_not_offered(value: str, state: str) -> None:
    """With disable_s3 or disable_s4 the same setting has no effect."""
    rig = Rig(settings={"PBUTTONACTION": value}, s3_disabled=True, s4_disabled=True).boot().press()
    assert rig.one("ButtonIgnored").data() == {"why": f"this machine offers no {state}"}
    assert rig.board.runstate == "running"


# --- crash and power cut --------------------------------------------------------------------------------------


def test_an_nmi_is_a_bugcheck_and_restarts() -> None:
    """NMI_HARDWARE_FAILURE stops everything, the dump is written, and AutoReboot boots anew."""
    rig = Rig(CLIENT, applications=(WORD,)).boot()
    rig.ask(rig.board.inject_nmi)
    rig.run(120)
    assert rig.one("Bugchecked").data() == {
        "code": 0x80,
        "bugcheck": "NMI_HARDWARE_FAILURE",
        "phase": "running",
    }
    assert rig.one("DumpWritten").at_ns - rig.one("Bugchecked").at_ns == 10_000_000_000
    assert rig.one("PowerLost").data()["documents"] == ("WINWORD.EXE: Report.docx",)
    assert len(rig.all("BootCompleted")) == 2


@pytest.mark.parametrize("after_s", [0.1, 0.5, 1.0])
def test_an_nmi_ends_a_shutdown(after_s: float) -> None:
    """A bugcheck in the middle of a shutdown stops it where it stands, with the volume dirty."""
    rig = Rig(settings={"AutoReboot": "0"}).boot().press(after_s)
    rig.ask(rig.board.inject_nmi)
    rig.run(600)
    assert rig.board.exit_status is None
    assert rig.names()[-1] == "DumpWritten"
    assert rig.names("Bugchecked", "ServicesNotified", "VolumeFlushed", "SleepRequested")[-1] == "Bugchecked"
    rig.cut_power()
    assert rig.one("PowerLost").data()["volumes"] == ("C:",)


def test_a_crash_screen_hears_no_button() -> None:
    """With AutoReboot=0 the crash screen stays, and a press is latched for nobody."""
    rig = Rig(settings={"AutoReboot": "0"}).boot()
    rig.ask(rig.board.inject_nmi)
    rig.run(60).press(600)
    assert rig.all("ButtonLatched")
    assert rig.all("PowerButtonPressed") == []
    assert rig.board.exit_status is None


def test_an_nmi_without_a_kernel_is_ignored() -> None:
    """Firmware has no handler that would show anything."""
    rig = Rig().boot(1)
    rig.ask(rig.board.inject_nmi)
    assert rig.run(60).one("NmiIgnored").data() == {"phase": "firmware"}
    assert rig.one("BootCompleted")


def test_a_power_cut_says_what_is_lost() -> None:
    """Unsaved documents and the mounted volume are named."""
    rig = Rig(CLIENT, applications=(WORD,)).boot()
    rig.cut_power()
    assert rig.one("PowerLost").data() == {
        "phase": "running",
        "documents": ("WINWORD.EXE: Report.docx",),
        "services": (),
        "update": "",
        "volumes": ("C:",),
    }


@settings(max_examples=80, deadline=None)
@given(booted_ms=st.integers(0, 20_000), pressed_ms=st.none() | st.integers(0, 3_000))
def test_a_power_cut_at_any_moment(booted_ms: int, pressed_ms: int | None) -> None:
    """Whenever power goes, the volume is dirty exactly if it was mounted and not yet flushed, and nothing runs on."""
    rig = Rig(CLIENT).boot(booted_ms / 1000)
    if pressed_ms is not None:
        rig.press(pressed_ms / 1000)
    dirty = len(rig.all("VolumeMounted")) > len(rig.all("VolumeFlushed"))
    lives = bool(rig.all("PhaseEntered")) and not rig.all("SleepRequested")
    rig.cut_power()
    lost = [fact.data()["volumes"] for fact in rig.all("PowerLost")]
    assert lost == ([("C:",) if dirty else ()] if lives else [])
    history = rig.history()
    rig.run(1000)
    assert rig.history() == history


def test_a_reset_loses_and_boots_again() -> None:
    """system_reset is a forced shutdown: what was volatile is lost, and a new Windows boots."""
    rig = Rig(CLIENT, applications=(WORD,)).boot()
    rig.ask(lambda: rig.board.request_reset(guest=False, reason="host-qmp-system-reset"))
    rig.run(60)
    assert rig.names("PowerLost", "MachineReset", "BootCompleted") == [
        "BootCompleted",
        "PowerLost",
        "MachineReset",
        "BootCompleted",
    ]


# --- determinism ----------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(gaps=st.lists(st.floats(0, 40), max_size=4), seed=st.sampled_from(["a", "b"]))
def test_same_seed_same_history(gaps: list[float], seed: str) -> None:
    """The same seed and the same presses give the same facts, down to the nanosecond."""
    first, second = (Rig(CLIENT, {"boot_jitter_percent": "30"}, seed=seed).boot(1) for _ in range(2))
    for gap in gaps:
        first.press(gap)
        second.press(gap)
    assert first.history() == second.history()


def test_an_illegal_move_is_refused() -> None:
    """The table of Windows' life refuses what cannot happen, in one sentence."""
    with pytest.raises(Refused, match=r"^Windows cannot take 'sleep' in the state 'firmware'$"):
        LIFE.next("firmware", "sleep")
