"""machine.qtest and what it reaches: the virtual clock of -accel qtest, the PM timer, the clock's alarm, sleep."""

from __future__ import annotations

from qmpemu.core.calendar import join, split
from qmpemu.machine.qtest import Qtest
from qmpemu.machine.ram import PAGE_BYTES, Ram
from tests.driven import Driven

MAP_Q35 = ("outl 0xcf8 0x8000f840", "outl 0xcfc 0x601", "outl 0xcf8 0x8000f844", "outb 0xcfc 0x80")
HALF_TIMER_NS = 2_343_484_438
"""2**23 ticks of 3 579 545 Hz, rounded up."""


class Rig(Driven):
    """A driven VM with a test on it."""

    def __init__(self, line: str = "-machine q35 -accel qtest") -> None:
        super().__init__(line)
        self.said: list[str] = []
        self.qtest = Qtest(self.vm.machine, self.said.append)

    def ask(self, *requests: str) -> list[str]:
        """Everything said in answer to `requests`."""
        self.said.clear()
        for request in requests:
            self.qtest.receive(request.encode() + b"\n")
        return list(self.said)


def test_time_stands_still_without_a_step() -> None:
    """Under -accel qtest no guest boots and the PM timer does not move, however long the host waits."""
    rig = Rig()
    rig.ask(*MAP_Q35)
    assert rig.run(3600) == []
    assert rig.ask("inl 0x608", "clock_step 1000", "inl 0x608") == ["OK 0x0000", "OK 1000", "OK 0x0003"]
    assert "BootCompleted" not in rig.facts()


def test_a_step_runs_to_the_next_timer() -> None:
    """clock_step without a number goes to the PM timer's overflow, which raises the SCI; with none due it stays."""
    rig = Rig()
    rig.ask(*MAP_Q35, "irq_intercept_in ioapic", "clock_step 1000", "outw 0x600 1", "outw 0x602 1")
    assert rig.ask("clock_step") == ["IRQ raise 9", f"OK {HALF_TIMER_NS}"]
    assert rig.ask("inw 0x600", "clock_step", "clock_set 1") == [
        "OK 0x0001",
        f"OK {HALF_TIMER_NS}",
        f"OK {HALF_TIMER_NS}",
    ]
    assert rig.ask("outw 0x600 1", f"clock_set {2 * HALF_TIMER_NS}") == [
        "IRQ lower 9",
        "OK",
        "IRQ raise 9",
        f"OK {2 * HALF_TIMER_NS}",
    ]


def test_the_alarm_follows_the_virtual_clock() -> None:
    """-rtc clock=vm: an alarm at the third second rings when the clock is stepped there, and rings again in a day."""
    rig = Rig("-machine q35 -accel qtest -rtc clock=vm")
    rig.ask("irq_intercept_in ioapic")
    for register, value in ((1, 3), (3, 0), (5, 0), (11, 0x22)):
        rig.ask(f"outb 0x70 {register}", f"outb 0x71 {value}")
    assert rig.ask("clock_step 2999999999", "clock_step 1") == [
        "OK 2999999999",
        "IRQ raise 8",
        "OK 3000000000",
    ]
    assert rig.ask("outb 0x70 12", "inb 0x71", "inb 0x71") == ["OK", "IRQ lower 8", "OK 0x00b0", "OK 0x0000"]
    assert rig.ask("clock_step") == ["IRQ raise 8", f"OK {3_000_000_000 + 86_400 * 10**9}"]


def test_the_clock_in_its_number_forms() -> None:
    """The same hour reads as 0x14 (24-hour, BCD), 0x82 (12-hour, BCD) and 14 (24-hour, binary)."""
    rig = Rig("-machine q35 -accel qtest -rtc clock=vm")
    rig.ask("outb 0x70 4", "outb 0x71 0x14")
    for control, hours in ((0x02, "14"), (0x00, "82"), (0x06, "0e")):
        rig.ask("outb 0x70 11", f"outb 0x71 {control}")
        assert rig.ask("outb 0x70 4", "inb 0x71") == ["OK", f"OK 0x00{hours}"]


def test_setting_the_clock_is_told_once_a_second() -> None:
    """Under -accel qtest virtual seconds limit RTC_CHANGE: the first at once, then the last as it was raised."""
    rig = Rig()
    rig.ask("outb 0x70 2", *(f"outb 0x71 {minute}" for minute in range(1, 7)))
    first = rig.heard()
    assert [message["data"]["offset"] for message in first] == [60]
    assert rig.run(3600) == []
    rig.ask("clock_step 1000000000")
    assert [message["data"]["offset"] for message in rig.heard()] == [360]


def test_sleep_and_wake() -> None:
    """SLP_TYP 1 suspends, and a wake finds the PM base unprogrammed, with WAK and PWRBTN behind it."""
    rig = Rig()
    rig.ask(*MAP_Q35, "outw 0x604 0x2400")
    assert [message["event"] for message in rig.heard()] == ["SUSPEND"]
    assert [message.get("event", "return") for message in rig.say("system_wakeup")] == ["WAKEUP", "return"]
    assert rig.ask("inw 0x600", *MAP_Q35, "inw 0x600")[0] == "OK 0xffff"
    assert rig.said[-1] == "OK 0x8101"


def test_a_stopped_machine_cannot_fall_asleep() -> None:
    """SLP_EN with S3 in prelaunch, where QEMU aborts, changes nothing."""
    rig = Rig("-machine q35 -S")
    assert rig.ask(*MAP_Q35, "outw 0x604 0x2400")[-1] == "OK"
    assert rig.say("query-status")[0]["return"]["status"] == "prelaunch"


def test_power_off() -> None:
    """SLP_TYP 0 with SLP_EN ends the machine: SHUTDOWN guest-shutdown, status 0."""
    rig = Rig()
    rig.ask(*MAP_Q35, "outw 0x604 0x2000")
    assert rig.heard()[0]["data"] == {"guest": True, "reason": "guest-shutdown"}
    assert rig.vm.exit_status == 0


def test_a_guests_panic_lets_the_shutdown_come_first() -> None:
    """A processor that writes the port itself, as a guest's driver does, is not stopped before SHUTDOWN."""
    rig = Rig("-machine q35 -device pvpanic -action panic=exit-failure")
    ports = rig.vm.machine.io_ports
    assert ports is not None
    ports.write(0x505, 1, 1)
    rig.vm.machine.settle()
    assert [message["event"] for message in rig.heard()] == ["GUEST_PANICKED", "SHUTDOWN"]
    assert rig.vm.exit_status == 1


def test_a_booted_guest_shows_where_its_registers_are() -> None:
    """Beside a simulated guest, the PCI registers show the PM base that its firmware has programmed."""
    rig = Rig("-machine q35")
    rig.run(300)
    assert rig.ask("outl 0xcf8 0x8000f840", "inl 0xcfc") == ["OK", "OK 0x0601"]
    assert rig.ask("outl 0xcf8 0x8000f844", "inl 0xcfc", "inw 0x602") == ["OK", "OK 0x0080", "OK 0x0120"]


def test_a_machine_without_ports() -> None:
    """-machine none: every port reads as ones, and there is no interrupt controller."""
    rig = Rig("-machine none -accel qtest")
    requests = ("endianness", "inb 0x70", "outb 0x70 1", "irq_intercept_in ioapic", "clock_step")
    assert rig.ask(*requests) == ["OK little", "OK 0x00ff", "OK", "FAIL Unknown device", "OK 0"]


def test_memory_costs_what_is_written() -> None:
    """Pages exist once something other than zero was written; nothing is kept beyond the end."""
    ram = Ram(3 * PAGE_BYTES)
    ram.write(0, bytes(2 * PAGE_BYTES))
    ram.write(PAGE_BYTES - 1, b"ab")
    ram.write(3 * PAGE_BYTES - 1, b"yz")
    assert ram.read(PAGE_BYTES - 2, 4) == b"\0ab\0"
    assert ram.read(3 * PAGE_BYTES - 2, 4) == b"\0y\0\0"


def test_the_calendar_knows_leap_years() -> None:
    """2000 is a leap year and 2100 is none; every moment comes back from its parts."""
    assert split(join(2000, 2, 29, 23, 59, 59) + 1)[:3] == (2000, 3, 1)
    assert split(join(2100, 2, 28, 23, 59, 59) + 1)[:3] == (2100, 3, 1)
    assert split(0) == (1970, 1, 1, 5, 0, 0, 0)
    for moment_s in range(-(10**9), 8 * 10**9, 12_345_679):
        year, month, day, _, *rest = split(moment_s)
        assert join(year, month, day, *rest) == moment_s
