"""The guest's memory as a migration sees it: pages that are in use, pages that are zero, and how fast they get dirty.

There is no memory to carry, but there is to be time for it: progress, convergence, cancelling and postcopy act on a
model of it. A page in use costs its 4096 bytes and 9 for its place, a zero page the 9 (measured on QEMU 7.2).
"""

from __future__ import annotations

from qmpemu.machine.block.nodes import FLASH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine

PAGE_BYTES, PLACE_BYTES = 4096, 9
KIB, MIB = 1 << 10, 1 << 20
SEABIOS_BYTES = 256 * KIB
UNDER_1M_BYTES = 128 * KIB
"""Where the end of a firmware is seen a second time, which is memory of its own if it is in flash."""
ROM_BYTES, TABLES_BYTES = 128 * KIB, 136 * KIB
"""Expansion ROMs' area, ACPI's tables (all measured on QEMU 7.2: query-migrate's `total`)."""


def firmware_bytes(machine: Machine) -> int:
    """What is RAM to QEMU beside the guest's: the firmware, or its flash chips, and the firmware's tables."""
    config = machine.config
    if config.family == "none":
        return 0
    chips = [each.node for each in machine.blocks.drives if each.qdev.startswith(FLASH)]
    firmware = SEABIOS_BYTES
    if chips:
        firmware = sum(node.image.virtual_bytes for node in chips if node is not None) + UNDER_1M_BYTES
    elif config.firmware_bytes:
        firmware = config.firmware_bytes
    return firmware + ROM_BYTES + TABLES_BYTES * config.has_acpi


class MemoryModel:
    """Settings (QMPEMU_MEMORY). used: bytes that are not zero; dirty: bytes a second that a running guest writes.

    link: bytes a second that the network carries, whatever max-bandwidth allows.
    """

    def __init__(self) -> None:
        self.used_bytes = 4 * MIB
        self.dirty_bytes_s = MIB
        self.link_bytes_s = 1024 * MIB


class Ram:
    """The pages of one migration: what is left to send, and the counters of query-migrate."""

    def __init__(self, model: MemoryModel, memory_bytes: int) -> None:
        pages = memory_bytes // PAGE_BYTES
        self._used_pages = min(pages, -(-model.used_bytes // PAGE_BYTES))
        self._dirty_bytes_s = model.dirty_bytes_s
        self._used, self._zero = self._used_pages, pages - self._used_pages
        self._dirtied_at_ns = 0
        self._credit = 0
        self.normal = self.duplicate = self.transferred = self.passes = 0
        self.dirty_pages_s = 0
        self.multifd_bytes = 0
        self.throttle_percent = 0

    @property
    def pages_left(self) -> int:
        """Pages that the destination does not have, or not as they are now."""
        return self._used + self._zero

    @property
    def cost_bytes(self) -> int:
        """What sending them costs."""
        return self._used * (PAGE_BYTES + PLACE_BYTES) + self._zero * PLACE_BYTES

    def sync(self, now_ns: int, *, running: bool) -> None:
        """Look which pages were written since the last look; a pass begins."""
        since_ns, self._dirtied_at_ns = now_ns - self._dirtied_at_ns, now_ns
        self.passes += 1
        if self.passes == 1:
            return
        rate = self._dirty_bytes_s * (100 - self.throttle_percent) // 100 if running else 0
        dirtied = min(self._used_pages, rate * since_ns // (PAGE_BYTES * 1_000_000_000))
        self.dirty_pages_s = dirtied * 1_000_000_000 // since_ns if since_ns > 0 else 0
        self._used = min(self._used_pages, self._used + dirtied)

    def send(self, budget_bytes: int) -> int:
        """Send pages for at most `budget_bytes`, used and zero ones mixed as they lie; the bytes that it took."""
        whole = self.cost_bytes
        budget = budget_bytes + self._credit
        if budget >= whole:
            used, zero, self._credit = self._used, self._zero, 0
        else:
            used, zero = self._used * budget // whole, self._zero * budget // whole
            self._credit = budget - used * (PAGE_BYTES + PLACE_BYTES) - zero * PLACE_BYTES
        self._used -= used
        self._zero -= zero
        self.normal += used
        self.duplicate += zero
        sent = used * (PAGE_BYTES + PLACE_BYTES) + zero * PLACE_BYTES
        self.transferred += sent
        return min(whole, budget_bytes)
