"""What a disk device's properties may be, as QEMU 7.2 checks them (texts and order measured).

block sizes ──set──> a power of two within bounds        made ──> together, then what the type itself limits
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK_SIZES = ("logical_block_size", "physical_block_size")
SECTOR, LARGEST = 512, 2 << 20
GEOMETRY = {"cyls": 65535, "heads": 255, "secs": 255}
IDE_HEADS = 16
MULTIPLES = ("min_io_size", "opt_io_size", "discard_granularity")
UNSET = 0xFFFFFFFF
MIN_IO_BLOCKS = 65535
QUEUE_LEAST, QUEUE_MOST = 2, 1024
SECTORS_MOST = 4194303
SCSI_QUEUES_MOST = 1022
NVME_QUEUES_MOST = 65535


def check_set(name: str, value: object) -> None:
    """Whether a property takes the value, before anything else is known. Raises Refused."""
    if name not in BLOCK_SIZES or not isinstance(value, int) or not value:
        return
    if not SECTOR <= value <= LARGEST:
        raise Refused(f"Property .{name} doesn't take value {value} (minimum: {SECTOR}, maximum: {LARGEST})")
    if value & (value - 1):
        raise Refused(f"Property .{name} doesn't take value '{value}', it's not a power of 2")


def check(kind: str, values: Mapping[str, object]) -> None:
    """Whether a device with these properties can be made. Raises Refused."""
    number = {name: value for name, value in values.items() if isinstance(value, int)}
    if kind.startswith("virtio-blk"):
        _check_queues(number)
        _check_geometry(number)
        _check_sizes(number)
        _check_sectors(number)
        if values.get("scsi") in (True, "on") and values.get("disable-modern") not in (True, "on"):
            raise Refused("Please set scsi=off for virtio-blk devices in order to use virtio 1.0")
    elif kind.startswith("virtio-scsi"):
        queues = number.get("num_queues", UNSET)
        if queues != UNSET and not 0 < queues <= SCSI_QUEUES_MOST:
            raise Refused(
                f"Invalid number of queues (= {queues}), must be a positive integer less than {SCSI_QUEUES_MOST}."
            )
    elif kind in ("scsi-hd", "scsi-cd", "usb-storage"):
        _check_sizes(number)
        _check_geometry(number)
    elif kind in ("ide-hd", "ide-cd"):
        if number.get("discard_granularity", SECTOR) not in (SECTOR, 0, UNSET):
            raise Refused("discard_granularity must be 512 for ide")
        _check_sizes({"discard_granularity": SECTOR, **number})
        _check_geometry(number, IDE_HEADS)
    elif kind == "floppy":
        _check_sizes(number)
        if any(number.get(name, SECTOR) not in (0, SECTOR) for name in BLOCK_SIZES):
            raise Refused("Physical and logical block size must be 512 for floppy")
    elif kind == "nvme":
        if not 0 < number.get("max_ioqpairs", 1) <= NVME_QUEUES_MOST:
            raise Refused(f"max_ioqpairs must be between 1 and {NVME_QUEUES_MOST}")
        if values.get("serial") is None:
            raise Refused("serial property not set")
        _check_sizes(number)


def _check_sizes(values: Mapping[str, int]) -> None:
    logical, physical = (values.get(name) or SECTOR for name in BLOCK_SIZES)
    if logical > physical:
        raise Refused("logical_block_size > physical_block_size not supported")
    for name in MULTIPLES:
        value = values.get(name, 0)
        if value and not (name == "discard_granularity" and value == UNSET) and value % logical:
            raise Refused(f"{name} must be a multiple of logical_block_size")
        if name == "min_io_size" and value > MIN_IO_BLOCKS * logical:
            raise Refused(f"min_io_size must not exceed {MIN_IO_BLOCKS} logical blocks")


def _check_geometry(values: Mapping[str, int], heads: int = GEOMETRY["heads"]) -> None:
    given = {name: values.get(name, 0) for name in GEOMETRY}
    if not any(given.values()):
        return
    for name, most in {**GEOMETRY, "heads": heads}.items():
        if not 1 <= given[name] <= most:
            raise Refused(f"{name} must be between 1 and {most}")


def _check_queues(values: Mapping[str, int]) -> None:
    if values.get("num-queues") == 0:
        raise Refused("num-queues property must be larger than 0")
    size = values.get("queue-size")
    if size is not None and size <= QUEUE_LEAST:
        raise Refused(f"invalid queue-size property ({size}), must be > {QUEUE_LEAST}")
    if size is not None and (size & (size - 1) or size > QUEUE_MOST):
        raise Refused(f"invalid queue-size property ({size}), must be a power of 2 (max {QUEUE_MOST})")


def _check_sectors(values: Mapping[str, int]) -> None:
    for name in ("max-discard-sectors", "max-write-zeroes-sectors"):
        value = values.get(name, 1)
        if not 0 < value <= SECTORS_MOST:
            raise Refused(f"invalid {name} property ({value}), must be between 1 and {SECTORS_MOST}")
