"""Malware: a service that calls AbortSystemShutdown as soon as a shutdown begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.guests.windows.faults.registry import FaultActed, fault

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows

NAME = "abort_shutdown"

REACTION_MS = 200
"""From the start of a shutdown to its end by the malware."""


@fault(NAME, cause="C7", claim="cancelled")
def abort_shutdown(windows: Windows, target: str) -> None:
    """Each shutdown is aborted as soon as it begins, through whatever door it came."""

    def abort() -> Steps[bool]:
        yield REACTION_MS * NS_PER_MS
        windows.system.facts.chain(FaultActed(fault=NAME, cause="C7", effect="aborted the shutdown"))
        return False

    windows.system.hooks.shutdown.append(abort)
