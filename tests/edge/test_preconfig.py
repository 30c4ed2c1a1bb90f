"""--preconfig: which commands are there before x-exit-preconfig, and what that starts; on ours and on QEMU."""

from __future__ import annotations

import json

import pytest
from emulators import Emulator

TOO_EARLY = "The command '{}' is permitted only after machine initialization has completed"


def test_every_command_before_the_machine_is_there(emulator: Emulator) -> None:
    """74 of 216 commands get as far as their arguments, all others are refused before these are looked at."""
    client = emulator.start("--preconfig", "-machine", "none").client()
    commands = [row["name"] for row in client.ask("query-commands")["return"]]
    refused = []
    for name in commands:
        client.send(json.dumps({"execute": name, "arguments": {"no-such": 1}}).encode())
        desc = client.read()["error"]["desc"]
        if desc == TOO_EARLY.format(name):
            refused.append(name)
    assert (len(commands), len(commands) - len(refused)) == (216, 74)
    assert {"cont", "stop", "system_reset", "query-machines", "human-monitor-command"} <= set(refused)
    assert not {"quit", "query-status", "set-action", "qom-list", "x-exit-preconfig"} & set(refused)


@pytest.mark.parametrize(("words", "started"), [((), ["RESUME", "return"]), (("-S",), ["return"])])
def test_leaving_preconfig_starts_the_machine(
    emulator: Emulator, words: tuple[str, ...], started: list[str]
) -> None:
    """prelaunch before; x-exit-preconfig gives RESUME unless -S; a second one is refused, cont is not any more."""
    client = emulator.start("--preconfig", "-machine", "none", *words).client()
    assert client.ask("query-status")["return"]["status"] == "prelaunch"
    assert client.ask("cont")["error"]["desc"] == TOO_EARLY.format("cont")
    client.put("x-exit-preconfig")
    assert client.story("return") == started
    desc = "The command is permitted only before machine initialization"
    assert client.ask("x-exit-preconfig")["error"]["desc"] == desc
    node = client.ask("set-numa-node", type="node")["error"]["desc"]
    assert node == "The command is permitted only before the machine has been created"
    client.put("cont")
    assert client.story("return") == (["RESUME", "return"] if words else ["return"])


def test_slots_have_no_processors_yet(emulator: Emulator) -> None:
    """query-hotpluggable-cpus shows the slot without a path before x-exit-preconfig, and with one after it."""
    client = emulator.start("--preconfig", "-S", "-machine", "q35").client()
    before = client.ask("query-hotpluggable-cpus")["return"]
    client.ask("x-exit-preconfig")
    after = client.ask("query-hotpluggable-cpus")["return"]
    assert [sorted(row) for row in before] == [["props", "type", "vcpus-count"]]
    assert [sorted(row) for row in after] == [["props", "qom-path", "type", "vcpus-count"]]


def test_quit_before_the_machine_is_there(emulator: Emulator) -> None:
    """quit works: SHUTDOWN, the reply, end of file, status 0."""
    client = emulator.start("--preconfig", "-machine", "none").client()
    client.put("quit")
    assert client.story() == ["SHUTDOWN host-qmp-quit", "return", "EOF"]
    assert emulator.finish()[0] == 0
