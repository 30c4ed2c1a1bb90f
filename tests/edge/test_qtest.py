"""qtest: the same script of register accesses gives the same answers, interrupt edges and events on ours and on QEMU.

Debian's QEMU has no `-accel qtest`, so the scripts run against `-S`: the processor stands still, and nobody but the
script touches a register. What only `-accel qtest` can do (clock_step) is in tests/machine/test_qtest.py.
"""

from __future__ import annotations

import select
import socket
from pathlib import Path

import pytest
from emulators import PATIENCE_S, Emulator

MAP_Q35 = ("outl 0xcf8 0x8000f840", "outl 0xcfc 0x601", "outl 0xcf8 0x8000f844", "outb 0xcfc 0x80")
MAP_PC = ("outl 0xcf8 0x80000b40", "outl 0xcfc 0xb001", "outl 0xcf8 0x80000b80", "outb 0xcfc 0x01")


class Test:
    """The test's end of a qtest socket."""

    __test__ = False

    def __init__(self, emulator: Emulator, *words: str, log: str = "none") -> None:
        path = emulator.folder / "qtest.sock"
        self._listener = emulator.socket()
        self._listener.bind(str(path))
        self._listener.listen(1)
        emulator.start("-S", *words, "-qtest", f"unix:{path}", "-qtest-log", log)
        self._socket, _ = self._listener.accept()
        self._socket.settimeout(PATIENCE_S)
        emulator.adopt(self._socket)
        self._buffer = b""

    def line(self) -> str:
        while b"\n" not in self._buffer:
            data = self._socket.recv(65536)
            assert data, "the emulator hung up"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def ask(self, request: str) -> str:
        """The answer, with the interrupt edges that came before it."""
        self._socket.sendall(request.encode() + b"\n")
        said = [self.line()]
        while said[-1].startswith("IRQ"):
            said.append(self.line())
        return ", ".join(said)

    def run(self, *requests: str) -> list[str]:
        return [self.ask(request) for request in requests]

    def silent(self) -> bool:
        """Whether nothing more was said."""
        return not self._buffer and not select.select([self._socket], [], [], 0)[0]


def test_an_unprogrammed_pm_base_reads_as_ones(emulator: Emulator) -> None:
    """Until the PM base is programmed and enabled, PM1 reads 0xffff; then only the timer's status is set."""
    test = Test(emulator, "-machine", "q35")
    assert test.run("endianness", "inw 0x600", "outl 0xcf8 0x8000f840", "inl 0xcfc") == [
        "OK little",
        "OK 0xffff",
        "OK",
        "OK 0x0001",
    ]
    assert test.run("outl 0xcfc 0xffffffff", "inl 0xcfc", "outl 0xcfc 0x601", "inw 0x600") == [
        "OK",
        "OK 0xff87",
        "OK",
        "OK 0xffff",
    ]
    test.run("outl 0xcf8 0x8000f844", "outb 0xcfc 0x80")
    assert test.run("inw 0x600", "inw 0x602", "inw 0x604", "inl 0x608") == [
        "OK 0x0001",
        "OK 0x0000",
        "OK 0x0000",
        "OK 0x0000",
    ]


@pytest.mark.parametrize(("machine", "mapping", "base"), [("q35", MAP_Q35, 0x600), ("pc", MAP_PC, 0xB000)])
def test_the_power_button_is_an_edge_of_the_sci(
    emulator: Emulator, machine: str, mapping: tuple[str, ...], base: int
) -> None:
    """A press without PWRBTN_EN is lost; with it STS bit 8 and IRQ 9 rise once, and fall when it is cleared or off."""
    test = Test(emulator, "-machine", machine)
    client = emulator.client()
    status, enable = f"{base:#x}", f"{base + 2:#x}"
    test.run(*mapping, "irq_intercept_in ioapic", f"outw {status} 1")
    client.put("system_powerdown")
    assert client.story("return") == ["POWERDOWN", "return"]
    assert test.run(f"inw {status}", f"outw {enable} 0x100", f"inw {status}") == [
        "OK 0x0000",
        "OK",
        "OK 0x0000",
    ]
    for _ in range(2):  # the second press finds the bit set: no second edge
        client.put("system_powerdown")
        assert client.story("return") == ["POWERDOWN", "return"]
    assert test.line() == "IRQ raise 9"
    assert test.run(f"inw {status}", f"outw {enable} 0", f"outw {enable} 0x100", f"outw {status} 0x100") == [
        "OK 0x0100",
        "IRQ lower 9, OK",
        "IRQ raise 9, OK",
        "IRQ lower 9, OK",
    ]
    assert test.ask(f"inw {status}") == "OK 0x0000"
    assert test.silent()


def test_how_accesses_are_cut(emulator: Emulator) -> None:
    """Bytes and double words at PM1 registers: odd bytes are dead, PM1_CNT answers at both of its bytes."""
    test = Test(emulator, "-machine", "q35")
    test.run(*MAP_Q35, "outw 0x602 0x0120")
    script = (
        "outb 0x603 0,inw 0x602,outb 0x602 0x21,inw 0x602,inb 0x603,inw 0x601,outl 0x600 0x01200001,inl 0x600"
    )
    assert test.run(*script.split(",")) == [
        "OK",
        "OK 0x0120",
        "OK",
        "OK 0x0021",
        "OK 0x0000",
        "OK 0x2100",
        "OK",
        "OK 0x1200000",
    ]
    script = "outb 0x605 0x1c,inw 0x604,inb 0x605,outw 0x605 0x0504,inl 0x604,outw 0x604 0x0801,inl 0x603"
    assert test.run(*script.split(",")) == [
        "OK",
        "OK 0x001c",
        "OK 0x001c",
        "OK",
        "OK 0xffff0004",
        "OK",
        "OK 0xff080100",
    ]


def test_smi_command_gpe_and_sleep_bits(emulator: Emulator) -> None:
    """ACPI enable and disable set and clear SCI_EN; GPE0 is bytes; SLP_EN never reads back."""
    test = Test(emulator, "-machine", "q35")
    test.run(*MAP_Q35)
    script = "outb 0xb2 2,inw 0x604,inb 0xb2,outb 0xb2 3,inw 0x604,outw 0x604 0xffff,inw 0x604"
    assert test.run(*script.split(",")) == [
        "OK",
        "OK 0x0001",
        "OK 0x0002",
        "OK",
        "OK 0x0000",
        "OK",
        "OK 0xdfff",
    ]
    script = "inl 0x620,outl 0x628 0x01020304,inl 0x628,inb 0x629,inl 0x610,inl 0x680"
    assert test.run(*script.split(",")) == [
        "OK 0x0000",
        "OK",
        "OK 0x1020304",
        "OK 0x0003",
        "OK 0xffffffff",
        "OK 0xffffffff",
    ]


@pytest.mark.parametrize("reset", ["outb 0xcf9 0x06", "outb 0x64 0xfe"])
def test_a_reset_port_resets_and_forgets(emulator: Emulator, reset: str) -> None:
    """0xCF9 and the keyboard controller reset: RESET guest-reset, and the PM base is unprogrammed again."""
    test = Test(emulator, "-machine", "q35")
    client = emulator.client()
    test.run(*MAP_Q35, "outw 0x602 0x100")
    assert test.ask(reset) == "OK"
    assert client.story("RESET guest-reset") == ["RESET guest-reset"]
    assert test.run("inw 0x600", "inb 0xcf9", "outl 0xcf8 0x8000f840", "inl 0xcfc") == [
        "OK 0xffff",
        "OK 0x0000",
        "OK",
        "OK 0x0001",
    ]


@pytest.mark.parametrize(("machine", "device"), [("q35", 8), ("pc", 9)])
def test_the_clock_alarm_raises_irq_8_only(emulator: Emulator, machine: str, device: int) -> None:
    """An alarm raises IRQ 8 and leaves PM1_STS alone; reading register C lowers it; setting the clock is RTC_CHANGE."""
    test = Test(emulator, "-machine", machine)
    client = emulator.client()
    test.run(*(MAP_Q35 if machine == "q35" else MAP_PC), "irq_intercept_in ioapic")
    base = 0x600 if machine == "q35" else 0xB000
    test.run(f"outw {base:#x} 1", f"outw {base + 2:#x} 0x400")
    for register in (1, 3, 5):  # every second matches
        test.run(f"outb 0x70 {register}", "outb 0x71 0xff")
    test.run("outb 0x70 0x0b", "outb 0x71 0x22")
    assert test.line() == "IRQ raise 8"
    assert test.run(f"inw {base:#x}", "outb 0x70 0x0c", "inb 0x71") == [
        "OK 0x0000",
        "OK",
        "IRQ lower 8, OK 0x00b0",
    ]
    test.run("outb 0x70 0x0b", "outb 0x71 0x02", "outb 0x70 0x32", "outb 0x71 0x21")
    message = client.read()
    assert message["event"] == "RTC_CHANGE"
    assert message["data"]["qom-path"] == f"/machine/unattached/device[{device}]"
    century_s = 36_524 * 86_400
    wrapped_s = century_s - 2**32  # QEMU 7.2 keeps the offset in 32 bits
    assert abs(message["data"]["offset"] - wrapped_s) <= 2 * 86_400


def test_a_burst_of_clock_changes_is_two_events(emulator: Emulator) -> None:
    """Of ten changes at once the first is told at once and the last a second later, with the time of its raising."""
    test = Test(emulator, "-machine", "q35")
    client = emulator.client()
    test.run("outb 0x70 9", *(f"outb 0x71 {year:#x}" for year in range(0x30, 0x3A)))
    first, last = client.read(), client.read()
    assert [first["event"], last["event"]] == ["RTC_CHANGE"] * 2
    years = (last["data"]["offset"] - first["data"]["offset"]) / (365.25 * 86_400)
    assert round(years, 2) == 9.0
    raised, kept = (m["timestamp"]["seconds"] * 10**6 + m["timestamp"]["microseconds"] for m in (first, last))
    assert 0 <= kept - raised < 900_000
    assert client.ask("query-status")["return"]["status"] == "prelaunch"


def test_requests_that_are_refused(emulator: Emulator) -> None:
    """Unknown commands and devices, clock steps without -accel qtest, data without digits."""
    test = Test(emulator, "-machine", "q35")
    script = "bogus,clock_step 1000,inq 0x600,irq_intercept_in nosuch,irq_intercept_out ioapic,irq_intercept_in ioapic"
    assert test.run(*script.split(",")) == [
        "FAIL Unknown command 'bogus'",
        "FAIL Unknown command 'clock_step'",
        "FAIL Unknown command 'inq'",
        "FAIL Unknown device",
        "OK",
        "OK",
    ]
    assert test.run("write 0 1 zz", "module_load a b", "endianness\r", " ") == [
        "ERR invalid argument size",
        "FAIL",
        "FAIL Unknown command 'endianness\r'",
        "FAIL Unknown command ''",
    ]


def test_memory(emulator: Emulator) -> None:
    """What is written at an address reads back in every form; beyond memory reads are zero."""
    test = Test(emulator, "-machine", "q35")
    script = "writel 0x1000 0x12345678,readw 0x1000,readq 0x1000,read 0x1000 5,b64read 0x1000 4,b64write 0xfff 3 AQID"
    assert test.run(*script.split(",")) == [
        "OK",
        "OK 0x0000000000005678",
        "OK 0x0000000012345678",
        "OK 0x7856341200",
        "OK eFY0Eg==",
        "OK",
    ]
    script = "read 0xfff 4,write 0x1000 4 0x0102,read 0x1000 4,memset 0x1000 2 0xff,readl 0x1000,readl 0xfffffffff000"
    assert test.run(*script.split(",")) == [
        "OK 0x01020334",
        "OK",
        "OK 0x01020000",
        "OK",
        "OK 0x000000000000ffff",
        "OK 0x0000000000000000",
    ]


PANICS = {
    "": ("poweroff", ["STOP", "SHUTDOWN guest-panic", "EOF"], 0),
    "panic=exit-failure": ("poweroff", ["STOP", "SHUTDOWN guest-panic", "EOF"], 1),
    "panic=pause": ("pause", ["STOP"], "guest-panicked"),
    "shutdown=pause": ("pause", ["STOP"], "guest-panicked"),
    "panic=exit-failure,shutdown=pause": ("poweroff", ["STOP", "SHUTDOWN guest-panic"], "guest-panicked"),
    "panic=none": ("run", [], "running"),
}


@pytest.mark.parametrize("action", PANICS)
def test_a_panic_through_pvpanic(emulator: Emulator, action: str) -> None:
    """Writing 1 to 0x505 on a running machine: events, run state and exit status for each -action."""
    words = ["-action", action] if action else []
    test = Test(emulator, "-machine", "q35", "-device", "pvpanic", *words)
    client = emulator.client()
    assert test.run("inb 0x505", "outb 0x505 2") == ["OK 0x0003", "OK"]
    assert client.read()["event"] == "GUEST_CRASHLOADED"
    client.put("cont")
    assert client.story("return") == ["RESUME", "return"]
    expected, events, end = PANICS[action]
    test.ask("outb 0x505 1")
    panicked = client.read()
    assert (panicked["event"], panicked["data"]) == ("GUEST_PANICKED", {"action": expected})
    if events:
        assert client.story(events[-1]) == events
    if isinstance(end, int):
        assert emulator.finish()[0] == end
    else:
        assert client.ask("query-status")["return"]["status"] == end


def test_the_log_holds_requests_and_answers(emulator: Emulator, tmp_path: Path) -> None:
    """-qtest-log FILE: [I] for connections, [R] for requests, [S] for answers."""
    log = tmp_path / "qtest.log"
    test = Test(emulator, "-machine", "none", log=str(log))
    assert test.ask("inb 0x600") == "OK 0x00ff"
    emulator.client().put("quit")
    assert emulator.finish()[0] == 0
    lines = [(line.split(" ", 1)[0], line.split("] ")[1]) for line in log.read_text().splitlines()]
    assert lines[:3] == [("[I", "OPENED"), ("[R", "inb 0x600"), ("[S", "OK 0x00ff")]


def test_without_a_server_the_start_fails(emulator: Emulator, tmp_path: Path) -> None:
    """-qtest connects out: where nobody listens, the emulator says so and leaves with 1."""
    emulator.start("-machine", "none", "-qtest", f"unix:{tmp_path}/nobody")
    status, stderr = emulator.finish()
    assert status == 1
    assert f"Failed to connect to '{tmp_path}/nobody': No such file or directory" in stderr


def test_ours_outlives_what_aborts_the_real_one(ours: Emulator) -> None:
    """A missing or unreadable number is answered with FAIL, and the next request is served."""
    test = Test(ours, "-machine", "q35")
    for request in (
        "inb",
        "inb zz",
        "outb 5",
        "inb 0x10000",
        "",
        "read 0 0",
        "irq_intercept_in",
        "write 0 x 0x00",
    ):
        assert test.ask(request).startswith("FAIL")
    assert test.ask("endianness") == "OK little"


def test_a_socket_is_not_left_open(ours: Emulator) -> None:
    """When the emulator ends, the test's socket sees end of file."""
    test = Test(ours, "-machine", "q35")
    ours.client().put("quit")
    assert ours.finish()[0] == 0
    with pytest.raises((AssertionError, socket.timeout)):
        test.line()
