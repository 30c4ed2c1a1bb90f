"""`qmpemu-system-x86_64`: a process that looks like QEMU to whoever starts it, under whatever name it is called.

    argv, environment ─> parse ─> (daemonize) ─> pidfile ─> sockets ─> greeting, commands, clock ─> exit status

Settings of the simulated guest come from the environment (`edge.environment`), since the command line is QEMU's.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from fcntl import LOCK_EX, LOCK_NB, lockf

from qmpemu.core.table import Refused
from qmpemu.edge import argv, shipped
from qmpemu.edge.keyval import OptionError
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qmpemu.core.facts import Fact
    from qmpemu.edge.argv import ProcessOptions
    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.log import FactLog
    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile


AT_FILE = ": \x01"
"""What stands before a place in a file of options (`argv.config_file`)."""


AUDIO_LAYER = "audio: "
"""What QEMU's audio layer says begins with its own name, and has no time."""


def main(end: Callable[[int], int] = int) -> int:
    """Run as QEMU would; the exit status is the return value.

    end: called with it at once where nothing is left to do. The launcher leaves the process there: Python takes longer
    to take itself apart than libvirt, once the monitor is closed, waits before it looks whether the process is gone.
    """
    program = os.path.basename(sys.argv[0]).replace("process.py", "qmpemu-system-x86_64")  # python -m
    try:
        return run(sys.argv[1:], os.environ, program, end)
    except OptionError as error:
        stamp = f"{_utc_now()} " if error.stamped else ""
        _warn(error.warnings, program)
        text = str(error).replace("{prefix}", f"{stamp}{program}: ")
        first = f"{stamp}{program}" if error.program is None else error.program  # another's line has no time
        print(f"{first}: {text}".replace(AT_FILE, ":"), file=sys.stderr)
        error.release()
        return end(1)


def run(
    words: list[str], environment: Mapping[str, str], program: str, end: Callable[[int], int] = int
) -> int:
    """Parse, start and serve until the machine ends. Raises OptionError before it serves."""
    profile = shipped.profile(environment.get("QMPEMU_PROFILE"))
    try:
        config, options = argv.parse_command_line(words, profile)
    except argv.Shown as shown:
        print(shown, end="")
        return 0
    if options.show is not None:
        print(_banner(profile.banner, options.show, program))
        return 0
    _warn(config.warnings, program)
    try:
        daemon = Daemon(options) if options.daemonize else None
        pidfile = _write_pidfile(options.pidfile) if options.pidfile is not None else None
        try:
            status = _serve(profile, config, options, environment, program, daemon)
        finally:
            if pidfile is not None:
                _remove(pidfile)
    except OptionError as error:
        error.stamped = options.timestamps
        raise
    return end(status)


def _serve(
    profile: Profile,
    config: MachineConfig,
    options: ProcessOptions,
    environment: Mapping[str, str],
    program: str,
    daemon: Daemon | None,
) -> int:
    from qmpemu.edge.environment import configure  # late: a command line that is refused needs none of these
    from qmpemu.edge.host_side import HostSide
    from qmpemu.edge.loop import PollLoop, Signals
    from qmpemu.edge.sockets import SIGHUP, SIGINT, SIGTERM

    signals = Signals((SIGTERM, SIGINT, SIGHUP))
    scale = configure(config, environment)
    loop = PollLoop()
    statuses: list[int] = []

    def exited(status: int) -> None:
        statuses.append(status)
        loop.stop()

    def report(text: str) -> None:
        stamp = f"{_utc_now()} " if options.timestamps else ""
        first = "" if text.startswith(AUDIO_LAYER) else f"{stamp}{program}: "
        print(f"{first}{text}", file=sys.stderr, flush=True)

    side = HostSide(config, options, profile, loop, report)
    try:
        side.open()
        from qmpemu.edge.emulator import Emulator  # late: what is refused until here needs no machine

        emulator = Emulator(side, scale=scale, on_exit=exited)
        for each in _without_use(emulator):
            report(f"warning: {each}")
        _choose_guest(emulator, environment, report)
    except (OptionError, Refused) as refused:
        raise _abandoned(refused, side.abandon) from None
    log = _open_log(emulator, environment.get("QMPEMU_LOG"))

    def signalled(number: int, pid: int) -> None:
        sender = f" from pid {pid} ({_command_of(pid)})" if pid else ""  # a terminal's key comes from nobody
        report(f"terminating on signal {number}{sender}")
        emulator.terminate(number)

    signals.watch(loop, signalled)
    _start(emulator, config.incoming)
    emulator.vm.facts.subscribe(_when_set_going(emulator))
    if daemon is not None:
        daemon.ready()
    gc.freeze()
    gc.enable()  # the launcher has switched it off
    if not statuses:
        loop.run_forever()
    if log is not None:
        log.drain()
    return statuses[0]


def _when_set_going(emulator: Emulator) -> Callable[[Fact], None]:
    """Let a machine that a client sets going import ahead; one that runs from the start may be over in a moment."""
    from qmpemu.machine.happened import MachineResumed

    waiting = [True]

    def hear(fact: Fact) -> None:
        if isinstance(fact, MachineResumed) and waiting:
            waiting.clear()
            from qmpemu.edge.ahead import Ahead

            Ahead(emulator)

    return hear


def _choose_guest(emulator: Emulator, environment: Mapping[str, str], report: Callable[[str], None]) -> None:
    """What boots, with what, and where its disk is kept. Raises OptionError."""
    from qmpemu.edge import disk_file
    from qmpemu.edge import environment as settings
    from qmpemu.guests import registry as guests

    config = emulator.vm.config
    settings.check_guest(config)
    emulator.vm.participants = settings.participants(config.participants)
    if config.family != "none" and config.guest != guests.NONE:
        emulator.vm.store = disk_file.choose(environment, emulator.vm.machine.blocks, report)


def _without_use(emulator: Emulator) -> list[str]:
    """Ends of networks that nothing is on the other side of, and values of -global that met no device."""
    machine = emulator.vm.machine
    unused = machine.devices.globals.unused() if machine.devices.globals is not None else ()
    return [*machine.plugging.unpaired(), *unused]


def _start(emulator: Emulator, incoming: str | None) -> None:
    """Open what it is reached by, and begin. Raises OptionError, also where there is nowhere to wait for its guest."""
    try:
        emulator.open()
        emulator.start()
    except (OptionError, QmpError, Refused) as error:
        raise _abandoned(
            error, emulator.abandon, f"-incoming {incoming}: " if incoming is not None else ""
        ) from None


def _abandoned(
    refused: OptionError | QmpError | Refused, release: Callable[[], object], option: str = ""
) -> OptionError:
    """What ends the process: `release` lets go of what was opened; option: what stands before a text without one."""
    error = refused
    if not isinstance(error, OptionError):
        hint = refused.hint if isinstance(refused, Refused) else ""
        error = OptionError("\n".join(filter(None, (f"{option}{refused}", hint))))
    error.release = release
    return error


def _warn(texts: Sequence[str], program: str) -> None:
    for text in texts:
        stamp = f"{_utc_now()} " if text.startswith(argv.STAMPED) else ""
        text = text.removeprefix(argv.STAMPED)
        line = text[1:] if text.startswith(argv.BARE) else f"{stamp}{program}: {text}"
        print(line.replace(AT_FILE, ":"), file=sys.stderr, flush=True)


def _open_log(emulator: Emulator, path: str | None) -> FactLog | None:
    if path is None:
        return None
    from qmpemu.edge.log import FactLog

    try:
        file = sys.stderr if path == "-" else open(path, "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise OptionError(f"QMPEMU_LOG: cannot write '{path}': {error.strerror}") from None
    return FactLog(emulator.vm.facts, emulator.loop, file)


class Daemon:
    """`-daemonize`: the parent leaves with 0 once the child serves, with 1 if it dies before."""

    def __init__(self, options: ProcessOptions) -> None:
        readable, self._writable = os.pipe()
        if os.fork():
            os.close(self._writable)
            os._exit(0 if os.read(readable, 1) else 1)
        os.close(readable)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.umask(0o027)

    def ready(self) -> None:
        """Let go of the terminal and the starting directory, and tell the parent."""
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        os.write(self._writable, b"1")
        os.close(self._writable)


def _write_pidfile(path: str) -> str:
    """Write and lock the pidfile for the life of the process; returns its absolute path. Raises OptionError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OptionError(f"cannot create PID file: Could not create '{path}': {error.strerror}") from None
    try:
        lockf(fd, LOCK_EX | LOCK_NB)
    except OSError as error:
        raise OptionError(f"cannot create PID file: Cannot lock pid file: {error.strerror}") from None
    os.ftruncate(fd, 0)
    os.write(fd, b"%d\n" % os.getpid())
    return os.path.abspath(path)


def _remove(pidfile: str) -> None:
    try:
        os.unlink(pidfile)
    except OSError:
        pass  # somebody has tidied up already


def _utc_now() -> str:
    """Now as `2026-01-31T12:00:00.000000Z`."""
    now_us = time.time_ns() // 1000
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_us // 1_000_000)) + f".{now_us % 1_000_000:06}Z"


def _command_of(pid: int) -> str:
    """The command of a process as QEMU names it: the first word of its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read().partition(b"\0")[0]) or "<unknown process>"
    except OSError:
        return "<unknown process>"


def _banner(banner: str, show: str, program: str) -> str:
    if show == "version":
        return banner
    return (
        f"{banner}\nThis is qmpemu: it has no virtual CPU, it simulates a Windows guest. See `qmpemu --help`.\n"
        f"usage: {program} [options] [disk_image]   (QEMU's own options, as in the profile)"
    )


if __name__ == "__main__":
    sys.exit(main())
