"""The battery-backed clock and CMOS memory (MC146818) behind ports 0x70 and 0x71, with its alarm on IRQ 8.

    0x70 <- index      0x71 <-> register      0..9 time, 0xA to 0xD control, 0x32 century, the rest memory

The alarm raises IRQ 8. It does not set PM1_STS.RTC: in QEMU that bit tells only of a wake from S3 by the alarm.
Reads as measured on QEMU 7.2: the index port gives 0xff; reading register C clears it and lowers the line.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Bus, Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.clock import Timer

A, B, C, D, CENTURY = 0x0A, 0x0B, 0x0C, 0x0D, 0x32
SET, ALARM_ON, UPDATE_ON, BINARY, HOURS_24 = 0x80, 0x20, 0x10, 0x04, 0x02
"""Bits of register B."""
ALARM_FLAG, UPDATE_FLAG, LINE_FLAG = 0x20, 0x10, 0x80
"""Bits of register C."""
ANY = 0xC0
"""An alarm byte with both of these bits matches always."""
PM = 0x80
"""Afternoon, in the hours register of a 12-hour clock."""
SECONDS_A_DAY = 86_400
POWER_ON = {
    A: 0x26,
    B: HOURS_24,
    D: 0x80,
    0x14: 0x06,
    0x15: 0x80,
    0x16: 0x02,
    0x37: 0x20,
    0x38: 0x30,
    0x3D: 0x12,
}
"""Registers at power-up: 640 KiB below 1 MiB, boot from disk, as QEMU's pc and q35 leave them for the firmware."""
TIME = (0, 2, 4, 6, 7, 8, 9, CENTURY)
ALARM = (1, 3, 5)


class RtcSet(Fact):
    """The guest set the clock. offset_s: how far it is now from the host's time, in seconds."""

    offset_s: int
    qom_path: str


class RtcTime:
    """What the clock runs on: now_ns() since some start, and call_in(delay_ns, callback)."""

    __slots__ = ("call_in", "now_ns")

    def __init__(
        self, now_ns: Callable[[], int], call_in: Callable[[int, Callable[[], object]], Timer]
    ) -> None:
        self.now_ns = now_ns
        self.call_in = call_in


class Rtc:
    """One clock that shows `base_s` (seconds since 1970, UTC) at time 0. on_irq(level): its line."""

    __slots__ = (
        "_base_s",
        "_facts",
        "_index",
        "_line",
        "_memory",
        "_offset_s",
        "_qom_path",
        "_seen_s",
        "_time",
        "_timer",
        "on_irq",
    )

    def __init__(
        self,
        time: RtcTime,
        facts: Bus,
        qom_path: str,
        *,
        base_s: int,
        low_bytes: int,
        high_bytes: int,
        cpus: int,
    ) -> None:
        """low_bytes, high_bytes: RAM below and above 4 GiB, for the firmware."""
        self._time = time
        self._facts = facts
        self._qom_path = qom_path
        self._base_s = base_s
        self._offset_s = 0
        self._index = 0
        self._line = False
        self._timer: Timer | None = None
        self.on_irq: Callable[[bool], None] = _ignore
        self._memory = bytearray(128)
        for register, value in POWER_ON.items():
            self._memory[register] = value
        self._memory[0x5F] = cpus - 1
        self._store_memory_size(low_bytes, high_bytes)
        self._seen_s = self._now_s()

    def calendar(self) -> dict[str, object]:
        """The present as C's struct tm has it: months from 0, years from 1900."""
        from qmpemu.core.calendar import split

        year, month, day, _, hour, minute, second = split(self._now_s())
        time = {"tm_hour": hour, "tm_min": minute, "tm_sec": second}
        return {"tm_year": year - 1900, "tm_mon": month - 1, "tm_mday": day, **time}

    def read(self, offset: int, size: int) -> int:
        """Offset 0: the index, which does not read back; 1: the selected register."""
        if offset == 0:
            return 0xFF
        if self._index in TIME and not self._memory[B] & SET:
            self._show_time()
        if self._index == C:
            self._note_flags()
            value, self._memory[C] = self._memory[C], 0
            self._drive(False)
            return value
        return self._memory[self._index]

    def write(self, offset: int, value: int, size: int) -> None:
        """Offset 0: select a register; 1: set it. Setting the time outside of SET takes effect at once."""
        if offset == 0:
            self._index = value & 0x7F
        elif self._index in TIME:
            if not self._memory[B] & SET:
                self._show_time()
            self._memory[self._index] = value
            if not self._memory[B] & SET:
                self._take_time()
        elif self._index == B:
            self._write_control(value)
        elif self._index == A:
            self._memory[A] = value & 0x7F
        elif self._index not in (C, D):
            self._memory[self._index] = value
            if self._index in ALARM:
                self._arm()

    def _write_control(self, value: int) -> None:
        """Register B: SET freezes the time registers, and takes them over when it is cleared."""
        was_set = self._memory[B] & SET
        if value & SET and not was_set:
            self._show_time()
            value &= ~UPDATE_ON
        self._note_flags()
        self._memory[B] = value
        if was_set and not value & SET:
            self._take_time()
        self._update_line()
        self._arm()

    # --- time ---------------------------------------------------------------------------------------------------

    def _host_s(self) -> int:
        return self._base_s + self._time.now_ns() // NS_PER_S

    def _now_s(self) -> int:
        return self._host_s() + self._offset_s

    def _show_time(self) -> None:
        """Put the present into the time registers."""
        from qmpemu.core.calendar import split

        year, month, day, weekday, hour, minute, second = split(self._now_s())
        values = (second, minute, self._hour(hour), weekday, day, month, year % 100, year // 100)
        for register, value in zip(TIME, values, strict=True):
            self._memory[register] = value if register == 4 else self._encode(value)

    def _take_time(self) -> None:
        """Set the clock from the time registers."""
        from qmpemu.core.calendar import join

        second, minute, _, _, day, month, year, century = (self._decode(self._memory[r]) for r in TIME)
        moment_s = join(century * 100 + year, month, day, self._hour_of(self._memory[4]), minute, second)
        self._offset_s = moment_s - self._host_s()
        self._seen_s = self._now_s()
        self._facts.publish(RtcSet(offset_s=self._offset_s, qom_path=self._qom_path))
        self._arm()

    def _encode(self, value: int) -> int:
        return value if self._memory[B] & BINARY else value // 10 << 4 | value % 10

    def _decode(self, value: int) -> int:
        return value if self._memory[B] & BINARY else (value >> 4) * 10 + (value & 0x0F)

    def _hour(self, hour: int) -> int:
        if self._memory[B] & HOURS_24:
            return self._encode(hour)
        return self._encode(hour % 12 or 12) | (PM if hour >= 12 else 0)

    def _hour_of(self, value: int) -> int:
        if self._memory[B] & HOURS_24:
            return self._decode(value)
        return self._decode(value & ~PM) % 12 + (12 if value & PM else 0)

    # --- alarm --------------------------------------------------------------------------------------------------

    def _next_alarm_s(self, after_s: int) -> int | None:
        """The first matching second behind `after_s`, within a day."""
        second, minute, hour = self._memory[1], self._memory[3], self._memory[5]
        seconds = range(60) if second & ANY == ANY else (self._decode(second),)
        minutes = range(60) if minute & ANY == ANY else (self._decode(minute),)
        hours = range(24) if hour & ANY == ANY else (self._hour_of(hour),)
        today = after_s - after_s % SECONDS_A_DAY
        for day in (today, today + SECONDS_A_DAY):
            for h in hours:
                if day + h * 3600 + 3599 <= after_s:
                    continue
                for m in minutes:
                    if day + h * 3600 + m * 60 + 59 <= after_s:
                        continue
                    for s in seconds:
                        if day + h * 3600 + m * 60 + s > after_s:
                            return day + h * 3600 + m * 60 + s
        return None

    def _arm(self) -> None:
        """Wake up at the next alarm, if one would raise the line."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._memory[B] & ALARM_ON and not self._memory[B] & SET:
            due_s = self._next_alarm_s(self._now_s())
            if due_s is not None:
                due_ns = (due_s - self._offset_s - self._base_s) * NS_PER_S
                self._timer = self._time.call_in(due_ns - self._time.now_ns(), self._ring)

    def _ring(self) -> None:
        self._note_flags()
        self._update_line()
        self._arm()

    def _note_flags(self) -> None:
        """Set in register C what has come to pass since it was last looked at."""
        now_s = self._now_s()
        if now_s > self._seen_s and not self._memory[B] & SET:
            self._memory[C] |= UPDATE_FLAG
            due_s = self._next_alarm_s(self._seen_s)
            if due_s is not None and due_s <= now_s:
                self._memory[C] |= ALARM_FLAG
        self._seen_s = max(self._seen_s, now_s)

    def _update_line(self) -> None:
        if self._memory[C] & self._memory[B] & (ALARM_FLAG | UPDATE_FLAG):
            self._memory[C] |= LINE_FLAG
            self._drive(True)
        else:
            self._memory[C] &= ~LINE_FLAG
            self._drive(False)

    def _drive(self, level: bool) -> None:
        if level != self._line:
            self._line = level
            self.on_irq(level)

    def _store_memory_size(self, low_bytes: int, high_bytes: int) -> None:
        """What firmware reads: from 1 MiB in KiB, from 16 MiB and from 4 GiB in units of 64 KiB."""
        extended_kib = min(max(low_bytes - (1 << 20), 0) >> 10, 0xFFFF)
        above_16_mib = min(max(low_bytes - (16 << 20), 0) >> 16, 0xFFFF)
        for at, value in ((0x17, extended_kib), (0x30, extended_kib), (0x34, above_16_mib)):
            self._memory[at : at + 2] = value.to_bytes(2, "little")
        self._memory[0x5B:0x5E] = min(high_bytes >> 16, 0xFFFFFF).to_bytes(3, "little")


def _ignore(level: bool) -> None:
    """Nobody is wired to the line."""
