"""Random acts at the console between random presses: what must hold whatever somebody does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qmpemu.guests.windows import operator as console
from qmpemu.guests.windows.faults import registry
from qmpemu.guests.windows.operator import ACTIONS, OperatorError
from qmpemu.verdict import OUTCOMES, Entry, verdict
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig

ARGUMENTS = {
    "infect": registry.infections(),
    "shutdown_exe": ["/s", "/s /t 0", "/r /t 5", "/a", "/l", "/h", "/p /f", "nonsense"],
    "answer_prompt": ["", "continue", "cancel", "save", "discard"],
    "log_on": ["", "Ada", "Bob"],
    "log_off": ["", "Ada"],
    "unlock": ["", "Ada"],
    "stage_update": ["quick", "slow", "stuck"],
}
NAMES = ["Report.docx", "notes.txt", "x.exe", "Spooler", "QEMU-GA"]
ACTS = st.sampled_from(sorted(ACTIONS)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.sampled_from(ARGUMENTS.get(name, NAMES if ACTIONS[name].argument else [""]))
    )
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.3, 2.5, 40.0, 700.0]),
        st.one_of(ACTS, st.sampled_from([("press", ""), ("reset", ""), ("agent", "")])),
    ),
    max_size=12,
)


def attempt(rig: Rig, act: str, argument: str) -> None:
    """Do it; where it cannot be done now, the history says why."""
    try:
        console.of(rig.guests[-1], lambda: rig.ask(rig.board.request_wakeup)).do(act, argument)
    except OperatorError as error:
        why = rig.all("OperatorRefused")[-1].data()["why"] if act in ACTIONS else ""
        if why != str(error):
            raise


def played(name: str, steps: list[tuple[float, tuple[str, str]]]) -> Rig:
    """A booted guest to which all of that happened; what an act refuses is a sentence."""
    return play_steps(Rig(name).boot(), steps)


def play_steps(rig: Rig, steps: list[tuple[float, tuple[str, str]]]) -> Rig:
    """Let all of that happen to a booted guest, and time pass."""
    for wait_s, (act, argument) in steps:
        if rig.board.exit_status is not None:
            break
        if act == "press":
            rig.ask(rig.board.request_powerdown)
        elif act == "agent":
            rig.facts.run(None, lambda: rig.port.host_write(b'{"execute": "guest-shutdown"}\n'))
        elif act == "reset":
            rig.ask(lambda: rig.board.request_reset(guest=False, reason="host-qmp-system-reset"))
        else:
            attempt(rig, act, argument)
        rig.run(wait_s)
    return rig.run(2000)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from([CLIENT, CLOUD_SERVER, STOCK_SERVER]), steps=STEPS)
def test_whatever_somebody_does(name: str, steps: list[tuple[float, tuple[str, str]]]) -> None:
    """Nothing but sentences comes back, every request has an outcome, and no more than one shutdown runs at a time."""
    rig = played(name, steps)
    judged = verdict([Entry.of(fact) for fact in rig.facts.kept])
    assert {request["outcome"] for request in judged["requests"]} <= set(OUTCOMES)
    running = 0
    for fact in rig.facts.kept:
        if fact.name == "ShutdownStarted":
            running += 1
        elif fact.name in ("ShutdownCancelled", "MachineReset"):
            running = 0
        assert running <= 1
    crashed = [fact for fact in rig.facts.kept if fact.name == "ParticipantCrashed"]
    assert crashed == []


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from([CLIENT, CLOUD_SERVER]), steps=STEPS)
def test_the_same_acts_give_the_same_history(name: str, steps: list[tuple[float, tuple[str, str]]]) -> None:
    """Determinism down to the nanosecond, whatever is done."""
    assert played(name, steps).history() == played(name, steps).history()


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_a_document_is_never_lost_silently(steps: list[tuple[float, tuple[str, str]]]) -> None:
    """Each edited document ends up saved, given up by its user, lost with a fact that says so, or is still open."""
    rig = Rig(CLIENT).boot()
    rig.facts.run(None, lambda: console.of(rig.guests[-1]).edit_document("Precious.docx"))
    for wait_s, (act, argument) in steps:
        if act == "press":
            rig.ask(rig.board.request_powerdown)
        elif act not in ("reset", "agent") and rig.board.exit_status is None:
            attempt(rig, act, argument)
        rig.run(wait_s)
    told = [fact for fact in rig.facts.kept if "Precious.docx" in str(fact.data())]
    ends = {"DocumentSaved", "DocumentsSaved", "DocumentsDiscarded", "DocumentsLost", "PowerLost"}
    if rig.board.exit_status is None or len(rig.all("MachineReset")):
        return
    hibernated = bool(rig.all("MachineSuspendedToDisk"))
    assert hibernated or ends & {fact.name for fact in told}
