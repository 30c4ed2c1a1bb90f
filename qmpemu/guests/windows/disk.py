"""What a Windows installation has on its disk: all that outlives a power cut, and what the next boot reads.

    changed ──save──> store (memory, or a file beside the image) ──load──> the next boot

It is saved at every moment at which the real disk would change, and never at a power loss: a dead machine writes
nothing. So whatever is stored is the truth of a machine that lost its power right then.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from qmpemu.guests.guest import Store
from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows.participants import Response

FORMAT = 1

UpdateKind = Literal["none", "quick", "slow", "stuck"]
UpdateStage = Literal["none", "staged", "installing", "installed", "abandoned"]
Hiberfile = Literal["none", "hibernated", "fast startup"]


class HeldProgram(Struct, frozen=True):
    """One program in hiberfil.sys. documents: open ones, and whether each has changes. answers: as it was, by point."""

    documents: dict[str, bool]
    answers: dict[str, Response] = {}


class HeldSession(Struct, frozen=True):
    """One user's session in hiberfil.sys, its programs in order of start."""

    locked: bool
    programs: dict[str, HeldProgram]

    def unsaved(self) -> tuple[str, ...]:
        """Documents with changes, each with its program's name in front."""
        return tuple(
            f"{name}: {document}"
            for name, program in self.programs.items()
            for document, changed in program.documents.items()
            if changed
        )


class DiskState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One installation's disk.

    running: Windows was up when this was written, so finding it at a boot means an unclean end. dirty: the volumes
    whose dirty flag is set. update*: servicing that has begun. failed_boots: boots in a row that never reached the
    log-on screen. bugcheck: the code of a crash nobody has looked at. asleep: S3, whose memory is lost with the power.
    sessions, failed_services: what hiberfil.sys holds, by user, and services that have failed. dialog: the shutdown
    event tracker wants to know why. infections: what has damaged this Windows.
    files: those that were written, by path.
    """

    format: int = FORMAT
    boots: int = 0
    running: bool = False
    asleep: bool = False
    dirty: tuple[str, ...] = ()
    update: UpdateStage = "none"
    update_kind: UpdateKind = "none"
    update_percent: int = 0
    failed_boots: int = 0
    bugcheck: int = 0
    hiberfile: Hiberfile = "none"
    sessions: dict[str, HeldSession] = {}
    failed_services: tuple[str, ...] = ()
    dialog: bool = False
    infections: tuple[str, ...] = ()
    files: dict[str, bytes] = {}


def decode(data: bytes) -> DiskState:
    """What is stored. Raises GuestError for anything that is no disk state of this format."""
    try:
        state = msgspec.json.decode(data, type=DiskState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GuestError(f"the disk state is not one of a Windows guest: {error}") from None
    if state.format != FORMAT:
        raise GuestError(f"the disk state has format {state.format}, and this qmpemu reads {FORMAT}")
    return state


class Disk:
    """The disk of one booted Windows."""

    __slots__ = ("_store", "state")

    def __init__(self, store: Store) -> None:
        self._store = store
        data = store.load()
        self.state = DiskState() if data is None else decode(data)

    def change(self, **members: Any) -> None:
        """Write members of the state; nothing is saved where nothing changes."""
        changed = structs.replace(self.state, **members)
        if changed != self.state:
            if bool(changed.dirty) != bool(self.state.dirty):
                self._store.mark(bool(changed.dirty))
            self.state = changed
            self._store.save(msgspec.json.encode(changed))
