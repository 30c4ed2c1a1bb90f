"""Every setting of the simulated Windows, under Windows' own name, with range, meaning and the grade of its source.

Names in lower case are no Windows settings: they are durations and assumptions of the model. Grades are those of
the fact file: A primary source, B secondary, C inferred, U not sourced (which is why it is a setting). The defaults
are those of a stock server; `presets` lists what differs elsewhere.
"""

from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from qmpemu.guests.registry import GuestError, nearest

HOUR_MS = 3_600_000


def _choice(meaning: str, grade: str, values: dict[int, str]) -> Meta:
    return Meta(ge=min(values), le=max(values), description=meaning, extra={"grade": grade, "values": values})


def _switch(meaning: str, grade: str) -> Meta:
    return _choice(meaning, grade, {0: "off", 1: "on"})


def _count(meaning: str, grade: str, most: int, least: int = 0) -> Meta:
    return Meta(ge=least, le=most, description=meaning, extra={"grade": grade})


def _text(meaning: str, grade: str, pattern: str | None = None, valid: str = "any text") -> Meta:
    return Meta(pattern=pattern, description=meaning, extra={"grade": grade, "valid": valid})


COMMAND = r"^(\*|guest-[a-z-]+)?$"
"""Empty, all, or the name of a guest agent command."""

BUTTON_ACTIONS = {0: "do nothing", 1: "sleep", 2: "hibernate", 3: "shut down", 4: "turn off the display"}
"""PBUTTONACTION's index values (facts: windows-acpi 5)."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"QEMU_GA": "QEMU-GA"}):
    """The settings of one installed Windows. Times end in the unit Windows uses for them: ms unless said."""

    # --- power button and display
    PBUTTONACTION: Annotated[
        int,
        _choice(
            "What the power button does (SUB_BUTTONS, 7648efa3-...). Values A; the default of an edition is not "
            "documented and dumps disagree (3, 1 and unset were seen)",
            "B",
            BUTTON_ACTIONS,
        ),
    ] = 3
    SHUTDOWN: Annotated[
        int,
        _switch(
            "Forced button shutdown (powercfg alias SHUTDOWN, 833a6b62-...): applications cannot refuse", "B"
        ),
    ] = 0
    ShutdownWithoutLogon: Annotated[
        int,
        _switch(
            "Whether a shutdown is allowed while nobody is logged on. Default 1 on clients, 0 on servers (A); that a "
            "power button press is then discarded is said by a cloud vendor only (C3 of the mission)",
            "A",
        ),
    ] = 0
    VIDEOIDLE: Annotated[
        int,
        _count(
            "Seconds without input until the display turns off, 0 never; a press then only lights it. On by default "
            "on servers (B), the number is commonly quoted only",
            "U",
            86_400,
        ),
    ] = 600

    VIDEOCONLOCK: Annotated[
        int,
        _count(
            "The same while the console is locked, in seconds (8EC4B3A5-...): 60, which Microsoft calls by design",
            "A",
            86_400,
        ),
    ] = 60

    # --- applications
    HungAppTimeout: Annotated[
        int, _count("How long an application may take to answer WM_QUERYENDSESSION, in ms", "A", HOUR_MS)
    ] = 5000
    WaitToKillAppTimeout: Annotated[
        int,
        _count(
            "How long an application may take to end after WM_ENDSESSION, in ms. Sources conflict: 5000 and 20000",
            "A",
            HOUR_MS,
        ),
    ] = 5000
    AutoEndTasks: Annotated[
        int, _switch("End applications that hang or refuse, without asking. Meaning A, default 0 B", "B")
    ] = 0

    # --- services
    WaitToKillServiceTimeout: Annotated[
        int,
        _count(
            "How long services may take to stop after SERVICE_CONTROL_SHUTDOWN, in ms. Microsoft's text says about "
            "20000 (A), newer systems show 5000 (B)",
            "B",
            HOUR_MS,
        ),
    ] = 5000
    PreshutdownOrder: Annotated[
        str,
        _text(
            "Services that get SERVICE_CONTROL_PRESHUTDOWN one after the other, in this order, separated by `;` "
            "(a REG_MULTI_SZ; existence A, this content recalled)",
            "U",
            r"^[^;]*(;[^;]+)*$",
            "service names separated by ';'",
        ),
    ] = "DeviceInstall;UsoSvc;gpsvc;TrustedInstaller"
    preshutdown_timeout_ms: Annotated[
        int,
        _count(
            "The preshutdown time-out of a service that sets none: 10000 from build 15063 on, before 180000",
            "A",
            HOUR_MS,
        ),
    ] = 10_000

    # --- log-on
    AutoAdminLogon: Annotated[
        int,
        _switch(
            "Log DefaultUserName on at the end of the boot (Winlogon). Off in Windows; a client preset's "
            "assumption that somebody works there turns it on",
            "U",
        ),
    ] = 0
    DefaultUserName: Annotated[
        str, _text("The user that AutoAdminLogon logs on", "U", r"^.{1,20}$", "1 to 20 characters")
    ] = "Administrator"
    ComputerName: Annotated[
        str,
        _text(
            "The NetBIOS name of the computer", "U", r"^[A-Za-z0-9-]{1,15}$", "1 to 15 letters, digits or '-'"
        ),
    ] = "WIN-QMPEMU"

    # --- crash
    AutoReboot: Annotated[
        int,
        _switch("Restart after a bugcheck (CrashControl). Its default could not be read at the source", "U"),
    ] = 1
    crash_dump_ms: Annotated[int, _count("How long writing the memory dump takes", "U", HOUR_MS)] = 10_000

    power_irp_watchdog_ms: Annotated[
        int,
        _count(
            "How long a driver may keep the power IRP that switches the machine off; then bugcheck 0x9F. Microsoft "
            "says usually 10 minutes",
            "B",
            HOUR_MS,
            1,
        ),
    ] = 600_000

    # --- updates and recovery
    BlockTimeIncrement: Annotated[
        int,
        _count(
            "Seconds without progress after which TrustedInstaller gives an update up at shutdown, 0 never: 15 minutes "
            "by default",
            "A",
            86_400,
        ),
    ] = 900
    pending_update: Annotated[
        Literal["none", "quick", "slow", "stuck"],
        Meta(
            description="An update that waits for the first shutdown of this installation; a stuck one makes no "
            "progress from 35 % on",
            extra={"grade": "U"},
        ),
    ] = "none"
    ShutdownReasonOn: Annotated[
        int,
        _choice(
            "The Shutdown Event Tracker (policy Reliability): by default on servers only (A). That it asks at a press "
            "of the power button after a service or driver failed is said by a cloud vendor (C2 of the mission)",
            "A",
            {0: "never", 1: "always", 2: "on servers", 3: "on workstations"},
        ),
    ] = 2
    HiberbootEnabled: Annotated[
        int,
        _switch(
            "Fast startup: a shutdown hibernates kernel and services. Clients on hardware have it on (recalled); off "
            "here, as in a machine without hiberfil.sys. Restart, guest agent and shutdown APIs never use it (A), nor "
            "does a shutdown with an update to install",
            "U",
        ),
    ] = 0

    # --- hot plug
    device_removal: Annotated[
        Literal["accept", "refuse", "ignore"],
        Meta(
            description="What Windows does when the host asks for a device (PCI, processor, memory) back: lets it go, "
            "says no, or never answers. That it gives processors back at all is more than a real one does",
            extra={"grade": "U"},
        ),
    ] = "accept"

    watchdog_s: Annotated[
        int,
        _count(
            "Seconds after which an i6300esb watchdog expires unless its driver feeds it, 0 no driver: Windows has "
            "none of its own",
            "U",
            3600,
        ),
    ] = 0

    # --- serial console
    EMS: Annotated[
        int,
        _switch(
            "Emergency Management Services (bcdedit /ems): a server's SAC prompt on the first serial line. Off in an "
            "installation (recalled); clouds turn it on in their images",
            "U",
        ),
    ] = 0

    # --- guest agent
    QEMU_GA: Annotated[
        Literal["running", "hung", "stopped", "absent"],
        Meta(
            description="The QEMU guest agent service: absent in a stock Windows, it comes with virtio-win; a hung "
            "one holds its port open and does not answer",
            extra={"grade": "C"},
        ),
    ] = "absent"

    agent_start_ms: Annotated[
        int, _count("From the start of the guest agent's service to its open port", "U", HOUR_MS)
    ] = 0
    agent_answer_ms: Annotated[
        int, _count("From a request to the guest agent to its execution", "U", HOUR_MS)
    ] = 2
    agent_hangs_at: Annotated[
        str,
        _text(
            "The command at which the guest agent hangs for good, `*` for every one but guest-sync",
            "C",
            COMMAND,
            "empty, * or a command such as guest-shutdown",
        ),
    ] = ""
    agent_dies_at: Annotated[
        str,
        _text(
            "The command at which the guest agent's process ends and its port closes, `*` for every one but guest-sync",
            "C",
            COMMAND,
            "empty, * or a command such as guest-shutdown",
        ),
    ] = ""
    agent_restart_ms: Annotated[
        int,
        _count(
            "How soon Windows starts a guest agent again that has died, 0 never (recovery actions)",
            "U",
            HOUR_MS,
        ),
    ] = 0
    vss_freeze_ms: Annotated[
        int, _count("How long the writers take to prepare for a snapshot (VSS)", "U", 60_000)
    ] = 800

    # --- network and accounts
    DhcpIPAddress: Annotated[
        str,
        _text(
            "The IPv4 address, with prefix length, that DHCP gives to each adapter in turn, separated by `;`. Without "
            "one: 10.0.2.15/24 on QEMU's user network, else an address of 169.254.0.0/16",
            "U",
            r"^((\d{1,3}\.){3}\d{1,3}/\d{1,2})?(;((\d{1,3}\.){3}\d{1,3}/\d{1,2})?)*$",
            "addresses such as 192.168.122.45/24, separated by ';'",
        ),
    ] = ""
    PasswordComplexity: Annotated[
        int,
        _switch(
            "Whether a new password needs three kinds of characters, six of them, and not the user's name",
            "B",
        ),
    ] = 1

    # --- durations of the model
    boot_firmware_ms: Annotated[int, _count("Power-on self test", "U", HOUR_MS)] = 3_000
    boot_loader_ms: Annotated[int, _count("Boot manager and loader", "U", HOUR_MS)] = 1_500
    boot_kernel_ms: Annotated[
        int, _count("Early kernel, until OSPM takes over the power button", "U", HOUR_MS)
    ] = 4_000
    boot_services_ms: Annotated[int, _count("Service start, until the log-on screen", "U", HOUR_MS)] = 6_000
    logon_ms: Annotated[int, _count("From a log-on to the desktop", "U", HOUR_MS)] = 2_000
    boot_jitter_percent: Annotated[
        int, _count("How far each boot duration may vary, drawn from the machine's seed", "U", 90)
    ] = 0
    wake_firmware_ms: Annotated[int, _count("From wake-up to OSPM, on return from S3", "U", HOUR_MS)] = 500
    hibernate_ms: Annotated[int, _count("Writing hiberfil.sys", "U", HOUR_MS)] = 5_000
    update_quick_ms: Annotated[int, _count("Installing a quick update at shutdown", "U", HOUR_MS)] = 60_000
    update_slow_ms: Annotated[int, _count("Installing a slow update at shutdown", "U", 4 * HOUR_MS)] = (
        2_700_000
    )
    update_configure_ms: Annotated[
        int, _count("Finishing an installed update at the next start", "U", HOUR_MS)
    ] = 30_000
    update_undo_ms: Annotated[
        int, _count("Undoing a broken-off update at the next start", "U", 4 * HOUR_MS)
    ] = 300_000
    chkdsk_ms: Annotated[int, _count("Checking a dirty volume at the start", "U", HOUR_MS)] = 20_000
    startup_repair_ms: Annotated[int, _count("Startup Repair after two failed starts", "U", HOUR_MS)] = (
        120_000
    )
    wake_timer_s: Annotated[
        int, _count("Seconds after which a wake timer (the clock's alarm) ends S3, 0 none", "U", 86_400)
    ] = 0
    resume_ms: Annotated[int, _count("Reading hiberfil.sys back", "U", HOUR_MS)] = 4_000
    volume_flush_ms: Annotated[int, _count("Writing a volume's buffers out at shutdown", "U", HOUR_MS)] = 300


def names() -> list[str]:
    """Every setting, under the name users give."""
    return list(Settings.__struct_encode_fields__)


def meta(name: str) -> tuple[Any, Meta]:
    """The type and the description of a setting by its name. Raises KeyError."""
    fields = dict(zip(Settings.__struct_encode_fields__, Settings.__struct_fields__, strict=True))
    kind, *metadata = get_args(get_type_hints(Settings, include_extras=True)[fields[name]])
    return kind, metadata[0]


def valid(name: str) -> str:
    """What a setting can be, as the end of a sentence."""
    kind, about = meta(name)
    extra = about.extra or {}
    if "values" in extra:
        return ", ".join(f"{value} ({text})" for value, text in extra["values"].items())
    if kind is int:
        return f"a whole number from {about.ge} to {about.le}"
    return str(extra.get("valid")) if kind is str else ", ".join(get_args(kind))


def build(guest: str, preset: dict[str, object], given: dict[str, str]) -> Settings:
    """Settings from a preset's differences and a user's texts. Raises GuestError."""
    known = names()
    for name in given:
        if name not in known:
            raise GuestError(f"setting '{name}' of guest '{guest}' does not exist: {nearest(name, known)}")
    try:
        return msgspec.convert({**preset, **given}, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        raise GuestError(
            f"setting {name} of guest '{guest}' cannot be '{given.get(name)}': valid is {valid(name)}"
        ) from None
