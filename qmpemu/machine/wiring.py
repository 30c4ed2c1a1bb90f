"""Builds the I/O space of a machine: the clock, pvpanic and the ACPI registers behind their ports."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.machine import panic
from qmpemu.machine.ioports import IoPorts, Region
from qmpemu.machine.machine import RTC_IRQ
from qmpemu.machine.rtc import Rtc, RtcSet, RtcTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.acpi import FixedHardware
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.machine import Machine

LOW_MEMORY = {"q35": (0xB000_0000, 0x8000_0000), "pc": (0xE000_0000, 0xC000_0000)}
"""From how many bytes of RAM on it is split, and how many then stay below 4 GiB."""


def io_ports(machine: Machine, acpi: FixedHardware) -> IoPorts:
    """The ports of `machine`."""
    board = machine.board
    config = machine.config
    options = panic.options_of(config.devices)
    device = options and panic.PanicDevice(
        panic.number(options.get("ioport"), panic.DEFAULT_PORT),
        panic.number(options.get("events"), panic.PANICKED | panic.CRASH_LOADED),
        board.guest_panicked,
        board.guest_crash_loaded,
    )

    def reset() -> None:
        board.request_reset(guest=True, reason="guest-reset")

    return IoPorts(acpi, _rtc(machine), device or None, reset, _isa(machine))


def _isa(machine: Machine) -> list[Region]:
    """The ports of its ISA devices, but for pvpanic's."""
    from qmpemu.machine import watchdog

    if not any(machine.devices.of_kind(watchdog.IB700)):
        return []
    return watchdog.ib700(machine.plugging.watchdog)


def rtc_set(config: MachineConfig, offset_s: int) -> RtcSet:
    """The clock of such a machine was set."""
    return RtcSet(offset_s=offset_s, qom_path=_rtc_path(config))


def _rtc(machine: Machine) -> Rtc:
    config = machine.config
    if config.rtc_virtual:
        time = RtcTime(machine.virtual_ns, machine.clock.call_in)
    else:
        time = RtcTime(machine.host_ns, machine.call_in_host_time)
    seconds, _ = machine.host.timestamp()
    low_bytes, high_bytes = ram_split(config)
    rtc = Rtc(
        time,
        machine.facts,
        _rtc_path(config),
        base_s=seconds - time.now_ns() // NS_PER_S,
        low_bytes=low_bytes,
        high_bytes=high_bytes,
        cpus=config.cpus,
    )
    rtc.on_irq = lambda level: machine.on_irq(RTC_IRQ, level)
    return rtc


def ram_split(config: MachineConfig) -> tuple[int, int]:
    """RAM below and above 4 GiB, in bytes."""
    most, low_bytes = LOW_MEMORY[config.family]
    if config.memory_bytes < most:
        return config.memory_bytes, 0
    return low_bytes, config.memory_bytes - low_bytes


def _rtc_path(config: MachineConfig) -> str:
    """Where QEMU 7.2 puts the clock in its object tree: behind the processors, and on pc behind a default device."""
    video = any(each.group == "video" for each in config.onboard)
    first = 8 if config.family == "q35" else 9 + video
    first += config.accel == "kvm"  # whose own clock is made before
    return f"/machine/unattached/device[{first + config.cpus - 1}]"
