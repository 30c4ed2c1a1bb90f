"""Migration between two libvirtds, on each way that libvirt knows: the guest arrives as it left, and in one place."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.certificates import usual
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
def hosts(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Libvirtd, Libvirtd]]:
    """Two libvirtds on one network, with certificates for each other."""
    folder = usual(tmp_path_factory.mktemp("certificates")).folder / "good.d"
    settings = f'default_tls_x509_cert_dir = "{folder}"\ndefault_tls_x509_verify = 1\nvnc_tls = 1\n'
    with (
        Libvirtd({QEMU: str(ours)}, kvm="ensure", settings=settings) as here,
        Libvirtd({QEMU: str(ours)}, kvm="ensure", settings=settings, beside=here) as there,
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
    "tls": "--live --tls --migrateuri tcp:127.0.0.1:49222",
    "parallel tls": "--live --tls --parallel --migrateuri tcp:127.0.0.1:49223",
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


def test_a_paused_domain_arrives_paused(make: Callable[..., Domain]) -> None:
    """And goes on there when it is resumed."""
    domain = make()
    domain.here.ok("suspend", domain.name)
    done = domain.migrate("--live", "--migrateuri", "tcp:127.0.0.1:49217")
    assert done.returncode == 0, done.stderr
    assert domain.states() == ("shut off (migrated)", "paused (user)")
    domain.there.ok("resume", domain.name)
    assert domain.act(domain.there, "save_document", "A.docx")


@pytest.mark.parametrize("tls", [(), ("--tls",)])
def test_storage_is_copied_along(make: Callable[..., Domain], tls: tuple[str, ...]) -> None:
    """--copy-storage-all: what was written here is in the image there; the mirror and the NBD server are gone."""
    domain = make()
    disk = domain.here.root / "disks" / f"{domain.name}.qcow2"
    there = domain.there.root / "disks" / disk.name
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", there, "64M"], check=True)
    xml_there = domain.here.root / "there.xml"
    xml_there.write_text(
        domain.here.ok("dumpxml", domain.name, "--migratable").replace(str(disk), str(there))
    )
    done = domain.migrate(
        *"--live --copy-storage-all --listen-address 127.0.0.1 --migrateuri tcp:127.0.0.1:49218".split(),
        *tls,
        "--xml",
        str(xml_there),
    )
    assert done.returncode == 0, done.stderr + domain.there.logs()
    assert domain.states() == ("shut off (migrated)", "running (migrated)")
    assert domain.act(domain.there, "save_document", "A.docx")
    jobs = domain.there.ok("qemu-monitor-command", domain.name, '{"execute": "query-block-jobs"}')
    assert '"return":[]' in jobs


BACKUP = """\
<domainbackup mode='pull'>
  <server transport='tcp' name='127.0.0.1' port='49225' tls='yes'/>
  <disks><disk name='vda' backup='yes' type='file'><scratch file='{scratch}'/></disk></disks>
</domainbackup>
"""
SERIAL = """\
<serial type='tcp'><source mode='bind' host='127.0.0.1' service='49224' tls='yes'/><protocol type='raw'/></serial>
</devices>"""


def test_what_else_speaks_tls(hosts: tuple[Libvirtd, Libvirtd]) -> None:
    """A serial line, VNC for viewers, and a pull backup's NBD server, by libvirt's settings."""
    here, _ = hosts
    disk, file = here.root / "disks/tls.qcow2", here.root / "tls.xml"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
    emulator = str(here.root / "bin" / QEMU)
    text = xml.windows("tls", emulator, disk, memory_mib=256, env={"QMPEMU_GUEST": "windows-10"})
    file.write_text(text.replace("</devices>", SERIAL).replace("<graphics", "<graphics websocket='-1'"))
    here.ok("create", str(file))
    shown = here.ok("qemu-monitor-command", "tls", '{"execute": "query-vnc-servers"}')
    assert '"vencrypt":"x509-none"' in shown
    assert '"websocket":true' in shown
    folder = (here.root / "etc/qemu.conf").read_text().split('"')[-2]
    trust = f"-CAfile {folder}/ca-cert.pem -cert {folder}/client-cert.pem -key {folder}/client-key.pem"
    connect = f"openssl s_client -connect 127.0.0.1:49224 -verify_return_error {trust} -brief </dev/null"
    assert here.inside(f"timeout 10 {connect} >/dev/null 2>&1") == 0
    backup = here.root / "backup.xml"
    backup.write_text(BACKUP.format(scratch=here.root / "disks/scratch.qcow2"))
    here.ok("backup-begin", "tls", str(backup))
    look = "qemu-img info --image-opts driver=nbd,host=127.0.0.1,port=49225,export=vda"
    credentials = f"--object tls-creds-x509,id=c,endpoint=client,dir={folder}"
    assert here.inside(f"{look},tls-creds=c {credentials} >/dev/null 2>&1") == 0
    assert here.inside(f"{look} >/dev/null 2>&1") == 1
    here.ok("domjobabort", "tls")
    here.ok("destroy", "tls")


def test_there_and_back_again(make: Callable[..., Domain]) -> None:
    """Two moves: what was done at either host is still there."""
    domain = make()
    done = domain.migrate("--live", "--migrateuri", "tcp:127.0.0.1:49219")
    assert done.returncode == 0, done.stderr
    assert domain.act(domain.there, "edit_document", "B.docx")
    back = ("--unsafe", "--live", "--migrateuri", "tcp:127.0.0.1:49220", domain.name, domain.here.uri)
    done = domain.there.virsh("migrate", *back)
    assert done.returncode == 0, done.stderr
    assert domain.states() == ("running (migrated)", "")
    assert domain.act(domain.here, "save_document", "A.docx")
    assert domain.act(domain.here, "save_document", "B.docx")


ENDLESS = "used=200M,dirty=400M,link=300M"
"""QMPEMU_MEMORY of a guest that writes faster than the network carries."""
TIME_S = "5"
"""virsh's --timeout. It acts once: before memory goes over, as on a busy machine, nothing ends the migration."""


def under_way(make: Callable[..., Domain], *options: str) -> tuple[Domain, subprocess.Popen[str]]:
    """A migration that would not end by itself, with memory going over."""
    domain = make(QMPEMU_MEMORY=ENDLESS)
    command = ["--unsafe", "--live", "--migrateuri", "tcp:127.0.0.1:49221", *options]
    virsh = domain.here.started("migrate", *command, domain.name, domain.there.uri)
    until(lambda: "Iteration:" in domain.here.virsh("domjobinfo", domain.name).stdout, "memory goes over")
    return domain, virsh


def ended(virsh: subprocess.Popen[str]) -> int:
    """Its exit status."""
    virsh.communicate(timeout=60)
    return virsh.returncode


def test_a_migration_that_does_not_converge_is_aborted(make: Callable[..., Domain]) -> None:
    """domjobinfo shows figures meanwhile; after domjobabort the guest is here and nothing is there."""
    domain, virsh = under_way(make)
    shown = domain.here.ok("domjobinfo", domain.name)
    assert "Outgoing migration" in shown
    assert "Dirty rate:" in shown
    domain.here.ok("domjobabort", domain.name)
    assert "canceled by client" in virsh.communicate(timeout=20)[1]
    assert domain.states() == ("running (booted)", "")
    assert domain.act(domain.here, "save_document", "A.docx")


def test_the_guest_is_suspended_when_time_is_up(make: Callable[..., Domain]) -> None:
    """--timeout --timeout-suspend: standing still, its memory converges."""
    domain, virsh = under_way(make, "--timeout", TIME_S, "--timeout-suspend")
    assert ended(virsh) == 0
    assert domain.states()[0] == "shut off (migrated)"
    assert domain.act(domain.there, "save_document", "A.docx")


def test_postcopy_ends_what_does_not_converge(make: Callable[..., Domain]) -> None:
    """--timeout --timeout-postcopy: the guest runs there while its memory follows."""
    domain, virsh = under_way(make, "--postcopy", "--timeout", TIME_S, "--timeout-postcopy")
    assert ended(virsh) == 0
    assert domain.states() == ("shut off (migrated)", "running (migrated)")
    assert "Suspended Post-copy" in domain.here.lifecycle(domain.name)
    resumed = {
        "Resumed Post-copy",
        "Resumed Migrated",
    }  # the latter where all memory has come before libvirt looks
    assert resumed & set(domain.there.lifecycle(domain.name))
    assert domain.act(domain.there, "save_document", "A.docx")


def test_a_longer_downtime_ends_what_does_not_converge(make: Callable[..., Domain]) -> None:
    """migrate-setmaxdowntime, under way."""
    domain, virsh = under_way(make)
    assert domain.here.ok("migrate-getmaxdowntime", domain.name) == "300"
    domain.here.ok("migrate-setmaxdowntime", domain.name, "5000")
    assert ended(virsh) == 0
    assert domain.states() == ("shut off (migrated)", "running (migrated)")


@pytest.mark.parametrize("who", ["destination", "source"])
def test_whoever_is_killed_while_memory_goes_over(make: Callable[..., Domain], who: str) -> None:
    """The destination: the guest runs on here. The source: it is gone as by a power failure, and starts again."""
    domain, virsh = under_way(make)
    host = domain.there if who == "destination" else domain.here
    host.inside(f"kill -KILL {host.emulator_pid(domain.name)}")
    assert ended(virsh) != 0
    if who == "destination":
        assert domain.states() == ("running (booted)", "")
        assert domain.act(domain.here, "save_document", "A.docx")
    else:
        assert domain.states() == ("shut off (crashed)", "")
        domain.here.ok("start", domain.name)
