"""What a machine needs of the host it runs on. The edge answers for real; this base answers for a machine in a test."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Protocol

    from qmpemu.console import Screen
    from qmpemu.machine.block.backend import BlockBackend
    from qmpemu.machine.block.temporary import Temporary
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address
    from qmpemu.machine.migration.link import Link, Listener

    class TpmLink(Protocol):
        """The way to the emulator of a TPM. Each raises OSError, without a number where it left and said nothing."""

        def ask(self, message: bytes, size: int, *, with_data: bool = False) -> bytes:
            """Send a command and wait for `size` bytes; with_data: hand it the other end of a channel for data."""

        def version(self) -> str:
            """Which TPM answers on that channel, `1.2` or `2`."""

    class Closable(Protocol):
        """Something that was taken of the host's, until it is closed."""

        def close(self) -> None:
            """Give it back."""


class Image:
    """A disk image as far as a device shows it. Sizes in bytes; `details` are the format's own members."""

    __slots__ = (
        "actual_bytes",
        "backing",
        "backing_name",
        "cluster_bytes",
        "details",
        "file_bytes",
        "flaws",
        "names_format",
        "snapshots",
        "virtual_bytes",
    )

    def __init__(
        self,
        *,
        virtual_bytes: int,
        file_bytes: int,
        actual_bytes: int,
        cluster_bytes: int | None = None,
        details: dict[str, object] | None = None,
        backing: tuple[str, str] | None = None,
        backing_name: str | None = None,
        names_format: bool = True,
    ) -> None:
        self.virtual_bytes = virtual_bytes
        self.file_bytes = file_bytes
        self.actual_bytes = actual_bytes
        self.cluster_bytes = cluster_bytes
        self.details = details
        self.backing = backing
        """Path and format of the image that it is over, as its header says."""
        self.backing_name = backing_name
        """That path as it stands there: it may be one from the image's own folder."""
        self.names_format = names_format
        """Whether the header tells that format, which is guessed otherwise."""
        self.snapshots: list[dict[str, object]] = []
        """Those in it, as SnapshotInfo."""
        self.flaws: list[tuple[str, str]] = []
        """Why it cannot be opened, each with the option of a node that makes up for it, or ""."""

    def refuse(self, options: dict[str, object]) -> None:
        """Whether a new node of these options cannot be over it. Raises Refused."""
        for unless, text in self.flaws:
            if not options.get(unless):
                raise Refused(text)


class NeedsOpening(Exception):
    """Only the real block layer can tell what is in an image. image: what its header tells all the same."""

    def __init__(self, image: Image) -> None:
        super().__init__()
        self.image = image


class ImageRefused(OSError):
    """An image that QEMU opens no more. hint: a further line for people at a terminal."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(0, text)
        self.hint = hint


class ImageLock:
    """The locks on one image file, on a host without files: nobody stands against them. Numbers: `block.locks`."""

    __slots__ = ()

    def set(self, used: frozenset[int], unshared: frozenset[int]) -> None:
        """Hold exactly these from now on. Raises Refused where somebody stands against one."""

    def elsewhere(self) -> str | None:
        """By what path the file is found, if not by its own any more."""
        return None

    def close(self) -> None:
        """Hold nothing any more."""


class Host:
    """A host without threads, files or a wall clock: the same answers every time."""

    def timestamp(self) -> tuple[int, int]:
        """Wall time: seconds since 1970, microseconds."""
        return (0, 0)

    def close_fd(self, fd: int) -> None:
        """Close a descriptor that a client passed."""

    def thread_id(self, name: str) -> int:
        """The thread that stands for `name` (`CPU 0`, `iothread1`); one each, created at first need."""
        return 0

    def read_file(self, path: str, tell: Callable[[bytes | OSError], object]) -> bool:
        """Read a file and `tell` its content or why not; whether that was done at once, or will be later (a FIFO)."""
        tell(b"")
        return True

    def temporary_image(self, virtual_bytes: int) -> Temporary:
        """A new empty qcow2 image that ends with the process. Raises Refused."""
        raise Refused("qmpemu has no files here for a temporary image")

    def why_unreadable(self, path: str) -> str | None:
        """The operating system's reason why the file cannot be opened; None where it can."""
        return None

    def load_secret(self, given: dict[str, object], others: Mapping[str, UserObject]) -> object:
        """What a `secret` object holds; others: the objects among which its key may be. Raises Refused."""
        return None

    def load_credentials(self, given: dict[str, object], others: Mapping[str, UserObject]) -> object:
        """What a `tls-creds-*` object holds; others: the objects among which its password's may be. Raises Refused."""
        return None

    def reload_credentials(self, held: object) -> None:
        """Read them again; those in use stay as they are. Raises Refused, and then nothing has changed."""

    def network_socket(self, way: str, address: str, own: str) -> Closable | None:
        """A socket that listens, connects, has joined a group (mcast) or is bound (udp). Raises Refused.

        address: HOST:PORT. own: where it is itself, likewise; of a group's the interface's address.
        """
        return None

    def tpm_link(self, chardev: Chardev) -> TpmLink | None:
        """The way to a TPM's emulator behind a character device; None where nobody is asked. Raises OSError."""
        return None

    def why_no_scsi(self, path: str) -> str | None:
        """The operating system's reason why a device takes no SCSI commands; None where it does."""
        return "Inappropriate ioctl for device"

    def open_dump(self, path: str, mode: int) -> int:
        """Open a file for memory, which is made with `mode`, or emptied. -> a descriptor. Raises OSError."""
        raise OSError(0, "there are no files here")

    def write_dump(self, fd: int, parts: Iterator[bytes | int], done: Callable[[str | None], object]) -> None:
        """Write bytes, and zeros by their number, and close `fd`; then call done(error or None), at once or later."""
        for _ in parts:
            pass
        done(None)

    def local_time(self, seconds: int) -> str:
        """A time of day as people write it, `2026-11-24 00:11:42`."""
        return "1970-01-01 00:00:00"

    def save_vm_state(self, image: str, tag: str, data: bytes | None) -> None:
        """Keep the guest's state of a snapshot beside its image; None forgets it. Raises Refused."""

    def load_vm_state(self, image: str, tag: str) -> bytes | None:
        """What was kept, or None."""
        return None

    def revert_image(self, image: str, tag: str) -> None:
        """Make an image what it was at a snapshot of its. Raises Refused."""

    def make_overlay(self, path: str, form: str, backing: str, backing_form: str, size: int) -> None:
        """Make an image over one that need not be there. size: in bytes. Raises Refused."""

    def commit_image(self, image: str) -> None:
        """Put what is in an overlay, `json:` with its options, into the image below. Raises Refused."""

    def back_memory(self, given: Mapping[str, object]) -> None:
        """See that there is the memory behind a memory back end, as object-add takes it. Raises Refused."""

    def has_nodes(self, nodes: Iterable[int]) -> bool:
        """Whether memory can be taken from one of these NUMA nodes."""
        return True

    def has_processors(self, numbers: Iterable[int]) -> bool:
        """Whether a thread can run on one of these processors."""
        return True

    def why_no_tap(self, fd: int) -> tuple[str, bool]:
        """Why a descriptor is none of a tap device's, empty where it is, and whether it is open."""
        return "", True

    def why_no_listener(self, path: str) -> str | None:
        """The system's reason why nothing listens on a UNIX socket, or at HOST:PORT; None where something does."""
        return None

    def has_key(self, serial: int) -> bool:
        """Whether the kernel keeps such a key that may be seen."""
        return False

    def image(self, driver: str, path: str) -> Image:
        """What the image at `path` is, read as `driver` (file, raw, qcow2). Raises OSError, NeedsOpening."""
        return Image(virtual_bytes=0, file_bytes=0, actual_bytes=0)

    def old_cipher(self, path: str) -> str | None:
        """Why an image of an old kind of encryption, or one over such an image, is refused."""
        return None

    def lock(self, path: str) -> ImageLock:
        """A place for locks on the file, none yet."""
        return ImageLock()

    def probe(self, path: str) -> str:
        """The format that a file looks like, `raw` where it looks like none."""
        return "raw"

    def write_picture(self, path: str, form: str, screen: Screen) -> None:
        """Draw a screen into a file as `png` or `ppm`. Raises OSError."""

    def files(self, begin: str) -> list[str]:
        """Names of files that begin so, those of folders with a `/` at the end."""
        return []

    def complain(self, text: str) -> None:
        """Tell the host's operator something that no client is told."""

    def prepare_block_backend(self) -> None:
        """A real block layer is about to be started: begin with what takes its time."""

    def forget_block_backend(self) -> None:
        """What was begun is not needed."""

    def start_block_backend(
        self, event: Callable[[str, dict[str, object]], object], died: Callable[[], object]
    ) -> BlockBackend:
        """Start a real block layer; its events by name and data, and its death, are told. Raises Refused."""
        from qmpemu.machine.block.backend import NEEDS_DAEMON

        raise Refused(NEEDS_DAEMON)

    def report(self, text: str) -> None:
        """Say a line on standard error, as QEMU does."""

    def connect(self, address: Address, machine: Machine, tell: Callable[[Link | str], object]) -> None:
        """Open a link and `tell` it, or later why not. Raises QmpError for what is wrong at once."""
        tell(f"this host has no way to {address.text}")

    def listen(self, address: Address, machine: Machine, accept: Callable[[Link], object]) -> Listener:
        """Wait for links. Raises QmpError."""
        raise OSError(f"this host has no way to {address.text}")
