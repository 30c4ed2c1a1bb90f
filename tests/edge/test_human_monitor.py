"""Human monitors of their own, on ours and the real QEMU: sockets, terminals, a line shared with a serial port."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import subprocess
import termios
import time
from collections.abc import Callable

from emulators import PATIENCE_S, Emulator

BANNER = "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "
HELP = (
    "\n\rC-a h    print this help\n\rC-a x    exit emulator\n\rC-a s    save disk data back to file (if -snapshot)"
    "\n\rC-a t    toggle console timestamps\n\rC-a b    send break (magic sysrq)"
    "\n\rC-a c    switch between console and monitor\n\rC-a C-a  sends C-a\n\r"
)
PARTS = re.compile(r"\x1b\[[DK]|[^\x1b]", re.DOTALL)


class Terminal:
    """A client of a monitor, over a socket or a descriptor."""

    def __init__(self, fd: int, write: int | None = None) -> None:
        self.fd = fd
        self.out = fd if write is None else write

    def read(self, until: str) -> str:
        """What is sent up to that text; as a terminal shows it: each line once, as it was drawn last."""
        data, deadline = b"", time.monotonic() + PATIENCE_S
        while not _shown(data).endswith(until):
            assert select.select([self.fd], [], [], deadline - time.monotonic())[0], (until, data)
            try:
                more = os.read(self.fd, 4096)
            except OSError:
                more = b""
            if not more:
                return _shown(data) + "EOF"
            data += more
        return _shown(data)

    def type(self, text: str, until: str = "(qemu) ") -> str:
        """Type, and read up to the prompt."""
        os.write(self.out, text.encode())
        return self.read(until)


def _shown(data: bytes) -> str:
    done, row, column = "", list[str](), 0
    for part in PARTS.findall(data.decode("latin-1")):
        if part == "\x1b[D":
            column -= 1
        elif part == "\x1b[K":
            del row[column:]
        elif part in "\r\n":
            done, row, column = done + "".join(row) + part, [], 0
        else:
            row[column : column + 1] = [part]
            column += 1
    return done + "".join(row)


def monitor(emulator: Emulator, *words: str) -> Callable[[], Terminal]:
    """Start with a monitor on a socket; each call is one more client."""
    path = emulator.folder / "mon"
    emulator.start("-monitor", f"unix:{path},server=on,wait=off", *words)
    emulator.client()

    def connect() -> Terminal:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        emulator._sockets.append(sock)
        return Terminal(sock.fileno())

    return connect


def test_a_session(emulator: Emulator) -> None:
    """Banner, prompt, echo, answers; what is unknown; events are for QMP alone; quit ends with the echo."""
    there = monitor(emulator, "-machine", "none", "-S")()
    assert there.read("(qemu) ") == BANNER
    assert there.type("info status\r") == "info status\r\nVM status: paused (prelaunch)\r\n(qemu) "
    assert there.type("cont\n") == "cont\r\n(qemu) "
    assert there.type(" nope x\n") == " nope x\r\nunknown command: ' nope'\r\n(qemu) "
    assert there.type("info nope/a\n") == "info nope/a\r\nunknown command: 'info nope'\r\n(qemu) "
    assert there.type("help stop\n") == "help stop\r\nstop|s  -- stop emulation\r\n(qemu) "
    assert there.type("info history\n").split("\r\n")[1:3] == ["0: 'info status'", "1: 'cont'"]
    assert there.type("quit\n", "\r\n") == "quit\r\n"
    assert there.read("nothing") == "EOF"
    assert emulator.finish() == (0, "")


def test_clients_one_after_another(emulator: Emulator) -> None:
    """The second waits until the first has gone; what the first typed is gone, its lines are in the history."""
    connect = monitor(emulator, "-machine", "none", "-S")
    first, second = connect(), connect()
    assert first.read("(qemu) ") == BANNER
    first.type("info name\n")
    first.type("half", "half")
    emulator._sockets.remove(sock := next(s for s in emulator._sockets if s.fileno() == first.fd))
    sock.close()
    assert second.read("(qemu) ") == BANNER
    assert second.type("\x1b[A", "info name") == "info name"


def test_a_descriptor_comes_with_a_line(emulator: Emulator) -> None:
    """As test suites send one for `migrate fd:`: SCM_RIGHTS on the monitor's own socket."""
    there = monitor(emulator, "-machine", "none", "-S")()
    there.read("(qemu) ")
    line = next(sock for sock in emulator._sockets if sock.fileno() == there.fd)
    with open(os.devnull) as file:
        socket.send_fds(line, [b"getfd f\n"], [file.fileno()])
    assert there.read("(qemu) ") == "getfd f\r\n(qemu) "
    assert there.type("closefd f\n") == "closefd f\r\n(qemu) "
    unnamed = "getfd f\r\nError: No file descriptor supplied via SCM_RIGHTS\r\n(qemu) "
    assert there.type("getfd f\n") == unnamed


def test_a_script_that_sends_and_hangs_up(emulator: Emulator) -> None:
    """`echo "info status" | socat`: the answer comes although nothing more will be typed."""
    there = monitor(emulator, "-machine", "none", "-S")()
    os.write(there.fd, b"info status\n")
    with socket.socket(fileno=os.dup(there.fd)) as same:
        same.shutdown(socket.SHUT_WR)
    assert there.read("nothing") == f"{BANNER}info status\r\nVM status: paused (prelaunch)\r\n(qemu) EOF"


COMPLETED = {
    "sto\t": "sto\r\nstop         stopcapture  \r\n(qemu) stop",
    "info qt\t": "info qtree ",
    "help info qt\t": "help info qtree ",
    "sendkey ctrl-al\t": "sendkey ctrl-al\r\nalt       alt_r     \r\n(qemu) sendkey ctrl-alt",
    "set_link n\t": "set_link n\r\nnet0      nic0      \r\n(qemu) set_link n",
    "netdev_del \t": "netdev_del net0 ",
    "block_resize d\t": "block_resize drv0 ",
    "qemu-io -d d\t": "qemu-io -d drv0 ",
    "screendump /etc/hostn\t": "screendump /etc/hostname ",
    "change drv0 /et\t": "change drv0 /etc/",
    "migrate_set_capability xb\t": "migrate_set_capability xbzrle ",
    "ringbuf_read \t": "ringbuf_read ring0 ",
    "device_add e1000-8\t": "device_add e1000-8\r\ne1000-82544gc  e1000-82545em  \r\n(qemu) device_add e1000-8254",
    "object_del \t": "object_del pc.ram ",
    "watchdog_action pow\t": "watchdog_action poweroff ",
    "trace-event vnc_client_eo\t": "trace-event vnc_client_eof ",
}


def test_tab_completes(emulator: Emulator) -> None:
    """Verbs, topics, and words behind verbs: drives, files, keys, back ends, types, what is there by id."""
    words = "-machine q35 -S -drive if=none,id=drv0 -netdev user,id=net0 -device e1000,netdev=net0,id=nic0".split()
    there = monitor(emulator, *words, "-chardev", "ringbuf,id=ring0")()
    there.read("(qemu) ")
    for typed, drawn in COMPLETED.items():
        assert there.type(typed, drawn) == drawn
        there.type("\x05" + "\x17" * 5 + "\n")


def test_a_line_shared_with_a_serial_port(emulator: Emulator) -> None:
    """-nographic: the port has the keys first; C-a c, C-a h, and C-a x, which ends the process."""
    emulator.folder.mkdir(exist_ok=True)
    argv = [emulator.program, "-accel", "tcg", "-machine", "q35", "-S", "-nographic", "-net", "none"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        there = Terminal(process.stdout.fileno(), process.stdin.fileno())
        assert there.type("\x01h", HELP) == HELP
        assert there.type("\x01c") == BANNER
        shown = there.type("info chardev\n")
        assert shown.endswith(
            "parallel0: filename=null\r\nserial0: filename=mux\r\nserial0-base: filename=stdio\r\n(qemu) "
        )
        assert there.type("\x01c", "\r\n") == "\r\n"
        assert there.type("\x01c") == "(qemu) "
        assert there.type("\x01x", "\n\r") == "QEMU: Terminated\n\r"
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_on_a_terminal(emulator: Emulator) -> None:
    """The terminal is raw while the monitor has it, and afterwards as before."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    argv = [emulator.program, "-accel", "tcg", "-machine", "none", "-display", "none", "-monitor", "stdio"]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    try:
        there = Terminal(ours)
        assert there.read("(qemu) ") == BANNER.replace("\r\n", "\r\r\n")
        flags = termios.tcgetattr(theirs)[3]
        assert isinstance(flags, int) and not flags & (termios.ECHO | termios.ICANON) and flags & termios.ISIG
        assert there.type("quit\n", "\n") == "quit\r\r\n"
        assert process.wait(PATIENCE_S) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_on_a_pseudo_terminal_and_by_telnet(emulator: Emulator) -> None:
    """Who opens the terminal is greeted; telnet's options are announced before the banner."""
    emulator.start("-machine", "none", "-monitor", "pty", "-monitor", "telnet:127.0.0.1:0,server=on,wait=off")
    client = emulator.client()
    names = {row["label"]: row["filename"] for row in client.ask("query-chardev")["return"]}
    there = Terminal(os.open(names["compat_monitor0"].removeprefix("pty:"), os.O_RDWR | os.O_NOCTTY))
    assert there.read("(qemu) ") == BANNER
    os.close(there.fd)
    port = int(names["compat_monitor1"].rpartition(",")[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as sock:
        there = Terminal(sock.fileno())
        assert there.read("(qemu) ") == f"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00{BANNER}"
        os.write(there.fd, b"\xff\xfd\x03\xff\xf3")
        assert there.type("info name\n") == "info name\r\n(qemu) "
    client.put("quit")
    assert emulator.finish()[0] == 0


def test_verbs_before_the_machine_is_there(emulator: Emulator) -> None:
    """--preconfig: others are known and refused; help does not tell of them."""
    there = monitor(emulator, "--preconfig", "-machine", "none")()
    there.read("(qemu) ")
    early = "not available until machine initialization has completed."
    assert there.type("stop\n") == f"stop\r\nCommand 'stop' {early}\r\n(qemu) "
    assert there.type("info qtree\n") == f"info qtree\r\nCommand 'info qtree' {early}\r\n(qemu) "
    assert there.type("help stop\n") == "help stop\r\nunknown command: 'stop'\r\n(qemu) "
    assert there.type("exit_preconfig\n") == "exit_preconfig\r\n(qemu) "
    assert there.type("info status\n") == "info status\r\nVM status: running\r\n(qemu) "


def test_what_needs_a_terminal_is_refused_in_the_background(emulator: Emulator) -> None:
    """-nographic with -daemonize, unless every line and the monitor lead elsewhere or there are none."""
    for words, refused in {
        "-machine q35 -monitor none -serial none": True,
        "-machine none": True,
        "-machine q35 -monitor none -serial none -parallel none -net none -version": False,
    }.items():
        argv = [emulator.program, "-accel", "tcg", "-nographic", "-daemonize", *words.split()]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        text = "qemu-system-x86_64: -nographic cannot be used with -daemonize\n" if refused else ""
        assert (done.returncode, done.stderr) == (int(refused), text)
