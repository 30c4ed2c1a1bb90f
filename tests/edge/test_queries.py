"""Every query without arguments answers on ours as on the real QEMU, for each family of machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulators import Emulator

QUERY = re.compile(r"(x-)?query-")
VOLATILE = (
    (rb"/[^\"]*/qmp\.sock", b"<socket>"),
    (rb'"thread-id": \d{2,}', b'"thread-id": <tid>'),
    (rb"gen code size +0/\d+", b"gen code size <size>"),
)
"""What differs from process or host: the socket's path, thread ids, the size of the translation buffer."""


def answers(emulator: Emulator, machine: str) -> dict[str, bytes]:
    """Each query's reply, volatile values replaced."""
    client = emulator.start("-machine", machine, "-S").client()
    client.ask("qom-list-types")  # loads modules, which makes the real one list more options afterwards
    schema = client.ask("query-qmp-schema")["return"]
    types = {info["name"]: info for info in schema}
    replies = {}
    for info in schema:
        if info["meta-type"] != "command" or not QUERY.match(info["name"]):
            continue
        if all("default" in member for member in types[info["arg-type"]]["members"]):
            client.put(info["name"])
            reply = client.read_line()
            for pattern, stands_for in VOLATILE:
                reply = re.sub(pattern, stands_for, reply)
            replies[info["name"]] = reply
    return replies


@pytest.mark.parametrize("machine", ["none", "q35", "pc"])
def test_queries_answer_as_real_qemu(machine: str, tmp_path: Path) -> None:
    """All 68; bytes compared, but for paths, thread ids and the size of a buffer that follows the host's memory."""
    found = {}
    for kind in ("real", "ours"):
        folder = tmp_path / kind
        folder.mkdir()
        emulator = Emulator(kind, folder)
        try:
            found[kind] = answers(emulator, machine)
        finally:
            emulator.kill()
    assert len(found["real"]) == 68
    differing = {name: reply for name, reply in found["ours"].items() if reply != found["real"][name]}
    assert differing == {}
