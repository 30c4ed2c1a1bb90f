"""-spice: read as QEMU 7.2 does (texts measured); `machine.spice` and `edge.spice` are what there is of it."""

from __future__ import annotations

from qmpemu.edge.argv import groups
from qmpemu.edge.argv.checked_options import shaped
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError

CHOICES = {
    "image-compression": ("off auto_glz auto_lz quic glz lz lz4", "spice: invalid image compression: {}"),
    "jpeg-wan-compression": ("auto never always", "spice: invalid wan compression: {}"),
    "zlib-glz-wan-compression": ("auto never always", "spice: invalid wan compression: {}"),
    "streaming-video": ("off all filter", "spice: invalid stream video control: {}"),
}
NOBODY_SERVED = (
    "qmpemu does not emulate SPICE: the machine starts, and a client that comes is told of an error"
)
LAST_PORT = 65535
CHANNELS = "main display inputs cursor playback record tunnel smartcard usbredir port webdav default".split()


@option("spice")
def _spice(parser: Parser, argument: str) -> None:
    options = shaped("spice", argument)
    for name in ("port", "tls-port"):
        if name in options:
            groups.number(name, options[name])
    parser.config.spice = {**(parser.config.spice or {}), **options, "typed": parser.typed}
    parser.config.not_emulated.append(parser.typed)


def finish(parser: Parser, options: dict[str, str]) -> None:
    """What is looked at once the server is made. Raises OptionError, Unprefixed."""
    for name in ("port", "tls-port"):
        if not 0 <= groups.number(name, options.get(name, "0")) <= LAST_PORT:
            raise Unprefixed(f"spice {name} is out of range")
    _password(parser, options)
    for name, (words, text) in CHOICES.items():
        if options.get(name, words.split()[0]) not in words.split():
            raise Unprefixed(text.format(options[name]))
    if "tls-port" in options and options["tls-port"] != "0":
        raise OptionError("qmpemu does not emulate SPICE with TLS")
    if "tls-channel" in options:
        raise Unprefixed("spice: tried to setup tls-channel without specifying a TLS port")
    if options.get("plaintext-channel", CHANNELS[0]) not in CHANNELS:
        raise Unprefixed(f"spice: failed to set channel security for {options['plaintext-channel']}")
    if options.get("gl") in ("on", "yes", "true", "y") and options.get("port", "0") != "0":
        raise Unprefixed("SPICE GL support is local-only for now and incompatible with -spice port/tls-port")
    parser.config.warnings.append(f"{options['typed']}: warning: {NOBODY_SERVED}")


def _password(parser: Parser, options: dict[str, str]) -> None:
    secret = options.get("password-secret")
    if secret is not None:
        if "password" in options:
            raise Unprefixed("'password' option is mutually exclusive with 'password-secret'")
        if all(each.get("id") != secret for each in parser.config.objects):
            raise Unprefixed(f"No secret with id '{secret}'")
    elif "password" in options:
        parser.config.warnings.append(
            "warning: 'password' option is deprecated and insecure, use 'password-secret' instead"
        )
