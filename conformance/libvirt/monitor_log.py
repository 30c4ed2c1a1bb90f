"""What libvirt and an emulator said to each other, from libvirt's own log, with references for what differs by nature.

libvirt writes every line of its monitors with `log_filters="1:qemu.qemu_monitor"`:

    ... QEMU_MONITOR_SEND_MSG: mon=0x7f8b7800c740 msg={"execute":"cont","id":"libvirt-414"}
    ... QEMU_MONITOR_RECV_EVENT: mon=0x7f8b7800c740 event={"timestamp": {...}, "event": "RESUME"}
    ... QEMU_MONITOR_RECV_REPLY: mon=0x7f8b7800c740 reply={"return": {}, "id": "libvirt-414"}

A `Line` is one of them, or what virsh said when it failed. On top of `qmpemu.edge.conform.references` come libvirt's
ids, ports, terminals, and figures that are the guest's own or the host's (bytes read, nanoseconds, pages, blocks that
a file takes on the host's disk).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.edge.conform.references import TIMESTAMP, References

if TYPE_CHECKING:
    from pathlib import Path

SAID = re.compile(r"QEMU_MONITOR_(SEND_MSG|RECV_REPLY|RECV_EVENT): mon=(\S+) (?:msg|reply|event)=(.*)")
GREETED = '{"execute":"qmp_capabilities"'
OF_DOMAIN = '{"execute":"query-migrate-capabilities"'
"""What libvirt asks next of a domain's emulator; of any other it only looks up, at any time, what it can do."""
MARKS = {"SEND_MSG": "->", "RECV_REPLY": "<-", "RECV_EVENT": "<="}
ID = re.compile(r'"id": ?"libvirt-\d+"')
MEASURED = re.compile(
    r'("(?:(?:rd|wr|flush|unmap)_(?:bytes|operations|merged|total_time_ns)|wr_highest_offset'
    r"|actual-size|total-time|setup-time|downtime|expected-downtime|mbps|pages-per-second|duplicate|normal"
    r"|normal-bytes|multifd-bytes|cache-miss|transferred|remaining|precopy-bytes|downtime-bytes|dirty-pages-rate|dirty-sync-count"
    r'|completed|vm-state-size|vm-clock-n?sec|date-n?sec|last-update|start-time|calc-time|dirty-rate)": )-?[\d.e+-]+'
)
INHERITED = re.compile(r'"uri":"fd:\d+"')
"""libvirt names a descriptor by its own number, which follows from what it has open."""
GUESTS_OWN = re.compile(r'"idle_time_ns": \d+, ')
"""There once the guest has read something, which SeaBIOS does and no guest does not."""
GUESTS_CACHE = re.compile(r'"writeback": (?:true|false)')
"""In query-block: whether the guest's virtio driver has taken the write cache. SeaBIOS's has not."""
TEMPORARY = re.compile(r"(qemu\.\w+\.)\w{6}\b")
NAMELESS = re.compile(r'"#block\d+"')
"""The name of a node that was given none; its digits are random."""
TERMINAL = re.compile(r"/dev/pts/\d+")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ")
ENDED = re.compile("process exited while connecting to monitor|qemu unexpectedly closed the monitor")
"""libvirt's words for an emulator that ends at its start depend on how far libvirt itself has come."""
THROTTLED = re.compile(
    r'"event": "(?:BALLOON_CHANGE|RTC_CHANGE|WATCHDOG|QUORUM_\w+|VSERPORT_CHANGE|MEMORY_DEVICE_\w+)"'
)
"""Events that wait where one of them came within the last second, and tell the time at which they happened."""
DOMAIN_ID = re.compile(r"\bdomain-\d+-")
PORT = re.compile(r'("(?:port|service)": ?)"\d+"')
COMMAND = re.compile(r'"execute": ?"([\w-]+)"')
EVENT = re.compile(r'"event": "(\w+)"')


class Line(NamedTuple):
    """One line. mark: `->` sent, `<-` a reply, `<=` an event; text has references."""

    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark} {self.text}"

    @property
    def word(self) -> str:
        """The command's or event's name; `return` or `error` for a reply."""
        if self.mark == "<-":
            return "error" if self.text.startswith('{"error"') or ', "error":' in self.text else "return"
        match = (COMMAND if self.mark == "->" else EVENT).search(self.text)
        return match[1] if match else ""


class MonitorLog:
    """Reads a libvirtd.log as it grows. folder: the path that becomes `$folder`; beside: that of another host's."""

    def __init__(self, path: Path, folder: str, beside: str = "") -> None:
        self._path = path
        self._beside = beside
        self._references = References(folder)
        self._offset = 0
        self._rest = b""
        self._greeted = ""
        """The monitor that has been greeted and nothing else yet."""
        self._probes: set[str] = set()
        """Monitors of emulators that are only probed."""

    def skip(self) -> None:
        """Forget what has been said so far."""
        self._offset, self._rest = self._path.stat().st_size, b""

    def more(self) -> list[Line]:
        """The lines since the last call, without what was asked of an emulator that is only probed."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        found: list[tuple[str, Line]] = []
        for raw in (whole + newline).decode(errors="replace").splitlines():
            if match := SAID.search(raw):
                monitor, text = match[2], match[3].rstrip()
                if text.startswith(GREETED):
                    self._greeted = monitor
                    self._probes.discard(monitor)
                elif monitor == self._greeted and match[1] == "SEND_MSG":
                    self._greeted = ""
                    if not text.startswith(OF_DOMAIN):
                        self._probes.add(monitor)
                        found = _without_last_of(monitor, found)
                if monitor not in self._probes:
                    found.append((monitor, Line(MARKS[match[1]], self._replaced(text))))
        return [line for _, line in found]

    def failure(self, errors: str) -> Line:
        """What virsh said about a failure, as a line of mark `!!`."""
        text = STAMP.sub("$stamp ", ENDED.sub("$ended", errors.strip().replace("\n", "\\n")))
        return Line("!!", self._replaced(text))

    def _replaced(self, text: str) -> str:
        text = TERMINAL.sub("$pty", ID.sub('"id": "$id"', GUESTS_OWN.sub("", text)))
        text = NAMELESS.sub('"$block"', text)
        text = INHERITED.sub('"uri":"fd:$fd"', text)
        text = DOMAIN_ID.sub("domain-$n-", text)
        text = TEMPORARY.sub(r"\1$temporary", text)
        if THROTTLED.search(text):
            text = TIMESTAMP.sub('"timestamp": $time', text)
        if '"io-status"' in text:
            text = GUESTS_CACHE.sub('"writeback": $guest', text)
        text = MEASURED.sub(r"\1$measured", text)
        if self._beside:
            text = text.replace(self._beside, "$beside")
        return self._references.replace(PORT.sub(r'\1"$port"', text))


def _without_last_of(monitor: str, found: list[tuple[str, Line]]) -> list[tuple[str, Line]]:
    """The same without the greeting that this monitor began with."""
    at = max(
        (n for n, (who, line) in enumerate(found) if who == monitor and line.word == "qmp_capabilities"),
        default=len(found),
    )
    return [each for n, each in enumerate(found) if n < at or each[0] != monitor]
