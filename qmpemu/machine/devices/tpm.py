"""The emulator of a TPM (-tpmdev emulator), which swtpm is: what is agreed with it over a character device, and when.

    start   its channel for data, whether a TPM answers there, what it can do
    reset   stopped, its buffer asked for and set, switched on (not while a guest is still to come)
    end     switched off

The guest says nothing to it. Numbers: swtpm's tpm_ioctl.h. Order and texts: QEMU 7.2's, measured.
"""

from __future__ import annotations

from errno import ENOENT, EOPNOTSUPP
from os import strerror

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.host import Host, TpmLink

GET_CAPABILITY, INIT, SHUTDOWN, STOP, SET_DATAFD, SET_BUFFERSIZE = 1, 2, 3, 14, 16, 17
WORD = 4
NEEDED = {"1.2": 0x340F, "2": 0x348F}
"""Version -> the capabilities that there have to be."""
RESULTS = {
    0x03: "a parameter is bad",
    0x09: "operation failed",
    0x0D: "key could not be found",
    0x20: "encryption error",
    0x21: "decryption error",
    0x101: "operation failed",
}


def connected(chardev: Chardev, host: Host, typed: str) -> Tpm | None:
    """The emulator behind a character device, once it has agreed; None on a host that has none. Raises Refused.

    typed: the option, for what is said behind the refusal.
    """
    chardev.taken = True
    link = host.tpm_link(chardev)
    if link is None:
        return None
    made = Tpm(link)
    try:
        made.agree(chardev.label)
    except Refused as refused:
        left = made.shut_down()
        more = "" if left is None else f"\n{{prefix}}{typed}: {left}"
        raise Refused(f"{refused}{more}") from None
    return made


class Tpm:
    """One that has been reached."""

    __slots__ = ("_buffer_bytes", "_link", "has_device")

    def __init__(self, link: TpmLink) -> None:
        self._link = link
        self._buffer_bytes = 0
        self.has_device = False

    def agree(self, label: str) -> None:
        """Give it its end for data, and see what it is. Raises Refused."""
        try:
            taken = self._ask(_words(SET_DATAFD), WORD, with_data=True)
        except OSError as error:
            raise Refused(f"tpm-emulator: Failed to send CMD_SET_DATAFD: {_why(error, EOPNOTSUPP)}") from None
        if _word(taken):
            raise Refused(f"tpm-emulator: Failed to send CMD_SET_DATAFD: {strerror(EOPNOTSUPP)}")
        try:
            version = self._link.version()
        except OSError as error:
            raise Refused(f"'{label}' is not emulating TPM device. Error: {error.strerror}") from None
        try:
            can = int.from_bytes(self._ask(_words(GET_CAPABILITY), 2 * WORD), "big")
        except OSError as error:
            raise Refused(f"tpm-emulator: probing failed : {_why(error, EOPNOTSUPP)}") from None
        if can & NEEDED[version] != NEEDED[version]:
            text = "TPM does not implement minimum set of required capabilities for TPM"
            raise Refused(f"tpm-emulator: {text} {version} ({NEEDED[version]:#x})")

    def reset(self, say: Callable[[str], object], *, start: bool) -> None:
        """The machine is reset; start: a guest begins. Raises Refused, which is the end of the machine.

        say: told where the emulator does not want to tell of its buffer, which ends nothing.
        """
        if not self.has_device:
            return
        try:
            self._set_buffer(0)
        except Refused as refused:
            say(str(refused))
        self._set_buffer(self._buffer_bytes)
        if start:
            self._command(_words(INIT, 0), WORD, "could not send INIT: {}", "CMD_INIT:")

    def shut_down(self) -> str | None:
        """Switch it off. -> what is to be said where it does not go well."""
        try:
            self._command(_words(SHUTDOWN), WORD, "Could not cleanly shutdown the TPM: {}", "shutdown:")
        except Refused as refused:
            return str(refused)
        return None

    def _set_buffer(self, size: int) -> None:
        self._command(_words(STOP), WORD, "Could not stop TPM: {}", "CMD_STOP:")
        said = self._command(
            _words(SET_BUFFERSIZE, size), 4 * WORD, "Could not set buffer size: {}", "set buffer size :"
        )
        self._buffer_bytes = _word(said[WORD:])

    def _command(self, message: bytes, size: int, failed: str, refused: str) -> bytes:
        try:
            said = self._ask(message, size)
        except OSError as error:
            raise Refused(f"tpm-emulator: {failed.format(_why(error, ENOENT))}") from None
        result = _word(said)
        if result:
            raise Refused(f"tpm-emulator: TPM result for {refused} {result:#x} {RESULTS.get(result, '')}")
        return said

    def _ask(self, message: bytes, size: int, *, with_data: bool = False) -> bytes:
        return self._link.ask(message, size, with_data=with_data)


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(WORD, "big") for number in numbers)


def _word(data: bytes) -> int:
    return int.from_bytes(data[:WORD], "big")


def _why(error: OSError, left: int) -> str:
    """left: the reason that QEMU names where the other side leaves without an answer, which is none of its own."""
    return strerror(error.errno or left)
