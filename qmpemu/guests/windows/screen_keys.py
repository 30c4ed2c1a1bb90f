"""The US keyboard: what a key prints, alone and with Shift. Keys have QEMU's names (QAPI: QKeyCode)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

MODIFIERS = {
    "ctrl": "ctrl",
    "ctrl_r": "ctrl",
    "alt": "alt",
    "alt_r": "alt",
    "shift": "shift",
    "shift_r": "shift",
    "meta_l": "meta",
    "meta_r": "meta",
}
"""Keys that change what others mean, left and right alike."""

SIGNS = {
    "spc": "  ",
    "minus": "-_",
    "equal": "=+",
    "bracket_left": "[{",
    "bracket_right": "]}",
    "semicolon": ";:",
    "apostrophe": "'\"",
    "grave_accent": "`~",
    "backslash": "\\|",
    "comma": ",<",
    "dot": ".>",
    "slash": "/?",
    "less": "<>",
}
SIGNS |= dict(zip("1234567890", ("1!", "2@", "3#", "4$", "5%", "6^", "7&", "8*", "9(", "0)"), strict=True))
SIGNS |= {f"kp_{digit}": digit * 2 for digit in "0123456789"}
SIGNS |= {"kp_add": "++", "kp_subtract": "--", "kp_multiply": "**", "kp_divide": "//", "kp_decimal": ".."}


def printed(qcode: str, held: AbstractSet[str]) -> str:
    """The character that a key prints while `held` modifiers are down, or nothing."""
    if held & {"ctrl", "alt", "meta"}:
        return ""
    shifted = "shift" in held
    if len(qcode) == 1 and qcode.isalpha():
        return qcode.upper() if shifted else qcode
    return SIGNS[qcode][shifted] if qcode in SIGNS else ""
