"""virtio-mem: what the host asks for while the machine runs, and what Windows' driver makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driven import Driven

LINE = (
    "-machine q35 -m 4096,slots=1,maxmem=8G -object memory-backend-ram,id=m,size=1G "
    "-device virtio-mem-pci,memdev=m,id=vm,requested-size=64M"
)
PATH, MIB = "/machine/peripheral/vm", 1 << 20


def ask(driven: Driven, value: object, name: str = "requested-size") -> list[dict[str, Any]]:
    return driven.say("qom-set", path=PATH, property=name, value=value)


def shown(driven: Driven) -> tuple[int, int]:
    """Bytes asked for and in use, which query-memory-devices and the object tree tell alike."""
    data = driven.say("query-memory-devices")[-1]["return"][0]["data"]
    for name in ("requested-size", "size"):
        for path in (PATH, f"{PATH}/virtio-backend"):
            assert driven.say("qom-get", path=path, property=name)[-1]["return"] == data[name]
    return data["requested-size"] // MIB, data["size"] // MIB


def test_windows_takes_and_gives_what_is_asked() -> None:
    """Before its driver runs nothing is in use; a reset takes all of it, and says so before RESET."""
    driven = Driven(LINE)
    assert ask(driven, 128 * MIB) == [{"return": {}}]
    assert shown(driven) == (128, 0)
    assert "MEMORY_DEVICE_SIZE_CHANGE" in driven.run(120)
    assert shown(driven) == (128, 128)
    assert driven.say("query-memory-size-summary")[-1]["return"]["plugged-memory"] == 128 * MIB
    ask(driven, 512 * MIB)
    assert driven.run(5).count("MEMORY_DEVICE_SIZE_CHANGE") == 2  # one a second
    ask(driven, 2 * MIB)
    driven.run(5)
    assert shown(driven) == (2, 2)
    told = driven.say("system_reset")
    assert [each.get("event") for each in told] == ["MEMORY_DEVICE_SIZE_CHANGE", "RESET", None]
    assert told[0]["data"] == {"id": "vm", "size": 0, "qom-path": PATH}
    assert shown(driven) == (2, 0)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (3, "requested-size", "'requested-size' has to be multiples of 'block-size' (0x200000)"),
        (2048 * MIB, "requested-size", "'requested-size' cannot exceed the memory backend size(0x40000000)"),
        ("64M", "requested-size", "Parameter 'requested-size' expects uint64"),
        (0, "size", "Property 'virtio-mem.size' is not writable"),
        (0, "block-size", "'block-size' cannot be changed"),
    ],
)
def test_what_cannot_be_set(value: object, name: str, text: str) -> None:
    """Each with the real one's words."""
    driven = Driven(LINE)
    assert ask(driven, value, name)[-1]["error"]["desc"] == text
    assert shown(driven) == (64, 0)


def test_the_human_monitor_shows_it() -> None:
    """With its own lines."""
    reply = Driven(LINE).say("human-monitor-command", command_line="info memory-devices")[-1]["return"]
    assert reply.splitlines()[1:4] == ["  memaddr: 0x180000000", "  node: 0", "  requested-size: 67108864"]
