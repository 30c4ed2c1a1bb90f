"""Two emulator processes, one of which is killed at every step of a migration: the guest is at one of the two, whole.

A step is a fact, a piece that leaves or one that comes (`dying`). The other process is asked where the guest is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client, Emulator
from two import answer, poll, switch

SOURCE, DESTINATION = 0, 1
WAYS = {
    "precopy": ("return-path",),
    "as libvirt": ("return-path", "pause-before-switchover", "late-block-activate"),
    "postcopy": ("return-path", "postcopy-ram"),
}
SLOW = "used=4M,dirty=0,link=8M"
"""QMPEMU_MEMORY that takes some portions of time to go over."""
STEPS_MAX = 200


class Pair:
    """A Windows with an open document on its way to another process; `who` dies at its step `at`."""

    def __init__(self, folder: Path, way: str, who: int, at: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.made = [self._emulator(number, at if number == who else 0) for number in (SOURCE, DESTINATION)]
        memory = {"QMPEMU_MEMORY": SLOW} if way == "postcopy" else {}
        for each, words in zip(self.made, ((), ("-incoming", "defer")), strict=True):
            name = "source" if each is self.made[SOURCE] else "destination"
            dies = {"DIE_AT": str(at), "DIE_NOTES": str(folder / name / "notes")}
            env = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": "600x", "QMPEMU_DISK": "none"}
            each.start("-machine", "q35", "-m", "64", *words, env={**env, **memory, **dies})
        self.source, self.destination = (switch(e.client(), "events", *WAYS[way]) for e in self.made)
        poll(lambda: act(self.source, "edit_document"))
        self.destination.put("migrate-incoming", uri=f"unix:{folder}/way")
        self._pursue(way)

    def _emulator(self, number: int, at: int) -> Emulator:
        place = self.folder / ("source", "destination")[number]
        place.mkdir()
        emulator = Emulator("ours", place)
        if at:
            script = place / "dying"
            script.write_text(
                f"#!{sys.executable}\n" + (Path(__file__).parent / "dying.py").read_text("utf-8")
            )
            script.chmod(0o755)
            emulator.program = str(script)
        return emulator

    def _pursue(self, way: str) -> None:
        """What a client does, until the source has ended or its migration has."""
        await_reply(self.destination)
        self.told: list[str] = []
        tell(self.source, "migrate", uri=f"unix:{self.folder}/way")
        owed = 1
        if way == "postcopy":
            tell(self.source, "migrate-start-postcopy")
            owed += 1
        while owed or self.told[-1] not in ("completed", "failed", "postcopy-paused"):
            message = read(self.source)
            if not message:
                self.told.append("EOF")
                return
            if "event" not in message:
                owed -= 1
                continue
            self.told.append(message.get("data", {}).get("status") or message["event"])
            if self.told[-1] == "pre-switchover":
                tell(self.source, "migrate-continue", state="pre-switchover")
                owed += 1

    def code(self, who: int) -> int | None:
        """The exit status of one that has ended, or is about to."""
        process = self.made[who].process
        assert process is not None
        return process.poll()

    def notes(self, who: int) -> list[str]:
        """The steps that the dying one made."""
        return (self.made[who].folder / "notes").read_text("utf-8").splitlines()

    def kill(self) -> None:
        for each in self.made:
            each.kill()


def tell(client: Client, command: str, **arguments: Any) -> None:
    """Send to somebody who may be dead."""
    try:
        client.put(command, **arguments)
    except OSError:
        pass


def read(client: Client) -> dict[str, Any]:
    """A message of somebody who may be dead: {}, however often it is asked for."""
    client.ends = 0
    try:
        return client.read()
    except OSError:
        return {}


def await_reply(client: Client) -> dict[str, Any]:
    """The next reply, or {} at the end."""
    message = read(client)
    while "event" in message:
        message = read(client)
    return message


def act(client: Client, name: str) -> bool:
    """Whether somebody could do it to the document at the guest's console."""
    tell(client, f"__org.qmpemu_{name}", value="A.docx")
    return "return" in await_reply(client)


def has_the_guest(client: Client) -> bool:
    """Whether it runs there, or does once it is let, with its document open."""
    if answer(client, "query-status")["status"] == "postmigrate":
        tell(client, "cont")
        assert await_reply(client) == {"return": {}}
    return answer(client, "query-status")["status"] == "running" and act(client, "save_document")


def over(client: Client) -> bool:
    """Whether its migration has ended well."""
    tell(client, "query-migrate")
    return bool(await_reply(client).get("return", {}).get("status") == "completed")


def settled(pair: Pair) -> str:
    """What has become of the destination, whose source is dead: `exit`, or its status."""
    found: list[str] = []

    def look() -> bool:
        if pair.code(DESTINATION) is None:
            tell(pair.destination, "query-migrate")
            status = str(await_reply(pair.destination).get("return", {}).get("status"))
            if status in ("completed", "postcopy-paused"):
                found.append(status)
        else:
            found.append("exit")
        return bool(found)

    poll(look)
    return found[0]


def pairs(folder: Path, way: str, who: int) -> Iterator[Pair]:
    """A pair for each step at which `who` can die."""
    for at in range(1, STEPS_MAX):
        pair = Pair(folder / str(at), way, who, at)
        try:
            process = pair.made[who].process
            assert process is not None
            poll(lambda: process.poll() is not None or over((pair.source, pair.destination)[who]))  # noqa: B023
            if process.poll() is None:  # it has outlived the migration
                assert at > 12
                return
            assert process.wait() == -9
            yield pair
        finally:
            pair.kill()
    raise AssertionError("the migration never ended")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
def test_a_destination_killed_at_any_step_leaves_the_guest_to_the_source(way: str, tmp_path: Path) -> None:
    """It runs on there, or goes on by cont where it was given up; in postcopy the source waits for a recovery."""
    ends = set()
    for pair in pairs(tmp_path, way, DESTINATION):
        end = pair.told[-1]
        ends.add(end)
        if end == "postcopy-paused":
            assert answer(pair.source, "query-status")["status"] == "finish-migrate"
        else:
            assert has_the_guest(pair.source), (pair.notes(DESTINATION)[-1], pair.told)
    assert ends >= ({"failed", "postcopy-paused"} if way == "postcopy" else {"failed", "completed"})


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
def test_a_source_killed_at_any_step_took_the_guest_along_or_gave_it_whole(way: str, tmp_path: Path) -> None:
    """Once it was given up the destination runs it; before, the destination does so, or ends and says why."""
    ends = set()
    for pair in pairs(tmp_path, way, SOURCE):
        steps = pair.notes(SOURCE)
        if not any(step.endswith("left") for step in steps):  # it has not come as far as the destination
            assert answer(pair.destination, "query-status")["status"] == "inmigrate"
            continue
        end = settled(pair)
        ends.add(end)
        if end == "completed":
            assert has_the_guest(pair.destination), steps[-1]
        elif end == "exit":
            assert not any("completed" in step for step in steps), steps[-1]
            code, stderr = pair.made[DESTINATION].finish()
            assert (code, "load of migration failed: " in stderr) == (1, True), steps[-1]
        else:
            assert way == "postcopy", steps[-1]
    assert "exit" in ends
    assert "completed" in ends or (
        way == "postcopy" and "postcopy-paused" in ends
    )  # the last page or the kill
