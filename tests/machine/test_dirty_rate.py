"""machine.migration.dirty_rate: measured by the model of the guest's memory, while the guest runs."""

from __future__ import annotations

from typing import Any

from tests.driven import Driven


def measured(driven: Driven) -> dict[str, Any]:
    """query-dirty-rate."""
    reply: dict[str, Any] = driven.say("query-dirty-rate")[-1]["return"]
    return reply


def test_a_running_guest_is_measured() -> None:
    """In MiB a second, after calc-time; not two measurements at once."""
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", QMPEMU_MEMORY="dirty=30M")
    driven.run(60)
    assert measured(driven)["status"] == "unstarted"
    assert driven.say("calc-dirty-rate", calc_time=2) == [{"return": {}}]
    assert "dirty-rate" not in measured(driven)
    busy = driven.say("calc-dirty-rate", calc_time=1)[0]["error"]["desc"]
    assert busy == "the dirty rate is already being measured."
    driven.run(2)
    assert measured(driven) == {
        "status": "measured",
        "sample-pages": 512,
        "dirty-rate": 30,
        "mode": "page-sampling",
        "start-time": 60,
        "calc-time": 2,
    }


def test_a_guest_that_stands_still_writes_nothing() -> None:
    """And one that runs half of the time, half as much."""
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", QMPEMU_MEMORY="dirty=30M")
    driven.run(60)
    driven.say("calc-dirty-rate", calc_time=2, mode="dirty-bitmap")
    driven.run(1)
    driven.say("stop")
    driven.run(1)
    assert measured(driven)["dirty-rate"] == 15
    assert measured(driven)["vcpu-dirty-rate"] == [{"id": 0, "dirty-rate": 15}]
    driven.say("calc-dirty-rate", calc_time=1)
    driven.run(1)
    assert measured(driven)["dirty-rate"] == 0


def test_what_cannot_be_measured_is_refused() -> None:
    """Texts as measured on QEMU 7.2."""
    driven = Driven()
    for arguments, text in (
        ({"calc_time": 0}, "calc-time is out of range[1, 60]."),
        ({"calc_time": 61}, "calc-time is out of range[1, 60]."),
        ({"calc_time": 1, "sample_pages": 5}, "sample-pages is out of range[128, 16384]."),
        ({"calc_time": 1, "mode": "dirty-ring"}, "mode dirty-ring is not enabled, use other method instead."),
    ):
        assert driven.say("calc-dirty-rate", **arguments)[0]["error"]["desc"] == text


def test_bitmaps_are_mapped_once_each() -> None:
    """migrate-set-parameters, block-bitmap-mapping: texts measured; levels of compression are taken and not set."""
    driven = Driven()
    row = {"node-name": "a", "alias": "b", "bitmaps": []}
    for rows, text in (
        ([row, {**row, "alias": "c"}], "The node name 'a' is mapped twice"),
        ([{**row, "alias": "-b"}], "The node alias '-b' is not well-formed"),
    ):
        told = driven.say("migrate-set-parameters", block_bitmap_mapping=rows)[0]["error"]["desc"]
        assert told == f"Invalid mapping given for block-bitmap-mapping: {text}"
    assert driven.say("migrate-set-parameters", block_bitmap_mapping=[row], multifd_zlib_level=10) == [
        {"return": {}}
    ]
    shown = driven.say("query-migrate-parameters")[0]["return"]
    assert (shown["block-bitmap-mapping"], shown["multifd-zlib-level"]) == ([row], 1)
