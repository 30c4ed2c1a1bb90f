"""What a machine does when its guest reboots, powers off, panics, or lets a watchdog expire: `-action`."""

from __future__ import annotations

ACTION_VALUES = {
    "reboot": ("reset", "shutdown"),
    "shutdown": ("poweroff", "pause"),
    "panic": ("pause", "shutdown", "exit-failure", "none"),
    "watchdog": ("reset", "poweroff", "shutdown", "pause", "debug", "none", "inject-nmi"),
}
"""The values of each `-action` key (QAPI RebootAction, ShutdownAction, PanicAction, WatchdogAction)."""


class Actions:
    """What the machine does on reboot, shutdown, panic and watchdog expiry; changed by `set-action` at any time."""

    __slots__ = ("panic", "reboot", "shutdown", "watchdog")

    def __init__(self) -> None:
        self.reboot, self.shutdown, self.panic, self.watchdog = "reset", "poweroff", "shutdown", "reset"
