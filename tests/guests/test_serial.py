"""The first serial line: firmware text, the Special Administration Console, and command prompts behind it."""

from __future__ import annotations

from tests.driven import Driven

SERVER, CLIENT = "windows-server-2022-cloud", "windows-10-cloud"
LINE = "-machine q35 -chardev null,id=com -device isa-serial,chardev=com"


class Line:
    """The other end of a machine's serial line."""

    def __init__(self, guest: str = SERVER, settings: str = "", *, boot_s: float = 30) -> None:
        self.driven = Driven(LINE, QMPEMU_GUEST=guest, QMPEMU_SET=settings)
        self._said = b""
        self.chardev = self.driven.vm.machine.chardevs["com"]
        self.chardev.write = self._hear
        self.driven.run(boot_s)

    def _hear(self, data: bytes) -> None:
        self._said += data

    def heard(self) -> str:
        """What was said since the last time."""
        said, self._said = self._said.decode(), b""
        return said.replace("\r\n", "\n")

    def say(self, line: str, seconds: float = 1) -> str:
        """Type a line; what is said then, without the echo."""
        self.heard()
        self.raw(line.encode() + b"\r", seconds)
        return self.heard().partition("\n")[2]

    def raw(self, data: bytes, seconds: float = 1) -> None:
        self.chardev.receive(data)
        self.driven.run(seconds)


def test_a_boot_of_a_server_ends_at_the_sac_prompt() -> None:
    """Firmware, then the SAC with the kernel, then word that command prompts can be had."""
    line = Line(boot_s=2)
    assert line.heard() == "qmpemu firmware\nPower-on self test\n"
    line.driven.run(40)
    heard = line.heard()
    assert heard.index("SAC started") < heard.index("SAC>") < heard.index("CMD command is now available")
    assert heard.endswith("SAC>")


def test_clients_and_servers_without_ems_show_the_firmware_only() -> None:
    """SAC is a part of servers, and a setting."""
    for guest, settings in ((CLIENT, ""), ("windows-server-2022", ""), (SERVER, "EMS=0")):
        line = Line(guest, settings)
        assert line.heard() == "qmpemu firmware\nPower-on self test\nBoot from hard disk\n"
        assert line.say("?") == ""


def test_help_lists_the_commands() -> None:
    """`?` names each command; others are unknown."""
    line = Line()
    shown = line.say("?")
    assert [
        row.split()[0] for row in shown.splitlines()[:-1]
    ] == "? ch cmd crashdump d id restart s shutdown t".split()
    assert line.say("format c:") == "Unknown command. Use the ? command for help.\nSAC>"
    assert line.say("") == "SAC>"


def test_shutdown_goes_through_the_one_door() -> None:
    """SAC's shutdown is forced: the program that would refuse is not asked."""
    line = Line(settings="AutoAdminLogon=1,AutoEndTasks=0")
    line.driven.say("__org.qmpemu_veto_app", value="game.exe")
    assert line.say("shutdown") == "SAC>"
    assert line.driven.last("ShutdownRequested").data() == {
        "door": "SAC",
        "goal": "power off",
        "forced": True,
    }
    assert [fact.name for fact in line.driven.last("ShutdownRequested").causes()] == ["SacCommanded"]
    assert line.say("restart").startswith("A system shutdown is in progress.(1115)")
    line.driven.run(60)
    assert "MachineShutDown" in line.driven.facts()


def test_restart_boots_again() -> None:
    """The line has the firmware's text a second time."""
    line = Line()
    line.say("restart")
    line.driven.run(60)
    assert "Power-on self test" in line.heard()
    assert line.driven.facts().count("BootCompleted") == 2


def test_crashdump_is_a_bugcheck() -> None:
    """The stop code goes over the line, and no prompt comes any more."""
    line = Line(settings="AutoReboot=0")
    assert line.say("crashdump") == "\n*** Stop code: 0x000000E2 MANUALLY_INITIATED_CRASH\n"
    assert line.say("?") == ""


def test_a_command_prompt_in_a_channel() -> None:
    """cmd makes a channel, which asks for a user before it takes commands; its shutdown is shutdown.exe's."""
    line = Line()
    assert "Cmd0001" in line.say("cmd")
    assert line.say("ch") == "Channel  Name\n0        SAC\n1        Cmd0001\nSAC>"
    assert line.say("ch -si 1").endswith("Username: ")
    assert line.say("Administrator") == "Domain: "
    assert line.say("") == "Password: "
    line.heard()
    line.raw(b"secret\r")
    assert "secret" not in line.heard(), "a password is not echoed"
    assert line.say("whoami") == "Administrator\nC:\\Windows\\system32>"
    assert line.say("nonsense /x").startswith("'nonsense' is not recognized")
    assert line.say("shutdown /s /t 600") == "C:\\Windows\\system32>"
    assert "already been scheduled" in line.say("shutdown /s /t 10")
    assert line.say("shutdown /a") == "C:\\Windows\\system32>"
    line.raw(b"\x1b\t")
    assert line.heard().endswith("SAC>")
    assert line.say("ch -sn Cmd0001").endswith("C:\\Windows\\system32>")
    assert line.say("exit").endswith("SAC>")
    assert line.say("ch") == "Channel  Name\n0        SAC\nSAC>"


def test_what_the_computer_tells_of_itself() -> None:
    """id, s, d and t show name, time, log and programs."""
    line = Line()
    assert "Computer Name: WIN-QMPEMU" in line.say("id")
    assert line.say("s") == "Thursday, January 1, 0:00\nSAC>"
    assert "EventLog 6005" in line.say("d")
    assert "Spooler (service)" in line.say("t")


def test_a_line_and_what_waits_are_bounded() -> None:
    """A line holds 80 characters, Backspace takes one back, and a paused machine keeps 4096 bytes."""
    line = Line()
    line.heard()
    line.raw(b"x" * 500)
    assert line.heard() == "x" * 80
    line.raw(b"\x7f" * 200)
    assert line.say("s").startswith("Thursday")
    line.driven.say("stop")
    for _ in range(100):
        line.chardev.receive(b"\r" * 1000)
    assert line.heard() == ""
    line.driven.say("cont")
    line.driven.run(1)
    assert line.heard().count("SAC>") == 4096


def test_channels_are_bounded() -> None:
    """No more than ten channels, and each can be closed."""
    line = Line()
    for _ in range(20):
        line.say("cmd")
    assert line.say("ch").count("Cmd") == 9
    assert "too many" in line.say("cmd")
    assert line.say("ch -ci 3") == "The channel was closed.\nSAC>"
    assert "Cmd0003" not in line.say("ch")
    assert line.say("ch -ci 0") == "This channel cannot be closed.\nSAC>"
    assert line.say("ch -si 99") == "There is no such channel.\nSAC>"
