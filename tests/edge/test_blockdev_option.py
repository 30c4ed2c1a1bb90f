"""-blockdev: the plain form and JSON, on ours and beside the real one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator

MADE_UP = re.compile(r"#block\d+")

NODES = [
    "driver=null-co,node-name=a,size=4096,read-zeroes=on",
    "driver=null-co,node-name=a,size=0x1000",
    "driver=null-co,node-name=a,driver=null-aio",
    "null-co,node-name=a",
    "driver=quorum,node-name=a,vote-threshold=1,children.0.driver=null-co,children.1.driver=null-co",
    "driver=raw,node-name=a,offset=512,file.driver=null-co,file.size=1024,auto-read-only=off",
    "driver=raw,node-name=a,read-only=on,file.driver=null-co",
    "driver=raw,node-name=a,file.driver=file,file.filename=top.qcow2",
    "driver=qcow2,node-name=a,file.driver=file,file.filename=top.qcow2",
    "driver=qcow2,node-name=a,read-only=on,file.driver=file,file.filename=base.qcow2,file.locking=off",
    '{"driver":"qcow2","node-name":"a","backing":null,"file":{"driver":"file","filename":"base.qcow2"}}',
]

REFUSED = {
    "driver=qcow2,node-name=a,file.driver=file,file.filename=/no": "Could not open '/no': No such file or directory",
    "driver=file,node-name=a,filename=/none,foo=1": "Parameter 'foo' is unexpected",
    "driver=file,node-name=a": "Parameter 'filename' is missing",
    "node-name=a": "Parameter 'driver' is missing",
    "driver=null-co": "'node-name' must be specified for the root node",
    "driver=null-co,node-name=1a": "Invalid node-name: '1a'",
    "driver=nope,node-name=a": "Parameter 'driver' does not accept value 'nope'",
    "driver=null-co,node-name=a,size=1M": "Parameter 'size' expects integer",
    "driver=null-co,node-name=a,size=99999999999999999999": "Parameter 'size' expects integer",
    "driver=null-co,node-name=a,read-zeroes=1": "Parameter 'read-zeroes' expects 'on' or 'off'",
    "driver=null-co,node-name=a,cache.foo=1": "Parameter 'cache.foo' is unexpected",
    "driver=null-co,node-name=a,foo": "Expected '=' after parameter 'foo'",
    "driver=null-co,node-name=a,.": "Invalid parameter '.'",
    "driver=null-co,node-name=a,help": "Help is not available for this option",
    "driver=raw,node-name=a,file..x=1": "Invalid parameter 'file..x'",
    "driver=raw,node-name=a,file.0.x=1": "Invalid parameter type for 'file', expected: BlockdevRef",
    "driver=raw,node-name=a,file.driver=file,file=b": "Parameters 'file.*' used inconsistently",
    "driver=quorum,node-name=a,vote-threshold=1,children.0=b,children.2=b": "Parameter 'children.1' missing",
    '{"driver":"null-co","node-name":"a","foo":1}': "Parameter 'foo' is unexpected",
    '{"driver":"null-co","node-name":"a","size":"1"}': "Invalid parameter type for 'size', expected: integer",
}


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run("qemu-img create -q -f qcow2 base.qcow2 1G".split(), check=True)
    subprocess.run("qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2".split(), check=True)


def shown(emulator: Emulator, option: str) -> Any:
    """query-named-block-nodes, without names that are made up."""
    emulator.start("-machine", "none", "-blockdev", option)
    reply = emulator.client().ask("query-named-block-nodes")["return"]
    emulator.kill()
    return json.loads(MADE_UP.sub("#block", json.dumps(reply)))


@pytest.mark.parametrize("option", NODES)
def test_nodes_are_shown_as_the_real_one_shows_them(tmp_path: Path, option: str) -> None:
    """Implicit nodes, what is inherited, and images by their headers; exotic drivers too."""
    assert shown(Emulator("ours", tmp_path), option) == shown(Emulator("real", tmp_path), option)


@pytest.mark.parametrize(("option", "text"), REFUSED.items())
def test_what_is_refused(emulator: Emulator, option: str, text: str) -> None:
    """In one sentence, at the start, by both."""
    emulator.start("-machine", "none", "-blockdev", option)
    status, errors = emulator.finish()
    assert (status, errors.strip().partition(f"-blockdev {option}: ")[2]) == (1, text)
