"""Two processes with a relay between, ours and the real ones: a stream that stops half-way, is cut off or given up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import PATIENCE_S, Client
from relay import BACK, THERE, Relay
from two import Two, answer, poll, status

HALF_WAY = {"ours": 200, "real": 50_000}
"""Bytes of a stream that are some of the whole: the real one's has a place for each page."""
LAST_WORD = {"ours": 13, "real": 1}
"""Bytes back, of which the last is in the destination's word that it has all."""


@pytest.fixture
def between(two: Two) -> Iterator[Callable[..., tuple[Relay, Client, Client]]]:
    """between(there, back) -> a relay that holds after so many bytes, and the clients of source and destination."""
    relays: list[Relay] = []

    def between_(*limits: int | None) -> tuple[Relay, Client, Client]:
        source, destination = two.both("return-path")
        relays.append(Relay(two.folder / "relay", two.folder / "way", *limits))
        done(source, "migrate", uri=f"unix:{two.folder}/relay")
        direction = BACK if limits[0] is None else THERE
        assert relays[0].await_limit(direction, PATIENCE_S)
        if direction == BACK and two.kind == "real":
            poll(lambda: status(destination) == "running")
        return relays[0], source, destination

    yield between_
    for each in relays:
        each.close()


def done(client: Client, command: str, **arguments: object) -> None:
    """Have it done; events are not of interest."""
    client.put(command, **arguments)
    reply = client.read()
    while "event" in reply:
        reply = client.read()
    assert reply == {"return": {}}


Between = Callable[..., tuple[Relay, Client, Client]]


def test_cut_off_half_way_the_guest_goes_on_at_the_source(two: Two, between: Between) -> None:
    """The destination ends with 1 and says why."""
    relay, source, _ = between(HALF_WAY[two.kind], None)
    relay.cut()
    poll(lambda: answer(source, "query-migrate")["status"] == "failed")
    poll(lambda: status(source) == "running")
    code, stderr = two.made[1].finish()
    assert code == 1
    assert "load of migration failed: " in stderr


def test_given_up_half_way_the_guest_goes_on_at_the_source(two: Two, between: Between) -> None:
    """As above, when the rest of what was on its way has come. The real one may wait for that with its cancelling."""
    relay, source, _ = between(HALF_WAY[two.kind], None)
    done(source, "migrate_cancel")
    if two.kind == "real":
        relay.lift()
    poll(lambda: answer(source, "query-migrate")["status"] == "cancelled")
    assert status(source) == "running"
    relay.lift()
    assert two.made[1].finish()[0] == 1


def test_without_the_last_word_the_migration_has_failed_for_no_reason(two: Two, between: Between) -> None:
    """The destination has all and may run it; the source knows nothing of that, and goes on: no error-desc."""
    relay, source, destination = between(None, LAST_WORD[two.kind])
    poll(lambda: status(source) == "finish-migrate")
    relay.cut()
    poll(lambda: answer(source, "query-migrate") == {"status": "failed"})
    poll(lambda: status(source) == "running")
    poll(lambda: answer(destination, "query-migrate")["status"] == "completed")


def test_given_up_without_the_last_word_there_is_one_guest(two: Two, between: Between) -> None:
    """The source goes on. The real destination runs by then; ours had waited for a word, and ends."""
    relay, source, destination = between(None, LAST_WORD[two.kind])
    poll(lambda: status(source) == "finish-migrate")
    done(source, "migrate_cancel")
    poll(lambda: answer(source, "query-migrate") == {"status": "cancelled"})
    poll(lambda: status(source) == "running")
    relay.lift()
    if two.kind == "real":
        assert status(destination) == "running"
    else:
        code, stderr = two.made[1].finish()
        assert (code, "the source keeps the guest" in stderr) == (1, True)


def test_given_up_at_any_byte_of_the_stream_there_is_one_guest(tmp_path: Path) -> None:
    """Ours alone: a sweep over what goes."""
    for number, room in enumerate([*range(12, 420, 90), *range(400, 430, 5)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        both = Two("ours", folder)
        source, destination = both.both("return-path")
        relay = Relay(folder / "relay", folder / "way", room, None)
        try:
            done(source, "migrate", uri=f"unix:{folder}/relay")
            if not relay.await_limit(THERE, 0.5):
                continue
            done(source, "migrate_cancel")
            poll(lambda: answer(source, "query-migrate")["status"] in ("cancelled", "completed"))  # noqa: B023
            relay.lift()
            if answer(source, "query-migrate")["status"] == "cancelled":
                assert status(source) == "running"
                assert both.made[1].finish()[0] == 1
            else:
                assert status(source) == "postmigrate"
                poll(lambda: status(destination) == "running")  # noqa: B023
        finally:
            relay.close()
            both.kill()
