"""The real QEMU beside our session: same bytes in, same bytes out."""

from __future__ import annotations

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
    return Schema(shipped.profile(None).schema_bytes())


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
