"""What a watchdog that expires does to the machine (`-action watchdog=`), and the ports of the ISA one.

    reset     WATCHDOG, RESET (guest-reset)      shutdown    WATCHDOG, POWERDOWN       none        WATCHDOG
    poweroff  WATCHDOG, and the process ends     pause       WATCHDOG, STOP            inject-nmi  WATCHDOG, an NMI
    debug     WATCHDOG, a line on standard error

Measured on QEMU 7.2. ib700: any write to 0x441 stops it, a write to 0x443 lets it count 30 s less two for each step of
the value's low four bits.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.machine.happened import WatchdogExpired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.clock import Timer
    from qmpemu.machine.ioports import Region
    from qmpemu.machine.machine import Machine
    from qmpemu.watchdog import Watchdog

IB700 = "ib700"
STOP_PORT, START_PORT = 0x441, 0x443
LONGEST_S, STEP_S, STEP_MASK = 30, 2, 0xF


def ib700(watchdog: Watchdog) -> list[Region]:
    """The ports of an ib700."""
    from qmpemu.machine.ioports import Region

    def start(offset: int, value: int, size: int) -> None:
        watchdog.set((LONGEST_S - STEP_S * (value & STEP_MASK)) * NS_PER_S)

    def nothing_to_read(offset: int, size: int) -> int:
        return -1

    return [
        Region(STOP_PORT, 1, 1, nothing_to_read, lambda *_: watchdog.set(None)),
        Region(START_PORT, 1, 1, nothing_to_read, start),
    ]


class Countdown:
    """The hardware behind `qmpemu.watchdog.Watchdog`."""

    __slots__ = ("_machine", "_timer")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timer: Timer | None = None

    def set(self, timeout_ns: int | None) -> None:
        """Begin to count down anew, or stop."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if timeout_ns is None else self._machine.clock.call_in(timeout_ns, self._expire)

    def _expire(self) -> None:
        self._timer = None
        board = self._machine.board
        action = board.actions.watchdog
        self._machine.facts.chain(WatchdogExpired(action=action))
        if action == "reset":
            board.request_reset(guest=True, reason="guest-reset")
        elif action == "shutdown":
            board.request_powerdown()
        elif action == "poweroff":
            board.end_at_once()
        elif action == "pause":
            board.halt_by_watchdog()
        elif action == "inject-nmi":
            board.inject_nmi()
        elif action == "debug":
            self._machine.host.report("watchdog: timer fired")
