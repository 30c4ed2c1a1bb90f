"""Killed at each single fact of a run: the disk of that moment boots, and tells the truth about it (mission S2, S3).

The expectations are derived from what had happened by then, not from what is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from qmpemu.guests.guest import MemoryStore
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig

if TYPE_CHECKING:
    from qmpemu.core.facts import Fact

FAST, ASLEEP = {"HiberbootEnabled": "1"}, {"PBUTTONACTION": "1", "AutoAdminLogon": "1"}
RUNS = {
    "soft": (CLOUD_SERVER, {}, 60, False),
    "forced": (CLOUD_SERVER, {}, 0, True),
    "update": (CLIENT, {"pending_update": "quick"}, 120, False),
    "update cut": (CLIENT, {"pending_update": "quick"}, 30, True),
    "update stuck": (CLOUD_SERVER, {"pending_update": "stuck"}, 1_200, False),
    "fast startup": (CLIENT, FAST, 60, False),
    "hibernation": (CLIENT, {"PBUTTONACTION": "2"}, 60, False),
    "sleep cut": (STOCK_SERVER, ASLEEP, 60, True),
}
"""Guest, settings, seconds from the press to the end of the first boot, whether it is cut then; a second follows."""


class Seen(NamedTuple):
    """What a boot shows: 41 and 6008, SleepInProgress, chkdsk, hiberfil.sys, the tracker's question, the update."""

    unclean: bool
    asleep: bool
    checked: bool
    resumed: bool
    asked_why: bool
    update: str


class Moment:
    """What must be seen at the next boot if the power goes now; each fact moves it on."""

    def __init__(self) -> None:
        self.unclean = self.dirty = self.resumes = False
        self.asleep = self.wants_reason = False
        self.update = ""

    def saw(self, fact: Fact) -> None:
        """Something happened."""
        data = fact.data()
        match fact.name:
            case "VolumeMounted" | "VolumeFlushed":
                self.dirty = bool(data.get("dirty", True))
            case "PhaseEntered":
                self.entered(str(data["phase"]))
            case "FastStartupPrepared":
                self.unclean, self.resumes = False, True
            case "UpdateScreenShown" if data["stage"] == "installing":
                self.update = "undone"
            case "UpdateEnded":
                self.update = "configured" if data["outcome"] == "installed" else ""

    def entered(self, phase: str) -> None:
        """Windows reached another phase."""
        if phase == "kernel start":
            self.wants_reason = self.wants_reason or self.unclean
            self.unclean, self.resumes, self.asleep = True, False, False
        elif phase == "hibernated":
            self.unclean, self.resumes = False, True
        elif phase in ("off", "halted", "restarting"):
            self.unclean = self.wants_reason = False
        elif phase in ("asleep", "waking"):
            self.asleep = phase == "asleep"

    def seen(self) -> Seen:
        """Comparable."""
        asleep, checked = self.asleep and self.unclean, self.dirty and not self.resumes
        return Seen(
            self.unclean, asleep, checked, self.resumes, self.wants_reason or self.unclean, self.update
        )


def shown(rig: Rig) -> Seen:
    """The same, as a boot has shown it."""
    found = rig.all("UncleanEndFound")
    ended = [str(fact.data()["outcome"]) for fact in rig.all("UpdateEnded")]
    asleep = bool(found and found[0].data()["asleep"])
    checked, resumed = bool(rig.all("VolumeChecked")), bool(rig.all("HibernationEnded"))
    return Seen(bool(found), asleep, checked, resumed, rig.windows.disk.state.dialog, "".join(ended))


class Recorder:
    """Every disk that a machine ever had, the fact at which it first had it, and what must be seen after that."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.moment = store, Moment()
        self.held: dict[bytes, tuple[str, Seen]] = {}
        self._on = True

    def watch(self, rig: Rig) -> None:
        """One boot of it, until its power is gone."""
        self._on = True
        rig.facts.subscribe(self._record)

    def _record(self, fact: Fact) -> None:
        if not self._on:
            return
        self._on = fact.name != "MachineShutDown"
        self.moment.saw(fact)
        data = self.store.load()
        if data is not None:
            expected = (fact.name, self.moment.seen())
            assert self.held.setdefault(data, expected)[1] == expected[1], (self.held[data], expected)


def played(name: str, settings: dict[str, str], seconds: float, cut: bool) -> Recorder:
    """Two boots on one disk, each with a press: the first ends after `seconds`, by a cut or by itself."""
    store = MemoryStore()
    recorder = Recorder(store)
    for boot in range(2):
        rig = Rig(name, settings, store=store)
        recorder.watch(rig)
        rig.boot(400).press(5 if boot else seconds)
        if cut and not boot:
            rig.cut_power()
    return recorder


@pytest.mark.parametrize("run", RUNS)
def test_killed_at_every_fact(run: str) -> None:
    """Whatever the last fact was, the next boot shows 41, chkdsk, the update and hiberfil.sys as they must be."""
    name, settings, _, _ = RUNS[run]
    recorder = played(*RUNS[run])
    assert len(recorder.held) >= 4
    for data, (last, expected) in recorder.held.items():
        again = Rig(name, settings, store=MemoryStore(data)).boot(2_000)
        assert again.windows.system.phase == "running", last
        assert shown(again) == expected, last
