"""What happens to a guest while it is on its way: a panic on either side, a command to its agent in flight."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client, say
from two import SLOW, Two, story, switch

FAST = {"QMPEMU_SPEED": "100x", "QMPEMU_SET": "QEMU-GA=running"}


def begin(two: Two, *words: str, capabilities: tuple[str, ...] = ()) -> tuple[Client, Client]:
    """Both ends, the source slow."""
    source = two.start("source", *(word.format("source") for word in words), **FAST)
    words = tuple(word.format("destination") for word in words)
    destination = two.start("destination", "-incoming", "defer", *words, **FAST)
    for each in (source, destination):
        switch(each, "return-path", *capabilities)
    assert say(source, "migrate-set-parameters", max_bandwidth=SLOW, max_postcopy_bandwidth=SLOW) == {}
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    return source, destination


def crash(two: Two, client: Client) -> None:
    """Let the guest tell of a panic: ours by itself, the real one's port by hand."""
    if two.kind == "ours":
        while say(client, "__org.qmpemu_crash", value="") != {}:
            pass
    else:
        say(client, "human-monitor-command", command_line="o /1 0x505 1")


def runstate(client: Client) -> str:
    return str(say(client, "query-status")["status"])


def test_a_guest_that_panics_on_its_way_arrives_so(two: Two) -> None:
    """It stands still there, as it would have here."""
    source, destination = begin(two, "-device", "pvpanic", "-action", "panic=pause")
    assert say(source, "migrate", uri=two.uri) == {}
    crash(two, source)
    while runstate(source) != "guest-panicked":
        pass
    assert say(source, "query-migrate")["status"] in ("setup", "active")
    assert say(source, "migrate-set-parameters", max_bandwidth=1 << 30) == {}
    assert story(destination, "completed")[-1] == "completed"
    assert runstate(destination) == "guest-panicked"
    while runstate(source) != "postmigrate":
        pass  # the real one is there a moment after its end is told
    assert say(source, "query-migrate")["status"] == "completed"


def test_a_guest_that_panics_there_before_its_memory_has_come(two: Two) -> None:
    """In postcopy: the rest still comes."""
    words = ("-device", "pvpanic", "-action", "panic=pause")
    source, destination = begin(two, *words, capabilities=("postcopy-ram",))
    assert say(source, "migrate", uri=two.uri) == {}
    while say(source, "query-migrate")["status"] == "setup":
        pass
    assert say(source, "migrate-start-postcopy") == {}
    assert story(destination, "RESUME")[-1] == "RESUME"
    crash(two, destination)
    while runstate(destination) != "guest-panicked":
        pass
    assert say(source, "migrate-set-parameters", max_postcopy_bandwidth=1 << 30) == {}
    assert story(destination, "completed")[-1] == "completed"
    assert runstate(destination) == "guest-panicked"


def answer(sock: socket.socket) -> bytes:
    """One line of an agent, or nothing in a while."""
    sock.settimeout(0.3)
    try:
        return sock.recv(4096)
    except TimeoutError:
        return b""


@pytest.mark.parametrize("two", ["ours"], indirect=True)
def test_a_command_to_the_agent_in_flight_is_answered_there(two: Two) -> None:
    """Frozen file systems arrive frozen; the source's channel hears nothing any more."""
    channel = f"socket,id=c,path={two.folder}/{{}}.agent,server=on,wait=off"
    port = "virtserialport,chardev=c,name=org.qemu.guest_agent.0,id=p"
    words = ("-device", "virtio-serial-pci", "-chardev", channel, "-device", port)
    source, destination = begin(two, *words, capabilities=("pause-before-switchover",))
    here, there = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with here, there:
        here.connect(f"{two.folder}/source.agent")
        while not answer(here):
            here.sendall(b'{"execute": "guest-ping"}\n')
        there.connect(f"{two.folder}/destination.agent")
        assert say(source, "migrate-set-parameters", max_bandwidth=1 << 30) == {}
        assert say(source, "migrate", uri=two.uri) == {}
        while say(source, "query-migrate")["status"] != "pre-switchover":
            pass
        while answer(here):
            pass
        here.sendall(b'{"execute": "guest-fsfreeze-freeze"}\n')
        assert answer(here) == b""
        assert say(source, "migrate-continue", state="pre-switchover") == {}
        assert story(destination, "completed")[-1] == "completed"
        while not (told := answer(there)):
            pass
        assert told.startswith(b'{"return": ')
        assert answer(here) == b""
        there.sendall(b'{"execute": "guest-fsfreeze-status"}\n')
        while not (told := answer(there)):
            pass
        assert told == b'{"return": "frozen"}\n'
