"""Our session and the real QEMU 7.2 answer the same bytes to the same bytes (facts/qmp-wire.md is the map)."""

from __future__ import annotations

import json
import random
import socket
import string
from collections.abc import Callable

import pytest
from corpus import BROKEN, ENVELOPES, IDS, ODD, RECOVERY
from qemu_peer import RealQemu, read_line

from qmpemu.qmp.encode import encode
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.schema import Schema
from qmpemu.qmp.session import Session

pytestmark = pytest.mark.xdist_group("real-qemu")


def answer(session: Session, chunks: list[bytes]) -> bytes:
    """What our session says to `chunks` and the recovery command, without the latter's answer."""
    for chunk in [*chunks, *[RECOVERY[i : i + 1] for i in range(len(RECOVERY))]]:
        session.receive(chunk)
    return b"".join(session.take().splitlines(keepends=True)[:-1])


@pytest.mark.parametrize("data", IDS + ENVELOPES + BROKEN + ODD, ids=lambda data: repr(data[:40]))
def test_same_answer_whole_and_byte_by_byte(
    data: bytes, real: RealQemu, wire: socket.socket, fresh: Callable[[], Session]
) -> None:
    """Each case of the corpus gets QEMU's own bytes, however it is cut into pieces."""
    expected = real.answer(wire, data)
    assert answer(fresh(), [data]) == expected
    assert answer(fresh(), [data[i : i + 1] for i in range(len(data))]) == expected


def test_random_neighbours(real: RealQemu, wire: socket.socket, fresh: Callable[[], Session]) -> None:
    """Cases glued together at random give the same bytes: recovery leaves the same state behind."""
    pick = random.Random(20)
    for _ in range(150):
        glued = b"".join(pick.choice([*IDS, *ENVELOPES, *BROKEN, *ODD]) for _ in range(pick.randrange(2, 6)))
        assert answer(fresh(), [glued]) == real.answer(wire, glued), glued


def test_member_order_and_numbers_of_random_ids(wire: socket.socket) -> None:
    """An echoed object of random members comes back in the order, escaping and number form that we give it."""
    pick = random.Random(1)
    letters = string.printable[:94] + "éж\u2028😀"
    values = [
        1,
        2.5,
        -0.0,
        "a\x7f\x01é😀",
        None,
        True,
        [],
        {},
        [1, {}],
        2**63,
        -(2**63),
        0.1,
        1e300,
        "\\/\"'",
    ]
    for _ in range(60):
        names = ("".join(pick.choice(letters) for _ in range(pick.randrange(20))) for _ in range(60))
        sent = {name: pick.choice(values) for name in names}
        wire.sendall(json.dumps({"execute": "query-name", "id": sent}).encode())
        assert read_line(wire) == encode({"return": {}, "id": sent}) + b"\r\n"


HARMLESS = """
    query-version query-stats query-cpu-model-expansion query-rocker device-list-properties qom-list qom-get qom-set
    object-add object-del migrate-set-capabilities migrate_cancel set-action balloon block_resize blockdev-add
    blockdev-del block-commit nbd-server-start device_del chardev-add chardev-remove human-monitor-command send-key
    netdev_add set_link set_password expire_password transaction blockdev-backup job-cancel watchdog-set-action
    getfd add-fd remove-fd query-named-block-nodes input-send-event dump-guest-memory query-block screendump
""".split()


def test_wrong_arguments(wire: socket.socket, schema: Schema) -> None:
    """What our schema refuses, QEMU refuses with the same class and text, over many commands."""
    pick = random.Random(3)
    pool = [None, True, 1, -1, 1.5, "x", "", [], ["a"], [1], {}, {"foo": 1}, [{}]]
    refused = 0
    for command in HARMLESS:
        members = [m["name"] for m in schema.members(command)]
        for _ in range(25):
            arguments = {name: pick.choice(pool) for name in members if pick.random() < 0.6}
            if pick.random() < 0.4:
                arguments["foo"] = 1
            with pytest.raises(QmpError) as ours:  # noqa: PT012
                schema.check(command, arguments)
                raise QmpError("accepted")
            if ours.value.desc == "accepted":
                continue
            wire.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            theirs = json.loads(read_line(wire))
            assert theirs == {"error": {"class": ours.value.cls, "desc": ours.value.desc}}, (
                command,
                arguments,
            )
            refused += 1
    assert refused > 500
