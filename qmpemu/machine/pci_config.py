"""PCI configuration mechanism 1, as far as the firmware needs it to map the ACPI registers.

    0xCF8 <- 1 | bus | device | function | register        0xCFC <-> the register's bytes

    ICH9 00:1f.0    0x40 PM base (bits 15:7)     0x44 bit 7: ACPI enable
    PIIX4 00:01.3   0x40 PM base (bits 15:6)     0x80 bit 0: ACPI enable

Other functions do not exist here: their registers read as ones.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.acpi import FixedHardware

ENABLE = 1 << 31
PM_BASE_REGISTER = 0x40
COMMAND_REGISTER, COMMAND_WRITABLE = 0x04, 0x0507


class Function:
    """The function that holds a chipset's PM base. writable: the bits of register 0x40 that a write sets.

    power_on: the registers that are not 0 after a reset, 32 bits each.
    """

    __slots__ = ("address", "base_mask", "enable_bit", "enable_register", "power_on", "writable")

    def __init__(
        self,
        address: int,
        power_on: dict[int, int],
        *,
        writable: int,
        base_mask: int,
        enable_register: int,
        enable_bit: int,
    ) -> None:
        self.address = address
        self.power_on = power_on
        self.writable = writable
        self.base_mask = base_mask
        self.enable_register = enable_register
        self.enable_bit = enable_bit


ICH9_POWER_ON = {
    0x00: 0x29188086,
    0x08: 0x06010002,
    0x0C: 0x00800000,
    0x2C: 0x11001AF4,
    0x40: 0x00000001,
    0x60: 0x80808080,
    0x68: 0x80808080,
}
PIIX4_POWER_ON = {
    0x00: 0x71138086,
    0x04: 0x02800000,
    0x08: 0x06800003,
    0x2C: 0x11001AF4,
    0x3C: 0x00000100,
    0x40: 0x00000001,
    0x5C: 0x10000000,
    0x60: 0x60000000,
    0x90: 0x0000B101,
    0xD0: 0x00090000,
}
FUNCTIONS = {
    "ICH9": Function(
        0xF800, ICH9_POWER_ON, writable=0xFF87, base_mask=0xFF80, enable_register=0x44, enable_bit=0x80
    ),
    "PIIX4": Function(
        0x0B00, PIIX4_POWER_ON, writable=0xFFFFFFFF, base_mask=0xFFC0, enable_register=0x80, enable_bit=0x01
    ),
}
"""Measured over qtest on QEMU 7.2."""


class PciConfig:
    """The address latch and the one function's registers. Writing them maps the ACPI registers."""

    __slots__ = ("_acpi", "_address", "_function", "_registers")

    def __init__(self, acpi: FixedHardware) -> None:
        self._acpi = acpi
        self._address = 0
        self._function = FUNCTIONS[acpi.chipset.name]
        self._registers = bytearray()
        self.reset()

    def reset(self) -> None:
        """Machine reset: every register as at power-up, the PM base 0x0001 (unprogrammed)."""
        self._registers = bytearray(256)
        for register, value in self._function.power_on.items():
            self._registers[register : register + 4] = value.to_bytes(4, "little")

    def read_address(self, offset: int, size: int) -> int:
        """The latch, as last written by 32 bits."""
        return self._address >> 8 * offset

    def write_address(self, offset: int, value: int, size: int) -> None:
        """Only a 32-bit write sets the latch."""
        if size == 4:
            self._address = value

    def read_data(self, offset: int, size: int) -> int:
        """The register that the latch selects."""
        self._follow()
        at = self._selected(offset)
        return -1 if at is None else int.from_bytes(self._registers[at : at + size], "little")

    def write_data(self, offset: int, value: int, size: int) -> None:
        """Set the register that the latch selects; read-only ones stay."""
        self._follow()
        at = self._selected(offset)
        if at is None:
            return
        if at < PM_BASE_REGISTER:
            self._write_header(at, value, size)
            return
        self._registers[at : at + size] = value.to_bytes(size, "little")
        self._map()

    def _write_header(self, at: int, value: int, size: int) -> None:
        for index in range(size):
            if at + index - COMMAND_REGISTER in (0, 1):
                writable = COMMAND_WRITABLE >> 8 * (at + index - COMMAND_REGISTER)
                self._registers[at + index] = value >> 8 * index & writable & 0xFF

    def _follow(self) -> None:
        """Where the simulated firmware has mapped the ACPI registers without a write to these, show it."""
        registers, function, pm_base = self._registers, self._function, self._acpi.pm_base
        if pm_base and pm_base != self._mapped():
            registers[PM_BASE_REGISTER : PM_BASE_REGISTER + 4] = (pm_base | 1).to_bytes(4, "little")
            registers[function.enable_register] |= function.enable_bit

    def _mapped(self) -> int:
        """The PM base as the registers say; 0 while it is not enabled."""
        base = int.from_bytes(self._registers[PM_BASE_REGISTER : PM_BASE_REGISTER + 4], "little")
        enabled = self._registers[self._function.enable_register] & self._function.enable_bit
        return base & self._function.base_mask if enabled else 0

    def _map(self) -> None:
        """Put the ACPI registers where the registers now say."""
        registers, function = self._registers, self._function
        there = slice(PM_BASE_REGISTER, PM_BASE_REGISTER + 4)
        base = int.from_bytes(registers[there], "little") & function.writable
        registers[there] = base.to_bytes(4, "little")
        self._acpi.pm_base = self._mapped()

    def _selected(self, offset: int) -> int | None:
        selected = self._address & 0xFFFF00 == self._function.address
        return (self._address & 0xFC) + offset if self._address & ENABLE and selected else None
