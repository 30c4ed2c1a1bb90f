"""One private libvirtd for ours, one for the real QEMU, and domains that are gone when their test ends."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.libvirt import domain as xml
from tests.libvirt.agent import CONNECTED, FAST
from tests.libvirt.libvirtd import Libvirtd, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = Path(sys.executable).with_name("qmpemu-system-x86_64")
REAL = Path("/usr/bin/qemu-system-x86_64")
NAMES = (f"w{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def ours() -> Path:
    """The emulator under test, as installed beside the interpreter that runs the tests."""
    if not OURS.exists():
        pytest.fail(f"{OURS} is missing: install the project into this environment, `make test` does")
    return OURS


@pytest.fixture(scope="session")
def real() -> Path:
    """The real QEMU, the judge."""
    if not REAL.exists():
        pytest.fail(f"{REAL} is missing: Debian package qemu-system-x86, which `make test` installs")
    return REAL


@pytest.fixture(scope="session")
def libvirtd_of_ours(ours: Path) -> Iterator[Libvirtd]:
    """Its default emulator is ours, under QEMU's name, through a symlink; /dev/kvm exists."""
    with Libvirtd({REAL.name: str(ours)}, kvm="ensure") as daemon:
        daemon.watch_events()
        yield daemon


@pytest.fixture(scope="session")
def libvirtd_of_real(real: Path) -> Iterator[Libvirtd]:
    """Knows nothing of ours: the default emulator is the real QEMU, /dev/kvm is what the host has."""
    with Libvirtd({real.name: str(real)}) as daemon:
        daemon.watch_events()
        yield daemon


@pytest.fixture
def libvirtd(request: pytest.FixtureRequest) -> Libvirtd:
    """The libvirtd for the test's emulator: the real QEMU's if the test is run for `real`, else ours."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    whose = parameters.get("emulator", "ours")
    daemon: Libvirtd = request.getfixturevalue(f"libvirtd_of_{whose}")
    return daemon


@pytest.fixture
def emulators(libvirtd: Libvirtd, real: Path) -> dict[str, str]:
    """The paths to put into `<emulator>`: ours as a symlink named as QEMU's, and the real one."""
    return {"ours": str(libvirtd.root / "bin" / REAL.name), "real": str(real)}


@pytest.fixture
def make_domain(libvirtd: Libvirtd, emulators: dict[str, str]) -> Iterator[Callable[..., str]]:
    """Define a Windows domain: make_domain(emulator="ours", kind="qemu", **environment) -> its name."""
    made: list[str] = []

    def make(emulator: str = "ours", kind: str = "qemu", **environment: str) -> str:
        name = next(NAMES)
        define(libvirtd, name, emulators[emulator], kind, environment)
        made.append(name)
        return name

    yield make
    for name in made:
        libvirtd.virsh("destroy", name)
        libvirtd.ok("undefine", name)


@pytest.fixture
def start(libvirtd: Libvirtd, make_domain: Callable[..., str]) -> Callable[..., str]:
    """Start a cloud-tuned Windows: start("A=1", connected=True) -> its name, settings as in QMPEMU_SET."""

    def start_(*settings: str, connected: bool = True, s4: bool = False, **environment: str) -> str:
        environment = {"QMPEMU_SPEED": FAST, "QMPEMU_GUEST": "windows-server-2022-cloud", **environment}
        if settings:
            environment["QMPEMU_SET"] = ",".join(settings)
        name = make_domain(**environment)
        if s4:
            file = libvirtd.root / f"{name}-s4.xml"
            text = libvirtd.ok("dumpxml", name, "--inactive")
            file.write_text(text.replace("suspend-to-disk enabled='no'", "suspend-to-disk enabled='yes'"))
            libvirtd.ok("define", str(file))
        libvirtd.ok("start", name)
        if connected:
            until(lambda: CONNECTED in libvirtd.events(name), f"the agent of {name} is connected")
        return name

    return start_


def define(libvirtd: Libvirtd, name: str, emulator: str, kind: str, environment: dict[str, str]) -> None:
    """Make a disk and define the domain `name`."""
    disk = libvirtd.root / "disks" / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    file = libvirtd.root / f"{name}.xml"
    file.write_text(xml.windows(name, emulator, disk, kind=kind, memory_mib=512, env=environment))
    libvirtd.ok("define", str(file))
