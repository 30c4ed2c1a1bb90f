"""What a guest is given and what it must answer to. One folder or file beside this one is one operating system.

A guest is loaded when its machine's processor leaves reset and thrown away at reset, power-off and power cut. It
never blocks: it schedules its work on `Platform.clock`. It reaches hardware only through `Platform.acpi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from qmpemu.acpi import FixedHardware
    from qmpemu.core.clock import Lifetime
    from qmpemu.core.facts import Bus
    from qmpemu.port import Port


RTC_BASE_NS = 1_704_067_200 * 1_000_000_000
"""2024-01-01T00:00:00Z: what the battery-backed clock shows at machine time 0 when nobody sets it, so that one
seed gives one history down to the time stamps."""


class Platform:
    """The machine as its software sees it.

    clock: lives as long as this boot. rng: this machine's own seeded generator. ports: virtio-serial ports by name.
    rtc_base_ns: the battery-backed clock at machine time 0, in nanoseconds since 1970.
    """

    __slots__ = ("acpi", "clock", "facts", "ports", "rng", "rtc_base_ns")

    def __init__(
        self,
        acpi: FixedHardware,
        clock: Lifetime,
        facts: Bus,
        rng: Random,
        ports: Mapping[str, Port],
        rtc_base_ns: int = RTC_BASE_NS,
    ) -> None:
        self.acpi = acpi
        self.clock = clock
        self.facts = facts
        self.rng = rng
        self.ports = ports
        self.rtc_base_ns = rtc_base_ns


class Guest(Protocol):
    """The hardware's view of a guest (the same calls as `machine.processor` makes)."""

    def power_on(self) -> None:
        """The processor leaves reset: firmware starts."""

    def interrupt(self) -> None:
        """The SCI line is high."""

    def nmi(self) -> None:
        """A non-maskable interrupt arrived."""

    def resume(self) -> None:
        """The machine left S3; memory is intact."""

    def power_lost(self) -> None:
        """Reset or power cut: everything volatile is gone."""
