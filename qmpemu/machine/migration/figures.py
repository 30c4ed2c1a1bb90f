"""What query-migrate tells of a migration, by its status (members and their presence measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS
from qmpemu.machine.migration.sections import blockers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.outgoing import Outgoing

IN_FLIGHT = (
    "active",
    "cancelling",
    "device",
    "postcopy-active",
    "postcopy-paused",
    "postcopy-recover",
    "pre-switchover",
)

COMPRESSION = ("pages", "busy", "busy-rate", "compressed-size", "compression-rate")
"""None of this memory is worth compressing."""


def of(machine: Machine, now_ns: int) -> dict[str, object]:
    """query-migrate's reply. now_ns: the host's clock."""
    reasons = blockers(machine)
    told: dict[str, object] = {"blocked-reasons": reasons} if reasons else {}
    if not machine.migrates:
        return told
    incoming, outgoing = machine.migration.incoming, machine.migration.outgoing
    if outgoing is not None:
        told.update(_outgoing(outgoing, now_ns))
    elif incoming.status != "none":
        told["status"] = incoming.status
        if incoming.status == "completed" and incoming.blocked_ms is not None:
            told["postcopy-blocktime"] = max(incoming.blocked_ms)
            told["postcopy-vcpu-blocktime"] = incoming.blocked_ms
    if incoming.addresses and incoming.status != "completed":
        told["socket-address"] = incoming.addresses
    return told


def _outgoing(outgoing: Outgoing, now_ns: int) -> dict[str, object]:
    told: dict[str, object] = {"status": outgoing.status}
    if outgoing.status == "failed" and outgoing.error:
        told["error-desc"] = outgoing.error
    if outgoing.status not in IN_FLIGHT and outgoing.status != "completed":
        return told
    over = outgoing.status == "completed"
    told["total-time"] = ((outgoing.ended_ns if over else now_ns) - outgoing.began_ns) // NS_PER_MS
    told["setup-time"] = outgoing.setup_ns // NS_PER_MS
    if over:
        told["downtime"] = (outgoing.downtime_ns or 0) // NS_PER_MS
    else:
        told["expected-downtime"] = outgoing.pace.expected_downtime_ms
    told["ram"] = _ram(outgoing, over=over)
    if outgoing.on("xbzrle"):
        told["xbzrle-cache"] = {
            "cache-size": outgoing.parameters["xbzrle-cache-size"],
            "bytes": 0,
            "pages": 0,
            "cache-miss": 0,
            "cache-miss-rate": 0,
            "encoding-rate": 0,
            "overflow": 0,
        }
    if outgoing.on("compress"):
        told["compression"] = dict.fromkeys(COMPRESSION, 0)
    if outgoing.ram.throttle_percent and not over:
        told["cpu-throttle-percentage"] = outgoing.ram.throttle_percent
    return told


def _ram(outgoing: Outgoing, *, over: bool) -> dict[str, object]:
    ram = outgoing.ram
    return {
        "total": outgoing.memory_bytes,
        "remaining": 0 if over else ram.pages_left * 4096,
        "transferred": ram.transferred,
        "duplicate": ram.duplicate,
        "skipped": 0,
        "normal": ram.normal,
        "normal-bytes": ram.normal * 4096,
        "dirty-pages-rate": 0 if over else ram.dirty_pages_s,
        "mbps": _overall(outgoing) if over else outgoing.pace.mbps,
        "dirty-sync-count": ram.passes,
        "postcopy-requests": outgoing.requests,
        "page-size": 4096,
        "multifd-bytes": ram.normal * 4096 if outgoing.on("multifd") else 0,
        "pages-per-second": outgoing.pace.pages_s,
        "precopy-bytes": outgoing.precopy_bytes,
        "downtime-bytes": outgoing.downtime_bytes,
        "postcopy-bytes": outgoing.postcopy_bytes,
        "dirty-sync-missed-zero-copy": 0,
    }


def _overall(outgoing: Outgoing) -> float:
    """Megabits a second over the whole migration."""
    spent_ns = outgoing.ended_ns - outgoing.began_ns
    return outgoing.ram.transferred * 8 * 1000 / spent_ns if spent_ns > 0 else 0.0
