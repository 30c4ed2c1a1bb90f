"""guests.windows.shutdown_exe: the command line, read as Windows reads it."""

from __future__ import annotations

import pytest

from qmpemu.guests.windows.shutdown_exe import Order, ShutdownExeError, parse


def order(what: str, timeout_s: int, **more: object) -> Order:
    fields: dict[str, object] = {"force": timeout_s > 0, "hybrid": False, "comment": "", "reason": 0, **more}
    return Order(what=what, timeout_s=timeout_s, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("/s", order("s", 30)),
        ("shutdown.exe -S -T 0", order("s", 0)),
        ("/r /t 5 /f", order("r", 5)),
        ("/s /t 0 /f", order("s", 0, force=True)),
        ("/s /hybrid /t 0", order("s", 0, hybrid=True)),
        ("/a", order("a", 0)),
        ("/l", order("l", 0)),
        ("/h /f", order("h", 0, force=True)),
        ("/p", order("p", 0)),
        ('/s /c "a b /f"', order("s", 30, comment="a b /f")),
        ('/s /c ""', order("s", 30)),
        ("/s /d p:2:4", order("s", 30, reason=0x80020004)),
        ("/s /d u:5:15", order("s", 30, reason=0x4005000F)),
        ("/s /d 0:0", order("s", 30)),
    ],
)
def test_what_is_read(line: str, read: Order) -> None:
    """Options in any case, with / or -; 30 seconds unless given; more than 0 implies force."""
    assert parse(line) == read


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "",
            "shutdown.exe needs one of /s (shut down), /r (restart), /l (log off), /h (hibernate), "
            "/p (power off at once), /a (abort)",
        ),
        ("/s /r", "shutdown.exe: /s and /r exclude each other"),
        ("/s /hybird", "shutdown.exe: '/hybird' is no option: did you mean '/hybrid'?"),
        ("/s /t", "shutdown.exe: a value is missing after /t"),
        ("/s /t soon", "shutdown.exe: /t cannot be 'soon': valid is a number of seconds from 0 to 315360000"),
        ("/s /t -1", "shutdown.exe: /t cannot be '-1': valid is a number of seconds from 0 to 315360000"),
        ("/l /t 5", "shutdown.exe: /t does not go with /l"),
        ("/r /hybrid", "shutdown.exe: /hybrid goes with /s only"),
        ('/s /c "open', 'shutdown.exe: a " is not closed'),
        ("/s /c " + "x" * 513, "shutdown.exe: a comment has at most 512 characters"),
        (
            "/s /d x:1:2",
            "shutdown.exe: /d cannot be 'x:1:2': valid is [p|u:]major:minor, such as p:2:4, with major up to 255 and "
            "minor up to 65535",
        ),
    ],
)
def test_a_mistake_is_one_sentence(line: str, sentence: str) -> None:
    """Every mistake names the option and what would be valid."""
    with pytest.raises(ShutdownExeError) as raised:
        parse(line)
    assert str(raised.value) == sentence


@pytest.mark.parametrize("reason", ["1", "p:1", "p:256:0", "p:0:65536", "p:a:b", "p:1:2:3", ":1:2", "p::1"])
def test_reasons_that_are_none(reason: str) -> None:
    """A reason is major and minor within their ranges, with at most one letter in front."""
    with pytest.raises(ShutdownExeError, match=r"^shutdown\.exe: /d cannot be"):
        parse(f"/s /d {reason}")
