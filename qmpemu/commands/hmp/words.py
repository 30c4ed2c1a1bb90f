"""How the human monitor reads a verb's words.

Parameters are written as QEMU writes them: F a file name, s a word, B a block device, i and l numbers, o a size (MiB
where no unit is given), b a switch, `?` optional, `-d` a flag that takes a word (`set_password -d DISPLAY`),
`!f` a flag alone.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.qmp.later import Later

WHAT = {"F": "filename expected", "s": "string expected", "B": "block device name expected"}
UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50, "E": 1 << 60}
MIB = 1 << 20


BLANKS = " \t\n\v\f\r"


class Misread(Exception):
    """A line that the monitor cannot read; the text ends before the line that points to the help."""


def named(line: str) -> tuple[str, str]:
    """The name at the head of a line, and what follows it: a blank, or a slash with a format as in `x/4x`."""
    text = line.lstrip(BLANKS)
    count = next((at for at, char in enumerate(text) if char in BLANKS or char == "/"), len(text))
    return text[:count], text[count:]


def words_of(line: str) -> list[str]:
    """The words of a line. One that begins with `"` ends with one, and may hold blanks, `\\"` and `\\\\`.

    Without its end it is a lone `"`, which is no string to a verb that takes one.
    """
    words: list[str] = []
    rest = line.lstrip()
    while rest:
        if not rest.startswith('"'):
            word, _, rest = rest.partition(" ")
        else:
            at = 1
            while at < len(rest) and rest[at] != '"':
                at += 1 + (rest[at] == "\\")
            if at >= len(rest):
                return [*words, '"']
            word, rest = rest[1:at].replace('\\"', '"').replace("\\\\", "\\"), rest[at + 1 :]
        words.append(word)
        rest = rest.lstrip()
    return words


def read(verb: str, parameters: str, words: list[str], where: str = "") -> dict[str, str]:
    """The words by parameter; a flag alone is there or not, sizes in bytes. Raises Misread."""
    rest, arguments = list(words), dict[str, str]()
    kinds = [each.partition(":")[::2] for each in parameters.split()]
    for place, (name, kind) in enumerate(kinds):
        if kind.startswith("!"):
            later = "".join(each[1:] for _, each in kinds[place:] if each.startswith("!"))
            if _flag(verb, kind[1], rest, later):
                arguments[name] = "on"
        elif kind.startswith("-"):
            if rest[:1] == [kind] and len(rest) > 1:
                arguments[name] = rest[1].strip('"')
                del rest[:2]
        elif kind == "b" and rest[:1] not in (["on"], ["off"]):
            raise Misread("Expected 'on' or 'off'")
        elif rest:
            arguments[name] = READERS.get(kind[0], _word)(verb, rest)
        elif kind in ("i", "l"):
            raise Misread("unexpected end of expression")
        elif kind == "o":
            raise Misread("invalid size")
        elif not kind.endswith("?"):
            raise Misread(f"{verb}: {WHAT[kind]}")
    if rest:
        raise Misread(f"{verb}: extraneous characters at the end of line")
    return arguments


def _flag(verb: str, letter: str, rest: list[str], known: str) -> bool:
    """Whether the flag is next; what is joined to it is a word of its own."""
    if not rest or not rest[0].startswith("-") or len(rest[0]) < 2:
        return False
    if rest[0][1] != letter:
        if rest[0][1] in known:
            return False
        raise Misread(f"{verb}: unsupported option -{rest[0][1]}")
    joined = rest.pop(0)[2:]
    if joined:
        rest.insert(0, joined)
    return True


def _word(verb: str, rest: list[str]) -> str:
    return rest.pop(0).strip('"')


def _number(verb: str, rest: list[str]) -> str:
    """The expression at the head of the words. Raises Misread."""
    from qmpemu.commands.hmp.expression import Unemulated, Wrong, evaluate

    try:
        value, more = evaluate(" ".join(rest))
    except Wrong as error:
        raise Misread(str(error)) from None
    except Unemulated as error:
        raise Misread(f"qmpemu does not emulate the register {error}") from None
    rest[:] = words_of(more)
    return str(value - (1 << 64) if value >> 63 else value)


def _short(verb: str, rest: list[str]) -> str:
    """A number of 32 bits."""
    text = _number(verb, rest)
    if not 0 <= int(text) < 1 << 32:
        raise Misread(f"'{verb}' has failed: integer is for 32-bit values")
    return text


def _size(verb: str, rest: list[str]) -> str:
    """A size in bytes. Raises Misread."""
    text = rest.pop(0)
    count = next((at for at, char in enumerate(text) if char not in "0123456789."), len(text))
    try:
        value = float(text[:count])
    except ValueError:
        raise Misread("invalid size") from None
    unit, more = text[count : count + 1].upper(), text[count + 1 :]
    if unit not in UNITS or more:
        raise Misread(f"{verb}: extraneous characters at the end of line")
    return str(int(value * (UNITS[unit] if unit else MIB)))


READERS: dict[str, Callable[[str, list[str]], str]] = {"i": _short, "l": _number, "o": _size}


def answered(
    verb: str, parameters: str, words: list[str], run: Callable[[dict[str, str]], str | Later]
) -> str | Later:
    """What `run` says of the verb's parameters, or what is wrong with them or with what it was to do."""
    try:
        given = read(verb, parameters, words)
    except Misread as error:
        return f'{error}\r\nTry "help {verb}" for more information\r\n'
    try:
        return run(given)
    except (Refused, QmpError) as error:
        return f"Error: {error}\r\n"
