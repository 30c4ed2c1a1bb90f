"""The qtest protocol: a test pokes ports and steps the virtual clock, one line a request. Sans-IO.

    -> inw 0x600          -> outw 0x602 0x100      -> clock_step 1000       -> irq_intercept_in ioapic
    <- OK 0x0001          <- OK                    <- OK 1000               <- OK  ... IRQ raise 9 ... IRQ lower 9

Answers as QEMU 7.2 gives them. Where that aborts on a malformed line (a missing or unreadable number), the answer
here is `FAIL` with a sentence. Interrupt lines reported: the ACPI SCI (9) and the clock (8).
"""

from __future__ import annotations

from qmpemu.machine.ram import Ram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.machine import Machine

WIDTHS = {"b": 1, "w": 2, "l": 4, "q": 8}
PORT_MAX = 0xFFFF
LINE_BYTES_MAX = 1 << 20
TRANSFER_BYTES_MAX = 1 << 24
CLOCK_NS_MAX = (1 << 63) - 1
INTERRUPT_CONTROLLER = "ioapic"
"""The only device whose lines can be intercepted, by its name or by a path that ends in it."""


class Malformed(Exception):
    """A request that cannot be read; one sentence."""


class Qtest:
    """One qtest server on `machine`. send(line): says a line, without its end; heard(line): is told of each request."""

    __slots__ = ("_buffer", "_heard", "_intercepted", "_levels", "_machine", "_ram", "_reporting", "_send")

    def __init__(
        self, machine: Machine, send: Callable[[str], None], heard: Callable[[str], object] = len
    ) -> None:
        self._machine = machine
        self._send = send
        self._heard = heard
        self._buffer = b""
        self._intercepted = False
        self._reporting = False
        self._levels: dict[int, bool] = {}
        self._ram = Ram(machine.config.memory_bytes)
        machine.on_irq = self._irq

    def open(self) -> None:
        """A client came: half a line and levels of an earlier one are forgotten."""
        self._buffer = b""
        self._levels = {}

    def receive(self, data: bytes) -> None:
        """Answer every line that `data` completes."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LINE_BYTES_MAX:
            self._buffer = b""
        for line in lines:
            self._answer(line.decode("latin-1"))

    def _answer(self, line: str) -> None:
        self._heard(line)
        words = line.split(" ")
        machine = self._machine
        machine.board.from_outside = True
        try:
            self._send(self._run(words[0], words[1:]))
        except Malformed as error:
            self._send(f"FAIL {error}")
        finally:
            machine.board.from_outside = False
        machine.settle()

    def _run(self, command: str, words: list[str]) -> str:
        if command == "endianness":
            return "OK little"
        if command in ("irq_intercept_in", "irq_intercept_out"):
            return self._intercept(words, inputs=command.endswith("_in"))
        if command in ("clock_step", "clock_set") and self._machine.steps_clock:
            return self._clock(command, words)
        if command == "module_load":
            return "FAIL"
        if command[-1:] in WIDTHS and command[:-1] in ("in", "out", "read", "write"):
            return self._access(command[:-1], WIDTHS[command[-1]], words) or _unknown(command)
        return self._bulk(command, words) or _unknown(command)

    def _intercept(self, words: list[str], *, inputs: bool) -> str:
        if not words:
            raise Malformed("irq_intercept wants a device")
        if self._machine.acpi is None or words[0].rpartition("/")[2] != INTERRUPT_CONTROLLER:
            return "FAIL Unknown device"
        if not self._intercepted:  # a second call changes nothing, also not from outputs to inputs
            self._intercepted = True
            self._reporting = inputs
        return "OK"

    def _irq(self, number: int, level: bool) -> None:
        if self._reporting and self._levels.get(number, False) != level:
            self._levels[number] = level
            self._send(f"IRQ {'raise' if level else 'lower'} {number}")

    def _clock(self, command: str, words: list[str]) -> str:
        machine = self._machine
        if command == "clock_set":
            return f"OK {machine.step_clock(_number(words, 0, CLOCK_NS_MAX))}"
        if words:
            return f"OK {machine.step_clock(machine.virtual_ns() + _number(words, 0, CLOCK_NS_MAX))}"
        due_ns = machine.next_due_ns()
        return f"OK {machine.step_clock(machine.virtual_ns() if due_ns is None else due_ns)}"

    def _access(self, direction: str, size: int, words: list[str]) -> str | None:
        if direction in ("in", "out") and size == 8:
            return None
        ports = self._machine.io_ports
        if direction == "in":
            port = _number(words, 0, PORT_MAX)
            value = ports.read(port, size) if ports is not None else (1 << 8 * size) - 1
            return f"OK 0x{value:04x}"
        if direction == "out":
            port, value = _number(words, 0, PORT_MAX), _number(words, 1)
            if ports is not None:
                ports.write(port, value & ((1 << 8 * size) - 1), size)
            return "OK"
        if direction == "read":
            return f"OK 0x{int.from_bytes(self._ram.read(_number(words, 0), size), 'little'):016x}"
        value = _number(words, 1) & ((1 << 8 * size) - 1)
        self._ram.write(_number(words, 0), value.to_bytes(size, "little"))
        return "OK"

    def _bulk(self, command: str, words: list[str]) -> str | None:
        if command in ("read", "b64read"):
            data = self._ram.read(_number(words, 0), _length(words))
            return f"OK 0x{data.hex()}" if command == "read" else f"OK {_to_base64(data)}"
        if command == "memset":
            at, length, value = (_number(words, index) for index in range(3))
            if length > TRANSFER_BYTES_MAX:
                raise Malformed("memset is too long")
            self._ram.write(at, bytes([value & 0xFF]) * length)
            return "OK"
        if command == "write":
            at, length = _number(words, 0), _length(words)
            return self._write(at, length, words[2] if len(words) > 2 else "")
        if command == "b64write":
            at, length = _number(words, 0), _length(words)
            self._ram.write(at, _from_base64(words[2] if len(words) > 2 else "")[:length])
            return "OK"
        return None

    def _write(self, at: int, length: int, text: str) -> str:
        """`write ADDR SIZE 0xDATA`; digits that are missing count as zero."""
        if len(text) < 3:
            return "ERR invalid argument size"
        try:
            data = bytes.fromhex(text[2 : 2 + 2 * length][: (len(text) - 2) // 2 * 2])
        except ValueError:
            raise Malformed("data is not hexadecimal") from None
        self._ram.write(at, data.ljust(length, b"\0"))
        return "OK"


def _unknown(command: str) -> str:
    return f"FAIL Unknown command '{command}'"


def _number(words: list[str], index: int, most: int = (1 << 64) - 1) -> int:
    """A number as C's strtoull reads it: 0x.. and 0.. for bases 16 and 8."""
    try:
        text = words[index]
        digits = text.lower()
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] != "x"
        value = int(text, 16 if digits.startswith("0x") else 8 if octal else 10)
    except (IndexError, ValueError):
        raise Malformed("a number is missing or cannot be read") from None
    if not 0 <= value <= most:
        raise Malformed(f"{text} is out of range")
    return value


def _length(words: list[str]) -> int:
    length = _number(words, 1, TRANSFER_BYTES_MAX)
    if length == 0:
        raise Malformed("a length of 0 is not allowed")
    return length


def _to_base64(data: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode("ascii")


def _from_base64(text: str) -> bytes:
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(text)
    except (Error, ValueError):
        raise Malformed("data is not base64") from None
