"""Statistics of drives: what the guest does to its disk, counted, and thresholds that it crosses."""

from __future__ import annotations

from typing import Any

from tests.driven import Driven

DISK = "-nodefaults -machine q35 -blockdev null-co,node-name=n0 -device virtio-blk-pci,drive=n0,id=vda"
WRITES = ("wr_bytes", "wr_operations", "wr_total_time_ns", "flush_operations", "wr_highest_offset")
READS = ("rd_bytes", "rd_operations", "rd_total_time_ns")


def started(line: str = DISK, **environment: str) -> Driven:
    """A machine with one disk, whose Windows is up."""
    made = Driven(line, **environment)
    made.run(120)
    return made


def stats(machine: Driven) -> dict[str, Any]:
    """Those of the first drive."""
    found: dict[str, Any] = machine.say("query-blockstats")[-1]["return"][0]["stats"]
    return found


def test_a_boot_reads_and_writes() -> None:
    """Much is read, some is written, in more than one request each; before the boot all is zero."""
    fresh = Driven(DISK + " -S")
    assert {value for value in stats(fresh).values() if value not in (True, [])} == {0}
    assert "idle_time_ns" not in stats(fresh)
    found = stats(started())
    assert found["rd_bytes"] > 100 << 20 > found["wr_bytes"] > 0
    assert all(found[name] > 0 for name in (*READS, *WRITES))
    assert found["failed_wr_operations"] == found["failed_rd_operations"] == 0


def test_what_a_person_does_counts() -> None:
    """Opening reads, an unsaved edit does nothing, saving writes and flushes; then the disk idles."""
    machine = started()
    machine.say("__org.qmpemu_log_on", value="Ada")
    machine.run(60)
    machine.say("__org.qmpemu_open_document", value="Plan.docx")
    opened = stats(machine)
    machine.say("__org.qmpemu_edit_document", value="Plan.docx")
    assert stats(machine) == opened
    machine.say("__org.qmpemu_save_document", value="Plan.docx")
    saved = stats(machine)
    assert all(saved[name] > opened[name] for name in WRITES)
    assert [saved[name] for name in READS] == [opened[name] for name in READS]
    machine.run(5)
    assert stats(machine)["idle_time_ns"] == saved["idle_time_ns"] + 5_000_000_000


def test_counts_are_the_seeds_and_outlive_a_reset() -> None:
    """One seed, one count; a second boot adds to the first."""
    first, second = started(QMPEMU_SEED="7"), started(QMPEMU_SEED="7")
    assert stats(first) == stats(second)
    before = stats(first)
    first.say("system_reset")
    first.run(120)
    assert stats(first)["rd_bytes"] > before["rd_bytes"] + (100 << 20)


def test_a_threshold_is_told_once() -> None:
    """When a write goes beyond it; then it is gone, until it is set anew."""
    machine = started()
    machine.say("__org.qmpemu_log_on", value="Ada")
    machine.run(60)
    machine.say("__org.qmpemu_open_document", value="Plan.docx")
    limit = stats(machine)["wr_highest_offset"] + 70_000
    assert machine.say("block-set-write-threshold", node_name="n0", write_threshold=limit) == [{"return": {}}]
    assert shown_threshold(machine) == limit
    for expected in ([limit], []):
        machine.say("__org.qmpemu_edit_document", value="Plan.docx")
        told = machine.say("__org.qmpemu_save_document", value="Plan.docx")
        events = [each["data"] for each in told if each.get("event") == "BLOCK_WRITE_THRESHOLD"]
        assert [each["write-threshold"] for each in events] == expected
        assert all(each["node-name"] == "n0" and 0 < each["amount-exceeded"] <= 65536 for each in events)
    assert shown_threshold(machine) == 0


def shown_threshold(machine: Driven) -> int:
    """As query-named-block-nodes has it."""
    (node,) = machine.say("query-named-block-nodes")[-1]["return"]
    value: int = node["write_threshold"]
    return value


def test_failed_accesses_are_counted() -> None:
    """Each error of the disk is one."""
    machine = started()
    machine.say("__org.qmpemu_disk_error", value="vda:enospc")
    machine.run(1)
    assert stats(machine)["failed_wr_operations"] == 1
    assert stats(machine)["failed_rd_operations"] == 0


def test_a_diskless_machine_has_none() -> None:
    """Nothing is counted where there is no drive, and a CD is not the guest's disk."""
    assert started("-nodefaults -machine q35").say("query-blockstats") == [{"return": []}]
    cd = started("-nodefaults -machine q35 -device ide-cd,id=cd")
    assert stats(cd)["rd_bytes"] == 0
