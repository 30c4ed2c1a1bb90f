"""A scenario from the facts of a run: what was set, and what the host and the operator did, at their times.

So a run under libvirt, in real time, can be played again on the virtual clock with one thing changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows.actions import ACTIONS
from qmpemu.trial.scenario import Act, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmpemu.verdict import Entry

AGENT_MODES = {"power off": "powerdown", "restart": "reboot", "halt": "halt"}
FORCED = {"host-qmp-quit": "quit", "host-signal": "sigkill", "host-qmp-system-reset": "system_reset"}
NOT_REPEATED = frozenset({"stop", "migrate"})
"""Commands after which machine time and host time go apart."""
AGENT_NOT_REPEATED = frozenset(
    "guest-exec guest-fsfreeze-freeze guest-fsfreeze-freeze-list guest-suspend-disk guest-suspend-ram".split()
)
"""What the guest agent was asked, and what no act of a scenario does: it may change how a shutdown ends."""


def scenario_of(entries: Sequence[Entry]) -> Scenario | None:
    """The scenario of a run that can be played again; None where it cannot: no guest, or what no act repeats."""
    loaded = next((entry for entry in entries if entry.name == "GuestLoaded"), None)
    began = next((entry for entry in entries if entry.name == "MachineResumed"), None)
    if loaded is None or began is None or any(_parts(entry) for entry in entries):
        return None
    acts = [act for entry in entries if (act := _act(entry, began.at_s)) is not None]
    settings = tuple(_pair(text) for text in loaded.data["settings"])
    until_s = max(0.0, entries[-1].at_s - began.at_s)
    return Scenario(
        guest=str(loaded.data["guest"]),
        settings=settings,
        acts=tuple(acts),
        until_s=until_s,
        seed=str(loaded.data["seed"]),
        boot=True,
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _parts(entry: Entry) -> bool:
    """Whether the run cannot be played again from here on."""
    match entry.name:
        case "CommandReceived":
            return entry.data["command"] in NOT_REPEATED
        case "AgentAsked":
            return entry.data["command"] in AGENT_NOT_REPEATED
    return entry.name == "AgentDied"


def _act(entry: Entry, began_s: float) -> Act | None:
    """What somebody did here, if anything."""
    at_s, data = max(0.0, entry.at_s - began_s), entry.data
    match entry.name:
        case "PowerdownRequested":
            return Act(at_s, "power_button")
        case "ShutdownRequested" if data["door"] == "guest agent":
            return Act(at_s, "agent_shutdown", AGENT_MODES[data["goal"]])
        case "OperatorActed" if data["action"] in ACTIONS:
            return Act(at_s, str(data["action"]), str(data["argument"]))
        case "CommandReceived" if data["command"] == "system_wakeup":
            return Act(at_s, "wakeup")
        case "MachineShutDown" | "MachineReset" if not data["guest"]:
            name = FORCED.get(str(data["reason"]))
            return Act(at_s, name) if name is not None else None
    return None
