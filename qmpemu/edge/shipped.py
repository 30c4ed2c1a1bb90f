"""The profiles that come with qmpemu, and those that a user recorded: folders, read a file at a time."""

from __future__ import annotations

import os

from qmpemu.edge.keyval import OptionError
from qmpemu.profile import Profile

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "profiles")
DEFAULT = "qemu-7.2-debian12"


def names() -> list[str]:
    """The shipped profiles."""
    return sorted(
        name for name in os.listdir(FOLDER) if os.path.exists(os.path.join(FOLDER, name, "profile.json"))
    )


def profile(which: str | None) -> Profile:
    """The profile `which`: a shipped name, the path of a recorded folder, or None for the default."""
    which = which or DEFAULT
    folder = which if os.sep in which else os.path.join(FOLDER, which)
    if not os.path.exists(os.path.join(folder, "profile.json")):
        raise OptionError(
            f"QMPEMU_PROFILE: there is no profile '{which}': give the path of a folder made by "
            f"`qmpemu profile record`, or one of {', '.join(names())}"
        )
    return Profile(os.path.basename(folder), lambda name: _read(folder, name))


def _read(folder: str, name: str) -> bytes | None:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
