"""-audiodev, and -audio, which is one with a sound card of the board's on it. Nothing sounds here.

    -audio driver=none,model=hda  ->  an audio device `audiodev0`, an intel-hda, and an hda-duplex on that

Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

import os

from qmpemu.edge import keyval
from qmpemu.edge.argv.checked_options import MODULE_MISSING
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.config import OnBoard

AUDIO = ("none", "alsa", "coreaudio", "dbus", "dsound", "jack", "oss", "pa", "sdl", "spice", "wav")
AUDIO_MODULES = ("coreaudio", "dsound", "jack", "pa", "sdl")
"""Drivers that the profile's QEMU lacks: they come with the package qemu-system-gui, or with another system."""
OWN = {
    "alsa": "threshold",
    "coreaudio": "",
    "dsound": "latency",
    "oss": "try-mmap exclusive dsp-policy",
    "pa": "server",
    "wav": "path",
}
"""Driver -> what it takes beside `id`, `driver` and `timer-period`."""
OF_A_WAY = {
    "alsa": "dev period-length try-poll",
    "coreaudio": "buffer-count",
    "jack": "server-name client-name connect-ports start-server exact-name",
    "oss": "dev buffer-count try-poll",
    "pa": "name stream-name latency",
    "sdl": "buffer-count",
}
"""Driver -> what `in.` and `out.` take beside these:"""
WAY = "mixing-engine fixed-settings frequency channels voices format buffer-length"
SETTINGS = ("frequency", "channels", "format")
NUMBERS = ("timer-period", "frequency", "channels", "voices", "buffer-length")
SWITCHES = ("mixing-engine", "fixed-settings")
FORMATS = ("u8", "s8", "u16", "s16", "u32", "s32", "f32")
CARDS = {
    "ac97": ("AC97",),
    "adlib": ("adlib",),
    "cs4231a": ("cs4231a",),
    "es1370": ("ES1370",),
    "gus": ("gus",),
    "hda": ("intel-hda", "hda-duplex"),
    "sb16": ("sb16",),
}
"""-audio's models -> their devices; the last one has the sound."""
ON_PCI = ("ac97", "es1370", "hda")


@option("audiodev")
def _audiodev(parser: Parser, argument: str) -> None:
    options = keyval.parse_json_or_keyval(argument, "driver")
    _check(options, plain=not argument.startswith("{"))
    if "id" not in options:
        raise OptionError("Parameter 'id' is missing")
    _add(parser, options)


@option("audio")
def _audio(parser: Parser, argument: str) -> None:
    options: dict[str, object] = dict(keyval.parse(argument, "driver"))
    if "model" not in options:
        raise OptionError("Parameter 'model' is missing")
    model = str(options.pop("model"))
    options.setdefault("id", "audiodev0")
    _check(options, plain=True)
    if model not in CARDS:
        raise OptionError(f"Unknown sound card name `{model}'")
    if parser.sound is not None:
        raise OptionError("only one -soundhw option is allowed")
    parser.sound = (model, str(options["id"]))
    _add(parser, options)


def _add(parser: Parser, options: dict[str, object]) -> None:
    parser.audio.append(str(options["driver"]))
    parser.config.audiodevs.append(str(options["id"]))
    parser.config.not_emulated.append(parser.typed)


def _check(options: dict[str, object], *, plain: bool) -> None:
    if "driver" not in options:
        raise OptionError("Parameter 'driver' is missing")
    driver = str(options["driver"])
    if driver not in AUDIO:
        raise OptionError(f"Parameter 'driver' does not accept value '{driver}'")
    given = {name: value for name, value in options.items() if not isinstance(value, dict)}
    for way in ("in", "out"):
        members = options.get(way)
        if isinstance(members, dict):
            given |= {f"{way}.{name}": value for name, value in members.items()}
    of_a_way = [*WAY.split(), *OF_A_WAY.get(driver, "").split()]
    known = {"id", "driver", "timer-period", *OWN.get(driver, "").split()}
    known |= {f"{way}.{name}" for way in ("in", "out") for name in of_a_way}
    if plain:
        for name, value in given.items():
            _check_value(name, str(value))
    for name in given:
        if name in ("in", "out"):
            raise OptionError(f"Invalid parameter type for '{name}', expected: object")
        if name not in known:
            raise OptionError(f"Parameter '{name}' is unexpected")
    for way in ("in", "out"):
        fixed = given.get(f"{way}.fixed-settings", True) not in (False, "off", "no", "false", "n")
        if not fixed and any(f"{way}.{name}" in given for name in SETTINGS):
            raise OptionError("You can't use frequency, channels or format with fixed-settings=off")


def _check_value(name: str, value: str) -> None:
    last = name.rpartition(".")[2]
    if last in SWITCHES:
        keyval.switch(name, value)
    elif last == "format" and value not in FORMATS:
        raise OptionError(f"Parameter '{last}' does not accept value '{value}'")
    elif last in NUMBERS:
        try:
            number = int(value, 0)
        except ValueError:
            raise OptionError(f"Parameter '{name}' expects integer") from None
        if not 0 <= number < 1 << 32:
            raise OptionError(f"Parameter '{last}' expects uint32_t")


def check(parser: Parser) -> None:
    """Whether each driver can be made; that is tried once all options are known. Raises Unprefixed."""
    for driver in parser.audio:
        if driver in AUDIO_MODULES:
            missing = MODULE_MISSING.format(f"audio-audio-{driver}")
            raise Unprefixed(f"{missing}\naudio: Unknown audio driver `{driver}'", program="qemu")
        if (driver == "spice" and not parser.spice) or (driver == "oss" and not os.path.exists("/dev/dsp")):
            raise Unprefixed(f"Could not init `{driver}' audio driver", program="audio")


def cards(parser: Parser) -> list[OnBoard]:
    """What -audio has put on the board. Raises Unprefixed where that has no bus for it."""
    if parser.sound is None:
        return []
    model, name = parser.sound
    if parser.config.family == "none":
        raise Unprefixed(f"{'PCI' if model in ON_PCI else 'ISA'} bus not available for {model}")
    *before, last = CARDS[model]
    return [
        *(OnBoard("end", {"driver": each}) for each in before),
        OnBoard("end", {"driver": last, "audiodev": name}),
    ]
