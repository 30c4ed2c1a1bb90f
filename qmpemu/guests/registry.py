"""The guests by name. Light on purpose: a guest's own package is imported only by `check` and `load`.

registry.names()                                  # ["windows-10", ...]
registry.check("windows-10", {"VIDEOIDLE": "0"})  # raises GuestError with one sentence
registry.load(name, settings, platform)           # the guest that boots on this platform
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from qmpemu.core.facts import Fact
    from qmpemu.guests.guest import Guest, Platform
    from qmpemu.guests.windows.participants import Participant

    Traffic = Mapping[type[Fact], Callable[[Any], tuple[tuple[str, int], ...]]]
    """From a fact to accesses: `read`, `write` or `flush`, and how many bytes."""

DEFAULT = "windows-server-2022-cloud"

NAMES = (
    "windows-10",
    "windows-10-cloud",
    "windows-11",
    "windows-11-cloud",
    "windows-server-2016",
    "windows-server-2016-cloud",
    "windows-server-2019",
    "windows-server-2019-cloud",
    "windows-server-2022",
    "windows-server-2022-cloud",
)
"""The presets of `windows.presets`; a test holds the two together."""


NONE = "none"
"""Instead of a guest: the machine runs and nothing boots, as with a firmware that halts."""


class GuestError(Exception):
    """A guest, setting or value that does not exist; the text is one sentence that says what would be valid."""


def names() -> list[str]:
    """Every guest, in the order to show them."""
    return list(NAMES)


def check(name: str, settings: Mapping[str, str]) -> None:
    """Say whether `load` would take these. Raises GuestError."""
    if name == NONE:
        if settings:
            raise GuestError(f"'{NONE}' has no settings, and so no '{next(iter(settings))}': choose a guest")
        return
    if name not in NAMES:
        raise GuestError(f"guest '{name}' does not exist: {nearest(name, NAMES)}")
    if settings:
        from qmpemu.guests.windows import presets

        presets.settings(name, settings)


def describe(name: str) -> list[tuple[str, str, str, str, str]]:
    """Each setting of a guest: name, its value there, valid values, grade of the source, meaning. Raises GuestError."""
    check(name, {})
    if name == NONE:
        return []
    from qmpemu.guests.windows import presets

    return presets.describe(name)


def faults() -> list[tuple[str, str, str, str, str]]:
    """Each failure mode: name, cause of the mission, what it can be aimed at, what it does, what remedies it."""
    from qmpemu.guests.windows.faults import registry as windows_faults

    return windows_faults.rows()


def load(
    name: str, settings: Mapping[str, str], platform: Platform, participants: Iterable[Participant] = ()
) -> Guest:
    """The guest `name`, its preset changed by `settings` and joined by `participants`. Raises GuestError."""
    check(name, {})
    from qmpemu.guests.windows import presets

    return presets.install(name, settings, platform, participants)


def traffic() -> Traffic:
    """What each step of a guest does to its disk: by the fact that tells of it."""
    from qmpemu.guests.windows.traffic import COSTS

    return COSTS


def nearest(given: str, valid: Iterable[str]) -> str:
    """The end of an error sentence: the likeliest valid name, or all of them when none is like `given`."""
    from difflib import get_close_matches

    by_key = {name.casefold(): name for name in valid}
    key = given.casefold()
    holding = [name for name in by_key if all(part in name for part in key.split("-"))]  # windows-2022
    found = get_close_matches(key, holding or by_key, n=1, cutoff=0.0 if holding else 0.5)
    return f"did you mean '{by_key[found[0]]}'?" if found else f"valid are {', '.join(by_key.values())}"
