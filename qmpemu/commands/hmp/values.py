"""The human monitor's verbs that show numbers: `print`, memory, I/O ports. Texts as measured on QEMU 7.2.

A guest's memory is zeros here, as what pmemsave writes of it; a processor has no registers.
"""

from __future__ import annotations

from qmpemu.commands.hmp.expression import Unemulated, Wrong, evaluate
from qmpemu.machine.dump.memory import is_mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.commands.registry import Context

NAMES = {"print": "print|p", "p": "print|p"}
VERBS = ("print", "p", "x", "xp", "i", "o", "sum")
SIZES = {"b": 1, "h": 2, "w": 4, "g": 8, "L": 8}
FORMATS = "oxduic"
LETTERS = {1: "b", 2: "w", 4: "l", 8: "l"}
SHOWN_MAX = 1 << 20
"""Bytes of memory that one line may show."""


class _Bad(Exception):
    """A line that cannot be read."""


def run(ctx: Context, verb: str, rest: str) -> str | None:
    """Run a verb of this file; None if it is none of them. rest: what follows the verb."""
    if verb not in VERBS:
        return None
    try:
        return _run(ctx, verb, rest.lstrip())
    except (Wrong, _Bad) as error:
        return f'{error}\r\nTry "help {verb}" for more information\r\n'
    except Unemulated:
        return f"qmpemu does not emulate the command '{verb}' with registers\r\n"


def _run(ctx: Context, verb: str, text: str) -> str:
    count, form, size = 1, "x", 4
    if verb != "sum":
        count, form, size, text = _format(ctx, verb, text)
    values = []
    for _ in range(2 if verb in ("o", "sum") else 1):
        value, text = evaluate(text)
        values.append(value)
    if text:
        raise _Bad(f"{NAMES.get(verb, verb)}: extraneous characters at the end of line")
    if verb in ("print", "p"):
        return f"{_printed(values[0], form)}\r\n"
    if verb == "i":
        return _port_in(ctx, values[0] & 0xFFFF, min(size, 4))
    if verb == "o":
        return _port_out(ctx, values[0] & 0xFFFF, values[1], min(size, 4))
    if verb == "sum":
        return "00000\r\n"
    return _memory(ctx, verb, values[0], count, form, size)


def _format(ctx: Context, verb: str, text: str) -> tuple[int, str, int, str]:
    """`/4xb` and what follows it; what it leaves out is as it was last. Raises _Bad."""
    count, form, size = 1, "", 0
    if text.startswith("/"):
        word, _, text = text[1:].partition(" ")
        digits = word[: len(word) - len(word.lstrip("0123456789"))]
        count, word = int(digits or 1), word[len(digits) :]
        for char in word:
            if char in FORMATS:
                form = char
            elif char in SIZES:
                size = SIZES[char]
            else:
                raise _Bad(f"invalid char in format: '{char}'")
    form = form or ctx.formats[0]
    if form != "i":
        size = size or ctx.formats[1]
        ctx.formats = (form, size)
    return count, form, size, text.lstrip()


def _printed(value: int, form: str) -> str:
    if form == "c":
        return _quoted(value & 0xFF)
    if form in "di":
        return str(value - (1 << 64) if value >> 63 else value)
    if form == "u":
        return str(value)
    return (f"0{value:o}" if form == "o" else f"0x{value:x}") if value else "0"


def _quoted(byte: int) -> str:
    known = {0x27: "\\'", 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r"}
    if byte in known:
        return f"'{known[byte]}'"
    return f"'{chr(byte)}'" if 0x20 <= byte < 0x7F else f"'\\x{byte:02x}'"


def _port_in(ctx: Context, port: int, size: int) -> str:
    ports = ctx.machine.io_ports
    value = ports.read(port, size) if ports is not None else (1 << 8 * size) - 1
    return f"port{LETTERS[size]}[0x{port:04x}] = 0x{value:0{2 * size}x}\r\n"


def _port_out(ctx: Context, port: int, value: int, size: int) -> str:
    if ctx.machine.io_ports is not None:
        ctx.machine.io_ports.write(port, value & ((1 << 8 * size) - 1), size)
    return ""


def _memory(ctx: Context, verb: str, at: int, count: int, form: str, size: int) -> str:
    if form == "i":
        return f"qmpemu does not emulate the command '{verb}' of instructions\r\n"
    length = count * size
    if length > SHOWN_MAX:
        return f"qmpemu shows {SHOWN_MAX} bytes at most\r\n"
    if verb == "x" and ctx.machine.config.family == "none":
        return "No CPU available\r\n"
    if form == "c":
        size = 1
    row = 8 if size == 1 else 16
    text = ""
    for start in range(0, length, row):
        cells = "".join(f" {_cell(form, size)}" for _ in range(min(row, length - start) // size))
        if verb == "x" and not is_mapped(ctx.machine, at + start, min(row, length - start)):
            return f"{text}Cannot access memory\r\n"
        text += f"{(at + start) & ((1 << 64) - 1):016x}:{cells}\r\n"
    return text


def _cell(form: str, size: int) -> str:
    """A zero in that form."""
    bits = 8 * size
    if form == "c":
        return _quoted(0)
    if form == "x":
        return "0x" + "0" * (bits // 4)
    width = (bits + 2) // 3 if form == "o" else (bits * 10 + 32) // 33
    return "0".rjust(width)
