"""The command line of `shutdown.exe`, read as Windows reads it.

/s /r /l /h /p /a   what to do      /t N  seconds, 30 unless given (/p: 0); more than 0 implies /f
/f force   /hybrid with /s   /c "comment"   /d [p|u:]major:minor   `-` works like `/`, letters in any case
"""

from __future__ import annotations

from typing import NamedTuple

from qmpemu.guests.registry import GuestError, nearest

WHAT = {
    "s": "shut down",
    "r": "restart",
    "l": "log off",
    "h": "hibernate",
    "p": "power off at once",
    "a": "abort",
}
OPTIONS = {"f": 0, "hybrid": 0, "t": 1, "c": 1, "d": 1}
"""Other options, and how many words follow each."""

TIMEOUT_DEFAULT_S = 30
TIMEOUT_MAX_S = 315_360_000
COMMENT_MAX = 512
PLANNED, USER_DEFINED = 0x80000000, 0x40000000


class ShutdownExeError(GuestError):
    """A command line that `shutdown.exe` does not take; the text is one sentence."""


class Order(NamedTuple):
    """What a command line asks for. what: one of WHAT; reason: as in event 1074."""

    what: str
    timeout_s: int
    force: bool
    hybrid: bool
    comment: str
    reason: int


def parse(line: str) -> Order:
    """Read the words after `shutdown.exe`. Raises ShutdownExeError."""
    words = _words(line)
    if words and words[0].casefold() in ("shutdown", "shutdown.exe"):
        del words[0]
    what, given = "", dict[str, str]()
    while words:
        option = _option(words.pop(0))
        if option in WHAT:
            if what:
                raise ShutdownExeError(f"shutdown.exe: /{what} and /{option} exclude each other")
            what = option
        elif OPTIONS[option] and not words:
            raise ShutdownExeError(f"shutdown.exe: a value is missing after /{option}")
        else:
            given[option] = words.pop(0) if OPTIONS[option] else ""
    if not what:
        raise ShutdownExeError(
            f"shutdown.exe needs one of {', '.join(f'/{k} ({v})' for k, v in WHAT.items())}"
        )
    return _order(what, given)


def _order(what: str, given: dict[str, str]) -> Order:
    if "hybrid" in given and what != "s":
        raise ShutdownExeError("shutdown.exe: /hybrid goes with /s only")
    if what in ("a", "l", "h", "p") and "t" in given:
        raise ShutdownExeError(f"shutdown.exe: /t does not go with /{what}")
    timeout_s = _seconds(given["t"]) if "t" in given else TIMEOUT_DEFAULT_S if what in ("s", "r") else 0
    comment = given.get("c", "")
    if len(comment) > COMMENT_MAX:
        raise ShutdownExeError(f"shutdown.exe: a comment has at most {COMMENT_MAX} characters")
    return Order(
        what=what,
        timeout_s=timeout_s,
        force="f" in given or timeout_s > 0,
        hybrid="hybrid" in given,
        comment=comment,
        reason=_reason(given["d"]) if "d" in given else 0,
    )


def _words(line: str) -> list[str]:
    """Split at spaces, except between double quotes."""
    words, quoted, open_ = [""], False, False
    for char in line:
        if char == '"':
            quoted, open_ = not quoted, True
        elif char.isspace() and not quoted:
            if words[-1] or open_:
                words.append("")
            open_ = False
        else:
            words[-1] += char
    if quoted:
        raise ShutdownExeError('shutdown.exe: a " is not closed')
    return words if words[-1] or open_ else words[:-1]


def _option(word: str) -> str:
    option = word[1:].casefold() if word[:1] in ("/", "-") else ""
    if option not in WHAT and option not in OPTIONS:
        valid = nearest(word.replace("-", "/"), [f"/{each}" for each in (*WHAT, *OPTIONS)])
        raise ShutdownExeError(f"shutdown.exe: '{word}' is no option: {valid}")
    return option


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > TIMEOUT_MAX_S:
        raise ShutdownExeError(
            f"shutdown.exe: /t cannot be '{text}': valid is a number of seconds from 0 to {TIMEOUT_MAX_S}"
        )
    return int(text)


def _reason(text: str) -> int:
    """`[p|u:]major:minor` as a reason code (facts: windows-acpi 8)."""
    *kind, major, minor = text.casefold().split(":") if ":" in text else ("", "", "")
    if (
        kind in ([], ["p"], ["u"])
        and (major + minor).isdecimal()
        and major
        and minor
        and int(major) <= 0xFF
        and int(minor) <= 0xFFFF
    ):
        flag = {"p": PLANNED, "u": USER_DEFINED}[kind[0]] if kind else 0
        return flag | int(major) << 16 | int(minor)
    raise ShutdownExeError(
        f"shutdown.exe: /d cannot be '{text}': valid is [p|u:]major:minor, such as p:2:4, with major up to 255 and "
        "minor up to 65535"
    )
