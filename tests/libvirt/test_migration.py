"""Migration between two libvirtds, on each way that libvirt knows: the guest arrives as it left, and in one place."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.libvirt import domain as xml
from tests.libvirt.libvirtd import Libvirtd, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("migration"), pytest.mark.timeout(120)]
QEMU = "qemu-system-x86_64"
ACT = '{"execute": "__org.qmpemu_%s", "arguments": {"value": "%s"}}'
"""At the guest's console, through libvirt."""
SPEED = "40x"


@pytest.fixture(scope="module")
def hosts(ours: Path) -> Iterator[tuple[Libvirtd, Libvirtd]]:
    """Two libvirtds on one network."""
    with (
        Libvirtd({QEMU: str(ours)}, kvm="ensure") as here,
        Libvirtd({QEMU: str(ours)}, kvm="ensure", beside=here) as there,
    ):
        here.watch_events()
        there.watch_events()
        yield here, there


class Domain:
    """A Windows with a document open, on the first of two hosts."""

    def __init__(self, hosts: tuple[Libvirtd, Libvirtd], name: str, **environment: str) -> None:
        self.here, self.there = hosts
        self.name = name
        self._base = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": SPEED, **environment}
        disk = self.here.root / "disks" / f"{name}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
        self._define(self.here, disk)
        self.here.ok("start", name)
        until(lambda: self.act(self.here, "edit_document", "A.docx"), "somebody is logged on and types")

    def _define(self, host: Libvirtd, disk: Path) -> None:
        file = host.root / f"{self.name}.xml"
        emulator = str(host.root / "bin" / QEMU)
        file.write_text(xml.windows(self.name, emulator, disk, memory_mib=256, env=self._base))
        host.ok("define", str(file))

    def act(self, host: Libvirtd, act: str, value: str) -> bool:
        """Whether somebody could do it there."""
        return '"return"' in host.ok("qemu-monitor-command", self.name, ACT % (act, value))

    def migrate(self, *options: str) -> subprocess.CompletedProcess[str]:
        """To the other host; the image is on storage that both see, which libvirt cannot know."""
        return self.here.virsh("migrate", "--unsafe", *options, self.name, self.there.uri)

    def states(self) -> tuple[str, str]:
        """Here, and there: empty where the domain is unknown."""
        return tuple(  # type: ignore[return-value]
            host.virsh("domstate", self.name, "--reason").stdout.strip() for host in (self.here, self.there)
        )

    def gone(self) -> None:
        """Leave nothing behind."""
        for host in (self.here, self.there):
            host.virsh("destroy", self.name)
            host.virsh("undefine", self.name)


@pytest.fixture
def make(hosts: tuple[Libvirtd, Libvirtd], request: pytest.FixtureRequest) -> Iterator[Callable[..., Domain]]:
    """make(**environment) -> a running domain, gone when the test ends."""
    made: list[Domain] = []

    def make_(**environment: str) -> Domain:
        number = sum(map(ord, request.node.name))
        made.append(Domain(hosts, f"m{number}", **environment))
        return made[-1]

    yield make_
    for domain in made:
        domain.gone()


WAYS = {
    "tcp": "--live --migrateuri tcp:127.0.0.1:49210",
    "unix": "--live --migrateuri unix://{root}/to.sock",
    "p2p": "--live --p2p --migrateuri tcp:127.0.0.1:49211",
    "tunnelled": "--live --p2p --tunnelled",
    "postcopy": "--live --postcopy --postcopy-after-precopy --migrateuri tcp:127.0.0.1:49212",
    "parallel": "--live --parallel --parallel-connections 3 --migrateuri tcp:127.0.0.1:49213",
    "auto-converge": "--live --auto-converge --auto-converge-initial 30 --migrateuri tcp:127.0.0.1:49214",
    "xbzrle": "--live --compressed --comp-methods xbzrle --migrateuri tcp:127.0.0.1:49215",
    "offline memory": "--migrateuri tcp:127.0.0.1:49216",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_guest_arrives_as_it_left(make: Callable[..., Domain], way: str) -> None:
    """Shut off (migrated) here, running (migrated) there, and the document that was open can be saved there."""
    domain = make()
    done = domain.migrate(*WAYS[way].format(root=domain.here.root).split())
    assert done.returncode == 0, done.stderr + domain.there.logs()
    assert domain.states() == ("shut off (migrated)", "running (migrated)")
    assert domain.act(domain.there, "save_document", "A.docx")
    until(lambda: "Resumed Migrated" in domain.there.lifecycle(domain.name), "the other host tells it")
    assert domain.here.lifecycle(domain.name)[-2:] == ["Suspended Migrated", "Stopped Migrated"]
    assert domain.there.lifecycle(domain.name) == ["Started Migrated", "Resumed Migrated"]
    assert "Completed" in domain.here.ok("domjobinfo", domain.name, "--completed")
