"""guests.agent: absent, stopped, hung, dying, slow; and what a client's coming and going leaves."""

from __future__ import annotations

import pytest

from qmpemu.guests.windows import operator
from tests.guests.rig import CLOUD_SERVER, Rig

PING, PONG = b'{"execute": "guest-ping"}\n', b'{"return": {}}\n'
SYNC = b'{"execute": "guest-sync", "arguments": {"id": 1}}\n'


def watched(boots: bool = True, **settings: str) -> tuple[Rig, list[bool]]:
    """A guest, and what its port did."""
    rig = Rig(CLOUD_SERVER, settings)
    states: list[bool] = []
    rig.port.on_guest_open = states.append
    return (rig.boot() if boots else rig), states


@pytest.mark.parametrize("state", ["absent", "stopped"])
def test_absent_and_stopped(state: str) -> None:
    """Neither opens the port; what a client sends waits, up to a limit, and goes with the client."""
    rig, states = watched(**{"QEMU-GA": state})
    assert rig.send(PING, 60) == b""
    assert states == []
    for _ in range(5):
        rig.port.host_write(bytes(100_000))
    rig.port.host_open(False)
    if state == "stopped":
        rig.windows.services.start_one("QEMU-GA")
        assert rig.send(PING) == PONG
        assert states == [True]
    else:
        assert rig.windows.services.start_one("QEMU-GA") == 1060


def test_slow_to_start() -> None:
    """The port opens when the service is ready, and what a client has sent before is answered then."""
    late = watched(boots=False, agent_start_ms="30000")[0].boot(20)
    assert late.send(PING, 10) == b"" and not late.port.guest_open
    late.run(30)
    assert late.replies == PONG


def test_slow_to_answer() -> None:
    """Each request takes its time; the next one waits for it."""
    rig, _ = watched(agent_answer_ms="3000")
    assert rig.send(PING, 2.9) == b""
    assert rig.send(PING + PING, 3) == PONG
    assert rig.send(b"", 3) == PONG
    assert rig.send(b"", 3) == PONG


def test_hung() -> None:
    """The port is open and nobody reads it; the button works all the same."""
    rig, states = watched(**{"QEMU-GA": "hung"})
    assert states == [True] and rig.send(PING, 60) == b""
    assert rig.press().board.exit_status == 0


def test_hangs_at_a_command() -> None:
    """It answers until that command comes, then never again, while the port stays open."""
    rig, states = watched(agent_hangs_at="guest-shutdown")
    assert rig.send(PING) == PONG
    assert rig.send(b'{"execute": "guest-shutdown"}\n', 120) == b""
    assert rig.send(PING, 60) == b""
    assert states == [True] and rig.all("ShutdownRequested") == []


def test_dies_at_a_command() -> None:
    """The port closes after the command was read; nobody starts it again unless told to."""
    rig, states = watched(agent_dies_at="*")
    assert rig.send(SYNC) == b'{"return": 1}\n'
    assert rig.send(PING + PING, 600) == b""
    assert states == [True, False]
    assert rig.one("AgentDied").data() == {"command": "guest-ping"}
    assert 7034 in rig.events()
    assert rig.press().board.exit_status == 0


def test_dies_and_comes_back() -> None:
    """With recovery actions the service is there again after their delay, with an empty head."""
    rig, states = watched(agent_dies_at="guest-get-time", agent_restart_ms="5000")
    rig.send(b'{"execute": "guest-get-time"} {"execute": "guest-p', 4)
    assert states == [True, False]
    rig.run(2)
    assert states == [True, False, True]
    assert rig.send(PING) == PONG


def test_the_operator_makes_them() -> None:
    """Everything can be brought about while the guest runs: stop and start the service, make it die or hang."""
    rig, states = watched()
    console = operator.of(rig.windows)
    console.do("stop_service", "qemu-ga")
    assert states == [True, False]
    console.do("start_service", "QEMU-GA")
    assert states == [True, False, True] and rig.send(PING) == PONG
    console.do("agent_dies_at", "guest-ping")
    assert rig.send(PING) == b"" and states[-1] is False
    console.do("start_service", "QEMU-GA")
    console.do("agent_dies_at")
    console.do("agent_hangs_at", "guest-ping")
    assert rig.send(PING) == b"" and states[-1] is True
    with pytest.raises(operator.OperatorError, match="The specified service does not exist"):
        console.do("stop_service", "nonsense")
    with pytest.raises(operator.OperatorError, match="'guest-nonsense' is no command of the guest agent"):
        console.do("agent_hangs_at", "guest-nonsense")


def test_there_is_no_agent_to_make_die() -> None:
    """Where none is installed the act says so."""
    rig, _ = watched(**{"QEMU-GA": "absent"})
    with pytest.raises(operator.OperatorError, match="no guest agent is installed"):
        operator.of(rig.windows).do("agent_dies_at", "guest-ping")


def test_half_a_message_stays_for_the_next_client() -> None:
    """A client that leaves in the middle leaves its bytes; the next one's 0xFF ends them with an error (measured)."""
    rig, _ = watched()
    assert rig.send(b'{"execute":"guest-pi') == b""
    rig.port.host_open(False)
    rig.port.host_open(True)
    assert rig.send(b"\xff" + PING) == (
        b'{"error": {"class": "GenericError", "desc": "JSON parse error, stray \'\\"guest-pi\\uFFFD\'"}}\n'
        + PONG
    )


def test_the_reply_to_a_client_that_left() -> None:
    """It goes to whoever is there when it comes."""
    rig, _ = watched(agent_answer_ms="1000")
    rig.send(b'{"execute": "guest-sync", "arguments": {"id": 7}}', 0.5)
    rig.port.host_open(False)
    rig.port.host_open(True)
    assert rig.send(PING, 3) == b'{"return": 7}\n' + PONG


def test_sleep_resets_the_port() -> None:
    """Waking from S3 resets the device: the port closes and opens again, and what came meanwhile is gone."""
    rig, states = watched()
    rig.send(b'{"execute": "guest-suspend-ram"}', 30)
    assert rig.board.runstate == "suspended" and states == [True]
    assert rig.send(PING, 5) == b""
    rig.ask(rig.board.request_wakeup)
    rig.run(10)
    assert states == [True, False, True]
    assert rig.replies == b""
    assert rig.send(PING) == PONG


def test_after_hibernation() -> None:
    """The agent comes back with the memory; one that was not running does not."""
    for state, opened in (("running", True), ("stopped", False)):
        rig = Rig(CLOUD_SERVER, {"QEMU-GA": state, "PBUTTONACTION": "2"}).boot().press()
        assert rig.one("SleepRequested").data()["state"] == "S4"
        again = Rig(CLOUD_SERVER, rig.settings, store=rig.store).boot()
        assert again.all("HibernationEnded") and again.port.guest_open is opened


def test_a_failed_service_comes_back_by_its_recovery_actions() -> None:
    """An error of the service from outside is treated as its death."""
    rig, states = watched(agent_restart_ms="1000")
    operator.of(rig.windows).do("service_error", "QEMU-GA")
    assert states == [True, False]
    assert rig.run(5).send(PING) == PONG
