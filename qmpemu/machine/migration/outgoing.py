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

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine.migration import state, stream
from qmpemu.machine.migration.channels import Channels
from qmpemu.machine.migration.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.clock import Timer
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address
    from qmpemu.machine.migration.link import Link

ONE_CHANNEL = {
    "multifd": "multifd is not supported by current protocol",
    "postcopy-preempt": (
        "Postcopy preempt is not supported as current migration stream does not support multi-channels."
    ),
}
"""What is said of capabilities that need more channels than a pipe or a descriptor is."""
GREETING_NS = NS_PER_S
"""How long a peer has to greet, before it is taken for one that only collects bytes."""


class Outgoing(Progress):
    """One migration from here, from `begin` to its end."""

    def __init__(self, machine: Machine, capabilities: set[str]) -> None:
        super().__init__(machine, capabilities)
        self._channels = Channels(machine)
        self._timer: Timer | None = None
        self._wants_postcopy = self._sent_all = self._gave = False

    # --- what commands ask ----------------------------------------------------------------------------------------

    def begin(self, address: Address) -> None:
        """Connect. Raises OSError or QmpError for what is wrong at once."""
        self.began_ns = self._machine.host_ns()
        self._machine.host.connect(address, self._machine, self._connected)

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
        works = self.status != "postcopy-paused"  # where it waits for a connection nothing ends it (measured)
        self._move("cancelling")
        if self._gave:
            self._part()
            if works:
                self._later(0, self._given_away)
        else:
            self._keep()
            self._later(0, lambda: self._give_up("cancelled", ""))

    def _given_away(self) -> None:
        """Cancelled when the destination had the guest already: it stands still here, as after a migration."""
        self.ended_ns = self._machine.host_ns()
        self._machine.board.migration_gave_away()
        self._move("cancelled")

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
        elif isinstance(link, str):
            self._machine.host.report(link)
            self._give_up("failed", link)
        else:
            self._machine.migration.secure(link, lambda why: self._secured(link, why))

    def _secured(self, link: Link, why: str) -> None:
        if self.status != "setup" or why:
            link.close()
            if self.status == "setup":
                self._machine.host.report(why)
                self._give_up("failed", why)
            return
        for name, text in ONE_CHANNEL.items():
            if self.on(name) and not self._machine.migration.address.several:
                self._machine.host.complain(text)
                link.close()
                self._give_up("failed", "")
                return
        self._adopt(link)
        introduction = state.introduction(self._machine, self._on, answer=self._channels.two_way)
        self._channels.send(stream.CONFIG, stream.packed(introduction))
        if self.on("multifd"):
            self._channels.open_more(self.parameters["multifd-channels"], self._failed)
        self.setup_ns = self._machine.host_ns() - self.began_ns
        self.pace.begin(self._machine.host_ns())
        self._pass()
        self._move("active")
        self._step()

    def _reconnected(self, link: Link | str) -> None:
        if isinstance(link, str):
            self._machine.host.report(link)
        else:
            self._machine.migration.secure(link, lambda why: self._recovered(link, why))

    def _recovered(self, link: Link, why: str) -> None:
        if why:
            self._machine.host.report(why)
            link.close()
            return
        self._adopt(link)
        self._move("postcopy-recover")
        self._channels.send(stream.RESUMED)
        self._channels.send(stream.RUN)
        self._move("postcopy-active")
        self._step()

    def _adopt(self, link: Link) -> None:
        self._channels.adopt(link)
        link.on_end, link.on_data, link.on_drained = self._lost, self._heard, self._drained

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
        self._channels.send(stream.KEPT)
        self._part()

    def _part(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._channels.part()

    # --- passes over the memory -----------------------------------------------------------------------------------

    def _step(self) -> None:
        """Send what this portion of time allows, or switch over once little enough is left."""
        self._timer = None
        ram = self.ram
        self.pace.measure(self._machine.host_ns())
        if self._wants_postcopy and self.status == "active":
            self._start_postcopy()
            return
        if self.status == "active" and self.pace.bearable:
            self._pass()
        if not ram.cost_bytes or (self.status == "active" and self.pace.bearable):
            self._converged()
            return
        before = ram.normal + ram.duplicate
        pause_ns = self._send_pages()
        self._channels.send(stream.PAGES, (ram.normal + ram.duplicate - before).to_bytes(8, "big"))
        self._later(pause_ns, self._step)

    # --- switching over -------------------------------------------------------------------------------------------

    def _converged(self) -> None:
        if self.status == "postcopy-active":
            self._send_end()
            return
        self._stop_guest()
        if self.on("pause-before-switchover"):
            self._move("pre-switchover")
        else:
            self._switch_over()

    def _switch_over(self) -> None:
        """The guest stands still: send what is left of its memory, and all that it is."""
        if self.status == "pre-switchover":
            self._move("device")
        elif self.status != "active":
            return
        self._pass()
        if self._channels.main is None:  # the destination left while this end waited
            self._give_up("failed", "")
            return
        self._machine.board.on_stop()
        packed = self._packed()
        if packed is not None:
            self.downtime_bytes += self.ram.send(self.ram.cost_bytes)
            self._channels.send(stream.STATE, packed)
            self._send_end()

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
        if self._channels.main is None:  # the destination left while this end waited
            self._give_up("failed", "")
            return
        if self.status == "pre-switchover":
            self._move("postcopy-active")
        self._pass()
        packed = self._packed()
        if packed is not None:
            self._channels.send(stream.SWITCH, packed)

    def _give(self) -> None:
        """Postcopy: the destination has all but the memory, and is told to run it."""
        if self._gave:
            return
        self._gave = True
        self._machine.block_layer.leave()
        self.requests = len(self._machine.devices.processors.present())
        self._channels.send(stream.RUN)
        self.downtime_ns = self._machine.host_ns() - self._stopped_ns
        self.pace.renew()
        self._step()

    def _packed(self) -> bytes | None:
        """The machine's state for the stream; None where it cannot travel, which ends the migration."""
        board = self._machine.board
        try:
            return stream.packed({**state.capture(self._machine), "runstate": board.migrating_from})
        except (Refused, stream.StreamError) as error:
            self._failed(str(error))
            return None

    def _send_end(self) -> None:
        self._sent_all = True
        self._channels.send(stream.END)

    @property
    def _must_answer(self) -> bool:
        """Whether only the destination's word ends it: over a pipe it never comes, as with QEMU."""
        return self.on("return-path") or self.on("postcopy-ram") or self._channels.greeted

    def _drained(self) -> None:
        """Everything has left; where somebody is there to say that it arrived, that is not enough."""
        if not self._sent_all or self._must_answer:
            return
        if not self._channels.two_way:
            self._complete()
        else:
            self._later(GREETING_NS, lambda: None if self._must_answer else self._complete())

    def _heard(self, data: bytes) -> None:
        try:
            for kind in self._channels.heard(data):
                if kind == stream.ARRIVED and self._sent_all:
                    self._complete()
                elif kind == stream.LOADED and self.status == "postcopy-active":
                    self._give()
        except stream.StreamError as error:
            self._lost(str(error))

    def _complete(self) -> None:
        """The destination has the guest."""
        if self._channels.main is None:
            return
        self.ended_ns = self._machine.host_ns()
        if self.downtime_ns is None:
            self.downtime_ns = self.ended_ns - self._stopped_ns
        self._machine.block_layer.leave()
        if self._channels.two_way and not self._gave:
            self._channels.send(stream.RUN)
        self._part()
        self._machine.board.migration_gave_away()
        self._move("completed")
        if self._machine.display.spice is not None:
            self._machine.display.spice.migration_completed(self._machine.facts)

    def _later(self, delay_ns: int, call: Callable[[], object]) -> None:
        """One thing at a time is to come; what is asked for now takes its place."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._machine.call_in_host_time(delay_ns, call)
