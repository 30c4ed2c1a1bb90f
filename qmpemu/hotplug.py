"""ACPI hot plug as hardware and software see it: a device has come, or is asked to go, and the guest answers.

    device_add ──> arrive(notice) ──┐                       ┌──> start(), report(status)    _OST: ACPI_DEVICE_OST
                                    ├──> guest: take() ─────┤
    device_del ──> leave(notice) ───┘                       └──> eject(), refuse()

Notices wait until an operating system takes them; a reset forgets those that nobody has taken.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INSERTED, EJECT_REQUESTED = 1, 3
"""_OST source events: bus check (a device came) and eject request (ACPI 6.3.5)."""
SUCCESS, NON_SPECIFIC_FAILURE, EJECT_IN_PROGRESS = 0, 1, 0x84
"""_OST status codes."""


class Notice:
    """One thing that the guest is told. kind: PCI, CPU or DIMM. driver, id: the device's. leaving: it shall go."""

    __slots__ = (
        "answered",
        "driver",
        "id",
        "kind",
        "leaving",
        "on_eject",
        "on_refuse",
        "on_report",
        "on_start",
    )

    def __init__(
        self,
        kind: str,
        driver: str,
        identity: str | None,
        *,
        leaving: bool,
        on_eject: Callable[[], object],
        on_refuse: Callable[[], object],
        on_report: Callable[[int, int], object],
        on_start: Callable[[], object],
    ) -> None:
        self.kind = kind
        self.driver = driver
        self.id = identity
        self.leaving = leaving
        self.answered = False
        self.on_eject = on_eject
        self.on_refuse = on_refuse
        self.on_report = on_report
        self.on_start = on_start

    def start(self) -> None:
        """The guest has found the device, and gives it the addresses that it needs."""
        self.on_start()

    def report(self, source: int, status: int) -> None:
        """The guest evaluated _OST."""
        self.on_report(source, status)

    def eject(self) -> None:
        """The guest evaluated _EJ0: the device may be taken out."""
        if not self.answered:
            self.answered = True
            self.on_eject()

    def refuse(self) -> None:
        """The guest keeps the device."""
        if not self.answered:
            self.answered = True
            self.on_refuse()


class Hotplug:
    """The controller that both sides share."""

    __slots__ = ("on_notice", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Notice] = []
        self.on_notice: Callable[[], None] = _nobody
        """Called when there is something to take; the operating system sets it."""

    def notify(self, notice: Notice) -> None:
        """Tell the guest."""
        self.waiting.append(notice)
        self.on_notice()

    def take(self) -> list[Notice]:
        """What nobody has taken yet."""
        taken, self.waiting = self.waiting, []
        return taken

    def reset(self) -> list[Notice]:
        """Machine reset: the operating system is gone, and hears of nothing that it has not taken. -> those."""
        self.on_notice = _nobody
        return self.take()


def _nobody() -> None:
    """No operating system listens."""
