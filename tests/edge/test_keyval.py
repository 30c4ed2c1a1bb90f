"""edge.keyval: QEMU's option syntax."""

import pytest

from qmpemu.edge import keyval
from qmpemu.edge.keyval import OptionError


@pytest.mark.parametrize(
    ("text", "implied", "options"),
    [
        ("none,accel=kvm:tcg", "type", {"type": "none", "accel": "kvm:tcg"}),
        ("guest=w10,debug-threads=on", "guest", {"guest": "w10", "debug-threads": "on"}),
        (
            "socket,id=a,path=/x,,y,,,server",
            "backend",
            {"backend": "socket", "id": "a", "path": "/x,y,", "server": "on"},
        ),
        ("unix,server,nowait", "kind", {"kind": "unix", "server": "on", "wait": "off"}),
        ("a=1,a=2", None, {"a": "2"}),
        ("a=b=c", None, {"a": "b=c"}),
        ("", None, {}),
    ],
)
def test_options(text: str, implied: str | None, options: dict[str, str]) -> None:
    """Keys, implied keys, doubled commas, flags; the last value wins."""
    assert keyval.parse(text, implied) == options


def test_json_form() -> None:
    """A text that starts with a brace is JSON, nested values kept."""
    assert keyval.parse_json_or_keyval('{"driver":"VGA","vgamem_mb":16}', "driver") == {
        "driver": "VGA",
        "vgamem_mb": 16,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"driver":', "JSON parse error, premature EOI"), ("{]", "JSON parse error, expecting value")],
)
def test_broken_json(text: str, message: str) -> None:
    """Broken JSON is refused with QEMU's text."""
    with pytest.raises(OptionError, match=f"^{message}"):
        keyval.parse_json_or_keyval(text, "driver")


@pytest.mark.parametrize(
    ("text", "size"), [("2048", 2 << 30), ("1G", 1 << 30), ("1.5G", 3 << 29), ("10B", 10)]
)
def test_sizes(text: str, size: int) -> None:
    """A size without suffix is in the option's own unit."""
    assert keyval.size("size", text, "M") == size


@pytest.mark.parametrize("text", ["foo", "2047x", "-1", "1e3", ".5", ""])
def test_wrong_sizes(text: str) -> None:
    """A wrong size names the parameter and what would be right."""
    with pytest.raises(OptionError, match="Parameter 'size' expects a non-negative number"):
        keyval.size("size", text, "M")


def test_sizes_beyond_64_bits() -> None:
    """They are out of range; a fraction of a byte is none."""
    with pytest.raises(OptionError, match="Value '99999999E' is out of range for parameter 'size'"):
        keyval.size("size", "99999999E", "M")
    with pytest.raises(OptionError, match="expects a non-negative number"):
        keyval.size("size", "1.5", "B")
