"""Programs that tell of the machine: hostname, whoami, ipconfig, ping, tasklist, timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.guests.windows.programs.registry import Process, program

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.network import Connection

PING_DEFAULT, PING_MAX = 4, 1000


@program("hostname.exe")
def hostname(process: Process) -> int:
    """The computer's name."""
    process.say(process.windows.system.computer)
    return 0


@program("whoami.exe")
def whoami(process: Process) -> int:
    """The agent is a service, and so are its children."""
    process.say("nt authority\\system")
    return 0


@program("ipconfig.exe")
def ipconfig(process: Process) -> int:
    """Addresses of every connection; `/all` adds names and hardware addresses."""
    every = "/all" in [each.casefold() for each in process.arguments]
    process.say("", "Windows IP Configuration", "")
    if every:
        process.say(f"   Host Name . . . . . . . . . . . . : {process.windows.system.computer}", "")
    for connection in process.windows.network.connections():
        if connection.mac:
            _show(process, connection, every=every)
    return 0


def _show(process: Process, connection: Connection, *, every: bool) -> None:
    process.say("", f"Ethernet adapter {connection.name}:", "")
    if not connection.addresses:
        process.say("   Media State . . . . . . . . . . . : Media disconnected")
    process.say("   Connection-specific DNS Suffix  . : ")
    if every:
        process.say(f"   Physical Address. . . . . . . . . : {connection.mac.upper().replace(':', '-')}")
    for address, prefix in connection.addresses:
        if ":" in address:
            process.say(f"   Link-local IPv6 Address . . . . . : {address}")
        else:
            process.say(f"   IPv4 Address. . . . . . . . . . . : {address}")
            process.say(f"   Subnet Mask . . . . . . . . . . . : {_mask(prefix)}")


def _mask(prefix: int) -> str:
    bits = (0xFFFF_FFFF << (32 - prefix)) & 0xFFFF_FFFF
    return ".".join(str(bits >> shift & 0xFF) for shift in (24, 16, 8, 0))


@program("ping.exe")
def ping(process: Process) -> Steps[int]:
    """Own addresses answer, and where the network has any, its gateway; one packet a second."""
    count, target, words = PING_DEFAULT, "", list(process.arguments)
    while words:
        word = words.pop(0)
        if word.casefold() in ("-n", "/n") and words and words[0].isdecimal():
            count = min(int(words.pop(0)), PING_MAX)
        elif not word.startswith(("-", "/")):
            target = word
    if not target:
        process.say("", "Usage: ping [-n count] target_name")
        return 1
    connections = process.windows.network.connections()
    own = {c.ipv4 for c in connections} | {"localhost", process.windows.system.computer.casefold()}
    reachable = target.casefold() in own or (target == "10.0.2.2" and "10.0.2.15" in own)
    if not reachable and any(c.isalpha() for c in target):
        process.say(f"Ping request could not find host {target}. Please check the name and try again.")
        return 1
    process.say("", f"Pinging {target} with 32 bytes of data:")
    for number in range(count):
        if number:
            yield NS_PER_S
        process.say(f"Reply from {target}: bytes=32 time<1ms TTL=128" if reachable else "Request timed out.")
    lost = 0 if reachable else count
    share = 100 if lost else 0
    process.say("", f"Ping statistics for {target}:")
    process.say(f"    Packets: Sent = {count}, Received = {count - lost}, Lost = {lost} ({share}% loss),")
    return 1 if lost else 0


@program("timeout.exe")
def timeout(process: Process) -> int:
    """It wants a console, which a service's child has not."""
    process.complain("ERROR: Input redirection is not supported, exiting the process immediately.")
    return 1


@program("tasklist.exe")
def tasklist(process: Process) -> int:
    """Applications that run, each once."""
    process.say("", "Image Name", "=" * 25)
    for application in process.windows.sessions.applications():
        process.say(application.name)
    return 0
