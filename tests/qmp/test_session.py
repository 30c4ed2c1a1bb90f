"""qmp.session: negotiation, order of bytes, what survives a client (facts/qmp-wire.md §2, §6, §11, §12)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from qmpemu.qmp.encode import Raw
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later
from qmpemu.qmp.schema import Schema
from qmpemu.qmp.session import QUEUED_BYTES_MAX, Session

GREETING = b'{"QMP": {}}'


class Rig:
    """A session whose command `stop` raises an event and `quit` finishes it."""

    def __init__(self, pretty: bool = False) -> None:
        self.ran: list[str] = []
        self.large: Raw | None = None
        names = {"stop", "quit", "query-status", "yank"}
        self.session = Session(
            GREETING, self.execute, commands=names.__contains__, oob="yank".__eq__, pretty=pretty
        )
        self.session.open()

    def execute(self, name: str, arguments: dict[str, object]) -> object:
        self.ran.append(name)
        self.session.send_event(b'{"event": "E"}')
        if name == "quit":
            self.session.finish()
        return self.large if self.large is not None else {}

    def say(self, data: bytes) -> list[bytes]:
        self.session.receive(data)
        return self.session.take().split(b"\r\n")[:-1]


NEGOTIATE = b'{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}'


def test_the_greeting_comes_at_each_connect_and_nothing_survives() -> None:
    """A new client is greeted and must negotiate; a half-read message of the former one is gone."""
    rig = Rig()
    assert rig.say(NEGOTIATE + b'{"execute":"sto') == [GREETING, b'{"return": {}}']
    rig.session.close()
    rig.session.open()
    assert rig.say(b"")[0] == GREETING
    assert b"Expecting capabilities negotiation" in rig.say(b'{"execute":"stop"}')[0]
    assert rig.ran == []


def test_events_before_negotiation_are_lost() -> None:
    """They are not queued either."""
    rig = Rig()
    rig.session.send_event(b'{"event": "EARLY"}')
    assert rig.say(NEGOTIATE) == [GREETING, b'{"return": {}}']


def test_an_event_of_a_command_stands_before_its_reply() -> None:
    """Also in a pipelined batch, each with its own."""
    rig = Rig()
    rig.say(NEGOTIATE)
    event = b'{"event": "E"}'
    assert rig.say(b'{"execute":"stop","id":1}{"execute":"stop","id":2}') == [
        event,
        b'{"return": {}, "id": 1}',
        event,
        b'{"return": {}, "id": 2}',
    ]


def test_nothing_is_run_behind_the_end() -> None:
    """Commands behind quit get no answer and are not run."""
    rig = Rig()
    rig.say(NEGOTIATE)
    assert rig.say(b'{"execute":"quit"}{"execute":"stop"}') == [b'{"event": "E"}', b'{"return": {}}']
    assert rig.say(b'{"execute":"stop"}') == []
    assert rig.ran == ["quit"]


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (
            b'{"exec-oob":"stop","id":1}',
            b'{"id": 1, "error": {"class": "GenericError", "desc": "The command stop does not support OOB"}}',
        ),
        (
            b'{"exec-oob":"nope"}',
            b'{"error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}',
        ),
        (
            b'{"exec-oob":1}',
            b'{"error": {"class": "GenericError", "desc": "QMP input member \'exec-oob\' must be a string"}}',
        ),
        (
            b'{"exec-oob":"yank","execute":"stop"}',
            b'{"error": {"class": "GenericError", "desc": "QMP input member \'execute\' clashes with \'exec-oob\'"}}',
        ),
    ],
)
def test_out_of_band(data: bytes, reply: bytes) -> None:
    """exec-oob once enabled: only commands that allow it; texts as measured."""
    rig = Rig()
    rig.say(NEGOTIATE)
    assert rig.say(data) == [reply]


def test_out_of_band_command_that_allows_it_runs() -> None:
    """yank may be sent out of band."""
    rig = Rig()
    rig.say(NEGOTIATE)
    assert rig.say(b'{"exec-oob":"yank","id":7}')[-1] == b'{"return": {}, "id": 7}'


def test_capabilities_fall_back_to_none_at_each_connection() -> None:
    """oob enabled by one client is off for the next."""
    rig = Rig()
    rig.say(NEGOTIATE)
    rig.session.open()
    rig.say(b'{"execute":"qmp_capabilities"}')
    assert b"'exec-oob' is unexpected" in rig.say(b'{"exec-oob":"yank"}')[0]


NEGOTIATION_ERRORS = [
    (b'{"enable":["nope"]}', b"Parameter 'null' does not accept value 'nope'"),
    (b'{"enable":[1]}', b"Invalid parameter type for 'enable[0]', expected: string"),
    (b'{"enable":"oob"}', b"Invalid parameter type for 'enable', expected: array"),
    (b'{"enable":null}', b"Invalid parameter type for 'enable', expected: array"),
    (b'{"foo":1}', b"Parameter 'foo' is unexpected"),
]


@pytest.mark.parametrize(("arguments", "desc"), NEGOTIATION_ERRORS)
def test_failed_negotiation_leaves_it_open(arguments: bytes, desc: bytes) -> None:
    """After a refused negotiation a correct one works."""
    rig = Rig()
    rig.session.take()
    assert rig.say(b'{"execute":"qmp_capabilities","arguments":' + arguments + b"}") == [
        b'{"error": {"class": "GenericError", "desc": "' + desc + b'"}}'
    ]
    assert rig.say(NEGOTIATE) == [b'{"return": {}}']


def test_pretty_monitors_lay_out_everything() -> None:
    """Greeting, events and replies have the same layout."""
    rig = Rig(pretty=True)
    rig.session.receive(NEGOTIATE + b'{"execute":"stop"}')
    empty = b'{\r\n    "return": {\r\n    }\r\n}\r\n'
    greeting, event = b'{\r\n    "QMP": {\r\n    }\r\n}\r\n', b'{\r\n    "event": "E"\r\n}\r\n'
    assert rig.session.take() == greeting + empty + event + empty


def test_device_add_takes_any_member(schema: Schema, fresh: Callable[[], Session]) -> None:
    """device_add's members depend on the device; other commands refuse what they do not declare."""
    schema.check("device_add", {"driver": "x", "anything": [1]})
    session = fresh()
    session.receive(b'{"execute":"query-name","arguments":{"anything":1}}')
    assert b"Parameter 'anything' is unexpected" in session.take()


def test_the_reply_of_quit_closes_the_session() -> None:
    """After it the session is closed, what is queued can be taken, later events are dropped."""
    rig = Rig()
    rig.say(NEGOTIATE)
    rig.session.receive(b'{"execute":"quit","id":1}')
    rig.session.send_event(b'{"event": "LATE"}')
    assert rig.session.closed
    assert rig.say(b"") == [b'{"event": "E"}', b'{"return": {}, "id": 1}']


def test_finish_of_an_idle_session_closes_it_at_once() -> None:
    """Another monitor's quit: what was queued before stays, nothing comes after."""
    rig = Rig()
    rig.say(NEGOTIATE)
    rig.session.send_event(b'{"event": "SHUTDOWN"}')
    rig.session.finish()
    rig.session.send_event(b'{"event": "LATE"}')
    assert rig.session.closed
    assert rig.say(b'{"execute":"stop"}') == [b'{"event": "SHUTDOWN"}']


def test_pipelined_commands_wait_while_their_replies_are_not_taken() -> None:
    """One chunk of small commands with large replies: no more is run than the output has room for, then it goes on."""
    rig = Rig()
    rig.say(NEGOTIATE)
    rig.large = Raw(b'"' + b"x" * 100_000 + b'"')
    rig.session.receive(b'{"execute":"query-status"}' * 100)
    assert rig.session.paused
    assert QUEUED_BYTES_MAX < rig.session.queued_bytes < QUEUED_BYTES_MAX + 110_000
    replies = 0
    while data := rig.session.take():
        assert len(data) < QUEUED_BYTES_MAX + 110_000
        replies += data.count(b'{"return"')
        rig.session.resume()
    assert (replies, rig.session.paused, rig.session.queued_bytes) == (100, False, 0)


class Blocking:
    """A session whose command `block` returns a result only when the test says so."""

    def __init__(self, *, oob: bool) -> None:
        self.laters: list[Later] = []
        known = {"block", "name", "oob"}
        self.session = Session(b"{}", self._execute, commands=known.__contains__, oob="oob".__eq__)
        self.session.open()
        enable = b',"arguments":{"enable":["oob"]}' if oob else b""
        self.session.receive(b'{"execute":"qmp_capabilities"%b}' % enable)
        self.session.take()

    def _execute(self, name: str, arguments: dict[str, object]) -> object:
        if name == "block":
            self.laters.append(Later())
            return self.laters[-1]
        return {}

    def said(self) -> list[object]:
        """The ids of the replies since the last look."""
        return [json.loads(line).get("id") for line in self.session.take().splitlines()]


def commands(name: str, *ids: object) -> bytes:
    """Commands of one name."""
    member = "exec-oob" if name == "oob" else "execute"
    return b"".join(json.dumps({member: name, "id": each}).encode() for each in ids)


def test_out_of_band_overtakes_up_to_seven_waiting() -> None:
    """Behind a blocked command seven in-band ones wait in order, and an out-of-band one is answered at once."""
    blocking = Blocking(oob=True)
    blocking.session.receive(commands("block", "b") + commands("name", *range(7)) + commands("oob", "now"))
    assert blocking.said() == ["now"]
    assert not blocking.session.suspended
    blocking.laters[0].finish({})
    assert blocking.said() == ["b", 0, 1, 2, 3, 4, 5, 6]


def test_eight_waiting_suspend_the_monitor() -> None:
    """With eight waiting nothing more is read, not even out of band, until the blocked command is over."""
    blocking = Blocking(oob=True)
    blocking.session.receive(commands("block", "b") + commands("name", *range(8)) + commands("oob", "later"))
    assert blocking.said() == []
    assert blocking.session.suspended and not blocking.session.paused
    blocking.laters[0].finish({})
    assert blocking.said() == ["b", *range(8), "later"]
    assert not blocking.session.suspended


def test_without_out_of_band_nothing_behind_a_blocked_command_is_read() -> None:
    """Strictly one at a time; a second blocking command stops the rest again."""
    blocking = Blocking(oob=False)
    blocking.session.receive(
        commands("block", 1) + commands("name", 2) + commands("block", 3) + commands("name", 4)
    )
    assert blocking.said() == [] and blocking.session.suspended
    blocking.laters[0].finish({})
    assert blocking.said() == [1, 2] and blocking.session.suspended
    blocking.laters[1].finish(QmpError("it failed"))
    assert blocking.said() == [3, 4] and not blocking.session.suspended


def test_a_client_that_leaves_gets_no_late_reply() -> None:
    """A blocked command that ends after its client has gone is answered to nobody, nor to the next client."""
    blocking = Blocking(oob=False)
    blocking.session.receive(commands("block", 1))
    blocking.session.close()
    blocking.session.open()
    blocking.session.take()
    blocking.laters[0].finish({})
    assert blocking.said() == []


@pytest.mark.parametrize(("stays", "told"), [(True, [1, None, 2]), (False, [])])
def test_what_comes_right_behind_a_late_reply(stays: bool, told: list[object]) -> None:
    """It is done before the next command, and also when the client has gone."""
    blocking = Blocking(oob=False)
    done: list[bool] = []

    def afterwards() -> None:
        done.append(True)
        blocking.session.send_event(b'{"event": "E"}')

    blocking.session.receive(commands("block", 1) + commands("name", 2))
    blocking.laters[0].afterwards = afterwards
    if not stays:
        blocking.session.close()
        blocking.session.open()
        blocking.session.take()
    blocking.laters[0].finish({})
    assert (done, blocking.said()) == ([True], told)
