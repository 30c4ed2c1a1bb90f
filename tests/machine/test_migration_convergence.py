"""machine.migration: what bandwidth, downtime and throttling do to a migration, by its figures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machine.travelling import Travellers

HARDLY = "used=100M,dirty=200M,link=100M"
"""A guest that writes twice as fast as the network carries."""


def figures(pair: Travellers) -> dict[str, Any]:
    """query-migrate's reply."""
    reply: dict[str, Any] = pair.source.say("query-migrate")[-1]["return"]
    return reply


def lasting(pair: Travellers, most_s: float = 60) -> float:
    """Begin, and how long it takes; `most_s` if it does not end."""
    pair.go()
    pair.run(most_s, lambda: pair.status() == "completed", step_ns=20_000_000)
    return figures(pair)["total-time"] / 1000


def test_what_is_written_faster_than_sent_never_ends() -> None:
    """Pass after pass, as much is left, and the guest runs on here."""
    pair = Travellers(memory=HARDLY)
    pair.source.say("migrate-set-parameters", max_bandwidth=1 << 40)
    assert lasting(pair, 30) > 29
    told = figures(pair)
    assert told["status"] == "active"
    assert told["ram"]["dirty-sync-count"] > 10
    assert told["expected-downtime"] > 300
    assert told["ram"]["mbps"] == pytest.approx(100 * 1.048576 * 8, rel=0.05)
    assert 100 * 256 * 0.9 < told["ram"]["dirty-pages-rate"] <= 200 * 256
    assert pair.running() == [True, False]


def test_throttling_ends_it() -> None:
    """auto-converge: from cpu-throttle-initial in steps of the increment, never above the most."""
    pair = Travellers("auto-converge", memory=HARDLY)
    steps = {"cpu_throttle_initial": 30, "cpu_throttle_increment": 15, "max_cpu_throttle": 80}
    pair.source.say("migrate-set-parameters", max_bandwidth=1 << 40, **steps)
    pair.go()
    seen: list[int] = []

    def over() -> bool:
        seen.append(figures(pair).get("cpu-throttle-percentage", 0))
        return pair.status() == "completed"

    pair.run(60, over)
    assert pair.status() == "completed"
    assert list(dict.fromkeys(seen))[:4] == [0, 30, 45, 60]
    assert max(seen) <= 80


def test_the_longer_it_may_stand_still_the_sooner_it_ends() -> None:
    """downtime-limit, set while it is under way; and it stands still no longer than that, within a tenth."""
    pair = Travellers(memory=HARDLY)
    pair.source.say("migrate-set-parameters", max_bandwidth=1 << 40, downtime_limit=100)
    pair.go()
    pair.run(10)
    assert pair.status() == "active"
    pair.source.say("migrate-set-parameters", downtime_limit=1500)
    pair.run(10)
    assert pair.status() == "completed"
    assert figures(pair)["downtime"] <= 1650


@pytest.mark.parametrize("bandwidth_mib", [8, 16, 32])
def test_bandwidth_bounds_the_time(bandwidth_mib: int) -> None:
    """64 MiB that nobody writes to, by max-bandwidth: the time is their quotient, and mbps says so."""
    pair = Travellers(memory="used=64M,dirty=0,link=1G")
    pair.source.say("migrate-set-parameters", max_bandwidth=bandwidth_mib << 20, downtime_limit=10)
    assert lasting(pair) == pytest.approx(64 / bandwidth_mib, rel=0.1)
    told = figures(pair)["ram"]
    assert told["mbps"] == pytest.approx(bandwidth_mib * 1.048576 * 8, rel=0.1)
    assert told["normal"] == 64 * 256
    assert told["transferred"] == pytest.approx(
        told["precopy-bytes"] + told["downtime-bytes"] + told["postcopy-bytes"], rel=0.01
    )


def test_bandwidth_that_is_changed_counts_from_then_on() -> None:
    """A migration that would take a minute ends in a second."""
    pair = Travellers(memory="used=64M,dirty=0,link=1G")
    pair.source.say("migrate-set-parameters", max_bandwidth=1 << 20)
    pair.go()
    pair.run(5)
    assert pair.status() == "active"
    pair.source.say("migrate-set-parameters", max_bandwidth=1 << 30)
    pair.run(1)
    assert pair.status() == "completed"
