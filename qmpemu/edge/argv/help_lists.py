"""Lists that `-device help` and the like show before the process ends: recorded ones, and a device's properties."""

from __future__ import annotations

from qmpemu.edge.argv.parser import Shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.profile import Profile

ASKING = ("help", "?")
LISTS = {
    **dict.fromkeys("accel audiodev boot chardev cpu device display machine netdev object smp".split(), ""),
    "M": "",
    "drive": "format=",
    "nic": "model=",
}
"""Options that have a list -> what stands before the word that asks for it."""
COLUMN = 24


def asks(word: object) -> bool:
    """Whether a word asks for a list."""
    return word in ASKING


def show(profile: Profile, option: str) -> None:
    """End with the option's list. Raises Shown, where one was recorded."""
    text = profile.help("machine" if option == "M" else option)
    if text is not None:
        raise Shown(text)


def show_properties(profile: Profile, driver: str) -> None:
    """End with what can be said of a device of that type. Raises Shown, where that is known."""
    from json import dumps, loads

    from qmpemu.core.table import Refused
    from qmpemu.machine.devices.catalog import Catalog

    try:
        kind = Catalog(profile).kind(driver, running=False).name
    except Refused:
        return
    reply = profile.reply("q35", "tcg", "device-list-properties", {"typename": kind})
    if not isinstance(reply, bytes):
        return
    lines = [f"{kind} options:"]
    for row in sorted(loads(reply), key=lambda row: str(row["name"])):
        line = f"  {row['name']}=<{row['type']}>"
        if "description" in row or "default-value" in row:
            line = f"{line:<{COLUMN}} - {row.get('description', '')}"
        if "default-value" in row:
            line += f" (default: {dumps(row['default-value'])})"
        lines.append(line)
    raise Shown("\n".join(lines) + "\n")
