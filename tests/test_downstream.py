"""commands.downstream: the operator over QMP, as `__org.qmpemu_ACT`."""

from __future__ import annotations

from typing import Any

from qmpemu.commands.downstream import HOST_ACTS
from qmpemu.guests.windows.operator import ACTIONS
from tests.driven import Driven


def act(driven: Driven, name: str, **arguments: object) -> dict[str, Any]:
    """The reply to an act."""
    return driven.say(f"__org.qmpemu_{name}", **arguments)[-1]


def booted(**environment: str) -> Driven:
    """A stock client after its boot."""
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", **environment)
    driven.run(60)
    return driven


def test_a_document_that_blocks_a_shutdown_and_an_answer_that_lets_it_go_on() -> None:
    """An operator opens and edits over QMP; the press waits for the answer, which comes over QMP as well."""
    driven = booted()
    assert act(driven, "edit_document", value="Plan.docx") == {"return": {}}
    driven.say("system_powerdown")
    assert driven.run(600) == []
    assert "shown" in act(driven, "answer_prompt", value="save")["return"]
    assert "SHUTDOWN" in driven.run(60)
    assert not any(name == "DocumentsLost" for name in driven.facts())


def test_what_cannot_be_done_is_one_sentence() -> None:
    """Refusals name the state; a wrong argument is QEMU's own kind of error."""
    driven = booted()
    assert act(driven, "unlock")["error"]["desc"] == "the session of 'User' is not locked"
    assert (
        act(driven, "lock", value=1)["error"]["desc"]
        == "Invalid parameter type for 'value', expected: string"
    )
    assert act(driven, "lock", foo=1)["error"]["desc"] == "Parameter 'foo' is unexpected"
    assert act(driven, "dance")["error"] == {
        "class": "CommandNotFound",
        "desc": "The command __org.qmpemu_dance has not been found",
    }
    driven.say("stop")
    assert act(driven, "lock")["error"]["desc"].startswith("the machine is paused")


def test_a_key_wakes_a_sleeping_guest() -> None:
    """press_key in S3 is a wake-up of the machine."""
    driven = booted()
    act(driven, "sleep")
    assert driven.run(30) == ["SUSPEND"]
    assert driven.say("__org.qmpemu_press_key")[0]["event"] == "WAKEUP"


def test_no_windows_no_operator() -> None:
    """On a machine without a guest there is nobody to act."""
    driven = Driven("-machine none")
    assert act(driven, "lock")["error"]["desc"].startswith("no Windows runs on this machine")


def test_listed_on_request() -> None:
    """query-commands answers as the real one does, and with ours in front where that is asked for."""
    plain = {row["name"] for row in Driven("-machine none").say("query-commands")[0]["return"]}
    listed = {
        row["name"] for row in Driven("-machine none", QMPEMU_OPERATOR="1").say("query-commands")[0]["return"]
    }
    assert listed - plain == {f"__org.qmpemu_{name}" for name in (*ACTIONS, *HOST_ACTS)}
    assert plain < listed
