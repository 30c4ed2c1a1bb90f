"""Event rate limits: of some kinds of event a client sees at most one a second (facts/qmp-wire.md §10).

    quiet ──raised: sent──> holding ──raised: kept, replacing what was kept──> holding
      ^                        │ a second after the last one sent
      └──────nothing kept──────┴──something kept: it is sent, and a new second begins

An event is limited together with others of its kind and key (a port's id, say). It is made up when it is raised, so
a kept one carries the time of its raising and not of its sending.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERIOD_NS = 1_000_000_000

KEYS: Mapping[str, str | None] = {
    "RTC_CHANGE": None,
    "WATCHDOG": None,
    "BALLOON_CHANGE": None,
    "QUORUM_REPORT_BAD": "node-name",
    "QUORUM_FAILURE": None,
    "VSERPORT_CHANGE": "id",
    "MEMORY_DEVICE_SIZE_CHANGE": "qom-path",
}
"""Limited events, and the member of their data that tells one source from another."""


class Throttle:
    """Passes events on to `send(encoded)`. call_in(delay_ns, callback): the clock that counts the second."""

    __slots__ = ("_call_in", "_kept", "_send")

    def __init__(self, send: Callable[[bytes], None], call_in: Callable[[int, Callable[[], object]], object]):
        self._send = send
        self._call_in = call_in
        self._kept: dict[tuple[str, object], bytes | None] = {}
        """A source that is holding -> what it keeps."""

    def emit(self, name: str, data: Mapping[str, object] | None, encoded: bytes) -> None:
        """Send an event at once, or keep it where one of its source was sent less than a second ago."""
        if name not in KEYS:
            self._send(encoded)
            return
        member = KEYS[name]
        source = (name, data.get(member) if member is not None and data is not None else None)
        if source in self._kept:
            self._kept[source] = encoded
        else:
            self._send_and_hold(source, encoded)

    def _send_and_hold(self, source: tuple[str, object], encoded: bytes) -> None:
        self._kept[source] = None
        self._send(encoded)
        self._call_in(PERIOD_NS, lambda: self._release(source))

    def _release(self, source: tuple[str, object]) -> None:
        kept = self._kept.pop(source)
        if kept is not None:
            self._send_and_hold(source, kept)
