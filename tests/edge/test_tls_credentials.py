"""Credentials for TLS, which is not emulated: what is missing is named first, as on the real one."""

from __future__ import annotations

from emulators import Emulator


def test_what_is_missing_is_named_first(emulator: Emulator) -> None:
    """The property, then the first file."""
    emulator.start("-machine", "q35", "-S")
    client = emulator.client()

    def refused(**given: str) -> str:
        client.put("object-add", qom_type="tls-creds-x509", id="t", **given)
        return str(client.read()["error"]["desc"])

    assert refused() == "Missing 'dir' property value"
    gone = "Unable to access credentials /nope/ca-cert.pem: No such file or directory"
    assert refused(dir="/nope") == gone
