"""The comparison of scenarios: tables are read strictly, logs lose only what is not QEMU's, differences are found."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from conformance.libvirt.compare import Said, differences, told
from conformance.libvirt.monitor_log import MonitorLog
from conformance.libvirt.stage import SCENARIOS
from conformance.libvirt.table import TableError, read, read_all
from qmpemu.edge.conform.ledger import Entry, Ledger

if TYPE_CHECKING:
    from pathlib import Path

TODAY = datetime.date(2026, 11, 23)
NO_LEDGER = Ledger([], TODAY)
HEAD = "# T\n\n| operation | virsh | afterwards | real |\n|---|---|---|---|\n"
CONT = '-> {"execute":"cont","id": "$id"}'
DONE = '<- {"return": {}, "id": "$id"}'
RESUME = '<= {"timestamp": $time, "event": "RESUME"}'


def log_of(tmp_path: Path, *lines: str) -> MonitorLog:
    """A libvirtd.log with these monitor lines among others."""
    file = tmp_path / "libvirtd.log"
    kept = "".join(f"2026-11-23 18:45:48.383+0000: 49: info : x:1 : QEMU_MONITOR_{line}\n" for line in lines)
    file.write_text("2026-11-23: debug : something else\n" + kept)
    return MonitorLog(file, str(tmp_path))


def said(*texts: str, row: str = "r") -> list[Said]:
    return [Said(row, text) for text in texts]


def test_shipped_tables_are_read() -> None:
    """Every table names what runs in its guest, and has rows that the real QEMU is asked for or says why not."""
    tables = read_all(SCENARIOS)
    assert len(tables) >= 8
    assert all(table.guest and table.rows for table in tables)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("| a | `start $D` | state x |", "3 cells"),
        ("| a | `start $D` | state x | no |", "`no:` and why"),
        ("| a | `start $D` | | yes |", "something that is true afterwards"),
        ("| a | `x` | state x | yes |\n| a | `y` | state x | yes |", "more than one row is called 'a'"),
    ],
)
def test_a_table_is_read_strictly(tmp_path: Path, row: str, complaint: str) -> None:
    """A row that claims nothing, or is left out without a reason, is an error."""
    file = tmp_path / "t.md"
    file.write_text(HEAD + row + "\n")
    with pytest.raises(TableError, match=complaint):
        read(file)


def test_log_lines_keep_their_order_and_lose_what_varies(tmp_path: Path) -> None:
    """Ids, times, ports, terminals and paths become references; the order of event and reply stays."""
    log = log_of(
        tmp_path,
        'SEND_MSG: mon=0x7f msg={"execute":"cont","id":"libvirt-414"}',
        'RECV_EVENT: mon=0x7f event={"timestamp": {"seconds": 1795459548, "microseconds": 5}, "event": "RESUME"}',
        f'RECV_REPLY: mon=0x7f reply={{"return": {{"a": "/dev/pts/3", "f": "{tmp_path}/x"}}, "id": "libvirt-414"}}',
    )
    lines = log.more()
    assert [str(line) for line in lines] == [
        CONT,
        RESUME,
        '<- {"return": {"a": "$pty", "f": "$folder/x"}, "id": "$id"}',
    ]
    assert [line.word for line in lines] == ["cont", "RESUME", "return"]
    assert log.more() == []


def test_what_is_asked_of_a_probed_emulator_is_left_out(tmp_path: Path) -> None:
    """libvirt may look up at any time what an emulator can do; a domain's says the same at first."""
    said = (
        'SEND_MSG: mon=0x7f msg={"execute":"qmp_capabilities","id":"libvirt-1"}',
        'RECV_REPLY: mon=0x7f reply={"return": {}, "id": "libvirt-1"}',
    )
    asked = 'SEND_MSG: mon=0x7f msg={"execute":"query-%s","id":"libvirt-2"}'
    log = log_of(tmp_path, *said, asked % "version", *said, asked % "migrate-capabilities")
    assert [line.word for line in log.more()] == ["qmp_capabilities", "return", "query-migrate-capabilities"]


def test_a_reply_before_its_event_is_a_difference() -> None:
    """The same lines in another order do not agree."""
    assert differences(said(CONT, RESUME, DONE), said(CONT, RESUME, DONE), NO_LEDGER) == []
    assert differences(said(CONT, RESUME, DONE), said(CONT, DONE, RESUME), NO_LEDGER)


def test_a_line_may_fall_behind_its_row() -> None:
    """What libvirt's threads ask after an event belongs to the table, not to a row."""
    early = said(CONT, DONE, RESUME, row="one") + said(CONT, row="two")
    late = said(CONT, DONE, row="one") + said(RESUME, CONT, row="two")
    assert differences(early, late, NO_LEDGER) == []


def test_firmwares_own_resets_are_left_out() -> None:
    """SeaBIOS's second reset, and the questions that only repeat what is known; not a changed answer."""
    ask, same, other = '-> {"execute":"query-block","id": "$id"}', '<- {"return": [1]}', '<- {"return": [2]}'
    reset = '<= {"timestamp": $time, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}'
    assert [each.text for each in told(said(ask, same, reset, ask, same))] == [ask, f"{same}   to {ask[3:]}"]
    assert len(told(said(ask, same, ask, other))) == 4


def test_the_ledger_is_used() -> None:
    """A pair that an entry covers is tolerated and counted."""
    given = {
        "real": ".*1.*",
        "ours": ".*2.*",
        "reason": "r",
        "versions": ["7.2.22"],
        "evidence": "t, r",
        "expires": TODAY,
    }
    ledger = Ledger([Entry(1, given)], TODAY)
    assert differences(said("<- 1"), said("<- 2"), ledger) == []
    assert ledger.complaints(whole=True) == []


def test_how_often_virsh_looks_is_left_out() -> None:
    """Polls of a dump and later passes of a migration follow from how long they take; what they lead to counts."""
    ask, active = (
        '-> {"execute":"query-dump","id": "$id"}',
        '<- {"return": {"status": "active"}, "id": "$id"}',
    )
    passes = '<= {"timestamp": $time, "event": "MIGRATION_PASS", "data": {"pass": 2}}'
    done = '<= {"timestamp": $time, "event": "DUMP_COMPLETED"}'
    assert told(said(ask, active, ask, active, passes, done)) == said(done)


ASK = '-> {"execute":"query-migrate","id": "$id"}'
FINISH = '-> {"execute":"query-chardev","id": "$id"}'


def migration(status: str) -> str:
    """The event."""
    return f'<= {{"timestamp": $time, "event": "MIGRATION", "data": {{"status": "{status}"}}}}'


def test_a_migration_under_way_is_a_race() -> None:
    """How often libvirt asks meanwhile, and whether the end is told before what it asks next, does not count."""
    active, over = '<- {"return": {"status": "active"}}', '<- {"return": {"status": "completed"}}'
    device, completed = migration("device"), migration("completed")
    quick = told(said(device, completed, ASK, over, completed, FINISH, DONE))
    slow = told(said(ASK, active, device, ASK, completed, over, ASK, over, FINISH, completed, DONE))
    assert differences(slow, quick, NO_LEDGER) == []


@pytest.mark.parametrize(
    "other",
    [
        (migration("completed"), migration("device"), ASK, '<- {"return": {"status": "completed"}}'),
        (migration("device"), migration("completed"), ASK, '<- {"return": {"status": "failed"}}'),
        (migration("device"), migration("completed")),
    ],
)
def test_how_a_migration_ends_counts(other: tuple[str, ...]) -> None:
    """The order of its events, the last answer, and whether there is one."""
    real = said(migration("device"), migration("completed"), ASK, '<- {"return": {"status": "completed"}}')
    assert differences(told(real), told(said(*other)), NO_LEDGER)
