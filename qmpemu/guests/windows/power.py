"""The power policy: what a press of the power button leads to, and sleep and wake.

    press ──> display dark? only light it ──> PBUTTONACTION: nothing | sleep | hibernate | shut down | display off

The order of the checks is inferred (facts: windows-acpi 13.2); the values are Windows' (5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.participants import SUSPEND, SUSPEND_MAX_MS
from qmpemu.guests.windows.settings import BUTTON_ACTIONS
from qmpemu.guests.windows.shutdown import BUTTON, POWER_OFF

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows


class PowerButtonPressed(Fact):
    """OSPM found the power button's status bit set, cleared it and told the power manager."""

    phase: str


class PowerPolicyApplied(Fact):
    """The power manager looked up what a press means."""

    action: str
    setting: str
    value: int


class ButtonIgnored(Fact):
    """A press had no effect beyond what was reported before it."""

    why: str


class SleepStarted(Fact):
    """Windows prepares to sleep."""

    state: str


class SleepEnded(Fact):
    """Windows is awake again and OSPM has the power button."""

    state: str


class PowerPolicy:
    """The kernel's power manager."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def press(self) -> None:
        """The power button was pressed while OSPM has it."""
        windows, facts = self._windows, self._windows.system.facts
        facts.chain(PowerButtonPressed(phase=windows.system.phase))
        if windows.display.touch("power button"):
            facts.publish(ButtonIgnored(why="it only lit the dark display"))
        elif windows.shutdown.in_progress:
            facts.publish(ButtonIgnored(why="a shutdown is in progress"))
        elif windows.system.phase in (life.FALLING_ASLEEP, life.WAKING):
            facts.publish(ButtonIgnored(why="a sleep transition is in progress"))
        else:
            self._apply(windows.system.settings.PBUTTONACTION)

    def sleep(self, state: str) -> Steps[None]:
        """Enter S3 or S4: applications prepare, everything is written out, SLP_EN is set."""
        windows, system = self._windows, self._windows.system
        system.move("sleep")
        system.facts.chain(SleepStarted(state=state))
        windows.log.write(42, "The system is entering sleep.", {"TargetState": state})
        for application in windows.sessions.applications():
            response = application.response(SUSPEND)
            hangs = response.answer == "hang"
            wait_ms = SUSPEND_MAX_MS if hangs else min(response.after_ms, SUSPEND_MAX_MS)
            if wait_ms:
                yield wait_ms * NS_PER_MS
        yield from windows.volume.flush(dismount=False)
        if state == "S4":
            yield system.settings.hibernate_ms * NS_PER_MS
        windows.display.turn_off(state)
        if state == "S4":
            windows.disk.change(
                running=False,
                hiberfile="hibernated",
                sessions=windows.sessions.contents(),
                failed_services=tuple(windows.services.failed),
            )
        else:
            windows.disk.change(asleep=True)
            if system.settings.wake_timer_s:
                windows.ospm.let_alarm_wake()
                system.platform.alarm(system.settings.wake_timer_s * NS_PER_S)
        system.move(f"{state} written")
        windows.ospm.sleep(state)

    def wake(self) -> Steps[None]:
        """Return from S3: the firmware's wake vector, then OSPM, then the rest of Windows."""
        windows, system = self._windows, self._windows.system
        system.move("wake")
        windows.disk.change(asleep=False)
        yield system.settings.wake_firmware_ms * NS_PER_MS
        source = "timer" if windows.ospm.woken_by_alarm() else "power button"
        windows.ospm.enable_after_wake()
        system.move("OSPM on")
        system.facts.chain(SleepEnded(state="S3"))
        if windows.agent is not None:
            windows.agent.renew()
        windows.log.write(107, "The system has resumed from sleep.")
        windows.log.write(1, "The system has returned from a low power state.", {"WakeSource": source})
        windows.display.touch("wake")
        windows.shutdown.awake.open()

    def _apply(self, value: int) -> None:
        windows, facts = self._windows, self._windows.system.facts
        action = BUTTON_ACTIONS[value]
        facts.chain(PowerPolicyApplied(action=action, setting="PBUTTONACTION", value=value))
        if action == "do nothing":
            facts.publish(ButtonIgnored(why="the power button is set to do nothing"))
        elif action == "turn off the display":
            windows.display.turn_off("power button")
        elif action == "shut down":
            windows.request_shutdown(BUTTON, POWER_OFF)
        else:
            self._sleep_if_offered("S3" if action == "sleep" else "S4")

    def _sleep_if_offered(self, state: str) -> None:
        windows = self._windows
        if not windows.ospm.offers(state):
            windows.system.facts.publish(ButtonIgnored(why=f"this machine offers no {state}"))
        elif not windows.system.allows("sleep"):
            windows.system.facts.publish(ButtonIgnored(why="Windows is still starting"))
        else:
            windows.system.activities.start(self.sleep(state))
