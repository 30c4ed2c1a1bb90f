"""guests.agent: what it tells is what this machine and this Windows are."""

from __future__ import annotations

import pytest

from qmpemu.hardware import DiskDrive, Hardware, Nic, PciAddress
from tests.guests.rig import CLIENT, CLOUD_SERVER, Rig

GIB = 1 << 30
SYSTEM_DISK = DiskDrive("virtio", size_bytes=64 * GIB, serial="SYS", pci=PciAddress(0, 4, 0, 0))
DATA_DISK = DiskDrive("scsi", size_bytes=GIB, pci=PciAddress(0, 5, 0, 0), target=2, unit=1)


def booted(hardware: Hardware | None = None, name: str = CLOUD_SERVER, **settings: str) -> Rig:
    """A running guest with an agent."""
    return Rig(name, {"QEMU-GA": "running", **settings}, hardware=hardware).boot()


def test_disks_are_those_of_the_machine_now() -> None:
    """Disks have the machine's serials and addresses, and one that is added or removed is seen at the next question."""
    rig = booted(Hardware(disks=(SYSTEM_DISK,)))
    assert rig.ask_agent("guest-get-disks") == [
        {
            "name": "\\\\.\\PhysicalDrive0",
            "partition": False,
            "address": {
                "dev": "\\\\.\\PhysicalDrive0",
                "serial": "SYS",
                "bus-type": "scsi",
                "bus": 0,
                "target": 0,
                "unit": 0,
                "pci-controller": {"domain": 0, "bus": 4, "slot": 0, "function": 0},
            },
        }
    ]
    rig.hardware = Hardware(disks=(SYSTEM_DISK, DATA_DISK))
    first, second = rig.ask_agent("guest-get-disks")
    assert (first["name"], second["name"]) == ("\\\\.\\PhysicalDrive1", "\\\\.\\PhysicalDrive0")
    assert (first["address"]["target"], first["address"]["unit"]) == (2, 1)
    assert "serial" not in first["address"]


def test_volumes() -> None:
    """C: and the reserved volume are on the first disk; figures add up; an inserted medium is a volume too."""
    disc = DiskDrive("sata", optical=True, size_bytes=5 << 20)
    rig = booted(Hardware(disks=(SYSTEM_DISK, DATA_DISK, disc, DiskDrive("sata", optical=True))))
    media, system, reserved = rig.ask_agent("guest-get-fsinfo")
    assert (media["mountpoint"], media["type"], media["used-bytes"]) == ("D:\\", "UDF", 5 << 20)
    assert (system["mountpoint"], system["type"]) == ("C:\\", "NTFS")
    assert 0 < system["used-bytes"] < system["total-bytes"] < 64 * GIB
    assert [each["dev"] for each in system["disk"]] == ["\\\\.\\PhysicalDrive0"]
    assert (reserved["mountpoint"], reserved["type"]) == ("System Reserved", "NTFS")
    assert "total-bytes" not in reserved
    assert system["name"] != reserved["name"]
    assert rig.ask_agent("guest-get-fsinfo")[1]["name"] == system["name"]


def test_the_reserved_volume_of_uefi_firmware_is_fat() -> None:
    """Behind UEFI firmware the small volume is the EFI system partition."""
    rig = booted(Hardware(disks=(SYSTEM_DISK,), uefi=True))
    assert [each["type"] for each in rig.ask_agent("guest-get-fsinfo")] == ["NTFS", "FAT32"]


def test_written_files_take_room() -> None:
    """What is written on C: is part of its used bytes."""
    rig = booted(Hardware(disks=(SYSTEM_DISK,)))
    before = rig.ask_agent("guest-get-fsinfo")[0]["used-bytes"]
    handle = rig.ask_agent("guest-file-open", path="C:\\Temp\\a", mode="w")
    rig.ask_agent("guest-file-write", handle=handle, buf_b64="aGVsbG8=")
    rig.ask_agent("guest-file-close", handle=handle)
    assert rig.ask_agent("guest-get-fsinfo")[0]["used-bytes"] == before + 5


def test_interfaces() -> None:
    """One connection for each adapter with its MAC and address, and the loopback without a MAC."""
    nics = (
        Nic("virtio-net-pci", "52:54:00:12:34:56", "user"),
        Nic("e1000e", "52:54:00:00:00:02", "tap"),
        Nic("e1000e", "52:54:00:00:00:03", "tap"),
        Nic("e1000e", "52:54:00:00:00:04", "user", link_up=False),
    )
    rig = booted(Hardware(nics=nics), DhcpIPAddress=";192.168.122.7/24")
    shown = rig.ask_agent("guest-network-get-interfaces")
    assert [(each["name"], each.get("hardware-address")) for each in shown] == [
        ("Ethernet", "52:54:00:12:34:56"),
        ("Ethernet 2", "52:54:00:00:00:02"),
        ("Ethernet 3", "52:54:00:00:00:03"),
        ("Ethernet 4", "52:54:00:00:00:04"),
        ("Loopback Pseudo-Interface 1", None),
    ]
    ipv4 = [
        [
            (a["ip-address"], a["prefix"])
            for a in each.get("ip-addresses", [])
            if a["ip-address-type"] == "ipv4"
        ]
        for each in shown
    ]
    assert ipv4[:2] == [[("10.0.2.15", 24)], [("192.168.122.7", 24)]]
    assert ipv4[2][0][0].startswith("169.254.") and ipv4[2][0][1] == 16
    assert ipv4[3:] == [[], [("127.0.0.1", 8)]]


def test_processors_and_devices() -> None:
    """Processors are the machine's, none can go off line; devices are those with a virtio driver."""
    rig = booted(Hardware(processors=2, pci_ids=((0x1AF4, 0x1041), (0x1AF4, 0x1052))))
    assert rig.ask_agent("guest-get-vcpus") == [
        {"logical-id": 0, "online": True, "can-offline": False},
        {"logical-id": 1, "online": True, "can-offline": False},
    ]
    (device,) = rig.ask_agent("guest-get-devices")
    assert device["driver-name"] == "Red Hat VirtIO Ethernet Adapter"
    assert device["id"] == {"type": "pci", "vendor-id": 0x1AF4, "device-id": 0x1041}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (CLOUD_SERVER, ("Windows Server 2022 Datacenter", "Microsoft Windows Server 2022", "2022", "server")),
        (CLIENT, ("Windows 10 Pro", "Microsoft Windows 11", "11", "client")),
        (
            "windows-server-2016-cloud",
            ("Windows Server 2016 Datacenter", "Microsoft Windows Server 2016", "2016", "server"),
        ),
    ],
)
def test_os_info(name: str, expected: tuple[str, str, str, str]) -> None:
    """The edition in the agent's words; in its registry Windows 11 calls itself Windows 10."""
    info = booted(name=name).ask_agent("guest-get-osinfo")
    assert (info["pretty-name"], info["version"], info["version-id"], info["variant"]) == expected
    assert (info["id"], info["machine"], info["kernel-version"]) == ("mswindows", "x86_64", "10.0")


def test_users() -> None:
    """Those who are logged on, with the time since when."""
    rig = booted(name=CLIENT, ComputerName="DESK")
    (user,) = rig.ask_agent("guest-get-users")
    assert (user["user"], user["domain"]) == ("User", "DESK")
    assert user["login-time"] == rig.windows.sessions.sessions[0].since_ns / 1e9


def test_time_is_set_and_followed() -> None:
    """guest-set-time moves the clock to the millisecond: event log, replies and the next boot follow."""
    rig = booted()
    wanted = 1_900_000_000_123_456_789
    assert rig.ask_agent("guest-set-time", 0.002, time=wanted) == {}
    assert rig.ask_agent("guest-get-time", 0.002) - wanted // 1_000_000 * 1_000_000 == 2_000_000
    record = rig.windows.log.records[-1]
    assert (record.id, record.source) == (1, "Kernel-General")
    assert record.time_ns == wanted // 1_000_000 * 1_000_000
    assert rig.one("TimeSet").data()["by_ms"] > 0


def test_the_time_service() -> None:
    """Without a time, it is taken from the time service, which needs to run and a network."""
    online = Hardware(nics=(Nic("e1000e", "52:54:00:12:34:56", "user"),))
    rig = booted(online)
    rig.ask_agent("guest-set-time", time=0)
    assert rig.ask_agent("guest-get-time") < 10**11
    assert rig.ask_agent("guest-set-time") == {}
    assert rig.ask_agent("guest-get-time") > 10**18
    rig.windows.services.stop_one("w32time")
    assert rig.ask_agent("guest-set-time") == ["Windows Time service not running on the guest"]
    rig.windows.services.start_one("W32Time")
    rig.hardware = Hardware()
    assert rig.ask_agent("guest-set-time") == ["No internet connection on guest, sync not accurate"]


def test_a_time_before_1970() -> None:
    """It is refused, in the agent's spelling, and the clock goes on as it was."""
    rig = booted()
    assert rig.ask_agent("guest-set-time", time=-5) == ["Time -5is invalid"]
    assert rig.all("TimeSet") == []


@pytest.mark.parametrize(
    ("user", "password", "expected"),
    [
        ("administrator", "UGFzc3cwcmQh", {}),
        ("nobody", "UGFzc3cwcmQh", ["failed to set password: The user name could not be found."]),
        (
            "Administrator",
            "YWJj",
            [
                "failed to set password: The password does not meet the password policy requirements. Check the "
                "minimum password length, password complexity and password history requirements."
            ],
        ),
        ("Administrator", "!", ["Base64 data contains invalid characters"]),
        (
            "Administrator",
            "//8=",
            ["Guest agent command failed, error was 'Invalid byte sequence in conversion input'"],
        ),
    ],
)
def test_passwords(user: str, password: str, expected: object) -> None:
    """A known user's password is changed if the policy allows it; else Windows' text says why not."""
    rig = booted()
    answer = rig.ask_agent("guest-set-user-password", username=user, password=password, crypted=False)
    assert answer == expected
    assert [fact.data()["user"] for fact in rig.all("PasswordChanged")] == (
        ["Administrator"] if answer == {} else []
    )


def test_crypted_passwords() -> None:
    """Windows takes none."""
    answer = booted().ask_agent("guest-set-user-password", username="x", password="eA==", crypted=True)
    assert answer == ["this feature or command is not currently supported"]


def test_trim() -> None:
    """Fixed volumes with a letter are trimmed."""
    rig = booted(Hardware(disks=(SYSTEM_DISK, DiskDrive("sata", optical=True, size_bytes=9))))
    assert rig.ask_agent("guest-fstrim", minimum=0) == {"paths": [{"path": "C:\\"}]}
