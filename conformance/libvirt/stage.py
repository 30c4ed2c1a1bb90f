"""The stage of one table: its domain on a private libvirtd, and what plays a row's lines on it.

WORDS...             virsh WORDS, which has to succeed unless a check says `fails`
WORDS... &           the same in the background; it has to have ended well when the row ends
sh LINE              a line of bash in $F
inside LINE          the same in libvirtd's namespaces, where $P is the emulator's process id
libvirtd restarts    stopped and started again
libvirtd dies        killed with SIGKILL and started again
wait CHECK           a check of `checks.py` in between
there LINE           one of these on the other host, of a table that has one
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from conformance.libvirt.checks import CheckFailed, check
from conformance.libvirt.monitor_log import MonitorLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.libvirt.monitor_log import Line
    from conformance.libvirt.table import Row, Table
    from tests.libvirt.libvirtd import Libvirtd

SCENARIOS = Path(__file__).parents[2] / "tests/libvirt/scenarios"


class RowFailed(Exception):
    """A row whose lines or checks did not hold; one paragraph."""


class Host:
    """One libvirtd and what is heard of it. beside: the root of the other one."""

    def __init__(self, libvirtd: Libvirtd, beside: str = "") -> None:
        self.libvirtd = libvirtd
        self.log = MonitorLog(libvirtd.root / "log/libvirtd.log", str(libvirtd.root), beside)
        self.said: list[Line] = []
        """Of the row that is played."""
        self.events_before = 0

    def hear(self) -> list[Line]:
        """All of it."""
        self.said += self.log.more()
        return self.said


class Stage:
    """Use as a context manager: the domain is defined at the beginning, and is gone at the end.

    guest: what runs in the domain, as a table's `guest:`; empty for an emulator that is not ours.
    """

    def __init__(self, libvirtd: Libvirtd, table: Table, emulator: str, guest: str) -> None:
        self._here = self._at = Host(libvirtd)
        self._there: Host | None = None
        self.table = table
        self.name = f"{table.domain}-{table.name}"
        self.folder = libvirtd.root / "disks" / table.name
        self.last = subprocess.CompletedProcess[str]([], 0, "", "")
        self.seconds: dict[str, float] = {}
        """How long each virsh line took, `OPERATION: LINE`."""
        self._background: list[tuple[str, subprocess.Popen[str]]] = []
        self._emulator = emulator
        self._guest = guest

    @property
    def libvirtd(self) -> Libvirtd:
        """That of the host that lines and checks are about."""
        return self._at.libvirtd

    @contextmanager
    def there(self) -> Iterator[None]:
        """What is done meanwhile is about the other host."""
        assert self._there is not None
        self._at = self._there
        try:
            yield
        finally:
            self._at = self._here

    def __enter__(self) -> Stage:
        self.folder.mkdir()
        (self.folder / "devices").mkdir()
        for file in (SCENARIOS / "devices").iterdir():
            (self.folder / "devices" / file.name).write_text(self.filled(file.read_text()))
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "disk.qcow2", "1G"], cwd=self.folder, check=True
        )
        xml = self.folder / "domain.xml"
        text = (SCENARIOS / "domains" / f"{self.table.domain}.xml").read_text()
        xml.write_text(
            self.filled(text).replace("$EMULATOR", self._emulator).replace("$ENV", self._environment())
        )
        self._here.log.skip()
        self.libvirtd.ok("define", str(xml))
        if self.table.beside:
            self._there = Host(self.libvirtd.another().__enter__(), str(self.libvirtd.root))
            self._there.libvirtd.watch_events()
            self._there.log.skip()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_background()
        self.libvirtd.virsh("destroy", self.name)
        with_all = "--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram"
        self.libvirtd.virsh("undefine", self.name, *with_all)
        if self._there is not None:
            self._there.libvirtd.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def play(self, row: Row) -> list[Line]:
        """Play one row and return what libvirt and the emulator said meanwhile. Raises RowFailed."""
        for host in self._hosts():
            host.said = []
            host.events_before = len(host.libvirtd.events(self.name))
        try:
            for number, line in enumerate(row.lines, 1):
                self._do(row, self.filled(line), last=number == len(row.lines))
            for each in row.checks:
                check(self, self.filled(each))
            self._finish_background()
        except CheckFailed as failed:
            raise RowFailed(f"{self.table.name}, {row.name}: {failed}") from None
        finally:
            self._end_background()
        return self.said()

    def said(self) -> list[Line]:
        """What libvirt and the emulator have said since the row began; the other host's after this one's."""
        return [line for host in self._hosts() for line in host.hear()]

    def events(self) -> list[str]:
        """What `virsh event` has reported since the row began."""
        return self.libvirtd.events(self.name)[self._at.events_before :]

    @contextmanager
    def asking(self) -> Iterator[None]:
        """What is said meanwhile, but for events, is not part of `said`."""
        before = len(self._at.hear())
        try:
            yield
        finally:
            self._at.said[before:] = [line for line in self._at.hear()[before:] if line.mark == "<="]

    def filled(self, text: str) -> str:
        """`text` with $D, $F and $X, $HERE and $THERE."""
        folder = str(self.folder)
        if self._there is not None:
            text = text.replace("$HERE", self._here.libvirtd.uri).replace("$THERE", self._there.libvirtd.uri)
        return text.replace("$D", self.name).replace("$F", folder).replace("$X", f"{folder}/devices")

    def _unfilled(self, line: str) -> str:
        line = line.replace(str(self.folder), "$F").replace(self.name, "$D")
        for host, word in zip(self._hosts(), ("$HERE", "$THERE"), strict=False):
            line = line.replace(host.libvirtd.uri, word)
        return line

    def _hosts(self) -> list[Host]:
        return [self._here] if self._there is None else [self._here, self._there]

    def _do(self, row: Row, line: str, *, last: bool) -> None:
        word, _, rest = line.partition(" ")
        if word == "there":
            with self.there():
                self._do(row, rest, last=last)
        elif word == "wait":
            check(self, rest)
        elif word == "sh":
            check(self, line)
        elif word == "inside":
            pid = self.libvirtd.emulator_pid(self.name) if "$P" in rest else 0
            if status := self.libvirtd.inside(rest.replace("$P", str(pid))):
                raise CheckFailed(f"{line}: status {status}")
        elif line.startswith("start with "):
            self._start_with(row, shlex.split(line)[2:])
        elif line == "libvirtd restarts":
            self.libvirtd.restart()
        elif line == "libvirtd dies":
            self.libvirtd.restart(killed=True)
        elif line == "libvirtd is killed":
            self.libvirtd.stop(killed=True)
        elif line == "libvirtd is back":
            self.libvirtd.start()
        elif line.endswith((" &", " & perhaps")):
            words = shlex.split(line.rpartition(" &")[0])
            self._background.append((line, self.libvirtd.started(*words)))
        else:
            self._virsh(row, line, last=last)

    def _virsh(self, row: Row, line: str, *, last: bool) -> None:
        began = time.perf_counter()
        self.last = self.libvirtd.virsh(*shlex.split(line))
        self.seconds[f"{row.name}: {self._unfilled(line)}"] = time.perf_counter() - began
        if self.last.returncode:
            self._at.said = [*self._at.hear(), self._at.log.failure(self.last.stderr)]
        to_fail = last and any(each.startswith("fails ") for each in row.checks)
        if self.last.returncode and not to_fail:
            raise CheckFailed(f"virsh {line}: {self.last.stderr.strip()}")

    def _start_with(self, row: Row, words: list[str]) -> None:
        xml, changed = self.folder / "domain.xml", self.folder / "changed.xml"
        arguments = "".join(f"<qemu:arg value={quoteattr(word)}/>" for word in words)
        changed.write_text(xml.read_text().replace("<qemu:commandline>", "<qemu:commandline>" + arguments))
        self.libvirtd.ok("define", str(changed))
        self._virsh(row, f"start {self.name}", last=True)
        if not self.last.returncode:
            self.libvirtd.virsh("destroy", self.name)
        started = self.last
        self.libvirtd.ok("define", str(xml))
        self.last = started

    def _finish_background(self) -> None:
        for line, process in self._background:
            _, errors = process.communicate(timeout=60)
            if process.returncode and line.endswith("&"):
                raise CheckFailed(f"virsh {line}: {errors.strip()}")

    def _end_background(self) -> None:
        for _, process in self._background:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self._background = []

    def _environment(self) -> str:
        """The guest as libvirt carries it to the emulator: `<qemu:env>`."""
        if not self._guest:
            return ""
        name, *settings = self._guest.split()
        variables = {"QMPEMU_GUEST": name, "QMPEMU_SPEED": self.table.speed}
        if settings:
            variables["QMPEMU_SET"] = ",".join(settings)
        return "".join(f"<qemu:env name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in variables.items())
