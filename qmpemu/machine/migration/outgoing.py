"""The source's end of a migration.

    setup ──connected──> active ──converged──> (pre-switchover ──continue──> device) ──arrived──> completed
      │                    │  └──start-postcopy──> postcopy-active ──arrived──> completed
      └──> failed <────────┤                          │   ^
           cancelled <─ cancelling              postcopy-paused ──migrate resume──> postcopy-recover

The guest stands still from convergence on, and is given up only when everything has left and the destination has said
that it has the guest: whatever fails before that, it goes on here. A file or a pipe says nothing, nor does a socket
whose peer did not greet: there, as in QEMU without a return path, it is enough that everything has left. In postcopy
the destination first says that it has all but the memory. It runs there from the word RUN on, and never goes on here
again; whoever gives up before says KEPT, so that a destination that has all of the guest does not take it for orphaned.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine.devices.adapter_memory import adapter_bytes
from qmpemu.machine.migration import state, stream
from qmpemu.machine.migration.facts import (
    MigrationMoved,
    MigrationMovedTold,
    MigrationPassed,
    MigrationPassedTold,
)
from qmpemu.machine.migration.memory import Ram
from qmpemu.machine.runstate import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.clock import Timer
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address
    from qmpemu.machine.migration.link import Link

SLICE_NS = 100 * NS_PER_MS
"""Bandwidth is granted in portions of this long, as in QEMU."""
GREETING_NS = NS_PER_S
"""How long a peer has to greet, before it is taken for one that only collects bytes."""
IN_POSTCOPY = ("postcopy-active", "postcopy-paused", "postcopy-recover")
UNDER_WAY = ("setup", "active", "pre-switchover", "device", "cancelling", *IN_POSTCOPY)
LEFT_MARGIN = 10_000
"""Bytes below which QEMU makes no guess of the downtime."""


class Outgoing:
    """One migration from here, from `begin` to its end; it stays to be asked about."""

    def __init__(self, machine: Machine, capabilities: set[str]) -> None:
        self._machine = machine
        self._on = frozenset(capabilities)
        self.parameters = machine.migration.parameters
        self.status = "none"
        self.error = ""
        plugged_bytes = machine.devices.memory.plugged_bytes + adapter_bytes(machine.devices.all)
        self.ram = Ram(machine.migration.memory, machine.config.memory_bytes + plugged_bytes)
        self._link: Link | None = None
        self._extra: list[Link] = []
        self._timer: Timer | None = None
        self._slice_ends_ns = self._slice_left = 0
        self._wants_postcopy = self._sent_all = self._gave = False
        self._reader = stream.Reader()
        self.began_ns = self.ended_ns = self.setup_ns = self._stopped_ns = 0
        self.downtime_ns: int | None = None
        self.expected_downtime_ms = self.parameters["downtime-limit"]
        self.mbps = 0.0
        self.pages_s = 0
        self.downtime_bytes = self.precopy_bytes = self.postcopy_bytes = 0
        self.requests = 0
        """Pages that were asked for in postcopy: by each processor the one with which it goes on."""
        self._threshold = 0
        self._measured_ns = self._measured_bytes = self._measured_pages = 0

    # --- what commands ask ----------------------------------------------------------------------------------------

    @property
    def under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self.status in UNDER_WAY

    def on(self, capability: str) -> bool:
        """Whether it was begun with the capability."""
        return capability in self._on

    def begin(self, address: Address) -> None:
        """Connect. Raises OSError or QmpError for what is wrong at once."""
        self.began_ns = self._machine.host_ns()
        why = self._machine.migration.why_no_tls
        if why and not address.several:  # there is nothing to wait for
            self._give_up("failed", why)
            return
        self._machine.host.connect(address, self._machine, self._connected)

    def refuse(self, why: str = "") -> None:
        """It did not come to a connection."""
        self._move("failed", why)

    def recover(self, address: Address) -> None:
        """Go on in postcopy over a new connection."""
        self._machine.host.connect(address, self._machine, self._reconnected)

    def resume(self, status: str) -> None:
        """migrate-continue. Raises Refused in another status than the one named."""
        if self.status != status or status != "pre-switchover":
            raise Refused(f"Migration not in expected state: {self.status}")
        self._later(0, self._hand_over if self._wants_postcopy else self._switch_over)

    def cancel(self) -> None:
        """Give it up; the guest goes on here unless the destination has it."""
        if not self.under_way or self.status == "cancelling":
            return
        self._move("cancelling")
        if not self._gave:
            self._keep()
            self._later(0, lambda: self._give_up("cancelled", ""))
        else:
            self._part()

    def start_postcopy(self) -> None:
        """Let the destination have the guest before its memory. Raises Refused."""
        if not self.on("postcopy-ram"):
            raise Refused("Enable postcopy with migrate_set_capability before the start of migration")
        if self.status == "none":
            raise Refused("Postcopy must be started after migration has been started")
        self._wants_postcopy = True

    def pause(self) -> None:
        """Cut the connection in postcopy. Raises Refused outside of it."""
        if self.status != "postcopy-active":
            raise Refused("migrate-pause is currently only supported during postcopy-active state")
        self._later(0, lambda: self._lost(""))

    # --- connections ----------------------------------------------------------------------------------------------

    def _connected(self, link: Link | str) -> None:
        if self.status != "setup":  # cancelled meanwhile
            if not isinstance(link, str):
                link.close()
            return
        why = link if isinstance(link, str) else self._machine.migration.why_no_tls
        if isinstance(link, str) or why:
            self._machine.host.report(why)
            self._give_up("failed", why)
            if not isinstance(link, str):
                link.close()
            return
        self._adopt(link)
        link.send(stream.header() + stream.section(stream.CONFIG, stream.packed(self._config())))
        if self.on("multifd"):
            for number in range(self.parameters["multifd-channels"]):
                self._machine.host.connect(
                    self._machine.migration.address, self._machine, self._another(number)
                )
        self.setup_ns = self._machine.host_ns() - self.began_ns
        self._measured_ns = self._machine.host_ns()
        self._pass()
        self._move("active")
        self._step()

    def _another(self, number: int) -> Callable[[Link | str], None]:
        def connected(link: Link | str) -> None:
            if isinstance(link, str):
                if self.under_way:
                    self._failed(link)
                return
            link.send(stream.EXTRA_MAGIC + bytes([number]))
            self._extra.append(link)
            if not self.under_way:
                link.close()

        return connected

    def _reconnected(self, link: Link | str) -> None:
        if isinstance(link, str):
            self._machine.host.report(link)
            return
        self._reader = stream.Reader()
        self._adopt(link)
        self._move("postcopy-recover")
        link.send(stream.header() + stream.section(stream.RESUMED) + stream.section(stream.RUN))
        self._move("postcopy-active")
        self._step()

    def _adopt(self, link: Link) -> None:
        self._link = link
        link.on_end, link.on_data, link.on_drained = self._lost, self._heard, self._drained

    def _config(self) -> dict[str, object]:
        config = self._machine.config
        return {
            "machine": config.machine,
            "memory_bytes": config.memory_bytes,
            "uuid": config.uuid,
            "postcopy": self.on("postcopy-ram"),
            "multifd": self.on("multifd"),
            "answer": self._link is not None and self._link.two_way,
        }

    def _lost(self, why: str) -> None:
        """The connection ended before the migration did."""
        if self.status == "pre-switchover":  # QEMU waits there without a look at its peer
            self._part()
        elif self._gave:
            self._machine.host.report("Detected IO failure for postcopy. Migration paused.")
            self._part()
            self._move("postcopy-paused")
        elif self._sent_all and not self._must_answer and not why:
            self._complete()  # it is all there, and nobody there can answer
        elif self._sent_all:  # QEMU has no reason to give where the answer does not come (measured)
            self._part()
            self._give_up("failed", "")
        else:
            self._failed(why or "Unable to write to socket: Broken pipe")

    def _failed(self, why: str) -> None:
        self._machine.host.report(why)
        self._keep()
        self._give_up("failed", why)

    def _keep(self) -> None:
        """Let the destination know that the guest goes on here, and part."""
        if self._link is not None:
            self._link.send(stream.section(stream.KEPT))
        self._part()

    def _part(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for link in (self._link, *self._extra):
            if link is not None:
                link.close()
        self._link, self._extra = None, []

    def _give_up(self, status: str, why: str) -> None:
        """It has ended without success: the guest goes on as before."""
        self.ended_ns = self._machine.host_ns()
        if status == "failed":
            self._move(status, why)
        self._machine.board.migration_gave_up()
        if status != "failed":
            self._move(status, why)

    # --- passes over the memory -----------------------------------------------------------------------------------

    def _step(self) -> None:
        """Send what this portion of time allows, or switch over once little enough is left."""
        self._timer = None
        now_ns, ram = self._machine.host_ns(), self.ram
        self._measure(now_ns)
        if self._wants_postcopy and self.status == "active":
            self._start_postcopy()
            return
        if self.status == "active" and ram.cost_bytes < self._threshold:
            self._pass()
        left = ram.cost_bytes
        if not left or (self.status == "active" and left < self._threshold):
            self._converged()
            return
        if now_ns >= self._slice_ends_ns:
            self._slice_ends_ns = now_ns + SLICE_NS
            self._slice_left = max(1, self._limit() * SLICE_NS // NS_PER_S)
        link_s = self._machine.migration.memory.link_bytes_s
        budget = min(self._slice_left, max(1, link_s * SLICE_NS // NS_PER_S))
        before = ram.normal + ram.duplicate
        spent = ram.send(budget)
        self._slice_left -= spent
        if self.status == "active":
            self.precopy_bytes += spent
        else:
            self.postcopy_bytes += spent
        if self._link is not None:
            pages = ram.normal + ram.duplicate - before
            self._link.send(stream.section(stream.PAGES, pages.to_bytes(8, "big")))
        took_ns = max(1, spent * NS_PER_S // link_s)
        self._later(
            took_ns if self._slice_left > 0 else max(took_ns, self._slice_ends_ns - now_ns), self._step
        )

    def _limit(self) -> int:
        """Bytes a second that the parameters allow; postcopy's 0 is no limit."""
        name = "max-bandwidth" if self.status == "active" else "max-postcopy-bandwidth"
        limit: int = self.parameters[name]
        return limit if limit or self.status == "active" else 1 << 62

    def _measure(self, now_ns: int) -> None:
        """The figures that QEMU renews once a portion: bandwidth, and with it what may be left for the downtime."""
        spent_ns = now_ns - self._measured_ns
        if spent_ns < SLICE_NS:
            return
        ram = self.ram
        sent = ram.transferred - self._measured_bytes
        pages = ram.normal + ram.duplicate
        self.mbps = sent * 8 * 1000 / spent_ns
        self.pages_s = (pages - self._measured_pages) * NS_PER_S // spent_ns
        self._threshold = sent * self.parameters["downtime-limit"] * NS_PER_MS // spent_ns
        if ram.dirty_pages_s and sent > LEFT_MARGIN:
            self.expected_downtime_ms = ram.cost_bytes * spent_ns // (sent * NS_PER_MS)
        self._measured_ns, self._measured_bytes, self._measured_pages = now_ns, ram.transferred, pages

    def _pass(self) -> None:
        running = self._machine.board.runstate == RUNNING
        self.ram.sync(self._machine.host_ns(), running=running)
        if self.on("auto-converge") and self.ram.passes > 2:
            self._throttle()
        kind = MigrationPassedTold if self._told else MigrationPassed
        self._machine.facts.publish(kind(number=self.ram.passes))

    def _throttle(self) -> None:
        """Slow the guest's writing down where it outruns the passes; of a simulated guest nothing else gets slower."""
        dirty_bytes_s = self.ram.dirty_pages_s * 4096
        if dirty_bytes_s * 100 > self.parameters["throttle-trigger-threshold"] * self.mbps * 125_000:
            now = self.ram.throttle_percent
            wanted = (
                now + self.parameters["cpu-throttle-increment"]
                if now
                else self.parameters["cpu-throttle-initial"]
            )
            self.ram.throttle_percent = min(wanted, self.parameters["max-cpu-throttle"])

    # --- switching over -------------------------------------------------------------------------------------------

    def _converged(self) -> None:
        if self.status == "postcopy-active":
            self._send_rest(stream.section(stream.END))
            return
        self._stop_guest()
        if self.on("pause-before-switchover"):
            self._move("pre-switchover")
        else:
            self._switch_over()

    def _stop_guest(self) -> None:
        self._stopped_ns = self._machine.host_ns()
        self._machine.board.migration_stops()

    def _switch_over(self) -> None:
        """The guest stands still: send what is left of its memory, and all that it is."""
        if self.status == "pre-switchover":
            self._move("device")
        elif self.status != "active":
            return
        self._pass()
        if self._link is None:  # the destination left while this end waited
            self._give_up("failed", "")
            return
        packed = self._packed()
        if packed is None:
            return
        before = self.ram.transferred
        self.ram.send(self.ram.cost_bytes)
        self.downtime_bytes += self.ram.transferred - before
        self._send_rest(stream.section(stream.STATE, packed) + stream.section(stream.END))

    def _start_postcopy(self) -> None:
        """With pause-before-switchover the guest stands still before the status says so (measured)."""
        if self.on("pause-before-switchover"):
            self._stop_guest()
            self._move("pre-switchover")
        else:
            self._move("postcopy-active")
            self._stop_guest()
            self._hand_over()

    def _hand_over(self) -> None:
        """Postcopy: the destination gets all that the guest is, and its memory later."""
        if self._link is None:  # the destination left while this end waited
            self._give_up("failed", "")
            return
        if self.status == "pre-switchover":
            self._move("postcopy-active")
        self._pass()
        packed = self._packed()
        if packed is None or self._link is None:
            return
        self._link.send(stream.section(stream.SWITCH, packed))

    def _give(self) -> None:
        """Postcopy: the destination has all but the memory, and is told to run it."""
        if self._gave or self._link is None:
            return
        self._gave = True
        self._machine.disks_leave()
        self.requests = len(self._machine.devices.processors.present())
        self._link.send(stream.section(stream.RUN))
        self.downtime_ns = self._machine.host_ns() - self._stopped_ns
        self._slice_ends_ns = 0
        self._step()

    def _packed(self) -> bytes | None:
        """The machine's state for the stream; None where it cannot travel, which ends the migration."""
        board = self._machine.board
        try:
            return stream.packed({**state.capture(self._machine), "runstate": board.migrating_from})
        except (Refused, stream.StreamError) as error:
            self._failed(str(error))
            return None

    def _send_rest(self, data: bytes) -> None:
        self._sent_all = True
        if self._link is not None:
            self._link.send(data)

    @property
    def _must_answer(self) -> bool:
        """Whether only the destination's word ends it: over a pipe it never comes, as with QEMU."""
        return self.on("return-path") or self.on("postcopy-ram") or self._reader.started

    def _drained(self) -> None:
        """Everything has left; where somebody is there to say that it arrived, that is not enough."""
        if not self._sent_all or self._link is None:
            return
        if self._must_answer:
            return
        if not self._link.two_way:
            self._complete()
        else:
            self._later(GREETING_NS, lambda: None if self._must_answer else self._complete())

    def _heard(self, data: bytes) -> None:
        try:
            for kind, _ in self._reader.feed(data):
                if kind == stream.ARRIVED:
                    self._complete()
                elif kind == stream.LOADED:
                    self._give()
        except stream.StreamError as error:
            self._lost(str(error))

    def _complete(self) -> None:
        """The destination has the guest."""
        if self._link is None:
            return
        self.ended_ns = self._machine.host_ns()
        if self.downtime_ns is None:
            self.downtime_ns = self.ended_ns - self._stopped_ns
        self._machine.disks_leave()
        if self._link.two_way and not self._gave:
            self._link.send(stream.section(stream.RUN))
        self._part()
        self._machine.board.migration_gave_away()
        self._move("completed")

    def into_snapshot(self) -> None:
        """All of it at once, into an image: savevm is a migration to QEMU."""
        self.began_ns = self.ended_ns = self._machine.host_ns()
        self.downtime_ns = 0
        self.begins()
        for _ in range(2):
            self._pass()
            self.ram.send(self.ram.cost_bytes)
        self.downtime_bytes = self.ram.transferred
        self._move("completed")

    # --- small things ---------------------------------------------------------------------------------------------

    @property
    def _told(self) -> bool:
        return "events" in self._machine.migration_capabilities

    def _move(self, status: str, why: str = "") -> None:
        self.status = status
        if status == "failed":
            self.error = why
        kind = MigrationMovedTold if self._told else MigrationMoved
        self._machine.facts.publish(kind(status=status, why=why))

    def begins(self) -> None:
        """It is set up: the first thing that is heard of it."""
        self._move("setup")

    def _later(self, delay_ns: int, call: Callable[[], object]) -> None:
        """One thing at a time is to come; what is asked for now takes its place."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._machine.call_in_host_time(delay_ns, call)
