"""The guest agent through an unmodified libvirt: what virsh shows is the guest's own truth, what it asks is done."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from tests.libvirt.agent import CONNECTED, DISCONNECTED, FAST, ask, booted, info, operate
from tests.libvirt.libvirtd import Libvirtd, until

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeDomain = Callable[..., str]

pytestmark = [pytest.mark.xdist_group("libvirt"), pytest.mark.timeout(180)]

# --- what it tells --------------------------------------------------------------------------------------------


def test_guestinfo(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Every group of guestinfo is filled, and disks are found to be those of the domain."""
    shown = info(libvirtd.ok("guestinfo", start()))
    assert shown["os.id"] == "mswindows" and shown["os.version-id"] == "2022"
    assert (shown["timezone.offset"], shown["hostname"], shown["user.count"]) == ("0", "WIN-QMPEMU", "0")
    assert (shown["fs.count"], shown["fs.1.mountpoint"], shown["fs.1.fstype"]) == ("2", "C:\\", "NTFS")
    assert shown["fs.1.disk.0.alias"] == "vda" == shown["disk.0.alias"]
    assert shown["if.0.hwaddr"] == "52:54:00:12:34:56" and shown["if.0.addr.1.addr"] == "10.0.2.15"


def test_users(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Whoever logs on at the console is seen."""
    name = start()
    operate(libvirtd, name, "log_on", "Ada")
    until(lambda: info(libvirtd.ok("guestinfo", name, "--user"))["user.count"] == "1", "Ada is logged on")
    assert info(libvirtd.ok("guestinfo", name, "--user"))["user.0.name"] == "Ada"


def test_names_addresses_processors(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """domhostname, domifaddr, domfsinfo, guestvcpus and domdisplay."""
    name = start("ComputerName=HOST-7")
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "HOST-7"
    addresses = libvirtd.ok("domifaddr", name, "--source", "agent", "--full")
    assert "52:54:00:12:34:56    ipv4         10.0.2.15/24" in addresses and "127.0.0.1/8" in addresses
    rows = [line.split() for line in libvirtd.ok("domfsinfo", name).splitlines()]
    assert [(row[-2], row[-1]) for row in rows] == [("NTFS", "vda"), ("NTFS", "vda")]
    assert info(libvirtd.ok("guestvcpus", name)) == {"vcpus": "0-1", "online": "0-1", "offlinable": ""}
    refused = libvirtd.virsh("guestvcpus", name, "--disable", "--cpulist", "1")
    assert "vCPU '1' is not offlinable" in refused.stderr
    assert libvirtd.ok("domdisplay", name).startswith("vnc://127.0.0.1:")


def test_time(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """domtime shows and sets the guest's clock; the battery-backed one follows, as an event tells."""
    name = start(
        QMPEMU_SPEED="1x",
        QMPEMU_SET="boot_firmware_ms=0,boot_loader_ms=0,boot_kernel_ms=0,boot_services_ms=0",
    )
    assert abs(_time(libvirtd, name) - time.time()) < 10
    libvirtd.ok("domtime", name, "--time", "1700000000")
    assert 0 <= _time(libvirtd, name) - 1_700_000_000 < 10
    until(lambda: any("rtc-change" in event for event in libvirtd.events(name)), "event rtc-change")
    libvirtd.ok("domtime", name, "--now")
    assert abs(_time(libvirtd, name) - time.time()) < 10
    libvirtd.ok("domtime", name, "--time", "1700000000")
    libvirtd.ok("domtime", name, "--sync")
    assert abs(_time(libvirtd, name) - time.time()) < 10


def _time(libvirtd: Libvirtd, name: str) -> int:
    return int(libvirtd.ok("domtime", name).removeprefix("Time: "))


def test_programs_and_files(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """guest-exec and guest-file-* by qemu-agent-command."""
    name = start()
    handle = ask(libvirtd, name, "guest-file-open", path="C:\\Temp\\a.txt", mode="w")
    ask(libvirtd, name, "guest-file-write", handle=handle, buf_b64="aGVsbG8=")
    ask(libvirtd, name, "guest-file-close", handle=handle)
    arguments = ["/c", "type", "C:\\Temp\\a.txt"]
    pid = ask(libvirtd, name, "guest-exec", path="cmd.exe", arg=arguments, capture_output=True)["pid"]
    status: dict[str, Any] = {}

    def ended() -> bool:
        status.update(ask(libvirtd, name, "guest-exec-status", pid=pid))
        return bool(status["exited"])

    until(ended, "cmd.exe has ended")
    assert (status["exitcode"], b64decode(status["out-data"])) == (0, b"hello")


# --- what it does ---------------------------------------------------------------------------------------------


def test_freeze_and_thaw(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """domfsfreeze and domfsthaw; in between everything but the thaw is refused in the agent's words."""
    name = start(QMPEMU_SPEED="10x", QMPEMU_SET="vss_freeze_ms=0")
    libvirtd.ok("domfsfreeze", name)
    refused = libvirtd.virsh("domfstrim", name)
    assert "Command guest-fstrim has been disabled: the agent is in frozen state" in refused.stderr
    libvirtd.virsh("domfsthaw", name)
    libvirtd.ok("domfstrim", name)


def test_thaw_that_comes_too_late(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """Windows holds writes for 10 s; virsh shows the agent's text, and the next freeze works."""
    name = start(QMPEMU_SPEED="600x")
    libvirtd.ok("domfsfreeze", name)

    def too_late() -> bool:
        done = libvirtd.virsh("domfsthaw", name)
        if done.returncode == 0:
            libvirtd.ok("domfsfreeze", name)
        return "couldn't hold writes: fsfreeze is limited up to 10 seconds" in done.stderr

    until(too_late, "the thaw comes too late")
    libvirtd.ok("domfsfreeze", name)


def test_passwords(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """set-user-password, and Windows' refusals."""
    name = start()
    libvirtd.ok("set-user-password", name, "Administrator", "Passw0rd!")
    for user, password, text in (
        ("nobody", "Passw0rd!", "The user name could not be found."),
        ("Administrator", "abc", "The password does not meet the password policy requirements."),
    ):
        assert text in libvirtd.virsh("set-user-password", name, user, password).stderr


def test_suspend_and_wake_up(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """dompmsuspend mem sleeps, dompmwakeup wakes, and the agent is connected anew after the port's reset."""
    name = start()
    libvirtd.ok("dompmsuspend", name, "mem")
    libvirtd.wait_for_state(name, "pmsuspended (unknown)")
    libvirtd.ok("dompmwakeup", name)
    libvirtd.wait_for_state(name, "running (event wakeup)")
    until(lambda: libvirtd.events(name).count(CONNECTED) == 2, "the agent is connected again")
    assert DISCONNECTED in libvirtd.events(name)
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"


def test_hibernation(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """dompmsuspend disk ends the domain; the next start resumes, with the user still logged on."""
    name = start(s4=True)
    operate(libvirtd, name, "log_on", "Ada")
    until(lambda: info(libvirtd.ok("guestinfo", name, "--user"))["user.count"] == "1", "Ada is logged on")
    libvirtd.ok("dompmsuspend", name, "disk")
    until(lambda: libvirtd.domain_state(name).startswith("shut off"), "the domain is off")
    assert any("pm-suspend-disk" in event for event in libvirtd.events(name))
    libvirtd.ok("start", name)
    until(lambda: libvirtd.events(name).count(CONNECTED) == 2, "the agent is connected again")
    assert info(libvirtd.ok("guestinfo", name, "--user"))["user.0.name"] == "Ada"


def test_a_domain_without_s4(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """libvirt itself refuses dompmsuspend disk; the agent says that its firmware has no such state."""
    name = start()
    assert "S4 state is disabled for this domain" in libvirtd.virsh("dompmsuspend", name, "disk").stderr
    refused = libvirtd.virsh("qemu-agent-command", name, '{"execute": "guest-suspend-disk"}')
    assert "suspend-to-disk not supported by OS" in refused.stderr


@pytest.mark.parametrize("mode", [(), ("--mode", "agent")])
def test_shutdown(libvirtd: Libvirtd, start: Callable[..., str], mode: tuple[str, ...]) -> None:
    """With a working agent the default and the agent's way end through the agent: no button is pressed."""
    name = start("PBUTTONACTION=0")
    libvirtd.ok("shutdown", name, *mode)
    libvirtd.wait_for_state(name, "shut off (shutdown)")


@pytest.mark.parametrize("mode", [(), ("--mode", "agent")])
def test_reboot(libvirtd: Libvirtd, start: Callable[..., str], mode: tuple[str, ...]) -> None:
    """The guest resets itself; its agent goes and comes."""
    name = start("PBUTTONACTION=0")
    libvirtd.ok("reboot", name, *mode)
    until(lambda: libvirtd.events(name).count(CONNECTED) == 2, "the agent is back after the restart")
    events = [event for event in libvirtd.events(name) if event in ("reboot", CONNECTED, DISCONNECTED)]
    assert events[-1] == CONNECTED and "reboot" in events
    assert libvirtd.domain_state(name) == "running (booted)"


# --- what comes and goes --------------------------------------------------------------------------------------


CHANNEL = """\
<channel type='unix'>
  <source mode='bind'/>
  <target type='virtio' name='org.qemu.guest_agent.0'/>
</channel>
"""


def test_channel_that_is_plugged(libvirtd: Libvirtd, make_domain: MakeDomain) -> None:
    """A channel attached to a running domain is found by the agent in it; detached, nobody is connected any more."""
    name = make_domain(QMPEMU_SPEED=FAST)
    text = libvirtd.ok("dumpxml", name, "--inactive")
    head, _, rest = text.partition("<channel type='unix'>")
    domain, channel = libvirtd.root / f"{name}-bare.xml", libvirtd.root / f"{name}-channel.xml"
    domain.write_text(head + rest.partition("</channel>")[2])
    channel.write_text(CHANNEL)
    libvirtd.ok("define", str(domain))
    libvirtd.ok("start", name)
    booted(libvirtd, name)
    assert "QEMU guest agent is not configured" in libvirtd.virsh("domtime", name).stderr
    libvirtd.ok("attach-device", name, str(channel), "--live")
    until(lambda: CONNECTED in libvirtd.events(name), "the agent has found its port")
    assert libvirtd.ok("domhostname", name, "--source", "agent") == "WIN-QMPEMU"
    live = libvirtd.ok("dumpxml", name)
    begin, end = live.index("<channel type='unix'>"), live.index("</channel>") + len("</channel>")
    channel.write_text(live[begin:end])
    libvirtd.ok("detach-device", name, str(channel), "--live")
    assert "QEMU guest agent is not configured" in libvirtd.virsh("domtime", name).stderr


NIC = """\
<interface type='user'>
  <mac address='52:54:00:00:00:99'/>
  <model type='virtio'/>
</interface>
"""


def test_adapters_that_come_and_lose_their_link(libvirtd: Libvirtd, start: Callable[..., str]) -> None:
    """A hot-plugged adapter is one more connection; one whose link is down has no address."""
    name = start()
    file = libvirtd.root / f"{name}-nic.xml"
    file.write_text(NIC)
    libvirtd.ok("attach-device", name, str(file), "--live")
    shown = info(libvirtd.ok("guestinfo", name, "--interface"))
    assert (shown["if.1.name"], shown["if.1.hwaddr"]) == ("Ethernet 2", "52:54:00:00:00:99")
    libvirtd.ok("domif-setlink", name, "52:54:00:00:00:99", "down")
    assert info(libvirtd.ok("guestinfo", name, "--interface")).get("if.1.addr.count", "0") == "0"
    libvirtd.ok("domif-setlink", name, "52:54:00:00:00:99", "up")
    assert info(libvirtd.ok("guestinfo", name, "--interface"))["if.1.addr.1.addr"] == "10.0.2.15"
