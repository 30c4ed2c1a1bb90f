"""Migration over TLS, on ours and the real one: who is refused with what words, and that the guest arrives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client
from two import Two, story, switch

from tests.certificates import Certificates, usual

CUT = ("Cannot write to TLS channel: Input/output error", "failed")
"""How a source fares that the destination refuses after the handshake; the second where all had been sent by then."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A good directory, and those of clients that are not to be trusted, or do not trust."""
    all_of_them = usual(tmp_path_factory.mktemp("certificates") / "x509")
    all_of_them.directory("bare", "ca")
    all_of_them.directory("distrustful", "other")
    return all_of_them


def add(client: Client, made: Certificates, name: str, endpoint: str) -> None:
    client.put(
        "object-add", qom_type="tls-creds-x509", id=name, dir=f"{made.folder}/{name}.d", endpoint=endpoint
    )
    assert client.read() == {"return": {}}


def take(client: Client, **parameters: str) -> None:
    client.put("migrate-set-parameters", **parameters)
    assert client.read() == {"return": {}}


def pair(two: Two, made: Certificates, *capabilities: str) -> tuple[Client, Client]:
    """A source, and a destination that waits with credentials."""
    source, destination = two.start("source"), two.start("destination", "-incoming", "defer")
    for each in (source, destination):
        switch(each, *capabilities)
    add(destination, made, "good", "server")
    for name in ("good", "bare", "distrustful"):
        add(source, made, name, "client")
    take(destination, tls_creds="good")
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    return source, destination


def attempt(source: Client, two: Two, name: str, host: str = "localhost") -> str:
    """How a migration with these credentials ends: "completed", or why it failed."""
    take(source, tls_creds=name, tls_hostname=host)
    source.put("migrate", uri=two.uri)
    while next_status(source) not in ("completed", "failed"):
        pass
    source.put("query-migrate")
    while "return" not in (message := source.read()):
        pass
    reply = message["return"]
    return str(reply.get("error-desc", reply["status"]))


def next_status(client: Client) -> object:
    return client.read().get("data", {}).get("status")


def test_a_destination_waits_on_for_the_right_one(two: Two, made: Certificates) -> None:
    """Nobody that is refused in the handshake ends it, whose certificate or name it may be."""
    source, destination = pair(two, made)
    destination.put("object-add", qom_type="authz-simple", id="who", identity="CN=client,O=qmp")
    assert destination.read() == {"return": {}}
    take(destination, tls_authz="who")
    assert attempt(source, two, "nothing") == "No TLS credentials with id 'nothing'"
    assert attempt(source, two, "distrustful") == "The certificate hasn't got a known issuer"
    assert attempt(source, two, "bare") in CUT
    assert attempt(source, two, "good") == "completed"
    assert story(destination, "completed")[-1] == "completed"
    two.made[1].process.kill()  # type: ignore[union-attr]
    _, said = two.made[1].finish()
    assert "Verify failed: No certificate was found." in said


def test_every_channel_is_secured(two: Two, made: Certificates) -> None:
    """With multifd as without."""
    source, destination = pair(two, made, "return-path", "multifd")
    assert attempt(source, two, "good") == "completed"
    assert story(destination, "completed")[-1] == "completed"


def test_another_host_is_not_meant(two: Two, made: Certificates) -> None:
    """The handshake is over by then: the destination takes it for a stream, and ends."""
    source, _ = pair(two, made)
    assert attempt(source, two, "good", "elsewhere") == "Certificate does not match the hostname elsewhere"
    status, said = two.made[1].finish()
    assert status == 1
    assert said.count("Cannot read from TLS channel: Input/output error") == 3
    assert "load of migration failed: Invalid argument" in said


def test_who_may_come(two: Two, made: Certificates) -> None:
    """The destination asks its authorization object about the certificate's subject."""
    source, destination = pair(two, made)
    destination.put("object-add", qom_type="authz-simple", id="who", identity="somebody else")
    assert destination.read() == {"return": {}}
    take(destination, tls_authz="who")
    assert attempt(source, two, "good") in CUT
    take(destination, tls_authz="nothing")
    assert attempt(source, two, "good") in CUT
    two.made[1].process.kill()  # type: ignore[union-attr]
    _, said = two.made[1].finish()
    assert "TLS x509 authz check for CN=client,O=qmp is denied" in said
    assert "Cannot find QAuthZ object ID nothing" in said
