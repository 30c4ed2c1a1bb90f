"""Two emulator processes, one of which waits for the other's migration, and what is asked of them meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulators import PATIENCE_S, Client, Emulator

SLOW = 100_000
"""Bytes a second: a migration that is still under way when the test looks."""


class Two:
    """A machine and one that waits for it, at `uri`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.made: list[Emulator] = []
        self.uri = f"unix:{folder}/way"

    def start(self, name: str, *words: str, **environment: str) -> Client:
        """A process and its client, with events on."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        emulator = Emulator(self.kind, place)
        self.made.append(emulator)
        env = {"QMPEMU_GUEST": "windows-10", **environment}
        client = emulator.start("-machine", "q35", "-m", "64", *words, env=env).client()
        return switch(client, "events")

    def both(self, *capabilities: str) -> tuple[Client, Client]:
        """Source and destination, the latter waiting at `uri`."""
        source, destination = self.start("source"), self.start("destination", "-incoming", "defer")
        for each in (source, destination):
            switch(each, *capabilities)
        destination.put("migrate-incoming", uri=self.uri)
        assert story(destination, "return") == ["setup", "return"]
        return source, destination

    def kill(self) -> None:
        for each in self.made:
            each.kill()


def switch(client: Client, *capabilities: str) -> Client:
    """Switch capabilities on."""
    rows = [{"capability": name, "state": True} for name in capabilities]
    client.put("migrate-set-capabilities", capabilities=rows)
    reply = client.read()
    while "event" in reply:  # one that comes from a file may go on before it is asked
        reply = client.read()
    assert reply == {"return": {}}
    return client


def story(client: Client, until: str) -> list[str]:
    """Events in short, a MIGRATION by its status and a reply as `return` or its error; until `until` or the end."""
    words: list[str] = []
    while until not in words:
        message = client.read()
        if not message:
            return [*words, "EOF"]
        data = message.get("data", {})
        words.append(data.get("status") or message.get("event") or desc(message))
    return words


def desc(message: dict[str, Any]) -> str:
    """`return`, or the error's text."""
    text: str = message["error"]["desc"] if "error" in message else "return"
    return text


def status(client: Client) -> str:
    """The run state."""
    return str(answer(client, "query-status").get("status"))


def answer(client: Client, command: str) -> dict[str, Any]:
    """What a query returns; events before it are not of interest."""
    client.put(command)
    while True:
        message = client.read()
        if "event" not in message:
            found: dict[str, Any] = message["return"]
            return found


def poll(what: Callable[[], bool]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
