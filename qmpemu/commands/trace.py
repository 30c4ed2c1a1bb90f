"""QAPI module `trace`: QEMU's trace events, as recorded. None is ever on: qmpemu traces nothing (`QMPEMU_LOG` does)."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.core.json_text import loads
from qmpemu.qmp.errors import QmpError, not_emulated

ALL: dict[str, object] = {"name": "*"}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("trace-event-get-state")
def trace_event_get_state(ctx: Context, *, name: str, vcpu: int | None = None) -> object:
    """-> name, state, and whether each processor has its own, of each event that fits `name` (`*` is any text)."""
    return _found(ctx, name, vcpu)


@command("trace-event-set-state")
def trace_event_set_state(
    ctx: Context, *, name: str, enable: bool, ignore_unavailable: bool = False, vcpu: int | None = None
) -> object:
    """Switch events off, which they are; on is not emulated."""
    found = _found(ctx, name, vcpu)
    unavailable = [each for each in found if each["state"] == "unavailable"]
    if unavailable and not ignore_unavailable:
        raise QmpError(f'event "{unavailable[0]["name"]}" is disabled')
    if enable and len(unavailable) < len(found):
        raise not_emulated("trace-event-set-state")
    return {}


def _found(ctx: Context, name: str, vcpu: int | None) -> list[dict[str, Any]]:
    recorded = ctx.profile.reply("none", "tcg", "trace-event-get-state", ALL)
    if not isinstance(recorded, bytes):
        raise not_emulated("trace-event-get-state")
    if vcpu is not None and not 0 <= vcpu < len(ctx.machine.devices.processors.present()):
        raise QmpError(f"invalid vCPU index {vcpu}")
    rows: list[dict[str, Any]] = loads(recorded)
    if "*" not in name:
        found = [row for row in rows if row["name"] == name]
        if not found:
            raise QmpError(f'unknown event "{name}"')
        if vcpu is not None and not found[0]["vcpu"]:
            raise QmpError(f'event "{name}" is not vCPU-specific')
        return found
    parts = name.split("*")
    return [row for row in rows if _fits(row["name"], parts) and (vcpu is None or row["vcpu"])]


def _fits(text: str, parts: list[str]) -> bool:
    """Whether `text` is the parts in their order, with anything between them."""
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place = len(first)
    for part in middle:
        place = text.find(part, place, len(text) - len(last))
        if place < 0:
            return False
        place += len(part)
    return True
