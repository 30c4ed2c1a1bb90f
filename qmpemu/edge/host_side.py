"""What a machine has of its host before it is made: its early back ends, and the streams of its character devices."""

from __future__ import annotations

from qmpemu.core.clock import Clock
from qmpemu.core.facts import Bus
from qmpemu.edge.endpoints import open_stream
from qmpemu.edge.keyval import OptionError
from qmpemu.edge.real_host import RealHost
from qmpemu.edge.streams import SocketStream
from qmpemu.machine.early_backends import EarlyBackends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.argv import ProcessOptions
    from qmpemu.edge.loop import Loop
    from qmpemu.edge.streams import Stream
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile

PTY = "pty:"


class HostSide:
    """All of it, of one machine. say: called with what QEMU says on standard error."""

    def __init__(
        self,
        config: MachineConfig,
        options: ProcessOptions,
        profile: Profile,
        loop: Loop,
        say: Callable[[str], object] = print,
    ) -> None:
        self.config, self.options, self.profile = config, options, profile
        self.loop = loop
        self.host = RealHost(loop)
        self.host.say = say
        self.clock = Clock()
        self.early = EarlyBackends(config, profile, self.host, Bus(lambda: self.clock.now_ns))
        self.streams: dict[str, Stream] = {}
        self.host.streams = self.streams

    def open(self) -> None:
        """Make the early back ends; block for clients of `wait=on` servers. Raises Refused, OptionError."""
        self.early.make(self._open_chardevs)

    def abandon(self) -> None:
        """There will be no machine: what would outlive the process goes, the rest ends with it."""
        for stream in self.streams.values():
            stream.remove()

    def _open_chardevs(self) -> None:
        for label, chardev in self.early.chardevs.items():
            typed = self.options.sources.get(label, label)
            try:
                stream = open_stream(self.loop, chardev, self.early.fdsets, self.early.objects)
            except OptionError as error:
                sequel = self.options.sequels.get(label)
                more = f"\n{{prefix}}{typed}: {sequel}" if sequel is not None else ""
                raise OptionError(f"{typed}: {error}{more}") from None
            if stream is not None:
                if chardev.backend == "pty":  # on standard output, as by the real one
                    print(
                        f"char device redirected to {stream.address.removeprefix(PTY)} (label {label})",
                        flush=True,
                    )
                self.streams[label] = stream
                self._await_client(chardev, stream, typed)

    def _await_client(self, chardev: Chardev, stream: Stream, typed: str) -> None:
        waits = chardev.on("server", False) and chardev.on("wait", True)
        if waits and isinstance(stream, SocketStream):
            self.host.say(f"{typed}: info: QEMU waiting for connection on: {stream.describe()}")
            stream.wait_for_client()
