"""guests.agent beside the real agent: same bytes in, same bytes out, for framing, checks and refusals."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest

from qmpemu.guests.agent import registry
from tests.guests.qemu_ga import END, ENDED, RealAgent
from tests.guests.rig import CLOUD_SERVER, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("qemu-ga")

PING = b'{"execute": "guest-ping"}'
FRAMING = [
    PING,
    PING + b" " + PING + PING,
    b'{"execute": "guest-ping", "id": {"a": [1, null]}}',
    b'{"execute": "guest-sync", "arguments": {"id": -9223372036854775808}}',
    b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 7}, "id": "x"}',
    b"\xff\xff\xff" + PING,
    b'{"execute":"guest-pi',
    b'{"execute":"guest-ping"',
    b'{"execute":"guest-ping", "arguments": {"x": [[[',
    b"garbage " + PING,
    b"\x00\x01" + PING,
    b"{]",
    b"}",
    b"[]",
    b"1 ",
    b"null ",
    b'"x"',
    b"{}",
    b"{'execute': 'guest-ping'}",
    b'{"execute": "guest-ping" // comment\n}',
    b'{"execute": "guest-\\u0070ing"}',
    b'{"execute": "guest-ping", "id": "\\ud800"}',
    b'{"execute": "guest-ping", "execute": "guest-ping"}',
    b'{"a": ' * 1025 + b"1" + b"}" * 1025,
]
CHECKS = [
    '{"execute": 1}',
    '{"execute": null}',
    '{"execute": "guest-ping", "foo": 1}',
    '{"exec-oob": "guest-ping"}',
    '{"execute": "guest-ping", "exec-oob": "x"}',
    '{"execute": "guest-ping", "arguments": []}',
    '{"execute": "guest-ping", "arguments": {"x": 1}}',
    '{"execute": "guest-ping", "arguments": {"x": 1, "y": 2}}',
    '{"execute": "guest-nonsense"}',
    '{"execute": ""}',
    '{"execute": "guest-sync"}',
    '{"execute": "guest-sync", "id": 3}',
    '{"execute": "guest-sync", "arguments": {"id": "x"}}',
    '{"execute": "guest-sync", "arguments": {"id": true}}',
    '{"execute": "guest-sync", "arguments": {"id": null}}',
    '{"execute": "guest-sync", "arguments": {"id": 1.5}}',
    '{"execute": "guest-sync", "arguments": {"id": 18446744073709551615}}',
    '{"execute": "guest-sync", "arguments": {"id": -1, "x": 1}}',
    '{"execute": "guest-shutdown", "arguments": {"mode": 1}}',
    '{"execute": "guest-set-time", "arguments": {"time": "x"}}',
    '{"execute": "guest-file-open"}',
    '{"execute": "guest-file-open", "arguments": {"path": 1}}',
    '{"execute": "guest-file-read", "arguments": {"handle": 99}}',
    '{"execute": "guest-file-read", "arguments": {"handle": 99, "count": "x"}}',
    '{"execute": "guest-file-write", "arguments": {"handle": 99}}',
    '{"execute": "guest-file-write", "arguments": {"handle": 99, "buf-b64": "!"}}',
    '{"execute": "guest-file-close", "arguments": {"handle": 1}}',
    '{"execute": "guest-file-flush", "arguments": {"handle": 1}}',
    '{"execute": "guest-file-seek", "arguments": {"handle": 99, "offset": 0}}',
    '{"execute": "guest-file-seek", "arguments": {"handle": 99, "offset": 0, "whence": 0}}',
    '{"execute": "guest-file-seek", "arguments": {"handle": 99, "offset": 0, "whence": "zz"}}',
    '{"execute": "guest-file-seek", "arguments": {"handle": 99, "offset": 0, "whence": null}}',
    '{"execute": "guest-file-seek", "arguments": {"handle": 99, "offset": 0, "whence": 1.5}}',
    '{"execute": "guest-exec"}',
    '{"execute": "guest-exec", "arguments": {"path": "x", "arg": "x"}}',
    '{"execute": "guest-exec", "arguments": {"path": "x", "arg": [1]}}',
    '{"execute": "guest-exec", "arguments": {"path": "x", "capture-output": "merged"}}',
    '{"execute": "guest-exec", "arguments": {"path": "x", "input-data": "!!"}}',
    '{"execute": "guest-exec-status"}',
    '{"execute": "guest-exec-status", "arguments": {"pid": 1}}',
    '{"execute": "guest-set-user-password", "arguments": {"username": "u", "crypted": false}}',
    '{"execute": "guest-set-user-password", "arguments": {"username": "u", "password": "!", "crypted": false}}',
    '{"execute": "guest-fsfreeze-freeze-list", "arguments": {"mountpoints": "x"}}',
    '{"execute": "guest-fsfreeze-status"}',
    '{"execute": "guest-fstrim", "arguments": {"minimum": "x"}}',
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAgent]:
    """The real agent, with a client."""
    agent = RealAgent(tmp_path_factory.mktemp("ga"))
    agent.connect()
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def ours() -> Rig:
    """A running guest with ours."""
    return Rig(CLOUD_SERVER).boot()


def answer(rig: Rig, data: bytes) -> bytes:
    """What ours says, as `RealAgent.answer`."""
    got = rig.send(data + END, 10)
    assert got.endswith(ENDED)
    return got.removesuffix(ENDED)


@pytest.mark.parametrize("data", FRAMING, ids=range(len(FRAMING)))
def test_framing(real: RealAgent, ours: Rig, data: bytes) -> None:
    """Messages, half messages, noise and sentinels."""
    assert answer(ours, data) == real.answer(data)


@pytest.mark.parametrize("text", CHECKS)
def test_checks(real: RealAgent, ours: Rig, text: str) -> None:
    """The envelope and every kind of argument."""
    assert answer(ours, text.encode()) == real.answer(text.encode())


def test_random_bytes(real: RealAgent, ours: Rig) -> None:
    """300 sequences of pieces of messages and noise."""
    random = Random(5)
    pieces = [
        *FRAMING[:-1],
        b"\xff",
        b"\n",
        b"{",
        b"}",
        b'"',
        b":",
        b",",
        b"[",
        b"]",
        b"1",
        b"tru",
        b"\\",
        b"\xc3",
    ]
    for _ in range(300):
        data = b"".join(random.choice(pieces) for _ in range(random.randrange(1, 8)))
        assert answer(ours, data) == real.answer(data), data


def test_what_a_client_leaves(real: RealAgent, ours: Rig) -> None:
    """Half a message of one client is completed by the next."""
    real.answer(b"")
    for sent, then in ((b'{"execute": "guest-ping"', b"}"), (b'{"execute": "gue', b"")):
        assert real._socket is not None
        real._socket.sendall(sent)
        real.connect()
        assert ours.send(sent) == b""
        ours.port.host_open(False)
        ours.port.host_open(True)
        assert answer(ours, then) == real.answer(then)


def test_what_is_listed(real: RealAgent, ours: Rig) -> None:
    """guest-info has the same rows in the same order, but for what only one operating system has."""
    asked = b'{"execute": "guest-info"}'
    answers = real.answer(asked), answer(ours, asked)
    theirs, own = (json.loads(each.splitlines()[0])["return"]["supported_commands"] for each in answers)
    theirs = [row for row in theirs if "-ssh-" not in row["name"]]
    assert [(row["name"], row["success-response"]) for row in own] == [
        (row["name"], row["success-response"]) for row in theirs
    ]


def test_a_frozen_agent(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both obey the same few commands while they hold writes, and refuse the others in the same words."""
    real = RealAgent(tmp_path_factory.mktemp("ga"), frozen=True)
    ours = Rig(CLOUD_SERVER, {"agent_answer_ms": "0"}).boot()
    ours.send(b'{"execute": "guest-fsfreeze-freeze"}', 2)
    try:
        real.connect()
        for name in registry.LISTED:
            if name in registry.WHILE_FROZEN - {"guest-fsfreeze-status"}:
                continue
            if not registry.COMMANDS[name].enabled or name == "guest-get-devices":
                continue  # each has its own that it never has
            asked = b'{"execute": "%b"}' % name.encode()
            got = ours.send(asked + END, 0.001).removesuffix(ENDED)
            assert got == real.answer(asked), name
    finally:
        real.close()


LOOSE_BASE64 = [
    "",
    "a",
    "aG",
    "aGk",
    "aGk=aGk=",
    "=aGk",
    "a===",
    "====",
    "aG\nk=",
    "a=k=aGVs",
    "aGk=a",
    "aGk ",
    "\u00e9",
]
FILE_STEPS = [
    ("guest-file-open", {"path": "PATH", "mode": "w+"}),
    ("guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8gd29ybGQ="}),
    ("guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8=", "count": 2}),
    ("guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8=", "count": 6}),
    ("guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8=", "count": -1}),
    ("guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8"}),
    *(("guest-file-write", {"handle": 1000, "buf-b64": text}) for text in LOOSE_BASE64),
    ("guest-file-flush", {"handle": 1000}),
    ("guest-file-seek", {"handle": 1000, "offset": 3, "whence": "set"}),
    ("guest-file-read", {"handle": 1000, "count": 4}),
    ("guest-file-seek", {"handle": 1000, "offset": -2, "whence": 1}),
    ("guest-file-seek", {"handle": 1000, "offset": 100, "whence": "end"}),
    ("guest-file-read", {"handle": 1000}),
    ("guest-file-read", {"handle": 1000, "count": 50331648}),
    ("guest-file-read", {"handle": 1000, "count": 50331649}),
    ("guest-file-seek", {"handle": 1000, "offset": 0, "whence": 7}),
    ("guest-file-open", {"path": "PATH2", "mode": "w"}),
    ("guest-file-close", {"handle": 1000}),
    ("guest-file-close", {"handle": 1000}),
    ("guest-file-close", {"handle": 1001}),
]


def test_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file written, read and left: handles, counts, positions and refusals are the same."""
    folder = tmp_path_factory.mktemp("ga")
    real, ours = RealAgent(folder), Rig(CLOUD_SERVER).boot()
    try:
        real.connect()
        for name, arguments in FILE_STEPS:
            asked = json.dumps({"execute": name, "arguments": arguments})
            theirs = real.answer(asked.replace("PATH", f"{folder}/f").encode())
            own = answer(ours, asked.replace("PATH", "C:\\\\Temp\\\\f").encode())
            assert own == theirs, asked
    finally:
        real.close()


def test_the_end_of_a_program(real: RealAgent, ours: Rig) -> None:
    """The same members tell of it, once; after that both know no such pid."""
    ends = []
    for ask, words in (
        (real.answer, {"path": "sh", "arg": ["-c", "echo a; echo b >&2; exit 3"]}),
        (lambda data: answer(ours, data), {"path": "cmd.exe", "arg": ["/c", "echo a& echo b 1>&2& exit 3"]}),
    ):
        request = {"execute": "guest-exec", "arguments": {**words, "capture-output": True}}
        pid = json.loads(ask(json.dumps(request).encode()).splitlines()[0])["return"]["pid"]
        status = json.dumps({"execute": "guest-exec-status", "arguments": {"pid": pid}}).encode()
        told: dict[str, object] = {"exited": False}
        while told == {"exited": False}:
            told = json.loads(ask(status).splitlines()[0])["return"]
        ends.append((sorted(told), told["exitcode"], told["out-truncated"], ask(status)))
    assert ends[0] == ends[1]
