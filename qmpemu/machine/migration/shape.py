"""What a state that came from elsewhere must look like before anything is done with it."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UPTIME_NS_MAX = 3 * 365 * 86_400 * NS_PER_S
"""A boot that is older is not lived again: it would take minutes."""
INT_MAX = 1 << 63

TEXT_OR_NONE = (str, None)
CONFIG = {
    "machine": str,
    "memory_bytes": int,
    "uuid": TEXT_OR_NONE,
    "postcopy": bool,
    "multifd": bool,
    "answer": bool,
}
"""What a stream begins with (`migration.state.introduction`)."""
ENTRY = [int, int, str, str, str]
ORIGIN = {
    "guest": str,
    "settings": {str: str},
    "seed": str,
    "name": TEXT_OR_NONE,
    "participants": [str],
    "rtc_base_ns": int,
    "disk": TEXT_OR_NONE,
    "ports": [str],
}
BOOT = {
    "at_ns": int,
    "at_ran": int,
    "ran": int,
    "origin": ORIGIN,
    "inputs": [ENTRY],
    "answers": {str: [[int, int, str]]},
    "digest": str,
}
FUNCTION = [str, [[int, int]], (int, None), [int, int, int], [[str, int, int]]]
"""A PCI function as firmware and operating system have set it up (`devices.pci`)."""
STATE = {
    "format": int,
    "now_ns": int,
    "power_good_in_ns": (int, None),
    "boot": (BOOT, None),
    "alarms_ns": [int],
    "rtc_ahead_ns": int,
    "disk": TEXT_OR_NONE,
    "pci": [FUNCTION],
}
"""`migration.state.capture`. A list of one: any number of these; of more: exactly these; a tuple: one of these."""


def fits(value: object, shape: Any) -> bool:
    """Whether `value`, from JSON, has this shape; it may have members besides."""
    if isinstance(shape, tuple):
        return any(fits(value, each) for each in shape)
    if isinstance(shape, dict):
        return isinstance(value, dict) and (
            all(fits(each, shape[str]) for each in value.values())
            if str in shape
            else all(name in value and fits(value[name], each) for name, each in shape.items())
        )
    if isinstance(shape, list):
        if not isinstance(value, list) or (len(shape) > 1 and len(value) != len(shape)):
            return False
        return all(fits(each, shape[place % len(shape)]) for place, each in enumerate(value))
    if shape is int:
        return type(value) is int and -INT_MAX <= value < INT_MAX
    return value is None if shape is None else isinstance(value, shape)


def sound(state: dict[str, Any]) -> bool:
    """Whether its times are in order: it booted, was given its inputs one after the other, and was taken."""
    boot, now_ns = state["boot"], state["now_ns"]
    if boot is None:
        return bool(now_ns >= 0)
    times = [boot["at_ns"], *(entry[0] for entry in boot["inputs"]), now_ns]
    return times == sorted(times) and times[0] >= 0 and now_ns - times[0] <= UPTIME_NS_MAX
