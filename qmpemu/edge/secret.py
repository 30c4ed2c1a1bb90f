"""Secrets of `-object secret`: the data of one, as -vnc's password-secret needs it."""

from __future__ import annotations

import base64
import binascii

from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET_BYTES_MAX = 1 << 20


def read_secret(objects: Sequence[dict[str, object]], name: str) -> str:
    """The text of the secret `name`. Raises OptionError."""
    found = next((each for each in objects if each.get("id") == name), None)
    if found is None or found["qom-type"] != "secret":
        raise OptionError(f"No secret with id '{name}'")
    if "keyid" in found:
        raise OptionError("qmpemu does not emulate encrypted secrets ('keyid')")
    data = _content(found)
    if found.get("format", "raw") == "base64":
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise OptionError("Base64 data is invalid") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise OptionError(f"Data from secret {name} is not valid UTF-8") from None


def _content(secret: dict[str, object]) -> bytes:
    if "file" not in secret:
        return str(secret.get("data", "")).encode()
    path = str(secret["file"])
    try:
        with open(path, "rb") as file:
            return file.read(SECRET_BYTES_MAX)
    except OSError as error:
        raise OptionError(f"Unable to read {path}: {error.strerror}") from None
