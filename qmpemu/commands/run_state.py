"""QAPI module `run-state`: the run state, what ends it, and the events that tell of it."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine import happened
from qmpemu.machine.runstate import RUNNING
from qmpemu.qmp.encode import Raw, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.facts import Fact

_STATUS: dict[str, Raw] = {}


@command("query-status")
def query_status(ctx: Context) -> object:
    """-> {"status": RunState, "singlestep": false, "running": bool}. Encoded once a state: it is polled most."""
    state = ctx.machine.board.runstate
    if state not in _STATUS:
        _STATUS[state] = Raw(encode({"running": state == RUNNING, "singlestep": False, "status": state}))
    return _STATUS[state]


@command("set-action")
def set_action(
    ctx: Context,
    *,
    reboot: str | None = None,
    shutdown: str | None = None,
    panic: str | None = None,
    watchdog: str | None = None,
) -> object:
    """Change what reboot, shutdown, panic and watchdog expiry do, from now on."""
    actions = ctx.machine.board.actions
    actions.reboot = reboot or actions.reboot
    actions.shutdown = shutdown or actions.shutdown
    actions.panic = panic or actions.panic
    actions.watchdog = watchdog or actions.watchdog
    return {}


@command("watchdog-set-action")
def watchdog_set_action(ctx: Context, *, action: str) -> object:
    """Change what a watchdog's expiry does, from now on."""
    ctx.machine.board.actions.watchdog = action
    return {}


@event(happened.PowerdownRequested, "POWERDOWN")
def powerdown(fact: Fact) -> dict[str, object] | None:
    """The button was pressed; whether the guest cares is another matter."""
    return None


@event(happened.MachineShutDown, "SHUTDOWN")
def shutdown(fact: happened.MachineShutDown) -> dict[str, object]:
    """guest: the guest did it itself; reason: ShutdownCause."""
    return {"guest": fact.guest, "reason": fact.reason}


@event(happened.MachineReset, "RESET")
def reset(fact: happened.MachineReset) -> dict[str, object]:
    """guest and reason as in SHUTDOWN."""
    return {"guest": fact.guest, "reason": fact.reason}


@event(happened.GuestPanicked, "GUEST_PANICKED")
def guest_panicked(fact: happened.GuestPanicked) -> dict[str, object]:
    """action: poweroff, pause or run; info: what the guest says of it (GuestPanicInformationHyperV)."""
    if fact.codes is None:
        return {"action": fact.action}
    codes = {f"arg{number}": code for number, code in enumerate(fact.codes, 1)}
    return {"action": fact.action, "info": {"type": "hyper-v", **codes}}


@event(happened.WatchdogExpired, "WATCHDOG")
def watchdog(fact: happened.WatchdogExpired) -> dict[str, object]:
    """action: WatchdogAction."""
    return {"action": fact.action}


@event(happened.GuestCrashLoaded, "GUEST_CRASHLOADED")
def guest_crash_loaded(fact: Fact) -> dict[str, object]:
    """QEMU runs on, whatever -action says."""
    return {"action": "run"}


@event(happened.MachineStopped, "STOP")
@event(happened.MachineResumed, "RESUME")
@event(happened.MachineSuspended, "SUSPEND")
@event(happened.MachineSuspendedToDisk, "SUSPEND_DISK")
@event(happened.MachineWoken, "WAKEUP")
def without_data(fact: Fact) -> dict[str, object] | None:
    """Events that only say that something happened."""
    return None
