"""Why a machine's end came as it did, read from its facts and nothing else: the verdict.

    facts ──> requests: each press, agent call, quit, signal, reset, with its door and its own outcome
          ──> outcome, cause (C1..C7 of the mission), decisive participant, setting, what was lost, Windows' event ids

Works on `Entry` rows, so on live facts and on a QMPEMU_LOG file alike. No text is written by the handlers it explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qmpemu.core.facts import Fact

OUTCOMES = (
    "completed",
    "stalled",
    "discarded",
    "ignored",
    "unprocessed",
    "lost",
    "woke_display",
    "cancelled",
    "slept",
    "hibernated",
    "forced",
    "crashed",
)
"""What can become of a request; `running` is said of a machine that nobody asked to end."""


AGENT_ENDS = {"AgentHung": "agent_hangs_at", "AgentDied": "agent_dies_at"}
"""Facts of an agent that never came to ask Windows, and the setting behind each."""


class Entry(NamedTuple):
    """A fact, or a line of a QMPEMU_LOG file. at_s: seconds of the host clock."""

    name: str
    seq: int
    at_s: float
    because: int | None
    data: Mapping[str, Any]

    @classmethod
    def of(cls, fact: Fact) -> Entry:
        """The entry of a live fact."""
        because = None if fact.because is None else fact.because.seq
        return cls(fact.name, fact.seq, fact.at_ns / 1e9, because, fact.data())

    @classmethod
    def of_log(cls, line: Mapping[str, Any]) -> Entry:
        """The entry of a parsed log line. Raises KeyError for a line that is none."""
        data = {k: v for k, v in line.items() if k not in ("event", "seq", "at_s", "because", "timestamp")}
        return cls(line["event"], line["seq"], line["at_s"], line["because"], data)


class Finding(NamedTuple):
    """What a decisive fact means. setting: Windows' name; decisive: the participant it came down to."""

    outcome: str
    cause: str | None = None
    setting: str | None = None
    decisive: str | None = None


def story(entries: Sequence[Entry], last: Entry) -> list[Entry]:
    """The chain of causes that led to `last`, in order of time."""
    by_seq = {entry.seq: entry for entry in entries}
    chain: list[Entry] = []
    step: Entry | None = last
    while step is not None:
        chain.append(step)
        step = None if step.because is None else by_seq.get(step.because)
    return chain[::-1]


def verdict(entries: Sequence[Entry]) -> dict[str, Any]:
    """The documented JSON object (docs/verdict.md) of a history of facts in order."""
    requests = list(_requests(entries))
    ended = next((entry for entry in reversed(entries) if entry.name == "MachineShutDown"), None)
    last = requests[-1] if requests else None
    soft = next((each for each in reversed(requests) if each["outcome"] != "forced"), None)
    explains = soft if soft is not None else last
    return {
        "outcome": last["outcome"] if last is not None else "completed" if ended is not None else "running",
        "cause": explains["cause"] if explains is not None else None,
        "decisive": explains["decisive"] if explains is not None else None,
        "setting": explains["setting"] if explains is not None else None,
        "off_at_s": ended.at_s if ended is not None else None,
        "phases": [{"phase": e.data["phase"], "at_s": e.at_s} for e in entries if e.name == "PhaseEntered"],
        "lost": _lost(entries),
        "events": [entry.data["id"] for entry in entries if entry.name == "EventLogged"],
        "requests": requests,
    }


def _requests(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if entry.name == "PowerdownRequested":
            yield _request(entry, "power button", _soft(entries, entry))
        elif entry.name == "ShutdownRequested" and entry.data["door"] != "power button":
            yield _request(entry, str(entry.data["door"]), _soft(entries, entry))
        elif entry.name in AGENT_ENDS and entry.data["command"] == "guest-shutdown":
            setting = AGENT_ENDS[entry.name]
            yield _request(entry, "guest agent", Finding("unprocessed", None, setting, "guest agent"))
        elif entry.name in ("MachineShutDown", "MachineReset") and not entry.data["guest"]:
            yield _request(entry, str(entry.data["reason"]), Finding("forced"))


def _request(entry: Entry, door: str, found: Finding) -> dict[str, Any]:
    return {"door": door, "at_s": entry.at_s, **found._asdict()}


def _soft(entries: Sequence[Entry], request: Entry) -> Finding:
    """What became of a soft request: the last decisive fact among those it led to."""
    led_to = {request.seq}
    found: Finding | None = None
    culprit: Entry | None = None
    infected = {str(each.data["target"]): each for each in entries if each.name == "FaultAttached"}
    infected = {target: each for target, each in infected.items() if each.data["cause"] == "C7"}
    for entry in entries:
        if entry.because in led_to:
            led_to.add(entry.seq)
            found = _cancelled_by(found, _meaning(entry) or found)
            if entry.name == "FaultActed":
                culprit = entry
            elif entry.name == "ShutdownBlocked":
                culprit = infected.get(str(entry.data["application"]))
            elif entry.name == "LogOffAwaited":
                found, culprit = _blocked_log_off(entries, entry, infected) or (found, culprit)
    if found is not None and found.outcome == "lost":
        culprit = _lost_to(entries, request)
    if found is not None and culprit is not None and found.outcome != "completed":
        return found._replace(cause=culprit.data["cause"], setting=None, decisive=culprit.data["fault"])
    return found or _without_trace(entries, request)


def _cancelled_by(before: Finding | None, found: Finding | None) -> Finding | None:
    """A shutdown that is cancelled at the tracker's prompt is cancelled by it."""
    if found is not None and found.outcome == "cancelled" and before is not None and before.cause == "C2":
        return before._replace(outcome="cancelled")
    return found


def _blocked_log_off(
    entries: Sequence[Entry], awaited: Entry, infected: Mapping[str, Entry]
) -> tuple[Finding, Entry | None] | None:
    """A shutdown waits for a log-off that began before it: what keeps that one keeps both."""
    for entry in reversed(entries[: entries.index(awaited)]):
        if entry.name == "LogOffBlocked":
            application = str(entry.data["application"])
            return Finding("stalled", "C4", "AutoEndTasks", application), infected.get(application)
    return None


def _lost_to(entries: Sequence[Entry], request: Entry) -> Entry | None:
    """What damaged a Windows that runs, and yet loses a press in the register."""
    phase, attached = "", None
    for entry in entries[: entries.index(request)]:
        phase = str(entry.data["phase"]) if entry.name == "PhaseEntered" else phase
        if entry.name == "MachineReset":
            attached = None
        elif entry.name == "FaultAttached" and entry.data["cause"] == "C7":
            attached = entry
    return attached if phase in ("running", "asleep") else None


def _meaning(entry: Entry) -> Finding | None:
    """What a fact decides, if anything."""
    data = entry.data
    match entry.name:
        case "ButtonLost":
            return Finding("lost", decisive="PM1_EN.PWRBTN")
        case "PowerPolicyApplied":
            return (
                Finding("ignored", "C5", str(data["setting"]), "power policy") if data["value"] == 0 else None
            )
        case "DisplayLit":
            return Finding("woke_display", setting="VIDEOIDLE", decisive="display")
        case "FaultActed" if data["effect"] == "swallowed the press":
            return Finding("ignored")
        case "ShutdownDiscarded":
            return Finding("discarded", "C3", str(data["setting"]), "power policy")
        case "ShutdownBlocked":
            return Finding("stalled", "C4", "AutoEndTasks", str(data["application"]))
        case "ShutdownStarted":
            return Finding("stalled")  # until it is seen to end
        case "ReasonPrompted":
            return Finding("stalled", "C2", str(data["setting"]), "Shutdown Event Tracker")
        case "UpdateScreenShown" if data["stage"] == "installing":
            return Finding("stalled", "C1", None, "TrustedInstaller")
        case "UpdateStalled":
            return Finding("stalled", "C1", str(data["setting"]), str(data["participant"]))
        case "ReasonGiven" | "UpdateEnded" | "UpdateAbandoned":
            return Finding("stalled")
        case "ShutdownCancelled":
            return Finding("cancelled", "C4", "AutoEndTasks", "user")
        case "SleepStarted":
            return Finding("hibernated" if data["state"] == "S4" else "slept", setting="PBUTTONACTION")
        case "SleepRequested" if data["state"] == "S5":
            return Finding("completed")
        case "FastStartupPrepared":
            return Finding("completed")
        case "DriverStalled":
            return Finding("stalled", decisive=str(data["driver"]))
        case "Bugchecked":
            return Finding("crashed", decisive=str(data["bugcheck"]))
    return None


def _without_trace(entries: Sequence[Entry], request: Entry) -> Finding:
    """A request that led to nothing: asleep (C6), or a guest that never looked."""
    asleep = False
    for entry in entries[: entries.index(request)]:
        asleep = entry.name == "MachineSuspended" or (
            asleep and entry.name not in ("MachineWoken", "MachineReset")
        )
    return Finding("unprocessed", "C6", decisive="S3") if asleep else Finding("unprocessed")


def _lost(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What forcing cost: the last power loss, and documents that went with killed applications."""
    lost: dict[str, list[str]] = {"documents": [], "services": [], "update": [], "volumes": []}
    for entry in entries:
        if entry.name == "DocumentsLost":
            lost["documents"] += [f"{entry.data['application']}: {name}" for name in entry.data["documents"]]
        elif entry.name == "PowerLost":
            for what, names in lost.items():
                given = entry.data.get(what) or ()
                given = (given,) if isinstance(given, str) else given
                names += [name for name in given if name not in names]
    return lost
