"""What an operating system tells and does for its agent: the guest's side of every topic, as small protocols.

Errors are the operating system's: a method that can fail raises `HostError` with its text, in front of which the
command puts its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from qmpemu.guests.activity import Steps

    class Power(Protocol):
        """How it ends and sleeps."""

        def shutdown(self, mode: str) -> None:
            """Begin a forced shutdown ("powerdown", "halt", "reboot"). Raises HostError."""

        def suspend(self, state: str) -> bool:
            """Begin to sleep ("S3", "S4"), unasked. False: the machine has no such state."""

    class Clock(Protocol):
        """The time of day."""

        def now_ns(self) -> int:
            """Nanoseconds since 1970."""

        def set(self, time_ns: int) -> None:
            """Set it."""

        def resync(self) -> str:
            """Take it from the time service; why that cannot be, or empty."""

        def timezone(self) -> tuple[int, str]:
            """Offset from UTC in seconds, and a name."""

    class System(Protocol):
        """What and whose it is."""

        def host_name(self) -> str:
            """The computer's name."""

        def os_info(self) -> dict[str, object]:
            """The reply to guest-get-osinfo."""

        def devices(self) -> list[dict[str, object]]:
            """The reply to guest-get-devices: paravirtual devices that have a driver."""

        def interfaces(self) -> list[dict[str, object]]:
            """The reply to guest-network-get-interfaces."""

        def processors(self) -> int:
            """How many logical processors it uses."""

    class Accounts(Protocol):
        """Who may log on, and who is."""

        def logged_on(self) -> list[tuple[str, int]]:
            """User names, and since when in nanoseconds since 1970."""

        def set_password(self, user: str, password: str) -> None:
            """Change a password. Raises HostError."""

    class Storage(Protocol):
        """Disks, volumes, and the snapshots that hold writes."""

        def disks(self) -> list[dict[str, object]]:
            """The reply to guest-get-disks."""

        def file_systems(self) -> list[dict[str, object]]:
            """The reply to guest-get-fsinfo."""

        def trim(self) -> list[str]:
            """Discard what is unused; the mount points of the volumes that were asked."""

        def freeze(self, mount_points: Sequence[str] | None) -> Steps[int]:
            """Write everything out and hold writes: all volumes, or those named; how many. Raises HostError."""

        def thaw(self) -> int:
            """Let writes go on; of how many volumes. Raises HostError where they went on by themselves before."""

    class OpenFile(Protocol):
        """A file that is open."""

        def read(self, size: int) -> bytes:
            """Up to `size` bytes from the position on. Raises HostError."""

        def write(self, data: bytes) -> None:
            """Write at the position. Raises HostError."""

        def seek(self, offset: int, whence: int) -> int:
            """Move the position (0 begin, 1 here, 2 end); where it is now. Raises HostError."""

        def flush(self) -> None:
            """Write out. Raises HostError."""

        def close(self) -> None:
            """No longer open."""

    class Child(Protocol):
        """A program that was started. code: its exit code once it has ended, else None."""

        @property
        def pid(self) -> int: ...

        @property
        def code(self) -> int | None: ...

        @property
        def output(self) -> bytes: ...

        @property
        def errors(self) -> bytes: ...

    class Programs(Protocol):
        """Files and programs."""

        def open(self, path: str, mode: str) -> OpenFile:
            """Open a file; mode as in C, without `b`. Raises HostError."""

        def start(self, path: str, arguments: Sequence[str], env: Mapping[str, str], given: bytes) -> Child:
            """Run a program with `given` as its standard input. Raises HostError."""

    class Host(Protocol):
        """All of it."""

        @property
        def power(self) -> Power: ...

        @property
        def clock(self) -> Clock: ...

        @property
        def system(self) -> System: ...

        @property
        def accounts(self) -> Accounts: ...

        @property
        def storage(self) -> Storage: ...

        @property
        def programs(self) -> Programs: ...


class HostError(Exception):
    """The operating system refused; its words, as it gives them to programs."""


class Agent:
    """The agent's process, as its commands see it: what lives and dies with it.

    frozen: whether it holds writes, and so takes hardly any command. files: open ones by handle. children: programs
    it has started, by pid, with whether their output is kept; until somebody has asked for their end.
    """

    __slots__ = ("children", "files", "frozen", "host", "next_handle")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.next_handle = 1000
        self.frozen = False
        self.files: dict[int, OpenFile] = {}
        self.children: dict[int, tuple[Child, bool]] = {}

    def end(self) -> None:
        """The process ends: its files are closed, and nobody holds writes any more."""
        for file in self.files.values():
            file.close()
        self.files.clear()
        self.children.clear()
        if self.frozen:
            self.frozen = False
            try:
                self.host.storage.thaw()
            except HostError:  # nobody is left to be told
                pass
