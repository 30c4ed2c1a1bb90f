"""Programs that change something: shutdown.exe, by the one door, and sc.exe for services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows import shutdown_exe, winerror
from qmpemu.guests.windows.programs.registry import Process, program
from qmpemu.guests.windows.shutdown import POWER_OFF, REBOOT

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@program("shutdown.exe")
def shutdown(process: Process) -> int:
    """As at the console, but for logging off, which a service's child cannot."""
    try:
        order = shutdown_exe.parse(" ".join(_quoted(each) for each in process.arguments))
    except GuestError as error:
        process.complain(str(error))
        return 1
    code = _carry_out(process.windows, order)
    if code:
        process.complain(f"{winerror.TEXTS[code]}({code})")
    return code


def _carry_out(windows: Windows, order: shutdown_exe.Order) -> int:
    if order.what == "a":
        return windows.initiated.abort()
    if order.what == "l":
        return winerror.ACCESS_DENIED
    if order.what == "h":
        if not windows.ospm.offers("S4") or not windows.system.allows("sleep"):
            return winerror.NOT_READY
        windows.system.activities.start(windows.power.sleep("S4"))
        return winerror.SUCCESS
    return windows.initiated.initiate(
        REBOOT if order.what == "r" else POWER_OFF,
        order.timeout_s,
        force=order.force,
        reason=order.reason,
        comment=order.comment,
        hybrid=order.hybrid,
    )


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


@program("sc.exe")
def sc(process: Process) -> int:
    """`sc query|start|stop SERVICE`."""
    words = process.arguments
    if len(words) < 2 or words[0].casefold() not in ("query", "start", "stop"):
        process.complain(
            "DESCRIPTION:", "        SC is a command line program used for communicating with the"
        )
        return 1639
    verb, name = words[0].casefold(), words[1]
    services = process.windows.services
    code = winerror.SUCCESS if verb == "query" else getattr(services, f"{verb}_one")(name)
    state = services.state(name)
    if state == "":
        code = winerror.SERVICE_DOES_NOT_EXIST
    if code:
        process.say(f"[SC] {verb.upper()} FAILED {code}:", "", winerror.TEXTS[code], "")
        return code
    process.say("", f"SERVICE_NAME: {name}", f"        STATE              : {state}")
    return 0
