"""Secrets of `-object secret`: what one holds, read once when it is made, and its text for a password.

What is encrypted with another secret (`keyid`, AES-256 in CBC mode) is checked here and decrypted by the real block
layer alone. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.devices.objects import UserObject

SECRET_BYTES_MAX = 1 << 20
KEY_BYTES = 32
BLOCK_BYTES = 16
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n")


class Secret:
    """What a secret holds. data: None where it is encrypted."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None) -> None:
        self.data = data


def load(given: dict[str, object], others: Mapping[str, UserObject]) -> Secret:
    """Read it. others: the objects that there are, among which its key is. Raises Refused."""
    data = _content(given)
    encoded = given.get("format", "raw") == "base64"
    if "keyid" not in given:
        return Secret(_decoded(data.decode(errors="replace")) if encoded else data)
    key = _found(others, str(given["keyid"]))
    if key.data is not None and len(key.data) != KEY_BYTES:
        raise Refused(f"Key should be {KEY_BYTES} bytes in length")
    if "iv" not in given:
        raise Refused("IV is required to decrypt secret")
    start = _decoded(str(given["iv"]))
    if len(start) != BLOCK_BYTES:
        raise Refused(f"IV should be {BLOCK_BYTES} bytes in length not {len(start)}")
    if encoded:
        data = _decoded(data.decode(errors="replace"))
    if len(data) % BLOCK_BYTES:
        raise Refused(f"Length {len(data)} must be a multiple of block size {BLOCK_BYTES}")
    return Secret(None)


def text_of(objects: Mapping[str, UserObject], name: str) -> str:
    """The text of the secret `name`. Raises Refused."""
    data = _found(objects, name).data
    if data is None:
        raise Refused("qmpemu does not emulate encrypted secrets ('keyid') here")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(f"Data from secret {name} is not valid UTF-8") from None


def _found(objects: Mapping[str, UserObject], name: str) -> Secret:
    found = objects.get(name)
    if found is None:
        raise Refused(f"No secret with id '{name}'")
    if not isinstance(found.held, Secret):
        raise Refused(f"Object with id '{name}' is not a secret")
    return found.held


def _content(secret: dict[str, object]) -> bytes:
    if "file" not in secret:
        if "data" not in secret:
            raise Refused("Either 'file' or 'data' must be provided")
        return str(secret["data"]).encode()
    if "data" in secret:
        raise Refused("'file' and 'data' are mutually exclusive")
    path = str(secret["file"])
    doing = "Failed to open file"
    try:
        with open(path, "rb", buffering=0) as file:
            doing = "Error reading file"
            return file.read(SECRET_BYTES_MAX) or b""
    except IsADirectoryError as error:
        raise Refused(f"Unable to read {path}: Error reading file “{path}”: {error.strerror}") from None
    except OSError as error:
        raise Refused(f"Unable to read {path}: {doing} “{path}”: {error.strerror}") from None


def _decoded(text: str) -> bytes:
    """Base64, of which an incomplete last group does not count."""
    if not ALPHABET.issuperset(text):
        raise Refused("Base64 data contains invalid characters")
    from binascii import a2b_base64  # late: most keys are read as they are

    text = text.replace("\n", "")
    return a2b_base64(text[: len(text) // 4 * 4])
