"""Every row of every scenario table holds on ours, through a real libvirt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.libvirt.stage import SCENARIOS, RowFailed, Stage
from conformance.libvirt.table import read_all

if TYPE_CHECKING:
    from conformance.libvirt.table import Table
    from tests.libvirt.libvirtd import Libvirtd

pytestmark = [pytest.mark.xdist_group("scenarios"), pytest.mark.timeout(180)]


@pytest.mark.parametrize("table", read_all(SCENARIOS), ids=lambda table: table.name)
def test_table(libvirtd_of_ours: Libvirtd, table: Table) -> None:
    """In each row the virsh lines succeed, and what the third column says is true afterwards."""
    failed, logs = [], ""
    emulator = str(libvirtd_of_ours.root / "bin/qemu-system-x86_64")
    with Stage(libvirtd_of_ours, table, emulator, table.guest) as stage:
        for row in table.rows:
            try:
                stage.play(row)
            except RowFailed as failure:
                failed.append(str(failure))
                logs = logs or libvirtd_of_ours.logs()
    assert not failed, "\n".join([*failed, logs])
