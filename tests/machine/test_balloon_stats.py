"""Statistics of the guest's memory, asked for through the balloon."""

from __future__ import annotations

from typing import Any

from tests.driven import Driven

LINE = "-machine q35 -m 4096 -device virtio-balloon-pci,id=bal"
PATH = "/machine/peripheral/bal"
UNKNOWN = 2**64 - 1


def got(driven: Driven, name: str) -> Any:
    """The value of a property of the balloon."""
    return driven.say("qom-get", path=PATH, property=name)[-1]["return"]


def poll(driven: Driven, interval_s: object) -> dict[str, Any]:
    """The reply to setting the interval."""
    return driven.say("qom-set", path=PATH, property="guest-stats-polling-interval", value=interval_s)[-1]


def test_nobody_is_asked_until_an_interval_is_set() -> None:
    """Every number is the unknown one, and last-update is 0."""
    driven = Driven(LINE)
    driven.run(120)
    told = got(driven, "guest-stats")
    assert set(told["stats"].values()) == {UNKNOWN} and told["last-update"] == 0


def test_the_driver_answers_every_interval() -> None:
    """Once Windows' driver runs; a balloon that is inflated shows in the next answer, and 0 ends it."""
    driven = Driven(LINE)
    assert poll(driven, 10) == {"return": {}}
    assert got(driven, "guest-stats-polling-interval") == 10
    driven.run(120)
    before = got(driven, "guest-stats")["stats"]
    assert before["stat-total-memory"] == 4 << 30 and 0 < before["stat-free-memory"] < 4 << 30
    assert before["stat-htlb-pgfail"] == UNKNOWN
    driven.say("balloon", value=2 << 30)
    driven.run(60)
    after = got(driven, "guest-stats")["stats"]
    assert after["stat-total-memory"] == 2 << 30 and after["stat-minor-faults"] > before["stat-minor-faults"]
    poll(driven, 0)
    driven.run(60)
    assert got(driven, "guest-stats")["stats"] == after


def test_a_machine_that_stands_still_is_not_asked() -> None:
    """What was told last stays, and the asking goes on with the machine."""
    driven = Driven(LINE)
    poll(driven, 5)
    driven.run(120)
    driven.say("stop")
    told = dict(got(driven, "guest-stats")["stats"])
    driven.run(60)
    assert got(driven, "guest-stats")["stats"] == told
    driven.say("cont")
    driven.run(60)
    assert got(driven, "guest-stats")["stats"] != told


def test_intervals_are_checked_and_statistics_are_read_only() -> None:
    """With the real one's texts."""
    driven = Driven(LINE)
    for value, text in (
        (-1, "timer value must be greater than zero"),
        (1 << 32, "timer value is too big"),
        ("x", "Invalid parameter type for 'guest-stats-polling-interval', expected: integer"),
    ):
        assert poll(driven, value)["error"]["desc"] == text
    (reply,) = driven.say("qom-set", path=PATH, property="guest-stats", value=1)
    assert reply["error"]["desc"] == "Property 'virtio-balloon-device.guest-stats' is not writable"
