"""Credentials for TLS: what is looked at, in the order and with the words of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators import Client, Emulator

from tests.certificates import CA, CLIENT, EXPIRED, FUTURE, SERVER, Certificates, usual

CONSTRAINTS, USAGE, PURPOSE, NAMES = SERVER


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One of each kind."""
    all_of_them = usual(tmp_path_factory.mktemp("certificates") / "x509")
    for name, extensions in {
        "no-constraints": CA[1:],
        "no-usage": CA[:1],
        "no-signing": (CA[0], "keyUsage=critical,digitalSignature"),
        "no-authority": ("basicConstraints=critical,CA:FALSE", CA[1]),
    }.items():
        all_of_them.authority(name, extensions)
        all_of_them.directory(f"ca-{name}", name)
    for name, extensions in {
        "authority": (CA[0], USAGE, PURPOSE, NAMES),
        "no-signature": (CONSTRAINTS, "keyUsage=critical,keyEncipherment", PURPOSE, NAMES),
        "lax-usage": (CONSTRAINTS, "keyUsage=keyCertSign", PURPOSE, NAMES),
        "purpose": (CONSTRAINTS, USAGE, "extendedKeyUsage=critical,clientAuth", NAMES),
        "lax-purpose": CLIENT,
    }.items():
        all_of_them.signed(name, "ca", extensions)
        all_of_them.directory(name, "ca", name)
    for name, valid in {"expired": EXPIRED, "future": FUTURE}.items():
        all_of_them.signed(name, "ca", SERVER, valid)
        all_of_them.directory(name, "ca", name, name)
    all_of_them.directory("foreign", "other", "server")
    all_of_them.directory("client-only", "ca", client="client")
    for name, file, text in (
        ("odd-ca", "ca-cert.pem", "nonsense"),
        ("odd-server", "server-cert.pem", "nonsense"),
        ("odd-key", "server-key.pem", "nonsense"),
        ("other-key", "server-key.pem", (all_of_them.folder / "client.key").read_text()),
    ):
        Path(all_of_them.directory(name, "ca", "server"), file).write_text(text)
    return all_of_them


@pytest.fixture(params=["ours", "real"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """A monitor of either."""
    emulator = Emulator(request.param, tmp_path)
    yield emulator.start("-machine", "none").client()
    emulator.kill()


OWN = "Our own certificate {dir}/server-cert.pem failed validation against {dir}/ca-cert.pem: "
LOAD = "Cannot load certificate '{dir}/server-cert.pem' & key '{dir}/server-key.pem': "
LOOKED_AT = {
    ("nowhere", "client"): "Unable to access credentials {dir}/ca-cert.pem: No such file or directory",
    (
        "client-only",
        "server",
    ): "Unable to access credentials {dir}/server-cert.pem: No such file or directory",
    (
        "ca-no-constraints",
        "client",
    ): "The certificate {dir}/ca-cert.pem is missing basic constraints for a CA",
    ("ca-no-authority", "client"): "The certificate {dir}/ca-cert.pem basic constraints do not show a CA",
    ("ca-no-signing", "client"): "Certificate {dir}/ca-cert.pem usage does not permit certificate signing",
    ("ca-no-usage", "client"): "",
    (
        "authority",
        "server",
    ): "The certificate {dir}/server-cert.pem basic constraints show a CA, but we need one for a server",
    ("no-signature", "server"): "Certificate {dir}/server-cert.pem usage does not permit digital signature",
    ("lax-usage", "server"): "",
    ("purpose", "server"): "Certificate {dir}/server-cert.pem purpose does not allow use with a TLS server",
    ("lax-purpose", "server"): "",
    ("expired", "server"): "The server certificate {dir}/server-cert.pem has expired",
    ("expired", "client"): "The client certificate {dir}/client-cert.pem has expired",
    ("future", "server"): "The server certificate {dir}/server-cert.pem is not yet active",
    ("foreign", "server"): OWN + "The certificate hasn't got a known issuer",
    ("odd-ca", "server"): "Unable to import CA certificate list {dir}/ca-cert.pem",
    (
        "odd-server",
        "server",
    ): "Unable to import server certificate {dir}/server-cert.pem: Base64 unexpected header error.",
    ("odd-key", "server"): LOAD + "The requested data were not available.",
    ("other-key", "server"): LOAD + "The certificate and the given key do not match.",
    ("good", "server"): "",
    ("good", "client"): "",
}
"""Directory and endpoint -> the refusal; "" for none."""


def test_what_is_looked_at(made: Certificates, client: Client) -> None:
    """Every refusal, and what is none: only a critical extension forbids anything."""
    found = {}
    for number, (name, endpoint) in enumerate(LOOKED_AT):
        folder = f"{made.folder}/{name}.d"
        client.put("object-add", qom_type="tls-creds-x509", id=f"t{number}", dir=folder, endpoint=endpoint)
        found[name, endpoint] = client.read().get("error", {}).get("desc", "").replace(folder, "{dir}")
    assert found == LOOKED_AT


def test_unchecked_and_asked_about(made: Certificates, client: Client) -> None:
    """Without sanity-check an expired certificate is taken; what the object shows of itself; its end."""
    good, expired = f"{made.folder}/good.d", f"{made.folder}/expired.d"
    for number, (given, wrong) in enumerate(
        (
            ({"dir": expired, "sanity-check": False}, None),
            ({"dir": good, "passwordid": "x"}, "No secret with id 'x'"),
            ({}, "Missing 'dir' property value"),
        )
    ):
        kind = {"qom-type": "tls-creds-x509", "id": f"t{number}", "endpoint": "server"}
        client.put("object-add", **{**kind, **given})
        assert client.read().get("error", {}).get("desc") == wrong
    for name, value in {"endpoint": "server", "sanity-check": False, "loaded": True, "dir": expired}.items():
        client.put("qom-get", path="/objects/t0", property=name)
        assert client.read() == {"return": value}
    client.put("object-del", id="t0")
    assert client.read() == {"return": {}}
    client.put("object-add", qom_type="tls-creds-psk", id="p", dir="/nowhere")
    psk = "Unable to access credentials /nowhere/keys.psk: No such file or directory"
    assert client.read()["error"]["desc"] == psk
