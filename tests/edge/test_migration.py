"""Migration between two processes, on ours and the real one: order of events, refusals, and deaths of either."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator
from two import SLOW, Two, answer, desc, poll, status, story


def test_precopy_is_told_in_this_order(two: Two) -> None:
    """At both ends, with the return path."""
    source, destination = two.both("return-path")
    source.put("migrate", uri=two.uri)
    assert story(source, "completed") == [
        "setup",
        "return",
        "MIGRATION_PASS",
        "active",
        "STOP",
        "MIGRATION_PASS",
        "completed",
    ]
    assert story(destination, "RESUME")[0] == "active"
    poll(lambda: answer(destination, "query-migrate").get("status") == "completed")
    poll(lambda: status(source) == "postmigrate")  # the real one is there a moment after its end is told


def test_a_saved_machine_is_loaded_from_a_file(two: Two, tmp_path: Path) -> None:
    """exec: into a file, and by exec: and fd: back."""
    file = tmp_path / "saved"
    source = two.start("source")
    source.put("migrate", uri=f"exec:cat > {file}")
    assert story(source, "completed")[-2:] == ["MIGRATION_PASS", "completed"]
    poll(lambda: file.exists() and file.stat().st_size > 0)
    again = two.start("again", "-incoming", f"exec:cat {file}")
    poll(lambda: status(again) == "running")
    by_fd = os.open(file, os.O_RDONLY)
    place = tmp_path / "third"
    place.mkdir()
    third = Emulator(two.kind, place)
    two.made.append(third)
    third.start("-machine", "q35", "-m", "64", "-incoming", f"fd:{by_fd}", pass_fds=(by_fd,))
    os.close(by_fd)
    client = third.client()
    poll(lambda: status(client) == "running")


REFUSED = {
    "foo:3": "Parameter 'uri' expects a valid migration protocol",
    "fd:nope": "File descriptor named 'nope' has not been found",
    "unix:": "invalid Unix socket address",
    "tcp:x": "error parsing address 'x'",
    "rdma:1.1.1.1:3": "RDMA ERROR: could not create CM channel",
}


@pytest.mark.parametrize("uri", REFUSED)
def test_an_address_that_leads_nowhere_is_refused_at_once(two: Two, uri: str) -> None:
    """The guest runs on."""
    source = two.start("source")
    source.put("migrate", uri=uri)
    assert REFUSED[uri] in story(source, REFUSED[uri])
    assert status(source) == "running"


@pytest.mark.parametrize("uri", ["unix:/none/x", "tcp:127.0.0.1:1", "tcp:nope.invalid:1"])
def test_an_address_where_nobody_is_fails_the_migration(two: Two, uri: str) -> None:
    """After the reply; query-migrate says why, in the same words on both."""
    source = two.start("source")
    source.put("migrate", uri=uri)
    assert sorted(story(source, "failed")) == ["failed", "return", "setup"]
    why = answer(source, "query-migrate")["error-desc"]
    assert why == {
        "unix:/none/x": "Failed to connect to '/none/x': No such file or directory",
        "tcp:127.0.0.1:1": "Failed to connect to '127.0.0.1:1': Connection refused",
        "tcp:nope.invalid:1": "address resolution failed for nope.invalid:1: Name or service not known",
    }.get(uri)
    assert status(source) == "running"


INCOMING_REFUSED = {
    "foo:3": "unknown migration protocol: foo:3",
    "rdma:1.1.1.1:3": "RDMA ERROR: could not create rdma event channel",
    "tcp:x": "error parsing address 'x'",
    "fd:nope": "File descriptor named 'nope' has not been found",
}


@pytest.mark.parametrize("uri", INCOMING_REFUSED)
def test_an_address_to_wait_at_is_refused_and_another_may_be_tried(two: Two, uri: str) -> None:
    """migrate-incoming."""
    destination = two.start("destination", "-incoming", "defer")
    destination.put("migrate-incoming", uri=uri)
    assert INCOMING_REFUSED[uri] in story(destination, INCOMING_REFUSED[uri])
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return")[-1] == "return"
    destination.put("migrate-incoming", uri=two.uri)
    taken = "The incoming migration has already been started"
    assert story(destination, taken)[-1] == taken
    running = two.start("running")
    unasked = "'-incoming' was not specified on the command line"
    assert desc(running.ask("migrate-incoming", uri=two.uri)) == unasked


def test_a_destination_that_is_killed_leaves_the_guest_running_here(two: Two) -> None:
    """While memory goes over."""
    source, destination = two.both("return-path")
    source.ask("migrate-set-parameters", max_bandwidth=SLOW)
    source.put("migrate", uri=two.uri)
    story(source, "active")
    story(destination, "active")
    two.made[1].kill()
    assert story(source, "failed")[-1] == "failed"
    poll(lambda: status(source) == "running")


def test_a_source_that_is_killed_ends_the_destination(two: Two) -> None:
    """Exit status 1, and the reason on standard error."""
    source, destination = two.both("return-path")
    source.ask("migrate-set-parameters", max_bandwidth=SLOW)
    source.put("migrate", uri=two.uri)
    story(source, "active")
    story(destination, "active")
    two.made[0].kill()
    assert "failed" in story(destination, "EOF")
    code, stderr = two.made[1].finish()
    assert code == 1
    assert "load of migration failed" in stderr


def test_a_cancelled_migration_leaves_the_guest_here(two: Two) -> None:
    """cancelling, cancelled; the other end is gone; and it can be tried anew."""
    source, _ = two.both("return-path")
    source.ask("migrate-set-parameters", max_bandwidth=SLOW)
    source.put("migrate", uri=two.uri)
    story(source, "active")
    source.put("migrate_cancel")
    told = story(source, "cancelled")
    assert [each for each in told if each != "return"] == ["cancelling", "cancelled"]
    assert status(source) == "running"
    assert two.made[1].finish()[0] == 1
    source.ask("migrate-set-parameters", max_bandwidth=1 << 40)
    file = two.folder / "saved"
    source.put("migrate", uri=f"exec:cat > {file}")
    assert story(source, "setup")[-1] == "setup"


def test_commands_that_do_not_fit_now_are_refused(two: Two) -> None:
    """During a migration, and before any."""
    source, _ = two.both()
    assert (
        desc(source.ask("migrate-continue", state="pre-switchover"))
        == "Migration not in expected state: none"
    )
    postcopy = "Enable postcopy with migrate_set_capability before the start of migration"
    assert desc(source.ask("migrate-start-postcopy")) == postcopy
    paused = "migrate-pause is currently only supported during postcopy-active state"
    assert desc(source.ask("migrate-pause")) == paused
    resume = "Cannot resume if there is no paused migration"
    source.put("migrate", uri=two.uri, resume=True)
    assert story(source, resume)[-1] == resume
    recover = "Migrate recover can only be run when postcopy is paused."
    assert desc(source.ask("migrate-recover", uri=two.uri)) == recover
    source.ask("migrate-set-parameters", max_bandwidth=SLOW)
    source.put("migrate", uri=two.uri)
    story(source, "active")
    busy = "There's a migration process in progress"
    assert desc(source.ask("migrate", uri=two.uri)) == busy
    rows = [{"capability": "xbzrle", "state": True}]
    assert desc(source.ask("migrate-set-capabilities", capabilities=rows)) == busy
    assert desc(source.ask("migrate-start-postcopy")) == postcopy
