"""The guests as data: an edition, and only those settings that differ from the defaults, each with its grade.

`-cloud` is the tuning of a cloud vendor's public images (mission P1): most of the causes for which a shutdown fails
are set away. A user's own settings come on top and can bring each of them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import to_builtins

from qmpemu.guests.windows.installation import Edition, fresh
from qmpemu.guests.windows.settings import Settings, build, meta, names, valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qmpemu.guests.guest import Platform
    from qmpemu.guests.windows.participants import Participant
    from qmpemu.guests.windows.windows import Windows

SERVER: dict[str, object] = {}
"""The defaults are a stock server's."""

SERVER_2016: dict[str, object] = {
    "preshutdown_timeout_ms": 180_000,  # A: build 14393 is older than 15063
}

CLIENT: dict[str, object] = {
    "ShutdownWithoutLogon": 1,  # A: effective default of clients
    "AutoAdminLogon": 1,  # U: no default of Windows; somebody works at a client
    "DefaultUserName": "User",  # U
}

CLOUD: dict[str, object] = {
    "PBUTTONACTION": 3,  # P1: the vendor says its images are tuned, not how; these are the remedies of C3 to C6
    "SHUTDOWN": 1,  # B: the switch exists; C4
    "AutoEndTasks": 1,  # A: its meaning; C4
    "ShutdownWithoutLogon": 1,  # A: its meaning; C3
    "ShutdownReasonOn": 0,  # A: its meaning; C2
    "VIDEOIDLE": 0,  # A: 0 is never; C6
    "VIDEOCONLOCK": 0,  # A: the same for a locked console
    "EMS": 1,  # C: a serial console is how clouds reach a Windows whose network is gone
    "QEMU-GA": "running",  # C: the agent is part of such images
}

WINDOWS_10 = Edition("Windows 10 Pro", "10", 19045, "client")
WINDOWS_11 = Edition("Windows 11 Pro", "11", 22631, "client")
WINDOWS_SERVER_2016 = Edition("Windows Server 2016 Datacenter", "Server 2016", 14393, "server")
WINDOWS_SERVER_2019 = Edition("Windows Server 2019 Datacenter", "Server 2019", 17763, "server")
WINDOWS_SERVER_2022 = Edition("Windows Server 2022 Datacenter", "Server 2022", 20348, "server")

STOCK: dict[str, tuple[Edition, dict[str, object]]] = {
    "windows-10": (WINDOWS_10, CLIENT),
    "windows-11": (WINDOWS_11, CLIENT),
    "windows-server-2016": (WINDOWS_SERVER_2016, SERVER_2016),
    "windows-server-2019": (WINDOWS_SERVER_2019, SERVER),
    "windows-server-2022": (WINDOWS_SERVER_2022, SERVER),
}

PRESETS: dict[str, tuple[Edition, dict[str, object]]] = {
    name + suffix: (edition, {**stock, **tuning})
    for name, (edition, stock) in STOCK.items()
    for suffix, tuning in (("", {}), ("-cloud", CLOUD))
}


def settings(name: str, given: Mapping[str, str]) -> Settings:
    """The preset's settings changed by a user's texts. Raises GuestError."""
    return build(name, PRESETS[name][1], dict(given))


def describe(name: str) -> list[tuple[str, str, str, str, str]]:
    """Each setting of the preset: name, value, valid values, grade, meaning."""
    values = to_builtins(settings(name, {}))
    rows = []
    for setting in names():
        about = meta(setting)[1]
        grade = str((about.extra or {})["grade"])
        rows.append((setting, str(values[setting]), valid(setting), grade, str(about.description)))
    return rows


def install(
    name: str, given: Mapping[str, str], platform: Platform, participants: Iterable[Participant] = ()
) -> Windows:
    """The preset `name` on a platform, ready for power_on. participants: who takes part too. Raises GuestError."""
    from qmpemu.guests.windows.windows import Windows

    return Windows(platform, settings(name, given), fresh(PRESETS[name][0]).joined(participants))
