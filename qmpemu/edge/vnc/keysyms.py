"""X11 key symbols, as VNC clients name keys, -> QEMU's names of keys on a US keyboard."""

from __future__ import annotations

from qmpemu.guests.windows.screen_keys import SIGNS

BY_NAME = {
    0xFF08: "backspace",
    0xFF09: "tab",
    0xFE20: "tab",
    0xFF0D: "ret",
    0xFF13: "pause",
    0xFF14: "scroll_lock",
    0xFF15: "sysrq",
    0xFF1B: "esc",
    0xFF50: "home",
    0xFF51: "left",
    0xFF52: "up",
    0xFF53: "right",
    0xFF54: "down",
    0xFF55: "pgup",
    0xFF56: "pgdn",
    0xFF57: "end",
    0xFF61: "print",
    0xFF63: "insert",
    0xFF67: "menu",
    0xFF7F: "num_lock",
    0xFF8D: "kp_enter",
    0xFF95: "kp_7",
    0xFF96: "kp_4",
    0xFF97: "kp_8",
    0xFF98: "kp_6",
    0xFF99: "kp_2",
    0xFF9A: "kp_9",
    0xFF9B: "kp_3",
    0xFF9C: "kp_1",
    0xFF9E: "kp_0",
    0xFF9F: "kp_decimal",
    0xFFAA: "kp_multiply",
    0xFFAB: "kp_add",
    0xFFAD: "kp_subtract",
    0xFFAE: "kp_decimal",
    0xFFAF: "kp_divide",
    0xFFE1: "shift",
    0xFFE2: "shift_r",
    0xFFE3: "ctrl",
    0xFFE4: "ctrl_r",
    0xFFE5: "caps_lock",
    0xFFE7: "meta_l",
    0xFFE8: "meta_r",
    0xFFE9: "alt",
    0xFFEA: "alt_r",
    0xFFEB: "meta_l",
    0xFFEC: "meta_r",
    0xFE03: "alt_r",
    0xFFFF: "delete",
}
BY_NAME |= {0xFFBE + number: f"f{number + 1}" for number in range(12)}
BY_NAME |= {0xFFB0 + number: f"kp_{number}" for number in range(10)}
BY_SIGN = {
    sign: name
    for name, signs in SIGNS.items()
    for sign in signs
    if not name.startswith("kp_") and name != "less"  # the key beside Shift bears what others bear, too
}


def qcode(keysym: int) -> str | None:
    """The key that bears the symbol, or None for one that this keyboard does not have."""
    if keysym in BY_NAME:
        return BY_NAME[keysym]
    if not 0x20 <= keysym < 0x7F:
        return None
    sign = chr(keysym)
    return sign.lower() if sign.isalpha() else BY_SIGN.get(sign)
