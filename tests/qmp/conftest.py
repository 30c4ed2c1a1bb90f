"""The real QEMU beside our session: same bytes in, same bytes out."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from qemu_peer import RealQemu

from qmpemu.edge import shipped
from qmpemu.qmp.schema import Schema
from qmpemu.qmp.session import Session


@pytest.fixture(scope="session")
def schema() -> Schema:
    """The recorded schema."""
    profile = shipped.profile(None)
    return Schema(profile.schema_bytes(), profile.widths())


@pytest.fixture
def session(schema: Schema) -> Session:
    """A negotiated session whose commands only check their arguments and return {}."""
    return new_session(schema)


def new_session(schema: Schema) -> Session:
    def execute(name: str, arguments: dict[str, object]) -> object:
        schema.check(name, arguments)
        if name == "query-status":
            return {"running": False, "singlestep": False, "status": "prelaunch"}
        return {}

    session = Session(b"{}", execute, commands=schema.has, oob=schema.allows_oob)
    session.open()
    session.receive(b'{"execute":"qmp_capabilities"}')
    session.take()
    return session


@pytest.fixture
def fresh(schema: Schema) -> Callable[[], Session]:
    """Makes negotiated sessions."""
    return lambda: new_session(schema)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealQemu]:
    """The real QEMU 7.2, stopped, without a machine."""
    qemu = RealQemu(tmp_path_factory.mktemp("real"))
    yield qemu
    qemu.close()


@pytest.fixture(scope="session")
def wire(real: RealQemu) -> socket.socket:
    """The one negotiated connection to it: it serves one client at a time."""
    return real.connect()
