"""vm: one machine wired together, driven by hand in virtual time."""

from __future__ import annotations

import pytest

from tests.driven import Driven


def test_the_main_job_in_virtual_time() -> None:
    """A booted Windows obeys the button: POWERDOWN, SHUTDOWN, exit status 0, and every step has a cause."""
    driven = Driven()
    driven.run(300)
    assert [m.get("event", "return") for m in driven.say("system_powerdown")] == ["POWERDOWN", "return"]
    assert driven.run(600) == ["SHUTDOWN"]
    assert driven.vm.exit_status == 0
    chain = [fact.name for fact in driven.last("MachineShutDown").causes()]
    steps = ["SleepRequested", "VolumeFlushed", "ShutdownStarted", "PowerPolicyApplied", "ButtonLatched"]
    steps += ["PowerdownRequested", "CommandReceived"]
    assert [name for name in chain if name in steps] == steps


def test_the_ignoring_guest() -> None:
    """PBUTTONACTION=0: the event comes, the guest does nothing for a day."""
    driven = Driven(QMPEMU_SET="PBUTTONACTION=0")
    driven.run(300)
    driven.say("system_powerdown")
    assert driven.run(86_400) == []
    assert driven.say("query-status")[0]["return"]["running"] is True
    chain = [fact.name for fact in driven.last("ButtonIgnored").causes()]
    assert chain[0] == "PowerPolicyApplied"


@pytest.mark.parametrize("after_s", [0, 0.05, 1, 3])
def test_a_press_before_windows_enabled_the_button_is_lost(after_s: float) -> None:
    """During power-up, firmware and early boot the registers lose the press."""
    driven = Driven()
    driven.run(after_s)
    driven.say("system_powerdown")
    assert driven.facts().count("ButtonLost") == 1
    assert driven.run(600) == []


def test_a_press_while_paused_is_delivered_on_cont() -> None:
    """The latched press shuts the guest down after cont, not before."""
    driven = Driven()
    driven.run(300)
    driven.say("stop")
    driven.say("system_powerdown")
    assert driven.run(3600) == []
    driven.say("cont")
    assert driven.run(600) == ["SHUTDOWN"]


def test_one_seed_one_history() -> None:
    """The same inputs at the same times give the same facts, to the nanosecond."""

    def history() -> list[tuple[str, int, dict[str, object]]]:
        driven = Driven("-machine pc -name w", QMPEMU_SEED="7", QMPEMU_GUEST="windows-10")
        driven.run(300)
        driven.say("system_powerdown")
        driven.run(600)
        return [(fact.name, fact.at_ns, fact.data()) for fact in driven.vm.facts.kept]

    assert history() == history()


def test_no_shutdown_then_reset_boots_again() -> None:
    """libvirt's reboot: the guest powers off, the machine stays, system_reset and cont boot it anew."""
    driven = Driven("-machine q35 -no-shutdown")
    driven.run(300)
    driven.say("system_powerdown")
    assert driven.run(600) == ["SHUTDOWN", "STOP"]
    assert [m.get("event", "return") for m in driven.say("system_reset")] == ["RESET", "return"]
    driven.say("cont")
    driven.run(300)
    assert driven.facts().count("BootCompleted") == 2


def test_a_machine_without_hardware_has_no_guest() -> None:
    """-machine none: the button event comes, nothing else ever happens."""
    driven = Driven("-machine none")
    driven.say("system_powerdown")
    assert driven.run(600) == []
    assert (
        driven.say("system_wakeup")[0]["error"]["desc"]
        == "wake-up from suspend is not supported by this guest"
    )
    assert driven.clock.next_due_ns() is None


def test_what_is_not_emulated_says_so() -> None:
    """A command of the version without emulation is refused by name and counted in the time line."""
    driven = Driven()
    (reply,) = driven.say("xen-colo-do-checkpoint")
    assert reply["error"] == {
        "class": "GenericError",
        "desc": "qmpemu does not emulate the command 'xen-colo-do-checkpoint'",
    }
    assert driven.last("CommandNotEmulated").data() == {"command": "xen-colo-do-checkpoint"}


def test_what_names_nothing_is_refused_as_qemu_does_and_what_names_something_is_not() -> None:
    """A node, device or job that is not there: QEMU's own text. One that is there: not emulated, and said so."""
    driven = Driven("-machine q35 -object rng-builtin,id=r0 -device virtio-rng-pci,id=rng0")
    assert driven.say("device_del", id="x")[0]["error"] == {
        "class": "DeviceNotFound",
        "desc": "Device 'x' not found",
    }
    (reply,) = driven.say("x-query-virtio-status", path="/machine/peripheral/rng0/virtio-backend")
    assert reply["error"]["desc"] == "qmpemu does not emulate the command 'x-query-virtio-status'"
    assert driven.last("CommandNotEmulated").data() == {"command": "x-query-virtio-status"}
    (reply,) = driven.say("block-job-cancel", device="j")
    assert reply["error"] == {"class": "DeviceNotActive", "desc": "Block job 'j' not found"}
    (reply,) = driven.say("device-list-properties", typename="nope")
    assert reply["error"]["desc"] == "Device 'nope' not found"


def test_options_without_effect_are_said_too() -> None:
    """An accepted option that changes nothing is a fact of the time line."""
    driven = Driven("-machine q35 -boot strict=on -k de")
    said = [fact.data()["option"] for fact in driven.vm.facts.kept if fact.name == "OptionNotEmulated"]
    assert said == ["-boot strict=on", "-k de"]


def test_arguments_are_checked_before_anything_happens() -> None:
    """A wrong argument is QEMU's text and no event."""
    driven = Driven("-machine none -S")
    (reply,) = driven.say("human-monitor-command")
    assert reply["error"]["desc"] == "Parameter 'command-line' is missing"
    (reply,) = driven.say("blockdev-del")
    assert reply["error"]["desc"] == "Parameter 'node-name' is missing"
    (reply,) = driven.say("set-action", reboot="maybe")
    assert reply["error"]["desc"] == "Parameter 'reboot' does not accept value 'maybe'"


def test_a_reset_is_forced_and_loses_what_was_volatile() -> None:
    """system_reset while Windows runs: the guest is not asked, its volume stays dirty, it boots anew."""
    driven = Driven()
    driven.run(300)
    assert [m.get("event", "return") for m in driven.say("system_reset")] == ["RESET", "return"]
    assert driven.last("PowerLost").data()["volumes"] == ("C:",)
    driven.run(300)
    assert driven.facts().count("BootCompleted") == 2


def test_quit_is_forced_too() -> None:
    """quit ends the machine at once whatever the guest does."""
    driven = Driven("-machine q35 -no-shutdown")
    driven.run(300)
    assert [m.get("event", "return") for m in driven.say("quit")] == ["SHUTDOWN", "return"]
    assert driven.vm.exit_status == 0
    assert "PowerLost" in driven.facts()


def test_the_agents_port_opens_when_its_service_starts() -> None:
    """With a virtio-serial channel the cloud guest's agent opens it: VSERPORT_CHANGE, frontend-open."""
    line = "-machine q35 -nodefaults -chardev socket,id=c,path=/x,server=on,wait=off "
    line += (
        "-device virtio-serial-pci -device virtserialport,chardev=c,id=channel0,name=org.qemu.guest_agent.0"
    )
    driven = Driven(line)
    assert driven.run(300) == ["VSERPORT_CHANGE"]
    (row,) = driven.say("query-chardev")[0]["return"]
    assert row["frontend-open"] is True


@pytest.mark.parametrize(("device", "listens"), [("vhost-user-fs-pci,tag=t", False), ("isa-serial", True)])
def test_a_device_that_hears_nothing_of_its_line(device: str, listens: bool) -> None:
    """virtiofs sets no handlers on its character device: frontend-open stays false."""
    driven = Driven(f"-machine q35 -nodefaults -chardev null,id=c -device {device},chardev=c")
    [reply] = driven.say("query-chardev")
    assert next(row for row in reply["return"] if row["label"] == "c")["frontend-open"] is listens


def test_the_processors_properties_can_be_walked() -> None:
    """qom-list and qom-get of a processor answer as recorded; unknown paths and properties as QEMU does."""
    driven = Driven("-machine q35 -smp 2,maxcpus=4")
    path = "/machine/unattached/device[0]"
    rows = driven.say("qom-list", path=path)[0]["return"]
    bools = [row["name"] for row in rows if row["type"] == "bool"]
    assert len(bools) > 390  # libvirt reads them all, one by one
    assert {type(driven.say("qom-get", path=path, property=name)[0]["return"]) for name in bools} == {bool}
    assert driven.say("qom-get", path=path, property="nope")[0]["error"]["desc"] == (
        "Property 'qemu64-x86_64-cpu.nope' not found"
    )
    assert driven.say("qom-list", path="/nope")[0]["error"] == {
        "class": "DeviceNotFound",
        "desc": "Device '/nope' not found",
    }
    assert [row["cpu-index"] for row in driven.say("query-cpus-fast")[0]["return"]] == [0, 1]
    slots = driven.say("query-hotpluggable-cpus")[0]["return"]
    assert [("qom-path" in row, row["props"]["core-id"]) for row in slots] == [
        (False, 3),
        (False, 2),
        (True, 1),
        (True, 0),
    ]


def test_sleep_and_wake() -> None:
    """PBUTTONACTION=1: the press puts Windows to S3 (SUSPEND); system_wakeup brings it back (WAKEUP), still alive."""
    driven = Driven(QMPEMU_SET="PBUTTONACTION=1")
    driven.run(300)
    driven.say("system_powerdown")
    assert driven.run(600) == ["SUSPEND"]
    assert driven.say("query-status")[0]["return"]["status"] == "suspended"
    driven.say("system_powerdown")
    assert driven.run(600) == []  # asleep: not processed
    assert [m.get("event", "return") for m in driven.say("system_wakeup")] == ["WAKEUP", "return"]
    assert driven.run(600) == []  # the press was wiped by the wake-up
    assert driven.say("query-status")[0]["return"]["status"] == "running"
    assert "SleepEnded" in driven.facts()


def test_hibernate_is_suspend_disk_and_a_power_off() -> None:
    """PBUTTONACTION=2: SUSPEND_DISK, then SHUTDOWN guest-shutdown; with S4 disabled there is no such state."""
    driven = Driven(QMPEMU_SET="PBUTTONACTION=2")
    driven.run(300)
    driven.say("system_powerdown")
    assert driven.run(600) == ["SUSPEND_DISK", "SHUTDOWN"]
    without = Driven("-machine q35 -global ICH9-LPC.disable_s4=1", QMPEMU_SET="PBUTTONACTION=2")
    without.run(300)
    without.say("system_powerdown")
    assert "SUSPEND_DISK" not in without.run(600)


def test_an_nmi_is_a_crash_screen() -> None:
    """inject-nmi: Windows bugchecks, writes its dump and restarts (RESET guest-reset)."""
    driven = Driven()
    driven.run(300)
    assert driven.say("inject-nmi") == [{"return": {}}]
    driven.run(1)
    assert driven.last("Bugchecked").data()["code"] == 0x80
    assert "RESET" in driven.run(3600)


def test_a_balloon_target_is_told_and_a_guest_without_driver_keeps_its_memory() -> None:
    """The request is a fact of the time line, cut to the machine's memory; query-balloon stays, as on QEMU."""
    driven = Driven("-machine q35 -m 512 -device virtio-balloon-pci,id=balloon0")
    assert driven.say("balloon", value=1 << 40) == [{"return": {}}]
    assert driven.last("BalloonTargetSet").data() == {"target_bytes": 512 << 20}
    assert driven.say("query-balloon")[0]["return"] == {"actual": 512 << 20}


def test_a_wake_timer_ends_s3() -> None:
    """The clock's alarm wakes the machine where Windows has enabled it, and event 1 names the timer."""
    settings = "PBUTTONACTION=1,wake_timer_s=300"
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", QMPEMU_SET=settings)
    driven.run(60)
    driven.say("system_powerdown")
    assert driven.run(30) == ["SUSPEND"]
    assert driven.run(240) == []
    assert driven.run(60) == ["WAKEUP"]
    driven.run(10)
    record = driven.vm.guest.log.records[-1]  # type: ignore[union-attr]
    assert (record.id, record.data) == (1, {"WakeSource": "timer"})


def test_without_a_wake_timer_nothing_ends_s3() -> None:
    """A sleeping Windows stays asleep until somebody wakes it."""
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", QMPEMU_SET="PBUTTONACTION=1")
    driven.run(60)
    driven.say("system_powerdown")
    assert driven.run(86_400) == ["SUSPEND"]


def test_a_defect_is_told_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that breaks is answered with what broke; the machine and the connection go on."""
    driven = Driven()

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(driven.vm._execution._known["query-name"], "call", broken)
    (reply,) = driven.say("query-name")
    assert reply["error"] == {
        "class": "GenericError",
        "desc": "defect in qmpemu: query-name ended with ZeroDivisionError: by zero; please report it",
    }
    assert "in broken" in driven.last("CommandBroke").data()["error"]
    assert driven.say("query-status")[0]["return"]["status"] == "running"
