"""What happens to a machine as a whole, as facts; most of them are QMP events (facts/qmp-wire.md §8)."""

from __future__ import annotations

from qmpemu.core.facts import Fact


class PowerdownRequested(Fact):
    """The host pressed the power button (QMP event POWERDOWN)."""


class MachineShutDown(Fact):
    """The machine was shut down. guest: by the guest itself; reason: QEMU's ShutdownCause. stays: -no-shutdown."""

    guest: bool
    reason: str
    stays: bool


class MachineReset(Fact):
    """The machine was reset. guest and reason as in MachineShutDown."""

    guest: bool
    reason: str


class MachineStopped(Fact):
    """The virtual CPUs stand still."""


class MachineResumed(Fact):
    """The virtual CPUs run (again)."""


class MachineSuspended(Fact):
    """The guest entered S3."""


class MachineSuspendedToDisk(Fact):
    """The guest entered S4; a shutdown follows."""


class MachineWoken(Fact):
    """The guest left S3."""


class GuestPanicked(Fact):
    """The guest's kernel died and said so. action: what follows (QMP GuestPanicAction: poweroff, pause, run).

    codes: the five numbers of a Hyper-V crash report; None where the guest tells nothing but that.
    """

    action: str
    codes: tuple[int, ...] | None = None


class GuestCrashLoaded(Fact):
    """The guest's kernel died and a crash kernel took over; the machine runs on."""


class WatchdogExpired(Fact):
    """Nobody has fed the watchdog in time (QMP event WATCHDOG). action: what follows."""

    action: str


class NmiInjected(Fact):
    """A non-maskable interrupt was sent to the first processor."""
