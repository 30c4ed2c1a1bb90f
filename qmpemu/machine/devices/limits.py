"""Limits of a drive or a throttle group: which are no limits together, in QEMU 7.2's order and words (measured)."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 10**15
LENGTH_MOST = (1 << 32) - 1
EXCLUDE = "bps/iops/max total values and read/write values cannot be used at the same time"
BUCKETS = tuple(f"{what}-{way}" for what in ("bps", "iops") for way in ("total", "read", "write"))


def of_group(given: Mapping[str, object]) -> dict[str, int]:
    """A throttle group's limits by name: those of `limits`, then its x- properties. Raises Refused."""
    limits = given.get("limits")
    found = {name: int(str(value)) for name, value in limits.items()} if isinstance(limits, dict) else {}
    for name, value in given.items():
        if not name.startswith("x-"):
            continue
        number = int(str(value))
        if number < 0:
            raise Refused("Property values cannot be negative")
        if name.endswith("-length") and number > LENGTH_MOST:
            raise Refused(f"{name} value must be in therange [0, {LENGTH_MOST}]")
        found[name.removeprefix("x-")] = number
    return found


def of_drive(given: Mapping[str, int]) -> dict[str, int]:
    """The limits of block_set_io_throttle (bps, bps_rd, bps_rd_max, ...) by those names."""
    found = {}
    for name, number in given.items():
        what, *rest = name.split("_")
        way = {"rd": "read", "wr": "write"}.get(rest[0] if rest else "", "total")
        rest = rest[1:] if way != "total" else rest
        found["iops-size" if name == "iops_size" else "-".join([what, way, *rest])] = number
    return found


def check(limits: Mapping[str, int]) -> None:
    """Whether they can be together; names as in QAPI's ThrottleLimits. Raises Refused."""
    for what in ("bps", "iops"):
        for most in ("", "-max"):
            parts = [limits.get(f"{what}-{way}{most}") for way in ("read", "write")]
            if limits.get(f"{what}-total{most}") and any(parts):
                raise Refused(EXCLUDE)
    if limits.get("iops-size") and not any(limits.get(name) for name in BUCKETS if name.startswith("iops")):
        raise Refused("iops size requires an iops value to be set")
    for name in BUCKETS:
        _check_one(limits.get(name, 0), limits.get(f"{name}-max", 0), limits.get(f"{name}-max-length", 1))


def _check_one(average: int, most: int, length: int) -> None:
    if not (0 <= average <= MOST and 0 <= most <= MOST):
        raise Refused(f"bps/iops/max values must be within [0, {MOST}]")
    if length == 0:
        raise Refused("the burst length cannot be 0")
    if length > 1 and not most:
        raise Refused("burst length set without burst rate")
    if most and length > MOST // most:
        raise Refused("burst length too high for this burst rate")
    if most and not average:
        raise Refused("bps_max/iops_max require corresponding bps/iops values")
    if most and most < average:
        raise Refused("bps_max/iops_max cannot be lower than bps/iops")
