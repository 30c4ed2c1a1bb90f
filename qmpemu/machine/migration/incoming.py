"""The destination's end of a migration.

    start ──> setup ──first bytes──> active ──STATE, END, RUN──> completed
                                       │  └──SWITCH, RUN──> postcopy-active ──END──> completed
                                       └──> failed, exit status 1     │  ^
                                                     postcopy-paused ──migrate-recover──> postcopy-recover

The guest runs here only once all of its state has come, was lived again and compared. Until then nothing is lost by the
end of this process. Then the source is told on the return path, gives the guest up and says RUN; if it ends instead
without KEPT, it is dead, and the guest runs here.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine.migration import address as addresses
from qmpemu.machine.migration import sections, state, stream
from qmpemu.machine.migration.facts import GuestArrived, MigrationMoved, MigrationMovedTold
from qmpemu.machine.migration.shape import CONFIG, fits
from qmpemu.machine.runstate import INMIGRATE, PAUSED, RUN_STATES, RUNNING
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.link import Link, Listener

LINKS_MAX = 256
"""A stream, and as many channels besides as multifd can have."""


class Incoming:
    """What waits for a guest, from `start` to its end; it stays to be asked about."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.status = "none"
        self._listener: Listener | None = None
        self._link: Link | None = None
        self._others: list[Link] = []
        self._config: dict[str, Any] = {}
        self._loaded = self._ran = self._arrived = False

    @property
    def addresses(self) -> list[dict[str, object]]:
        """Where it listens, as rows of query-migrate."""
        return self._listener.addresses if self._listener is not None else []

    @property
    def started(self) -> bool:
        """Whether something is listened to or came."""
        return self._listener is not None

    @property
    def blocked_ms(self) -> list[int] | None:
        """How long each processor waited for memory in postcopy, if that was to be measured: never, here."""
        if not self._ran or "postcopy-blocktime" not in self._machine.migration_capabilities:
            return None
        return [0] * len(self._machine.devices.processors.present())

    def start(self, uri: str) -> None:
        """Wait for a source at `uri`. Raises QmpError or OSError with QEMU's texts; it may be tried again then."""
        if self.started:
            raise QmpError("The incoming migration has already been started")
        self._listen(uri)

    def recover(self, uri: str) -> None:
        """Wait for the source of a paused postcopy to come back. Raises QmpError."""
        if self.status != "postcopy-paused":
            raise QmpError("Migrate recover can only be run when postcopy is paused.")
        if self._listener is not None:
            self._listener.close()
        self._listen(uri)

    def pause(self) -> None:
        """Cut the connection in postcopy. Raises Refused outside of it."""
        if self.status != "postcopy-active" or self._link is None:
            raise Refused("migrate-pause is currently only supported during postcopy-active state")
        self._link.close()
        self._interrupted()

    def _listen(self, uri: str) -> None:
        self._tell("setup")
        address = addresses.parse(uri)
        if address is None:
            raise QmpError(f"unknown migration protocol: {uri}")
        self._listener = self._machine.host.listen(address, self._machine, self._accept)

    # --- connections ----------------------------------------------------------------------------------------------

    def _accept(self, link: Link) -> None:
        if len(self._others) >= LINKS_MAX:
            link.close()
            return
        self._others.append(link)
        if self._machine.migration.parameters["tls-creds"]:
            link.secure(True, "", lambda why: self._secured(link, why))
        else:
            self._secured(link, "")

    def _secured(self, link: Link, why: str) -> None:
        """A peer is there, or it is none: then somebody else may still come (measured)."""
        if why:
            self._machine.host.report(why)
            self._others.remove(link)
            link.close()
            return
        reader = stream.Reader()
        link.on_data = lambda data: self._heard(link, reader, data)
        link.on_end = lambda why: self._ended(link, reader, why)

    def _heard(self, link: Link, reader: stream.Reader, data: bytes) -> None:
        if self.status in ("completed", "failed"):
            return
        if self.status == "none":
            self._move("active")
        try:
            sections = reader.feed(data)
            if reader.started and link is not self._link:
                self._take_over(link)
            for kind, payload in sections:
                self._section(kind, payload)
        except stream.StreamError as error:
            self._fail(str(error), error.reason)
        except Refused as refused:
            self._fail(str(refused))

    def _take_over(self, link: Link) -> None:
        """The channel with the stream: of several the first, after a pause in postcopy the latest."""
        if self._link is not None and self.status != "postcopy-paused":
            raise stream.StreamError("a second migration stream came while the first one was under way")
        if link in self._others:
            self._others.remove(link)
        self._link = link

    def _ended(self, link: Link, reader: stream.Reader, why: str) -> None:
        if self.status in ("completed", "failed") or (link is not self._link and self._link is not None):
            return
        if self.status == "postcopy-active" and self._loaded:
            self._interrupted()
        elif self._arrived:
            self._complete()  # whoever could still say that it keeps the guest is dead
        elif self.status != "postcopy-paused":
            if self.status == "none":
                self._move("active")
            cut_short = reader.cut_short()
            self._fail(why or str(cut_short), stream.CUT if why else cut_short.reason)

    def _interrupted(self) -> None:
        self._machine.host.report("Detected IO failure for postcopy. Migration paused.")
        self._move("postcopy-paused")
        self._machine.board.clock.stop()  # what it needs of its memory does not come

    # --- the stream -----------------------------------------------------------------------------------------------

    def _section(self, kind: int, payload: bytes) -> None:
        if kind == stream.CONFIG:
            self._config = stream.unpacked(payload)
            self._must_fit(self._config)
            self._answer(stream.header())
        elif not self._config:
            raise stream.StreamError("Configuration section missing")
        elif kind == stream.STATE:
            self._load(payload)
        elif kind == stream.SWITCH:
            self._move("postcopy-active")
            self._load(payload)
            self._answer(stream.section(stream.LOADED))
        elif kind == stream.RUN and self._arrived:
            self._complete()
        elif kind == stream.RUN and self._loaded and not self._ran:
            self._ran = True
            self._go_on()
        elif kind == stream.KEPT:
            raise stream.StreamError("the source keeps the guest")
        elif kind == stream.RESUMED:
            self._answer(stream.header())
            self._move("postcopy-recover")
            self._move("postcopy-active")
            if self._machine.board.runstate == RUNNING:
                self._machine.board.clock.start()
        elif kind == stream.END:
            self._end()

    def _must_fit(self, config: dict[str, Any]) -> None:
        """Refuse a guest of another machine (texts measured)."""
        mine = self._machine.config
        if not fits(config, CONFIG):
            raise stream.StreamError(stream.DAMAGED)
        if config["machine"] != mine.machine:
            raise Refused(f"Machine type received is '{config['machine']}' and local is '{mine.machine}'")
        if config["memory_bytes"] != mine.memory_bytes:
            sizes = f"{config['memory_bytes']:#x} != {mine.memory_bytes:#x}"
            self._machine.host.report(f"Size mismatch: pc.ram: {sizes}: Invalid argument")
            raise Refused("error while loading state for instance 0x0 of device 'ram'")
        sections.must_have_memory(self._machine, config.get("blocks"))
        on = self._machine.migration_capabilities
        if "validate-uuid" in on and config["uuid"] != mine.uuid:
            raise Refused(f"UUID received is {config['uuid']} and local is {mine.uuid}")
        if config["postcopy"] and "postcopy-ram" not in on:
            raise Refused("RAM postcopy is disabled but have 16 byte advise")
        if config["multifd"] and "multifd" not in on:
            raise Refused("error while loading state for instance 0x0 of device 'ram'")

    def _load(self, payload: bytes) -> None:
        """Become the guest, standing still."""
        machine, given = self._machine, stream.unpacked(payload)
        runstate = given.get("runstate")
        if runstate not in RUN_STATES.states():
            raise stream.StreamError(stream.DAMAGED)
        sections.must_have_sections(machine, given.get("sections"))
        state.restore(machine, given, PAUSED if runstate == RUNNING else runstate)
        machine.plugging.virtio_memory.arrive(given.get("wishes"))
        self._config["runstate"] = runstate
        self._loaded = True
        boot = given["boot"]
        uptime_ns = 0 if boot is None else given["now_ns"] - boot["at_ns"]
        inputs = 0 if boot is None else len(boot["inputs"])
        machine.facts.publish(GuestArrived(uptime_s=uptime_ns / NS_PER_S, inputs=inputs))

    def _go_on(self) -> None:
        """Run, if it ran there and nobody wants it to wait here. It stands still where somebody has its disks."""
        machine = self._machine
        runs = self._config["runstate"] == RUNNING and machine.board.autostart
        if runs or "late-block-activate" not in machine.migration_capabilities:
            try:
                machine.block_layer.come()
            except Refused as refused:
                machine.host.report(f"{refused}\n{refused.hint}")
                machine.board.autostart = runs = False
        if runs:
            machine.board.cont()

    def _end(self) -> None:
        """All is here. Where the source can be asked, it has the last word: it may give up until then."""
        if not self._loaded:
            raise stream.StreamError("the migration stream has no guest in it")
        self._answer(stream.section(stream.ARRIVED))
        self._arrived = self._answers and self.status == "active"
        if not self._arrived:
            self._complete()

    def _complete(self) -> None:
        if self.status == "active":
            self._go_on()
        self._part()
        self._move("completed")

    @property
    def _answers(self) -> bool:
        """Whether there is a return path."""
        return bool(self._config["answer"]) and self._link is not None and self._link.two_way

    def _answer(self, data: bytes) -> None:
        if self._answers and self._link is not None:
            self._link.send(data)

    def _part(self) -> None:
        for link in (self._link, *self._others):
            if link is not None:
                link.close()
        if self._listener is not None:
            self._listener.close()
        self._link, self._others = None, []

    def _fail(self, why: str, reason: str = stream.INVALID) -> None:
        self._move("failed")
        self._part()
        self._machine.host.report(why)
        self._machine.host.report(f"load of migration failed: {reason}")
        self._machine.board.runstate, self._machine.board.exit_status = INMIGRATE, 1

    def _move(self, status: str) -> None:
        self.status = status
        self._tell(status)

    def _tell(self, status: str) -> None:
        told = "events" in self._machine.migration_capabilities
        kind = MigrationMovedTold if told else MigrationMoved
        self._machine.facts.publish(kind(status=status, why=""))
