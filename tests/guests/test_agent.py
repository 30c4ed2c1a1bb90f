"""guests.agent: the QEMU guest agent on its virtio-serial port."""

import json

import pytest

from qmpemu.guests.agent import registry
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig


@pytest.fixture
def rig() -> Rig:
    """A booted guest whose agent runs."""
    return Rig(CLOUD_SERVER).boot()


def ask(rig: Rig, execute: str, **arguments: object) -> dict[str, object]:
    """One request, one reply."""
    request = {"execute": execute, **({"arguments": arguments} if arguments else {})}
    reply = rig.send(json.dumps(request).encode() + b"\n")
    assert reply.endswith(b"\n")
    answer: dict[str, object] = json.loads(reply)
    return answer


def test_the_port_is_open_while_the_service_runs() -> None:
    """The port opens when services start and closes when they are told to stop, before power-off."""
    rig = Rig()
    states: list[tuple[bool, int | None]] = []
    rig.port.on_guest_open = lambda opened: states.append((opened, rig.board.exit_status))
    rig.boot()
    assert states == [(True, None)]
    rig.press()
    assert states == [(True, None), (False, None)]
    assert rig.board.exit_status == 0


@pytest.mark.parametrize(("name", "settings"), [(STOCK_SERVER, {}), (CLOUD_SERVER, {"QEMU-GA": "stopped"})])
def test_no_agent_no_port(name: str, settings: dict[str, str]) -> None:
    """A stock guest has no agent, and a stopped service does not open the port."""
    rig = Rig(name, settings).boot()
    assert not rig.port.guest_open
    assert rig.send(b'{"execute": "guest-ping"}\n') == b""


def test_sync(rig: Rig) -> None:
    """guest-sync echoes its number; the delimited one puts 0xFF in front of its reply."""
    assert rig.send(b'{"execute": "guest-sync", "arguments": {"id": 1732400000000}}\n') == (
        b'{"return": 1732400000000}\n'
    )
    reply = rig.send(b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 7}}\n')
    assert reply.rpartition(b"\xff")[2] == b'{"return": 7}\n'


def test_info_lists_what_the_windows_build_has(rig: Rig) -> None:
    """All 39 commands in the agent's own order; those that Windows has not are disabled; six have no reply."""
    info = ask(rig, "guest-info")["return"]
    assert isinstance(info, dict)
    listed = {row["name"]: row for row in info["supported_commands"]}
    registry.load()
    assert list(listed) == registry.LISTED
    assert set(listed) == set(registry.COMMANDS)
    assert {name for name, row in listed.items() if not row["enabled"]} == {
        "guest-suspend-hybrid",
        "guest-set-vcpus",
        "guest-get-memory-blocks",
        "guest-set-memory-blocks",
        "guest-get-memory-block-info",
    }
    assert {name for name, row in listed.items() if not row["success-response"]} == {
        "guest-shutdown",
        "guest-suspend-disk",
        "guest-suspend-ram",
        "guest-suspend-hybrid",
    }


@pytest.mark.parametrize("name", ["guest-ssh-get-authorized-keys", "guest-nonsense"])
def test_a_command_that_is_not_there(rig: Rig, name: str) -> None:
    """What the Windows build does not have is not found."""
    assert ask(rig, name) == {
        "error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}
    }


def test_a_disabled_command(rig: Rig) -> None:
    """A disabled command is refused before its arguments are looked at; two others say so themselves."""
    assert ask(rig, "guest-set-vcpus", nonsense=1) == {
        "error": {"class": "CommandNotFound", "desc": "Command guest-set-vcpus has been disabled"}
    }
    for name in ("guest-get-diskstats", "guest-get-cpustats"):
        assert ask(rig, name) == {"error": {"class": "GenericError", "desc": registry.UNSUPPORTED}}


@pytest.mark.parametrize(
    ("request_text", "desc"),
    [
        ('{"execute": "guest-sync"}', "Parameter 'id' is missing"),
        (
            '{"execute": "guest-sync", "arguments": {"id": "x"}}',
            "Invalid parameter type for 'id', expected: integer",
        ),
        (
            '{"execute": "guest-sync", "arguments": {"id": true}}',
            "Invalid parameter type for 'id', expected: integer",
        ),
        ('{"execute": "guest-ping", "arguments": {"x": 1}}', "Parameter 'x' is unexpected"),
        (
            '{"execute": "guest-shutdown", "arguments": {"mode": "off"}}',
            "Parameter 'mode' expects 'halt', 'powerdown', or 'reboot'",
        ),
        ('{"execute": 3}', "QMP input member 'execute' must be a string"),
        ('{"execute": "guest-ping", "arguments": 1}', "QMP input member 'arguments' must be an object"),
        ("{}", "QMP input lacks member 'execute'"),
        ("[]", "QMP input must be a JSON object"),
    ],
)
def test_errors(rig: Rig, request_text: str, desc: str) -> None:
    """Mistakes are answered as QEMU words them, and the agent goes on."""
    reply = json.loads(rig.send(request_text.encode() + b"\n"))
    assert reply == {"error": {"class": "GenericError", "desc": desc}}
    assert ask(rig, "guest-ping") == {"return": {}}


def test_it_tells_the_truth() -> None:
    """Users, names, time and edition are those of this guest."""
    rig = Rig(CLIENT, {"QEMU-GA": "running", "ComputerName": "DESK"}).boot()
    assert ask(rig, "guest-get-host-name") == {"return": {"host-name": "DESK"}}
    users = ask(rig, "guest-get-users")["return"]
    assert isinstance(users, list)
    assert [(user["user"], user["domain"]) for user in users] == [("User", "DESK")]
    before, after = (ask(rig, "guest-get-time")["return"] for _ in range(2))
    assert isinstance(before, int)
    assert after == before + 1_000_000_000
    info = ask(rig, "guest-get-osinfo")["return"]
    assert isinstance(info, dict)
    assert (info["id"], info["version-id"], info["kernel-release"], info["variant"]) == (
        "mswindows",
        "11",
        "22631",
        "client",
    )


def test_ids_are_returned(rig: Rig) -> None:
    """A request's id comes back with its reply."""
    assert json.loads(rig.send(b'{"execute": "guest-ping", "id": "a"}')) == {"return": {}, "id": "a"}


def test_shutdown_has_no_reply_and_is_forced() -> None:
    """guest-shutdown answers nothing, ignores the button's policy, and powers the machine off."""
    rig = Rig(STOCK_SERVER, {"QEMU-GA": "running", "PBUTTONACTION": "0"}).boot()
    assert rig.send(b'{"execute": "guest-shutdown"}\n', 60) == b""
    assert rig.board.exit_status == 0
    assert rig.one("ShutdownRequested").data() == {"door": "guest agent", "goal": "power off", "forced": True}
    assert [fact.name for fact in rig.one("ShutdownRequested").causes()] == ["AgentAsked"]


def test_reboot_boots_again(rig: Rig) -> None:
    """guest-shutdown with mode reboot ends in a reset, and Windows comes up a second time."""
    rig.send(b'{"execute": "guest-shutdown", "arguments": {"mode": "reboot"}}\n', 60)
    assert rig.one("MachineReset").data() == {"guest": True, "reason": "guest-reset"}
    assert len(rig.all("BootCompleted")) == 2
    assert rig.all("PowerLost") == []
    assert ask(rig, "guest-ping") == {"return": {}}


def test_halt_leaves_the_power_on(rig: Rig) -> None:
    """guest-shutdown with mode halt stops Windows where power may be cut, and does not cut it."""
    rig.send(b'{"execute": "guest-shutdown", "arguments": {"mode": "halt"}}\n', 600)
    assert rig.board.exit_status is None
    assert rig.names()[-1] == "SafeToTurnOff"
    rig.press()
    assert rig.board.exit_status is None
    rig.cut_power()
    assert rig.all("PowerLost") == []


def test_a_second_shutdown_is_refused() -> None:
    """While a shutdown is in progress another one gets Windows' error 1115."""
    from qmpemu.guests.windows.participants import HANG, PRESHUTDOWN, Service

    rig = Rig(services=(Service(name="slow", preshutdown=True, responses={PRESHUTDOWN: HANG}),)).boot()
    rig.press(1)
    reply = json.loads(rig.send(b'{"execute": "guest-shutdown"}\n'))
    assert reply["error"]["desc"] == "guest-shutdown failed: A system shutdown is in progress."


def test_suspending_is_silent() -> None:
    """guest-suspend-ram and -disk answer nothing and put the machine to sleep, whatever programs say."""
    asleep, hibernated = (Rig(CLIENT, {"QEMU-GA": "running"}).boot() for _ in range(2))
    assert asleep.send(b'{"execute": "guest-suspend-ram"}\n', 60) == b""
    assert asleep.board.runstate == "suspended"
    assert asleep.send(b'{"execute": "guest-ping"}\n', 60) == b""
    assert hibernated.send(b'{"execute": "guest-suspend-disk"}\n', 60) == b""
    assert hibernated.all("MachineSuspendedToDisk") and hibernated.board.exit_status == 0


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_suspending_needs_the_firmware(kind: str) -> None:
    """Where the firmware describes no such state, the agent says so."""
    rig = Rig(s3_disabled=True, s4_disabled=True).boot()
    assert ask(rig, f"guest-suspend-{kind}")["error"] == {
        "class": "GenericError",
        "desc": f"Guest agent command failed, error was 'suspend-to-{kind} not supported by OS'",
    }


def test_a_hung_agent_holds_its_port() -> None:
    """A hung agent, from the start or by a fault, does not answer on its open port, and the button still works."""
    from qmpemu.guests.windows.faults import registry as faults

    born, made = Rig(CLOUD_SERVER, {"QEMU-GA": "hung"}).boot(), Rig(CLOUD_SERVER).boot()
    faults.attach(made.windows, "hang_service", "QEMU-GA")
    for rig in (born, made):
        assert rig.port.guest_open
        assert rig.send(b'{"execute": "guest-ping"}\n', 60) == b""
        assert rig.press().board.exit_status == 0


def test_a_failed_agent_closes_its_port() -> None:
    """An agent whose service ended with an error leaves a closed port."""
    from qmpemu.guests.windows.faults import registry as faults

    rig = Rig(CLOUD_SERVER).boot()
    faults.attach(rig.windows, "service_error", "QEMU-GA")
    assert not rig.port.guest_open


def test_a_paused_guest_answers_later(rig: Rig) -> None:
    """No time passes in a paused machine: the answer comes after `cont`."""
    rig.ask(rig.board.stop)
    assert rig.send(b'{"execute": "guest-ping"}\n', 30) == b""
    rig.ask(rig.board.cont)
    rig.run(1)
    assert rig.replies == b'{"return": {}}\n'


def test_a_crashed_guest_does_not_answer() -> None:
    """After a bugcheck the port is still open, and nobody reads it."""
    rig = Rig(settings={"AutoReboot": "0"}).boot()
    rig.ask(rig.board.inject_nmi)
    rig.run(1)
    assert rig.port.guest_open
    assert rig.send(b'{"execute": "guest-ping"}\n', 60) == b""
