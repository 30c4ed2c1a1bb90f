"""One VM on one event loop: opens its character devices, connects monitors and ports to them, keeps its time.

    stream ──bytes──> MonitorFront ──> Session ──> VM ──> Session ──bytes──> stream        (after each: `turn_done`)

Works on asyncio, uvloop or `loop.PollLoop`; everything below it is sans-IO.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.endpoints import open_stream
from qmpemu.edge.keyval import OptionError
from qmpemu.edge.timekeeper import Timekeeper
from qmpemu.vm import VM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.argv import Monitor
    from qmpemu.edge.host_side import HostSide
    from qmpemu.edge.mux import Mux, MuxEnd
    from qmpemu.edge.spice import SpiceFront
    from qmpemu.edge.streams import Stream
    from qmpemu.edge.vnc.server import VncFront
    from qmpemu.hmp.session import HumanSession
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.config import MachineConfig
    from qmpemu.qmp.session import Session


class Emulator:
    """A running machine. on_exit(status) is called once, when it has ended and everything is delivered.

    side: what it has of its host, opened.
    """

    def __init__(self, side: HostSide, *, scale: float | None = 1.0, on_exit: Callable[[int], None]) -> None:
        self.loop = loop = side.loop
        self.options = side.options
        self.clock = side.clock
        self.host = side.host
        self.vm = VM(side.config, side.profile, self.host, self.clock, side.early)
        self.timekeeper = Timekeeper(loop, self.clock, scale, self.turn_done)
        self.host.begin_turn, self.host.end_turn = self.timekeeper.sync, self.turn_done
        self.host.around = self.from_outside
        self.streams = side.streams
        self.heard = 0
        """How often a monitor's client has spoken."""
        self._fronts: list[SessionFront] = []
        self._muxes: dict[str, Mux] = {}
        self._vnc: list[VncFront] = []
        self._spice: SpiceFront | None = None
        self._on_exit = on_exit

    def open(self) -> None:
        """Give every character device its front end, and open the displays that are served.

        Raises OptionError; what was opened stays so until `close`.
        """
        devices = [each for each in self.vm.machine.chardevs.values() if each.backend == "mux" and each.taken]
        for monitor in self.options.monitors:
            self._add_monitor(monitor)
        for chardev in devices:
            end = self._mux_end(chardev)
            if end is not None:
                end.front, chardev.write = PortFront(self, chardev), end.send
        self._add_test_tools(self.vm.config)
        self._open_vnc()
        spice = self.vm.machine.display.spice
        if spice is not None:
            from qmpemu.edge.spice import SpiceFront

            self._spice = SpiceFront(self.loop, spice)
            self._spice.open()
        for label, stream in self.streams.items():
            if stream.front is None:
                stream.front = PortFront(self, self.vm.machine.chardevs[label])

    def open_chardev(self, chardev: Chardev) -> None:
        """Open the back end of a character device that was added at run time. Raises Refused."""
        try:
            stream = open_stream(self.loop, chardev, self.vm.machine.fdsets, self.vm.machine.objects)
        except OptionError as error:
            raise Refused(str(error)) from None
        if stream is not None:
            stream.front = PortFront(self, chardev)
            self.streams[chardev.label] = stream
            stream.start()

    def close_chardev(self, chardev: Chardev) -> None:
        """Close the back end of a character device that was removed."""
        stream = self.streams.pop(chardev.label, None)
        if stream is not None:
            stream.finish()
            stream.close()

    def start(self) -> None:
        """Power the machine up and serve."""
        self.vm.machine.open_chardev = self.open_chardev
        self.vm.machine.close_chardev = self.close_chardev
        self.vm.power_up()
        for mux in self._muxes.values():
            mux.start()
        for stream in self.streams.values():
            stream.start()
        for server in self._vnc:
            server.start()
        if self._spice is not None:
            self._spice.start()
        self.turn_done()

    def terminate(self, signal: int) -> None:
        """A termination signal arrived."""
        self.timekeeper.sync()
        self.vm.terminate(signal)
        self.turn_done()

    def from_outside(self, call: Callable[[], object]) -> None:
        """Run a callback of the host's as a turn of its own: the clock comes first, and what it caused goes out."""
        self.timekeeper.sync()
        self.vm.facts.run(None, call)
        self.vm.machine.settle()
        self.turn_done()

    def turn_done(self) -> None:
        """Send what the monitors have to say; end when the machine has ended."""
        for front in self._fronts:
            front.deliver()
        if self.vm.exit_status is not None and self._on_exit is not _done:
            on_exit, self._on_exit = self._on_exit, _done
            self.close()
            on_exit(self.vm.exit_status)

    def close(self) -> None:
        """Part from all clients and release every descriptor and socket file."""
        machine = self.vm.machine
        machine.block_layer.close()
        left = None if machine.tpm is None else machine.tpm.shut_down()
        if left is not None:
            machine.host.report(left)
        if self._spice is not None:
            self._spice.close()
        servers, self._vnc = self._vnc, []
        for server in servers:
            server.close()
        for stream in self.streams.values():
            stream.finish()
            stream.close()

    def abandon(self) -> None:
        """The process is about to end before it has served: what would outlive it goes, the rest ends with it."""
        self.vm.machine.block_layer.close(killed=True)
        for server in self._vnc:
            server.close()
        for stream in self.streams.values():
            stream.remove()

    def _open_vnc(self) -> None:
        for server in self.vm.machine.display.vnc.values():
            from qmpemu.edge.vnc.server import VncFront

            front = VncFront(self, server)
            try:
                front.open()
            except OptionError as error:
                raise OptionError(f"-vnc {server.options['typed']}: {error}") from None
            self._vnc.append(front)

    def _add_test_tools(self, config: MachineConfig) -> None:
        stream = self.streams.get(config.qtest or "")
        if config.qtest is not None and stream is not None:
            from qmpemu.edge.qtest import QtestFront

            self.vm.machine.chardevs[config.qtest].frontend_open = True
            stream.front = QtestFront(self, stream, config.qtest_log)

        stream = self.streams.get(config.debugger or "")
        if config.debugger is not None:
            chardev = self.vm.machine.chardevs[config.debugger]
            chardev.frontend_open = chardev.taken = True
            if stream is not None:
                from qmpemu.edge.gdb import GdbFront

                stream.front = GdbFront(self, stream)

    def _add_monitor(self, monitor: Monitor) -> None:
        on_mux = monitor.chardev.backend == "mux"
        end = self._mux_end(monitor.chardev) if on_mux else None
        stream = self.streams.get(monitor.chardev.label) if end is None else end
        monitor.chardev.frontend_open = monitor.chardev.taken = True
        if stream is None:
            return
        if monitor.control:
            stream.cook()
            front: SessionFront = MonitorFront(self, stream, self.vm.add_monitor(pretty=monitor.pretty))
        else:
            from qmpemu.edge.human import HumanFront

            front = HumanFront(self, stream, self.vm.add_human_monitor())
            if end is not None:
                end.focusable = front
        stream.front = front
        self._fronts.append(front)

    def _mux_end(self, chardev: Chardev) -> MuxEnd | None:
        """A place for one more front end on a device that several share; None if that leads nowhere."""
        from qmpemu.edge.mux import Mux

        base = self.vm.machine.chardevs[chardev.options["chardev"]]
        stream = self.streams.get(base.label)
        if stream is None:
            return None
        mux = self._muxes.get(base.label)
        if mux is None:
            mux = Mux(self.loop, stream, base.write, self._quit, self._commit, self.options.escape)
            self._muxes[base.label], stream.front = mux, mux
        return mux.end()

    def _quit(self) -> None:
        self.vm.execute("quit", {})
        self.turn_done()

    def _commit(self) -> None:
        self.vm.execute("human-monitor-command", {"command-line": "commit all"})
        self.turn_done()


class SessionFront:
    """A session of either kind behind a stream: what is said is run, and what it says is sent as fast as it is read."""

    def __init__(self, emulator: Emulator, stream: Stream, session: Session | HumanSession) -> None:
        self._emulator = emulator
        self._stream = stream
        self._session = session
        session.on_unblocked = emulator.turn_done

    def connected(self) -> None:
        """Greet."""
        self._session.open()
        self.deliver()

    def received(self, data: bytes, fds: list[int]) -> None:
        """Run what is whole of `data`, then deliver what that says."""
        emulator = self._emulator
        emulator.heard += 1
        emulator.timekeeper.sync()
        emulator.vm.receive_fds(self._session, fds)
        self._session.receive(data)
        emulator.turn_done()

    def disconnected(self) -> None:
        """What was half read, and descriptors that nobody took, do not survive the client."""
        self._session.close()
        self._emulator.vm.drop_fds(self._session)

    def drained(self) -> None:
        """The client has read: go on with what waited."""
        self._session.resume()
        self._emulator.turn_done()

    def deliver(self) -> None:
        """Send what the session has queued, and run what waited for it, as long as the client keeps reading."""
        self._stream.hold(self._session.suspended)
        self._stream.send(self._session.take())
        while self._session.paused and not self._stream.throttled:
            self._session.resume()
            self._stream.send(self._session.take())


class MonitorFront(SessionFront):
    """A QMP session behind a stream."""

    def __init__(self, emulator: Emulator, stream: Stream, session: Session) -> None:
        super().__init__(emulator, stream, session)
        self._client = session

    def disconnected(self) -> None:
        """Negotiation does not survive it either."""
        super().disconnected()
        self._emulator.vm.client_left(self._client)


class PortFront:
    """A serial line or virtio-serial port behind a stream."""

    def __init__(self, emulator: Emulator, chardev: Chardev) -> None:
        self._emulator = emulator
        self._chardev = chardev

    def connected(self) -> None:
        """A client came to the host side."""
        self._chardev.on_connected(True)

    def received(self, data: bytes, fds: list[int]) -> None:
        """Pass `data` to the device; descriptors mean nothing there."""
        for fd in fds:
            self._emulator.vm.host.close_fd(fd)
        self._emulator.timekeeper.sync()
        self._chardev.receive(data)
        self._emulator.vm.machine.settle()
        self._emulator.turn_done()

    def drained(self) -> None:
        """Nothing waits for room here."""

    def disconnected(self) -> None:
        """The client left."""
        self._chardev.on_connected(False)


def _done(_: int) -> None:
    """The machine has ended already."""
