"""The doors: every way by which something outside the machine's clock reaches the guest, noted on its way in.

    QMP, chardev, VNC ──> note(kind, name, value) ──> board, port, console, balloon, hot plug ──> guest
    a boot that is lived again ──> doors[kind](name, value) ──> the same

What the guest reads of the world (`answered`: its devices, the time of day) is noted when it is read.
"""

from __future__ import annotations

from qmpemu.port import Port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.hotplug import Notice
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.machine import Machine


def open_doors(machine: Machine) -> None:
    """Name every way in, and note what the console hands in."""
    board, console, history = machine.board, machine.console, machine.history
    history.doors.update(
        {
            "press": lambda name, value: board.request_powerdown(),
            "wake": lambda name, value: board.request_wakeup(),
            "ring": lambda name, value: board.ring(),
            "nmi": lambda name, value: board.inject_nmi(),
            "key": lambda name, value: console.feed("key", name, int(value)),
            "rel": lambda name, value: console.feed("rel", name, int(value)),
            "abs": lambda name, value: console.feed("abs", name, int(value)),
            "btn": lambda name, value: console.feed("btn", name, int(value)),
            "serial": lambda name, value: _serial(machine, value),
            "port bytes": lambda name, value: machine.ports[name].host_write(value.encode("latin-1")),
            "port": lambda name, value: machine.ports[name].host_open(bool(value)),
            "port came": lambda name, value: _port_came(machine, name),
            "port went": lambda name, value: machine.ports.__delitem__(name),
            "balloon": lambda name, value: machine.plugging.balloon.ask(int(value)),
            "virtio-mem": lambda name, value: machine.plugging.virtio_memory.shared.ask(name, int(value)),
            "notice": lambda name, value: _notice(machine, name, value),
        }
    )
    console.on_input = lambda kind, name, value: history.note(kind, name, str(value))


def join_port(machine: Machine, port: Port, chardev: Chardev) -> None:
    """Join a virtio-serial port with its character device."""
    history = machine.history

    def guest_wrote(data: bytes) -> None:
        if not history.replaying:
            chardev.write(data)

    def host_wrote(data: bytes) -> None:
        history.note("port bytes", port.name, data.decode("latin-1"))
        if not port.guest_open:
            history.keep()  # it is read together with what comes later
        port.host_write(data)

    def host_opened(opened: bool) -> None:
        if port.guest_open and not port.heeds_host:
            return  # nothing in the guest is the wiser
        history.note("port", port.name, "open" if opened else "")
        port.host_open(opened)

    port.on_guest_data = guest_wrote
    port.on_traceless = lambda pieces: history.forget("port bytes", port.name, pieces)
    chardev.receive = host_wrote
    chardev.on_connected = host_opened


def join_serial(machine: Machine, chardev: Chardev) -> None:
    """The first serial line goes to whatever software runs here."""
    line = machine.console.serial = Port("COM1")
    line.guest_open = chardev.frontend_open = True
    line.on_guest_data = lambda data: None if machine.history.replaying else chardev.write(data)

    def host_wrote(data: bytes) -> None:
        machine.history.note("serial", "", data.decode("latin-1"))
        line.host_write(data)

    chardev.receive = host_wrote


def note_standing(machine: Machine) -> None:
    """A boot begins: what came before, and the guest will find, is its first input."""
    note, plugging = machine.history.note, machine.plugging
    for name, port in machine.ports.items():
        if port.waiting:
            note("port bytes", name, port.waiting.decode("latin-1"))
    if plugging.balloon.target_bytes != machine.config.memory_bytes:
        note("balloon", "", str(plugging.balloon.target_bytes))
    for path, size_bytes in plugging.virtio_memory.shared.requested.items():
        note("virtio-mem", path, str(size_bytes))
    for notice in plugging.hotplug.waiting:
        note("notice", *of_notice(notice))
    machine.history.keep()


def of_notice(notice: Notice) -> tuple[str, str]:
    """A hot plug notice as name and value of an input."""
    return notice.id or "", f"{notice.kind} {'leaves' if notice.leaving else 'comes'} {notice.driver}"


def _notice(machine: Machine, identity: str, value: str) -> None:
    kind, way, driver = value.split(" ", 2)
    plugging = machine.plugging
    plugging.hotplug.notify(plugging.notice_again(kind, driver, identity or None, leaving=way == "leaves"))


def _serial(machine: Machine, value: str) -> None:
    if machine.console.serial is not None:
        machine.console.serial.host_write(value.encode("latin-1"))


def _port_came(machine: Machine, name: str) -> None:
    """A port that was plugged in that boot: the machine's own, where it has it to this day."""
    from qmpemu.port import Port

    aside = machine.history.set_aside
    machine.ports[name] = aside.pop(name) if name in aside else Port(name)
