"""The I/O space: which register answers at a port, and how an access that does not fit it is cut up.

    access of 1, 2, 4 bytes ──cut at region ends and to what a register takes──> Region.read(offset, size)

    0x070 CMOS   0x064 reset   0x0B2 APM   0x505 pvpanic   0xCF8 PCI address   0xCF9 reset   0xCFC PCI data
    PM base + 0 (PM1_STS, PM1_EN), + 4 (PM1_CNT), + 8 (PM timer), GPE0 behind it (ICH9) or at 0xAFE0 (PIIX4)

Cutting as measured on QEMU 7.2: PM1 takes 16 bits at once at most, so a 32-bit write to PM1_STS writes PM1_EN too; a
byte at an odd PM1 address reads 0 and is not written; PM1_CNT gives and takes its value at either of its bytes. Where
nothing answers, reads give all ones.
"""

from __future__ import annotations

from qmpemu import acpi as hardware
from qmpemu.machine.pci_config import PciConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qmpemu.machine.panic import PanicDevice
    from qmpemu.machine.rtc import Rtc

KEYBOARD_PORT, KEYBOARD_RESET = 0x64, 0xFE
KEYBOARD_STATUS_IDLE = 0x18
APM_PORT = 0xB2
SMI_OFFSET = 0x30
"""The ICH9's SMI_EN and SMI_STS, from the PM base: the first is kept, as a whole, and causes nothing."""
RESET_TYPE_MASK = 0x02
"""The bit of the reset control register that reads back."""


class Region:
    """`length` ports from `base` on. read(offset, size) and write(offset, value, size) get at most `most` bytes."""

    __slots__ = ("base", "length", "most", "read", "write")

    def __init__(
        self,
        base: int,
        length: int,
        most: int,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
    ) -> None:
        self.base = base
        self.length = length
        self.most = most
        self.read = read
        self.write = write


class IoPorts:
    """The ports of one machine. on_reset(): a guest asked for a reset at a port other than the ACPI one.

    more: the ports of ISA devices.
    """

    __slots__ = (
        "_acpi",
        "_apm",
        "_fixed",
        "_on_reset",
        "_panic",
        "_pci",
        "_reset_control",
        "_smi_enable",
        "rtc",
    )

    def __init__(
        self,
        acpi: hardware.FixedHardware,
        rtc: Rtc,
        panic: PanicDevice | None,
        on_reset: Callable[[], None],
        more: Iterable[Region] = (),
    ) -> None:
        self._acpi = acpi
        self.rtc = rtc
        self._panic = panic
        self._pci = PciConfig(acpi)
        self._on_reset = on_reset
        self._apm = [0, 0]
        self._reset_control = 0
        self._smi_enable = 0
        self._fixed = [*self._make_fixed(), *more]

    def read(self, port: int, size: int) -> int:
        """Read 1, 2 or 4 bytes; what lies beyond the last port or answers nowhere reads as ones."""
        value = 0
        for shift, region, offset, part in self._cut(port, size):
            got = region.read(offset, part) if region is not None else -1
            value |= (got & ((1 << 8 * part) - 1)) << shift
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """Write 1, 2 or 4 bytes."""
        for shift, region, offset, part in self._cut(port, size):
            if region is not None:
                region.write(offset, value >> shift & ((1 << 8 * part) - 1), part)

    def reset(self) -> None:
        """Machine reset: the PCI registers forget the PM base; the CMOS has a battery."""
        self._pci.reset()
        self._reset_control = self._smi_enable = 0

    def _cut(self, port: int, size: int) -> Iterator[tuple[int, Region | None, int, int]]:
        """The parts of an access: shift in bits, region, offset in it, size in bytes (a power of two)."""
        done = 0
        while done < size:
            region = self._region(port + done)
            part = 1
            offset = 0
            if region is not None:
                offset = port + done - region.base
                part = min(size - done, region.length - offset, region.most)
                part = min(1 << (part.bit_length() - 1), offset & -offset or region.most)
            yield 8 * done, region, offset, part
            done += part

    def _region(self, port: int) -> Region | None:
        for region in (*self._fixed, *self._mapped()):
            if 0 <= port - region.base < region.length:
                return region
        return None

    def _mapped(self) -> Iterator[Region]:
        """Regions whose place depends on the PM base."""
        acpi = self._acpi
        if acpi.pm_base:
            yield Region(acpi.pm_base, 4, 2, self._read_event, self._write_event)
            yield Region(acpi.pm_base + 4, 2, 2, self._read_control, self._write_control)
            yield Region(acpi.pm_base + 8, 4, 4, lambda offset, _: acpi.timer_value() >> 8 * offset, _ignored)
            if acpi.chipset is hardware.ICH9:
                yield Region(acpi.pm_base + SMI_OFFSET, 8, 4, self._read_smi, self._write_smi)
        if acpi.gpe0_base:
            yield Region(
                acpi.gpe0_base,
                2 * acpi.chipset.gpe0_half,
                1,
                lambda offset, _: acpi.read(acpi.gpe0_base + offset, 1),
                lambda offset, value, _: acpi.write(acpi.gpe0_base + offset, value),
            )

    def _make_fixed(self) -> list[Region]:
        regions = [
            Region(0x70, 2, 1, self.rtc.read, self.rtc.write),
            Region(KEYBOARD_PORT, 1, 1, lambda *_: KEYBOARD_STATUS_IDLE, self._write_keyboard),
            Region(APM_PORT, 2, 1, lambda offset, _: self._apm[offset], self._write_apm),
            Region(0xCF9, 1, 1, lambda *_: self._reset_control, self._write_reset_control),
            Region(0xCF8, 4, 4, self._pci.read_address, self._pci.write_address),
            Region(0xCFC, 4, 4, self._pci.read_data, self._pci.write_data),
        ]
        panic = self._panic
        if panic is not None:
            regions.append(Region(panic.port, 1, 1, panic.read, panic.write))
        return regions

    # --- registers --------------------------------------------------------------------------------------------

    def _read_event(self, offset: int, size: int) -> int:
        return self._acpi.read(self._acpi.pm_base + offset) if offset % 2 == 0 else 0

    def _write_event(self, offset: int, value: int, size: int) -> None:
        if offset % 2 == 0:
            self._acpi.write(self._acpi.pm_base + offset, value)

    def _read_control(self, offset: int, size: int) -> int:
        return self._acpi.read(self._acpi.pm_base + hardware.PM1_CNT)

    def _write_control(self, offset: int, value: int, size: int) -> None:
        self._acpi.write(self._acpi.pm_base + hardware.PM1_CNT, value)

    def _read_smi(self, offset: int, size: int) -> int:
        return self._smi_enable if (offset, size) == (0, 4) else 0

    def _write_smi(self, offset: int, value: int, size: int) -> None:
        if (offset, size) == (0, 4):
            self._smi_enable = value

    def _write_apm(self, offset: int, value: int, size: int) -> None:
        self._apm[offset] = value
        if offset == 0:
            self._acpi.write(APM_PORT, value)

    def _write_keyboard(self, offset: int, value: int, size: int) -> None:
        if value == KEYBOARD_RESET:
            self._on_reset()

    def _write_reset_control(self, offset: int, value: int, size: int) -> None:
        self._reset_control = value & RESET_TYPE_MASK
        self._acpi.write(hardware.RESET_CONTROL_PORT, value)


def _ignored(offset: int, value: int, size: int) -> None:
    """A register that only reads."""
