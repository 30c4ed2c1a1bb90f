"""qmp.schema: argument checks of every command, beside the real QEMU (facts/qmp-wire.md §5)."""

from __future__ import annotations

import json
import random
import socket

import pytest
from qemu_peer import read_line

from qmpemu.edge import shipped
from qmpemu.edge.conform.arguments import Arguments
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.schema import OPEN_COMMANDS, Schema

pytestmark = pytest.mark.xdist_group("real-qemu")


def refusal(schema: Schema, command: str, arguments: dict[str, object]) -> str | None:
    """The text our schema refuses with, None if it accepts."""
    try:
        schema.check(command, arguments)
    except QmpError as error:
        return error.desc
    return None


def raw(text: str) -> dict[str, object]:
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


CASES = [
    ("human-monitor-command", "{}", "Parameter 'command-line' is missing"),
    ("human-monitor-command", '{"foo":1}', "Parameter 'command-line' is missing"),
    (
        "human-monitor-command",
        '{"command-line":null}',
        "Invalid parameter type for 'command-line', expected: string",
    ),
    ("query-status", '{"foo":1}', "Parameter 'foo' is unexpected"),
    ("query-status", '{"a":1,"b":1,"c":1,"d":1}', "Parameter 'b' is unexpected"),
    ("balloon", '{"value":1.0}', "Invalid parameter type for 'value', expected: integer"),
    ("balloon", '{"value":true}', "Invalid parameter type for 'value', expected: integer"),
    ("balloon", '{"value":9223372036854775808}', "Invalid parameter type for 'value', expected: integer"),
    ("set-action", '{"reboot":"x"}', "Parameter 'reboot' does not accept value 'x'"),
    ("set-action", '{"reboot":1}', "Invalid parameter type for 'reboot', expected: string"),
    (
        "migrate-set-capabilities",
        '{"capabilities":[{"capability":"xbzrle"}]}',
        "Parameter 'capabilities[0].state' is missing",
    ),
    (
        "migrate-set-capabilities",
        '{"capabilities":{}}',
        "Invalid parameter type for 'capabilities', expected: array",
    ),
    (
        "migrate-set-capabilities",
        '{"capabilities":[1]}',
        "Invalid parameter type for 'capabilities[0]', expected: object",
    ),
    ("migrate-set-parameters", '{"multifd-channels":256}', "Parameter 'multifd-channels' expects uint8_t"),
    ("migrate-set-parameters", '{"multifd-channels":"x"}', "Parameter 'multifd-channels' expects uint64"),
    (
        "migrate-set-parameters",
        '{"tls-creds":1}',
        "Invalid parameter type for 'tls-creds', expected: StrOrNull",
    ),
    ("set-numa-node", '{"type":"node","cpus":["x"]}', "Parameter 'cpus[0]' expects uint64"),
    ("set-numa-node", '{"type":"node","cpus":[-1]}', "Parameter 'null' expects uint16_t"),
    ("set-numa-node", '{"type":"nope"}', "Parameter 'type' does not accept value 'nope'"),
    ("set-numa-node", "{}", "Parameter 'type' is missing"),
    (
        "object-add",
        '{"qom-type":"memory-backend-ram","id":"a","size":"x"}',
        "Parameter 'size' expects uint64",
    ),
    ("block_resize", '{"size":"x"}', "Invalid parameter type for 'size', expected: integer"),
    ("netdev_add", '{"type":"nope"}', "Parameter 'id' is missing"),
    ("netdev_add", '{"type":"user","id":"a","foo":1}', "Parameter 'foo' is unexpected"),
    ("blockdev-add", '{"driver":"raw","file":1}', "Invalid parameter type for 'file', expected: BlockdevRef"),
    ("blockdev-add", '{"driver":"raw","file":{}}', "Parameter 'file.driver' is missing"),
    (
        "blockdev-add",
        '{"driver":"raw","file":{"driver":"nope"}}',
        "Parameter 'driver' does not accept value 'nope'",
    ),
    (
        "blockdev-add",
        '{"driver":"qcow2","file":"x","backing":5}',
        "Invalid parameter type for 'backing', expected: BlockdevRefOrNull",
    ),
    (
        "blockdev-add",
        '{"driver":"qcow2","file":"x","overlap-check":5}',
        "Invalid parameter type for 'overlap-check', expected: Qcow2OverlapChecks",
    ),
    (
        "blockdev-add",
        '{"driver":"quorum","vote-threshold":1,"children":[5]}',
        "Invalid parameter type for 'null', expected: BlockdevRef",
    ),
    (
        "block-dirty-bitmap-merge",
        '{"node":"x","target":"x","bitmaps":[1]}',
        "Invalid parameter type for 'null', expected: BlockDirtyBitmapOrStr",
    ),
    (
        "send-key",
        '{"keys":[{"type":"qcode","data":"nope"}]}',
        "Parameter 'data' does not accept value 'nope'",
    ),
    (
        "send-key",
        '{"keys":[{"type":"number","data":1.5}]}',
        "Invalid parameter type for 'keys[0].data', expected: integer",
    ),
    ("device_add", "{}", "Parameter 'driver' is missing"),
]


@pytest.mark.parametrize(("command", "arguments", "desc"), CASES)
def test_texts(command: str, arguments: str, desc: str, schema: Schema, wire: socket.socket) -> None:
    """The text of the table is ours and the real QEMU's."""
    assert refusal(schema, command, raw(arguments)) == desc
    wire.sendall(b'{"execute":"%b","arguments":%b}' % (command.encode(), arguments.encode()))
    assert json.loads(read_line(wire))["error"]["desc"] == desc


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("query-status", "{}"),
        ("set-action", '{"reboot":"reset","panic":"none"}'),
        ("migrate-set-parameters", '{"multifd-channels":255,"tls-creds":null,"max-bandwidth":-1}'),
        ("blockdev-add", '{"driver":"qcow2","file":{"driver":"file","filename":"x"},"backing":null}'),
        ("device_add", '{"driver":"x","anything":[1]}'),
        ("qom-set", '{"path":"/","property":"x","value":{"a":[null]}}'),
        ("set-numa-node", '{"type":"node","cpus":[65535],"mem":18446744073709551615}'),
    ],
)
def test_right_arguments(command: str, arguments: str, schema: Schema) -> None:
    """Nothing is refused that QEMU's own checks let pass."""
    assert refusal(schema, command, raw(arguments)) is None


def test_every_command_refuses_as_qemu_does(schema: Schema, wire: socket.socket) -> None:
    """Random arguments for every command get the very text; a member that no command has keeps them all harmless."""
    wire.sendall(b'{"execute":"query-qmp-schema"}')
    infos = json.loads(read_line(wire))["return"]
    pick, arguments_of = random.Random(3), Arguments(infos)
    for command in sorted(set(schema.commands) - OPEN_COMMANDS) * 12:
        arguments = {**arguments_of.of(command, pick), "no-such-member": 1}
        wire.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        theirs = json.loads(read_line(wire))["error"]["desc"]
        assert refusal(schema, command, arguments) == theirs, (command, arguments)


def test_the_recorded_schema_lists_what_qemu_lists(schema: Schema, wire: socket.socket) -> None:
    """Commands, and those that may be sent out of band, are those of the real one."""
    wire.sendall(b'{"execute":"query-qmp-schema"}')
    theirs = Schema(json.dumps(json.loads(read_line(wire))["return"]).encode())
    assert schema.commands == theirs.commands
    assert schema.oob == {"migrate-recover", "migrate-pause", "yank", "query-yank"} == theirs.oob


def test_an_entry_is_found_wherever_it_stands(schema: Schema) -> None:
    """Asked for one by one, entries are those of the whole; a member's name, or a piece of JSON, is none of them."""
    infos = json.loads(shipped.profile(None).schema_bytes())
    assert [schema.info(info["name"]) for info in infos] == infos
    members = {member.get("name", "") for info in infos for member in info.get("members", [])}
    unknown = [*sorted(members - {info["name"] for info in infos})[:9], 'stop", "meta-type": "command', '"']
    assert not any(map(schema.has, unknown))
    turned = Schema(json.dumps([dict(reversed(info.items())) for info in infos]).encode())
    assert turned.has("stop")
    assert turned.commands == schema.commands


def test_nesting_deeper_than_the_stack(schema: Schema) -> None:
    """Arguments nested as deep as the lexer lets them are checked, to the innermost."""
    inner: dict[str, object] = {"driver": "nope"}
    for _ in range(1000):
        inner = {"driver": "raw", "file": inner}
    assert refusal(schema, "blockdev-add", inner) == "Parameter 'driver' does not accept value 'nope'"
