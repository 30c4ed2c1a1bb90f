"""User objects and types of objects: ours makes, shows and refuses what the real one does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge.emulators import Client

REFUSED = """
-object input-barrier,id=b,name=x,server=127.0.0.1,port=1
-object dbus-vmstate,id=d,addr=unix:path=/none
-object dbus-vmstate,id=d,addr=foo
-object secret_keyring,id=s,serial=1
-object filter-dump,id=f,netdev=n,file=/none/x -netdev user,id=n
-object filter-buffer,id=f,netdev=n,interval=0 -netdev user,id=n
-object filter-mirror,id=f,netdev=n,outdev=x -netdev user,id=n
-object filter-redirector,id=f,netdev=n -netdev user,id=n
-object filter-redirector,id=f,netdev=n,indev=c,outdev=c -netdev user,id=n -chardev null,id=c
-object filter-redirector,id=f,netdev=n,indev=x -netdev user,id=n
-object filter-redirector,id=f,netdev=n,outdev=x -netdev user,id=n
-object filter-replay,id=f,netdev=n,position=foo -netdev user,id=n
-object filter-replay,id=f,netdev=n,status=foo -netdev user,id=n
-object filter-replay,id=f,netdev=n,position=id=g -netdev user,id=n
-object filter-replay,id=f,netdev=n,position=id=f -netdev user,id=n
-object cryptodev-backend-builtin,id=c,queues=2
-object iothread,id=i,thread-pool-min=8,thread-pool-max=4
-object iothread,id=1x
-object rng-random,id=r,filename=/dev/null,opened=off
-object secret,id=s,data=x,loaded=on
-object main-loop,id=m -object main-loop,id=n
-object tls-cipher-suites,id=t
-object thread-context,id=t,cpu-affinity=0,node-affinity=0
-object thread-context,id=t,cpu-affinity=9999
-object thread-context,id=t,node-affinity=120
-object memory-backend-ram,id=m,size=64M,prealloc=on,prealloc-context=x
-object can-host-socketcan,id=c,if=vcan0,canbus=x
-object pr-manager-helper,id=p,path=none
-object filter-mirror,id=f,netdev=x,outdev=c
-object cryptodev-vhost-user,id=c,chardev=x
-object qtest,id=q,chardev=x
-object tls-creds-psk,id=t,endpoint=server,dir=none
-object tls-creds-psk,id=t,endpoint=server
-object tls-creds-psk,id=t,endpoint=server,dir=keys,username=x
-object tls-creds-psk,id=t,endpoint=client,dir=keys
-object tls-creds-psk,id=t,endpoint=client,dir=keys,username=nobody
-object tls-creds-psk,id=t,endpoint=server,dir=/etc/hostname
-object tls-creds-anon,id=t,endpoint=server,dir=/etc/hostname
"""
MADE = """
-object tls-creds-psk,id=t,endpoint=server,dir=keys
-object tls-creds-psk,id=t,endpoint=client,dir=keys,username=alice,priority=NORMAL
-object tls-creds-anon,id=t,endpoint=server,dir=none
-object tls-cipher-suites,id=t,priority=NORMAL
"""
TYPES_APART = 7
"""Of the types that there are each so-manieth is asked about."""
DEADLY = """
colo-compare microvm-machine qio-net-listener x-remote-object virtio-gpu-gl-device virtio-gpu-gl-pci virtio-vga-gl
"""
"""Asked for the properties of these, the real one dies."""


def words(kind: str, folder: Path, line: str) -> list[str]:
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "keys.psk").write_text("alice:9e8d7c6b5a493827\n")
    return [Emulator(kind, folder).program, "-S", "-nodefaults", "-display", "none", *shlex.split(line)]


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_refused(tmp_path: Path, line: str) -> None:
    """Status 1 and the same text."""

    def refused(kind: str) -> tuple[int, str]:
        env = {**os.environ, "QMPEMU_GUEST": "none"}
        done = subprocess.run(
            words(kind, tmp_path, line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            cwd=tmp_path,
            env=env,
            check=False,
        )
        return done.returncode, done.stderr

    real = refused("real")
    assert real[0] == 1 and real[1]
    assert refused("ours") == real


@pytest.mark.parametrize("line", MADE.strip().splitlines())
def test_shown(tmp_path: Path, line: str) -> None:
    """Each property that it has, and what is read of it."""

    def shown(kind: str) -> list[Any]:
        words(kind, tmp_path, line)
        emulator = Emulator(kind, tmp_path).start("-M", "none", *shlex.split(line), cwd=tmp_path)
        try:
            client = emulator.client()
            rows = client.ask("qom-list", path="/objects/t")["return"]
            return [
                (row, client.ask("qom-get", path="/objects/t", property=row["name"]))
                for row in sorted(rows, key=str)
            ]
        finally:
            emulator.kill()

    assert shown("ours") == shown("real")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("start", [0, 3])
def test_types(tmp_path: Path, start: int) -> None:
    """The properties of every type that there is, interfaces and abstract ones too, in the same order."""

    def told(kind: str) -> list[Any]:
        emulator = Emulator(kind, tmp_path).start("-M", "q35", "-S")
        try:
            client = emulator.client()
            names = sorted(row["name"] for row in client.ask("qom-list-types", abstract=True)["return"])
            asked = [name for name in names[start::TYPES_APART] if name not in DEADLY.split()]
            return [(name, text(client, name)) for name in asked]
        finally:
            emulator.kill()

    assert told("ours") == told("real")


def text(client: Client, name: str) -> str:
    return json.dumps(client.ask("qom-list-properties", typename=name))
