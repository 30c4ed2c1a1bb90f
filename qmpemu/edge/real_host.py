"""The host as it is: wall time, threads, image files."""

from __future__ import annotations

import os
import stat
import sys
import time

from qmpemu.machine.host import Host, Image, ImageLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qmpemu.console import Screen
    from qmpemu.edge.loop import Loop
    from qmpemu.edge.storage_process import StorageProcess
    from qmpemu.edge.streams import Stream
    from qmpemu.machine.block.backend import BlockBackend
    from qmpemu.machine.block.temporary import Temporary
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.host import Closable, TpmLink
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address
    from qmpemu.machine.migration.link import Link, Listener

FILE_BYTES_MAX = 1 << 20
ALWAYS_HAD_BYTES = 1 << 40
"""Of memory: less than this every host has addresses for."""
QCOW2_MAGIC = b"QFI\xfb"
SECTOR = 512


PROBED_BYTES = 512
MAGIC = (
    (0, QCOW2_MAGIC + b"\x00\x00\x00\x01", "qcow"),
    (0, QCOW2_MAGIC, "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
)
"""Where in an image which bytes tell of its format; the first that fits."""


SG_GET_VERSION_NUM = 0x2282
"""linux/scsi/sg.h"""


class RealHost(Host):
    """Answers from the operating system."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._threads: dict[str, int] = {}
        self._storage: StorageProcess | None = None
        """One that has been started and nobody talks with yet."""
        self._drawn: tuple[Screen, str, bytes] | None = None
        self.begin_turn: Callable[[], object] = int
        self.end_turn: Callable[[], object] = int
        """What the emulator does before and after something of the host is told to the machine."""
        self.around: Callable[[Callable[[], object]], object] = _alone
        """Runs a callback of the outside world as a turn of the machine: time before it, what it caused after it."""
        self.say: Callable[[str], object] = _alone_text
        self.streams: Mapping[str, Stream] = {}  # of character devices, by label

    def timestamp(self) -> tuple[int, int]:
        """Wall time: seconds since 1970, microseconds."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        return seconds, rest // 1000

    def close_fd(self, fd: int) -> None:
        """Close a descriptor that a client passed."""
        os.close(fd)

    def thread_id(self, name: str) -> int:
        """A parked thread's id: libvirt sets the affinity of vCPU threads, so they must exist."""
        if name not in self._threads:
            self._threads[name] = _park()
        return self._threads[name]

    def read_file(self, path: str, tell: Callable[[bytes | OSError], object]) -> bool:
        """Read a small file; of a FIFO, all that is written to it until its writer leaves."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            tell(error)
            return True
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            with open(fd, "rb") as file:
                tell(file.read(FILE_BYTES_MAX))
            return True
        data = bytearray()

        def readable() -> None:
            piece = os.read(fd, FILE_BYTES_MAX)
            data.extend(piece)
            if not piece or len(data) > FILE_BYTES_MAX:
                self._loop.remove_reader(fd)
                os.close(fd)
                tell(bytes(data))

        self._loop.add_reader(fd, readable)
        return False

    def why_unreadable(self, path: str) -> str | None:
        """The operating system's reason why the file cannot be opened; None where it can."""
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except OSError as error:
            return error.strerror
        return None

    def load_secret(self, given: dict[str, object], others: Mapping[str, UserObject]) -> object:
        """From its file. Raises Refused."""
        from qmpemu.edge import secret

        return secret.load(given, others)

    def load_credentials(self, given: dict[str, object], others: Mapping[str, UserObject]) -> object:
        """For a connection's TLS. Raises Refused, QmpError for what is not emulated."""
        from qmpemu.edge.tls import loading

        return loading.load(given, others)

    def reload_credentials(self, held: object) -> None:
        """From the same directory. Raises Refused."""
        from qmpemu.edge.tls.credentials import Credentials

        if isinstance(held, Credentials):
            held.load()

    def network_socket(self, way: str, address: str, own: str) -> Closable | None:
        """Of IPv4, as QEMU's. Raises Refused."""
        from qmpemu.edge.network_socket import opened

        return opened(way, address, own)

    def tpm_link(self, chardev: Chardev) -> TpmLink:
        """Over its stream, where that is a socket."""
        from qmpemu.edge.tpm_link import SocketLink

        return SocketLink(self.streams.get(chardev.label))

    def why_no_scsi(self, path: str) -> str | None:
        """Ask the device which version of SG_IO it knows."""
        from fcntl import ioctl

        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return error.strerror
        try:
            ioctl(fd, SG_GET_VERSION_NUM, bytes(4))
        except OSError as error:
            return error.strerror
        finally:
            os.close(fd)
        return None

    def open_dump(self, path: str, mode: int) -> int:
        """Open a file for memory. Raises OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)

    def write_dump(self, fd: int, parts: Iterator[bytes | int], done: Callable[[str | None], object]) -> None:
        """Write a dump: at once into a file, from a thread into a pipe."""
        from qmpemu.edge.dump_file import write_dump

        write_dump(self._loop, self.around, fd, parts, done)

    def local_time(self, seconds: int) -> str:
        """By the host's time zone."""
        from time import localtime, strftime

        return strftime("%Y-%m-%d %H:%M:%S", localtime(seconds))

    def save_vm_state(self, image: str, tag: str, data: bytes | None) -> None:
        """Beside the image. Raises Refused."""
        from qmpemu.edge import vm_state

        vm_state.save(image, tag, data)

    def load_vm_state(self, image: str, tag: str) -> bytes | None:
        """From beside the image. Raises Refused for a file that is none of ours."""
        from qmpemu.edge import vm_state

        return vm_state.load(image, tag)

    def revert_image(self, image: str, tag: str) -> None:
        """By qemu-img. Raises Refused."""
        from qmpemu.edge import vm_state

        vm_state.revert(image, tag)

    def make_overlay(self, path: str, form: str, backing: str, backing_form: str, size: int) -> None:
        """By qemu-img. Raises Refused."""
        from qmpemu.edge import vm_state

        vm_state.make_overlay(path, form, backing, backing_form, size)

    def commit_image(self, image: str) -> None:
        """By qemu-img. Raises Refused."""
        from qmpemu.edge import vm_state

        vm_state.commit(image)

    def back_memory(self, given: Mapping[str, object]) -> None:
        """Take it and give it back. Raises Refused."""
        if given["qom-type"] == "memory-backend-ram" and int(str(given["size"])) < ALWAYS_HAD_BYTES:
            return
        from qmpemu.edge.backing_file import back_memory

        back_memory(given, self.complain)

    def has_processors(self, numbers: Iterable[int]) -> bool:
        """By what this process may run on."""
        return not os.sched_getaffinity(0).isdisjoint(numbers)

    def why_no_tap(self, fd: int) -> tuple[str, bool]:
        """Ask the kernel which interface it is of."""
        from qmpemu.edge.network_socket import why_no_tap

        return why_no_tap(fd)

    def why_no_listener(self, path: str) -> str | None:
        """Connect, and hang up."""
        from qmpemu.edge.network_socket import why_no_listener

        return why_no_listener(path)

    def has_key(self, serial: int) -> bool:
        """By what the kernel lists."""
        return self.why_unreadable("/proc/keys") is None and f"{serial:08x} " in open("/proc/keys").read()

    def has_nodes(self, nodes: Iterable[int]) -> bool:
        """By what the kernel shows."""
        return any(os.path.isdir(f"/sys/devices/system/node/node{node}") for node in nodes)

    def prepare_block_backend(self) -> None:
        """Start the process; where it is not installed is said when it is asked for."""
        from qmpemu.edge.storage_process import StorageProcess

        if self._storage is None:
            try:
                self._storage = StorageProcess()
            except FileNotFoundError:
                pass

    def forget_block_backend(self) -> None:
        """End the process, if nobody talks with it."""
        process, self._storage = self._storage, None
        if process is not None:
            process.end()

    def start_block_backend(
        self, event: Callable[[str, dict[str, object]], object], died: Callable[[], object]
    ) -> BlockBackend:
        """A qemu-storage-daemon of this process. Raises Refused where it is not installed."""
        self.prepare_block_backend()
        process, self._storage = self._storage, None
        if process is None:
            return super().start_block_backend(event, died)  # which says so
        from qmpemu.edge.storage_daemon import StorageDaemon

        # the emulator gives the turns once the machine is made, which a node of the command line may start it before
        return StorageDaemon(
            process, self._loop, event, died, lambda: self.begin_turn(), lambda: self.end_turn()
        )

    def report(self, text: str) -> None:
        """Say a line on standard error, as QEMU does."""
        self.say(text)

    def connect(self, address: Address, machine: Machine, tell: Callable[[Link | str], object]) -> None:
        """Open a migration's link out. Raises QmpError."""
        from qmpemu.edge.migration import ways

        ways.connect(self._loop, self.around, address, machine, tell)

    def listen(self, address: Address, machine: Machine, accept: Callable[[Link], object]) -> Listener:
        """Wait for a migration's links. Raises QmpError."""
        from qmpemu.edge.migration import ways

        return ways.listen(self._loop, self.around, address, machine, accept)

    def image(self, driver: str, path: str) -> Image:
        """Sizes from the file system, and a qcow2 header's fields (docs: interop/qcow2, "Header")."""
        status = os.stat(path)
        actual_bytes = status.st_blocks * 512
        with open(path, "rb") as file:
            header = file.read(112) if driver == "qcow2" else b""
            file_bytes = file.seek(0, os.SEEK_END)  # a block device's size too, which stat does not tell
        if driver == "qcow2":
            from qmpemu.edge.qcow2 import described

            return described(path, header, file_bytes, actual_bytes)
        if driver == "host_device" and not _is_device(status.st_mode):
            raise OSError(
                0, f"'host_device' driver requires '{path}' to be either a character or block device"
            )
        return Image(
            virtual_bytes=-(-file_bytes // SECTOR) * SECTOR,
            file_bytes=file_bytes,
            actual_bytes=actual_bytes,
        )

    def temporary_image(self, virtual_bytes: int) -> Temporary:
        """In TMPDIR, else /var/tmp."""
        from qmpemu.edge.new_qcow2 import make_temporary

        return make_temporary(virtual_bytes)

    def old_cipher(self, path: str) -> str | None:
        """By its header and those of the images that it is over."""
        from qmpemu.edge import qcow2

        return qcow2.old_cipher(path)

    def lock(self, path: str) -> ImageLock:
        """A place for locks on the file, none yet."""
        from qmpemu.edge.image_locks import FileLock

        return FileLock(path)

    def probe(self, path: str) -> str:
        """By the formats' magic numbers; a file that cannot be read looks like nothing."""
        try:
            with open(path, "rb") as file:
                head = file.read(PROBED_BYTES)
        except OSError:
            return "raw"
        return next((form for at, magic, form in MAGIC if head[at : at + len(magic)] == magic), "raw")

    def write_picture(self, path: str, form: str, screen: Screen) -> None:
        """Draw `screen` into the file, which is made, or emptied, before anything is drawn.

        Who looks again and again at a screen that stands still gets the same file.
        """
        with open(path, "wb") as file:
            if self._drawn is None or self._drawn[:2] != (screen, form):
                from qmpemu.edge import picture

                self._drawn = screen, form, picture.encode(screen, form)
            file.write(self._drawn[2])

    def files(self, begin: str) -> list[str]:
        """Names of files that begin so."""
        folder, slash, start = begin.rpartition("/")
        try:
            entries = list(os.scandir(folder + slash or "."))
        except OSError:
            return []
        return [
            f"{folder}{slash}{each.name}{'/' * each.is_dir()}"
            for each in entries
            if each.name.startswith(start)
        ]

    def complain(self, text: str) -> None:
        """Standard error, as QEMU does."""
        print(text, file=sys.stderr, flush=True)


def _alone(call: Callable[[], object]) -> object:
    return call()


def _alone_text(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _is_device(mode: int) -> bool:
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)


def _park() -> int:
    """Start a thread that sleeps for ever and return its kernel id."""
    from _thread import allocate_lock, get_native_id, start_new_thread

    ready, forever = allocate_lock(), allocate_lock()
    ids: list[int] = []
    ready.acquire()
    forever.acquire()

    def park() -> None:
        ids.append(get_native_id())
        ready.release()
        forever.acquire()

    start_new_thread(park, ())
    ready.acquire()
    return ids[0]
