"""A machine's state as data, and a machine made to go on from it.

    capture(machine) ──> {now_ns, boot: {origin, inputs, digest}, alarms, disk} ──> restore(other, ...)

Memory is not copied: the boot is lived again from its origin and its inputs (`machine.history`), at full speed and
unheard, and then compared with what the source was. Where it came out differently (another qmpemu, other
participants) the state is refused and whoever sent it keeps the guest.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.migration import sections
from qmpemu.machine.migration.shape import STATE, fits, sound
from qmpemu.machine.runstate import FINISH_MIGRATE, PAUSED, RUNNING, SUSPENDED
from qmpemu.port import Port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.history import Entry
    from qmpemu.machine.machine import Machine

FORMAT = 4


class Origin:
    """What a guest was loaded with. disk: its store's content at power-on; rtc_base_ns: `guests.guest.Platform`."""

    __slots__ = ("disk", "guest", "name", "participants", "ports", "rtc_base_ns", "seed", "settings")

    def __init__(
        self,
        *,
        guest: str,
        settings: dict[str, str],
        seed: str,
        name: str | None,
        participants: tuple[str, ...],
        rtc_base_ns: int,
        disk: bytes | None,
        ports: tuple[str, ...],
    ) -> None:
        self.guest = guest
        self.settings = settings
        self.seed = seed
        self.name = name
        self.participants = participants
        self.rtc_base_ns = rtc_base_ns
        self.disk = disk
        self.ports = ports

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        row: dict[str, Any] = {member: getattr(self, member) for member in self.__slots__}
        row["disk"] = _text(self.disk)
        return row

    @classmethod
    def of(cls, row: dict[str, Any]) -> Origin:
        """From `data()`."""
        given = {**row, "disk": _bytes(row["disk"]), "participants": tuple(row["participants"])}
        return cls(**{**given, "ports": tuple(row["ports"])})


def introduction(machine: Machine, capabilities: frozenset[str], *, answer: bool) -> dict[str, Any]:
    """What a stream begins with: which machine the guest is of. answer: the source listens (`shape.CONFIG`)."""
    config = machine.config
    return {
        "machine": config.machine,
        "memory_bytes": config.memory_bytes,
        "uuid": config.uuid,
        "postcopy": "postcopy-ram" in capabilities,
        "multifd": "multifd" in capabilities,
        "answer": answer,
        "blocks": sections.memory_blocks(machine),
    }


def must_travel(machine: Machine) -> None:
    """Raises Refused where the guest can neither be moved nor saved."""
    if machine.processor.software is not None:
        if machine.history.lost:
            raise Refused("the guest has had too many inputs since it booted to be moved or saved: reset it")
        if machine.history.origin is None:
            raise Refused("the guest was loaded by a program of its own, and cannot be moved or saved")


def capture(machine: Machine) -> dict[str, Any]:
    """The state, as JSON has it. Raises Refused where the guest cannot travel."""
    must_travel(machine)
    history, clock = machine.history, machine.clock
    history.tidy()
    boot = None
    if history.origin is not None:
        boot = {
            "at_ns": history.boot_ns,
            "at_ran": history.boot_ran,
            "ran": clock.ran,
            "origin": history.origin.data(),
            "inputs": history.entries,
            "answers": history.answers,
            "digest": digest(machine),
        }
    due_ns = machine.processor.power_good_at_ns
    return {
        "format": FORMAT,
        "now_ns": clock.now_ns,
        "power_good_in_ns": None if due_ns is None else due_ns - clock.now_ns,
        "boot": boot,
        "alarms_ns": [machine.wall_ns() + due - machine.virtual_clock.now_ns for due in machine.alarms],
        "rtc_ahead_ns": machine.rtc_ahead_ns,
        "disk": _text(machine.disk.load() if machine.disk is not None else None),
        "pci": machine.plugging.pci.state(),
        "sections": sections.sections(machine),
        "wishes": machine.plugging.virtio_memory.wishes(),
    }


def restore(machine: Machine, state: dict[str, Any], runstate: str) -> None:
    """Make the machine go on from `state`, standing still in `runstate`. Raises Refused, the machine then unusable."""
    try:
        if state.get("format") != FORMAT:
            raise Refused(f"the state is of format {state.get('format')}, and this qmpemu reads {FORMAT}")
        if not fits(state, STATE) or not sound(state):
            raise Refused("the state is damaged: a value is missing or wrong")
        _restore(machine, state, runstate)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"the state is damaged: {type(error).__name__} {error}") from None


def _restore(machine: Machine, state: dict[str, Any], runstate: str) -> None:
    boot, now_ns = state["boot"], state["now_ns"]
    machine.processor.forget()
    machine.alarms.clear()
    machine.rtc_ahead_ns = state["rtc_ahead_ns"]
    machine.console.forget()
    machine.plugging.reset()
    for port in machine.ports.values():
        port.forget()
    if boot is None:
        machine.clock.rewind(now_ns)
    else:
        machine.clock.rewind(boot["at_ns"], boot["at_ran"])
    if machine.acpi is not None:
        machine.acpi.reset()
    if boot is None:
        machine.processor.start_as(state["power_good_in_ns"])
    else:
        entries: list[Entry] = [
            (int(at), int(ran), str(k), str(n), str(v)) for at, ran, k, n, v in boot["inputs"]
        ]
        relive(machine, Origin.of(boot["origin"]), entries, boot["answers"], now_ns, boot["ran"])
        if digest(machine) != boot["digest"]:
            raise Refused("the guest's boot came out differently when lived again: was it another qmpemu?")
    machine.plugging.pci.take_over(state["pci"])
    board = machine.board
    asleep = boot is not None and board.runstate == SUSPENDED
    board.runstate = SUSPENDED if asleep and runstate in (RUNNING, PAUSED, FINISH_MIGRATE) else runstate
    machine.clock.stop()
    for wall_ns in state["alarms_ns"]:
        machine.set_alarm(max(0, wall_ns - machine.wall_ns()))
    machine.arrived(_bytes(state["disk"]))


def relive(
    machine: Machine,
    origin: Origin,
    entries: list[Entry],
    answers: dict[str, list[list[int | str]]],
    now_ns: int,
    ran: int,
) -> None:
    """Boot from `origin` and live up to `now_ns`. Raises Refused for an input that nothing here takes."""
    history, board, facts = machine.history, machine.board, machine.facts
    end_ns = machine.host_ns()
    former = facts.timed_by(lambda: end_ns - (now_ns - machine.clock.now_ns))
    history.replaying, history.again = True, origin
    before, board.actions.panic = board.actions.panic, "none"
    watchdog, board.actions.watchdog = board.actions.watchdog, "none"
    board.runstate = RUNNING
    history.set_aside = {name: port for name, port in machine.ports.items() if name not in origin.ports}
    mine = dict(machine.ports)
    _have_ports(machine, {name: mine.get(name) or Port(name) for name in origin.ports})
    try:
        facts.run(None, machine.processor.power_on)
        machine.settle()
        history.replay(entries, answers, now_ns, ran, machine.settle)
        if set(machine.ports) != set(mine):
            raise Refused("the machines differ in their virtio-serial ports")
    except KeyError as error:
        raise Refused(f"the guest was given an input that this machine has no way in for: {error}") from None
    finally:
        history.replaying, history.again, history.set_aside = False, None, {}
        board.actions.panic, board.actions.watchdog = before, watchdog
        facts.timed_by(former)


def _have_ports(machine: Machine, ports: dict[str, Port]) -> None:
    """Let these be the ports, without a word to anybody."""
    dict.clear(machine.ports)
    dict.update(machine.ports, ports)


def digest(machine: Machine) -> str:
    """What must be the same after a boot was lived again: registers, facts, dice, disk, ports."""
    from zlib import crc32

    history, acpi = machine.history, machine.acpi
    registers = () if acpi is None else (acpi.pm_base, acpi.status(), acpi.pm1_en, acpi.pm1_cnt, acpi.gpe0_en)
    dice = "" if history.rng is None else repr(history.rng.getstate())
    disk = b"" if machine.disk is None else machine.disk.load() or b""
    ports = sorted(name for name, port in machine.ports.items() if port.guest_open)
    parts = (registers, history.facts, history.facts_crc, crc32(dice.encode()), crc32(disk), ports)
    return " ".join(map(str, parts))


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("latin-1")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")
