"""Settings of the simulated guest, from the environment of the process:

QMPEMU_GUEST    the guest (`qmpemu guests` lists them)      QMPEMU_SPEED   1x, 60x, 0.5x or virtual
QMPEMU_SET      NAME=VALUE[,NAME=VALUE...]                  QMPEMU_SEED    any text; same seed, same history
QMPEMU_DISK     file for what outlives a power cut, or none (default: beside the first disk image)
QMPEMU_PARTICIPANTS  installed participants, NAME[,NAME...]    QMPEMU_OPERATOR  query-commands lists the operator's
QMPEMU_MEMORY   used=SIZE,dirty=SIZE,link=SIZE: what a migration finds (bytes in use; a second: written, carried)
QMPEMU_LOG      file for the time line as JSON lines, `-` for standard error
"""

from __future__ import annotations

from qmpemu.core.clock import parse_scale
from qmpemu.edge.keyval import OptionError, parse, size
from qmpemu.guests import registry as guests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.guests.windows.participants import Participant
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.migration.memory import MemoryModel


def configure(config: MachineConfig, environment: Mapping[str, str]) -> float | None:
    """Put the QMPEMU_* settings into `config`; returns the clock's scale. Raises OptionError."""
    config.guest = environment.get("QMPEMU_GUEST")
    config.settings = parse(environment.get("QMPEMU_SET", ""))
    config.seed = environment.get("QMPEMU_SEED", "0")
    config.operator = environment.get("QMPEMU_OPERATOR", "") not in ("", "0", "off")
    config.memory_model = _memory_model(
        environment.get("QMPEMU_MEMORY", ""), writes=config.guest != guests.NONE
    )
    config.participants = tuple(filter(None, environment.get("QMPEMU_PARTICIPANTS", "").split(",")))
    try:
        return parse_scale(environment.get("QMPEMU_SPEED", "1x"))
    except ValueError as error:
        raise OptionError(f"QMPEMU_SPEED: {error}") from None


def check_guest(config: MachineConfig) -> None:
    """Whether there is such a guest with such settings: after all that needs no guest's code. Raises OptionError."""
    try:
        if config.guest is not None or config.settings:
            guests.check(config.guest or guests.DEFAULT, config.settings)
    except guests.GuestError as error:
        source = "QMPEMU_SET" if config.settings else "QMPEMU_GUEST"
        raise OptionError(f"{source}: {error}") from None


def participants(names: tuple[str, ...]) -> tuple[Participant, ...]:
    """The installed participants of those names. Raises OptionError."""
    if not names:
        return ()
    from qmpemu.participants import named

    try:
        return tuple(named(name) for name in names)
    except guests.GuestError as error:
        raise OptionError(f"QMPEMU_PARTICIPANTS: {error}") from None


def _memory_model(text: str, *, writes: bool) -> MemoryModel | None:
    """writes: whether there is a guest that could write to its memory."""
    if not text and writes:
        return None
    from qmpemu.machine.migration.memory import MemoryModel

    model = MemoryModel()
    if not writes:
        model.dirty_bytes_s = 0
    for name, value in parse(text).items():
        if name not in ("used", "dirty", "link"):
            raise OptionError(f"QMPEMU_MEMORY: '{name}' is not known: give used, dirty or link")
        attribute = "used_bytes" if name == "used" else f"{name}_bytes_s"
        setattr(model, attribute, max(size(name, value, "B"), int(name == "link")))
    return model
