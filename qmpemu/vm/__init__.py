"""One virtual machine: the hardware, the guest that boots on it, the QMP commands and the monitors that hear events.

    session ──execute──> schema check ──> handler ──> board.serve() ──facts──> events to every monitor ──> reply

Sans-IO: the caller owns the host clock, the time stamps and the bytes. `exit_status` tells when the machine is over.
"""

from __future__ import annotations

from qmpemu.core.facts import Bus, Fact
from qmpemu.core.table import Refused
from qmpemu.machine.block.happened import BlockFact
from qmpemu.machine.early_backends import EarlyBackends
from qmpemu.machine.happened import MachineReset, MachineShutDown
from qmpemu.machine.machine import Machine
from qmpemu.machine.runstate import RUNNING
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qmpemu.core.clock import Clock
    from qmpemu.guests.guest import Guest, Store
    from qmpemu.guests.windows.participants import Participant
    from qmpemu.hmp.session import HumanSession
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.profile import Profile
    from qmpemu.qmp.session import Session


class OptionNotEmulated(Fact):
    """The command line asked for something that changes nothing here."""

    option: str


class SignalReceived(Fact):
    """The host told the process to end."""

    signal: int


class VM:
    """A machine with its guest and monitors. Raises Refused for a configuration that cannot be built.

    early: its early back ends, if they are made already.
    """

    def __init__(
        self,
        config: MachineConfig,
        profile: Profile,
        host: Host,
        clock: Clock,
        early: EarlyBackends | None = None,
    ) -> None:
        if early is None:
            early = EarlyBackends(config, profile, host, Bus(lambda: clock.now_ns))
            early.make()
        self.config = config
        self.profile = profile
        self.host = host
        self.facts = early.facts
        self._shapes: dict[type[Fact], tuple[str, Callable[[Fact], dict[str, object] | None]]] = {}
        """How facts are told; none is while the machine is made."""
        self.facts.subscribe(self._emit)
        self.machine = Machine(early, profile, clock, lambda boot: self._loading.load(boot))
        # late: a machine that is refused has nothing to say and nobody to hear it
        from qmpemu.commands.registry import EVENTS
        from qmpemu.qmp.throttle import Throttle
        from qmpemu.vm.execution import Execution
        from qmpemu.vm.loading import Loading

        self._shapes = EVENTS
        self.throttle = Throttle(self._broadcast, self._after)
        self.monitors: list[Session] = []
        self.humans: list[HumanSession] = []
        """The human monitors."""
        self._clock = clock
        self._loading = Loading(self.machine, host, clock)
        self._execution = Execution(self.machine, profile, lambda: self.guest, self._take_fd)
        self._received_fds: dict[Session | HumanSession, list[int]] = {}
        self._asker: Session | HumanSession | None = None
        self._over = False

    @property
    def guest(self) -> Guest | None:
        """What runs on the machine now, or ran last."""
        return self._loading.guest

    @property
    def participants(self) -> Sequence[Participant]:
        """Who takes part beside what the preset brings; from the next boot on."""
        return self._loading.participants

    @participants.setter
    def participants(self, participants: Sequence[Participant]) -> None:
        self._loading.participants = participants

    @property
    def store(self) -> Store | None:
        """The guest's disk; without one it is kept in memory from the first boot on."""
        return self.machine.disk

    @store.setter
    def store(self, store: Store | None) -> None:
        self.machine.disk = store

    @property
    def exit_status(self) -> int | None:
        """The process's exit status once the machine is over, else None."""
        return self.machine.board.exit_status

    def add_monitor(self, *, pretty: bool = False) -> Session:
        """A new QMP monitor on this machine."""

        def execute(name: str, arguments: dict[str, object]) -> object:
            self._asker = session
            return self.execute(name, arguments)

        from qmpemu.qmp.session import Session

        session = Session(
            self.profile.greeting,
            execute,
            commands=self._execution.knows,
            oob=lambda name: self.profile.schema.allows_oob(name),  # parsed at first need
            pretty=pretty,
        )
        self.monitors.append(session)
        return session

    def add_human_monitor(self) -> HumanSession:
        """A new human monitor on this machine."""
        from qmpemu.hmp.session import HumanSession

        def complete(typed: bytes) -> tuple[int, Sequence[bytes]]:
            from qmpemu.commands.hmp import completion

            try:
                return completion.found(self._execution.context, typed)
            except (Refused, QmpError):
                return 0, ()

        def execute(line: str) -> str | Later:
            context, self._asker = self._execution.context, session
            context.asker = session
            try:
                shown = self.execute("human-monitor-command", {"command-line": line})
            except QmpError as error:
                return f"Error: {error}\r\n"
            finally:
                context.asker = None
            assert isinstance(shown, str | Later)
            return shown

        version = ".".join(str(self.profile.version[name]) for name in ("major", "minor", "micro"))
        banner = f"QEMU {version} monitor - type 'help' for more information"
        session = HumanSession(banner, execute, complete)
        self.humans.append(session)
        return session

    def receive_fds(self, session: Session | HumanSession, fds: list[int]) -> None:
        """Descriptors came by SCM_RIGHTS; those that no command has taken by the next ones are closed, as in QEMU."""
        if fds:
            self.drop_fds(session)
            self._received_fds[session] = fds

    def client_left(self, session: Session) -> None:
        """A monitor's client is gone; with the last one go the descriptors that clients have passed."""
        self.drop_fds(session)
        if not any(session.open_ for session in self.monitors):
            self.machine.fdsets.last_client_left(running=self.machine.board.runstate == RUNNING)

    def drop_fds(self, session: Session | HumanSession) -> None:
        """Close the descriptors that a client has sent and no command has taken."""
        for fd in self._received_fds.pop(session, ()):
            self.host.close_fd(fd)

    def power_up(self) -> None:
        """Start the machine as its configuration says."""
        from qmpemu.commands import registry

        registry.load()  # here, since a start that is refused needs none of it
        for option in self.config.not_emulated:
            self.facts.publish(OptionNotEmulated(option=option))
        self.facts.run(None, self.machine.power_up)

    def execute(self, name: str, arguments: dict[str, object]) -> object:
        """Run a command for a client; events it causes are queued before this returns. Raises QmpError."""
        result = self._execution.execute(name, arguments)
        if self.exit_status is not None:  # the reply to this command is the last thing that is said
            for session in self.monitors:
                session.finish()
            for human in self.humans:
                human.finish()
        return result

    def terminate(self, signal: int) -> None:
        """A termination signal arrived: a forced shutdown that no setting changes."""
        self.facts.chain(SignalReceived(signal=signal))
        self.machine.board.request_shutdown(guest=False, reason="host-signal")
        self.machine.settle()
        self.facts.cause = None

    def _take_fd(self) -> int | None:
        fds = self._received_fds.get(self._asker) if self._asker is not None else None
        return fds.pop(0) if fds else None

    def _emit(self, fact: Fact) -> None:
        """Send the event that belongs to `fact`, if any, to every monitor.

        After a final SHUTDOWN only the ends of block jobs are told.
        """
        if type(fact) is MachineReset:
            self._execution.was_reset = True
        shape = self._shapes.get(type(fact))
        if (
            shape is None
            or self.machine.history.replaying
            or (self._over and not isinstance(fact, BlockFact))
        ):
            return
        from qmpemu.qmp.encode import encode  # late, as above

        self._over = self._over or (isinstance(fact, MachineShutDown) and not fact.stays)
        name, data_of = shape
        seconds, microseconds = self.host.timestamp()
        event: dict[str, object] = {
            "event": name,
            "timestamp": {"seconds": seconds, "microseconds": microseconds},
        }
        data = data_of(fact)
        if data is not None:
            event["data"] = data
        self.throttle.emit(name, data, encode(event))

    def _broadcast(self, event: bytes) -> None:
        for session in self.monitors:
            session.send_event(event)

    def _after(self, delay_ns: int, call: Callable[[], object]) -> None:
        """Run `call` later by the clock that limits events: the host's, under -accel qtest the virtual one."""
        clock = self._clock if not self.config.qtest_accel else self.machine.virtual_clock
        clock.call_at(clock.now_ns + delay_ns, call)
