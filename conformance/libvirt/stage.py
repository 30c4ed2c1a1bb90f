"""The stage of one table: its domain on a private libvirtd, and what plays a row's lines on it.

WORDS...             virsh WORDS, which has to succeed unless a check says `fails`
WORDS... &           the same in the background; it has to have ended well when the row ends
sh LINE              a line of bash in $F
inside LINE          the same in libvirtd's namespaces, where $P is the emulator's process id
libvirtd restarts    stopped and started again
libvirtd dies        killed with SIGKILL and started again
wait CHECK           a check of `checks.py` in between
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


class Stage:
    """Use as a context manager: the domain is defined at the beginning, and is gone at the end.

    guest: what runs in the domain, as a table's `guest:`; empty for an emulator that is not ours.
    """

    def __init__(self, libvirtd: Libvirtd, table: Table, emulator: str, guest: str) -> None:
        self.libvirtd = libvirtd
        self.table = table
        self.name = f"{table.domain}-{table.name}"
        self.folder = libvirtd.root / "disks" / table.name
        self.last = subprocess.CompletedProcess[str]([], 0, "", "")
        self.seconds: dict[str, float] = {}
        """How long each virsh line took, `OPERATION: LINE`."""
        self._log = MonitorLog(libvirtd.root / "log/libvirtd.log", str(libvirtd.root))
        self._said: list[Line] = []
        self._events_before = 0
        self._background: list[tuple[str, subprocess.Popen[str]]] = []
        self._emulator = emulator
        self._guest = guest

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
        self._log.skip()
        self.libvirtd.ok("define", str(xml))
        return self

    def __exit__(self, *_: object) -> None:
        self._end_background()
        self.libvirtd.virsh("destroy", self.name)
        with_all = "--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram"
        self.libvirtd.virsh("undefine", self.name, *with_all)
        shutil.rmtree(self.folder, ignore_errors=True)

    def play(self, row: Row) -> list[Line]:
        """Play one row and return what libvirt and the emulator said meanwhile. Raises RowFailed."""
        self._said = []
        self._events_before = len(self.libvirtd.events(self.name))
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
        """What libvirt and the emulator have said since the row began."""
        self._said += self._log.more()
        return self._said

    def events(self) -> list[str]:
        """What `virsh event` has reported since the row began."""
        return self.libvirtd.events(self.name)[self._events_before :]

    @contextmanager
    def asking(self) -> Iterator[None]:
        """What is said meanwhile, but for events, is not part of `said`."""
        before = len(self.said())
        try:
            yield
        finally:
            self._said[before:] = [line for line in self.said()[before:] if line.mark == "<="]

    def filled(self, text: str) -> str:
        """`text` with $D, $F and $X."""
        folder = str(self.folder)
        return text.replace("$D", self.name).replace("$F", folder).replace("$X", f"{folder}/devices")

    def _do(self, row: Row, line: str, *, last: bool) -> None:
        word, _, rest = line.partition(" ")
        if word == "wait":
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
        self.seconds[f"{row.name}: {line.replace(str(self.folder), '$F').replace(self.name, '$D')}"] = (
            time.perf_counter() - began
        )
        if self.last.returncode:
            self._said = [*self.said(), self._log.failure(self.last.stderr)]
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
