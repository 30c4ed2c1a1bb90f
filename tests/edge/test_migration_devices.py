"""Machines that differ, devices during a migration, what goes along, on ours and the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import say
from two import SLOW, Two, answer, poll, story, switch

LACKING = (
    "Unknown savevm section or instance '{}' {}. Make sure that your current VM setup matches your saved VM setup, "
    "including any hotplugged devices"
)
BLOCK = 'Unknown ramblock "{}", cannot accept migration'
PORT = "pcie-root-port,id=p,chassis=1,addr=5"


def devices(*options: str) -> list[str]:
    return [word for each in options for word in ("-device", each)]


MORE = ["-m", "64M,maxmem=1G,slots=2"]


def pluggable(size_mib: int) -> list[str]:
    return ["-object", f"memory-backend-ram,id=m,size={size_mib}M"]


DIFFERENT = {
    "a processor": (["-smp", "2"], [], LACKING.format("cpu_common", 1)),
    "a card's ROM": (
        devices("e1000,addr=5"),
        devices("e1000,addr=6"),
        BLOCK.format("0000:00:05.0/e1000.rom"),
    ),
    "a screen": (devices("VGA,addr=6"), [], BLOCK.format("0000:00:06.0/vga.vram")),
    "behind a port": (
        devices(PORT, "virtio-balloon-pci,bus=p"),
        devices(PORT),
        LACKING.format("0000:00:05.0:00.0/virtio-balloon", 0),
    ),
    "on a bus": (
        devices("qemu-xhci,id=u", "usb-tablet"),
        devices("qemu-xhci,id=u"),
        LACKING.format("0000:00:01.0/1/usb-ptr", 0),
    ),
    "a serial line": (["-serial", "null"], [], LACKING.format("serial", 0)),
    "a dimm": (
        [*MORE, *pluggable(128), *devices("pc-dimm,memdev=m")],
        MORE,
        BLOCK.format("m"),
    ),
    "memory of another size": (
        [*MORE, *pluggable(128), *devices("virtio-mem-pci,memdev=m")],
        [*MORE, *pluggable(256), *devices("virtio-mem-pci,memdev=m")],
        "Size mismatch: 0000:00:01.0/m: 0x8000000 != 0x10000000: Invalid argument",
    ),
    "a network": (["-netdev", "user,id=n"], [], LACKING.format("slirp", 0)),
    "more there": ([], devices("virtio-rng-pci"), ""),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_destination_that_lacks_something_cannot_take_the_guest(two: Two, what: str) -> None:
    """It says what, and ends; one that has more takes it."""
    here, there, wrong = DIFFERENT[what]
    source = two.start("source", "-S", *here)
    destination = two.start("destination", "-S", "-incoming", "defer", *there)
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    assert say(source, "migrate", uri=two.uri) == {}
    if not wrong:
        assert story(destination, "completed")[-1] == "completed"
        return
    status, said = two.made[1].finish()
    assert status == 1
    assert wrong in said
    assert said.endswith("load of migration failed: Invalid argument\n")


def test_devices_stay_as_they_are_meanwhile(two: Two) -> None:
    """None is plugged in or out; objects, networks and nodes may come and go."""
    words = devices("qemu-xhci,id=u", "usb-tablet,id=t", PORT)
    source = two.start("source", *words)
    destination = two.start("destination", "-incoming", "defer", *words)
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    assert say(source, "migrate-set-parameters", max_bandwidth=SLOW) == {}
    assert say(source, "migrate", uri=two.uri) == {}
    for command, arguments, wrong in (
        ("device_add", {"driver": "usb-kbd", "id": "k"}, "device_add not allowed while migrating"),
        ("device_add", {"driver": "virtio-rng-pci", "bus": "p"}, "device_add not allowed while migrating"),
        ("device_add", {"driver": "virtio-rng-pci", "bus": "q"}, "Bus 'q' not found"),
        ("device_del", {"id": "t"}, "device_del not allowed while migrating"),
        ("device_del", {"id": "x"}, "Device 'x' not found"),
        ("object-add", {"qom_type": "iothread", "id": "i"}, {}),
        ("object-del", {"id": "i"}, {}),
        ("blockdev-add", {"driver": "null-co", "node_name": "n"}, {}),
        ("blockdev-del", {"node_name": "n"}, {}),
        (
            "dump-guest-memory",
            {"paging": False, "protocol": f"file:{two.folder}/dump"},
            "disallowing migration blocker (migration/snapshot in progress) for: "
            "Live migration disabled: dump-guest-memory in progress",
        ),
        ("migrate_cancel", {}, {}),
    ):
        assert say(source, command, **arguments) == wrong, command
    while say(source, "query-migrate")["status"] != "cancelled":  # type: ignore[index]
        pass
    assert say(source, "device_add", driver="usb-kbd", id="k") == {}


def test_what_cannot_be_moved_blocks_it(two: Two) -> None:
    """And is told in advance."""
    disk = ["-blockdev", "null-co,node-name=n", *devices("nvme,drive=n,serial=x")]
    source = two.start("source", *disk)
    blocked = "State blocked by non-migratable device '0000:00:01.0/nvme'"
    assert say(source, "query-migrate") == {"blocked-reasons": ["non-migratable device: 0000:00:01.0/nvme"]}
    assert say(source, "migrate", uri=two.uri) == blocked
    assert say(source, "human-monitor-command", command_line="savevm x") == f"Error: {blocked}\r\n"


def test_every_device_that_cannot_be_moved_is_named(two: Two) -> None:
    """By its place on its bus, the latest first; a command names the first."""
    source = two.start("source", "-usb", *devices("usb-serial,chardev=c", "rocker"), "-chardev", "null,id=c")
    assert say(source, "device_add", driver="usb-net") == {}
    names = ("0000:00:1d.7/2/usb-net", "0000:00:01.0/rocker", "0000:00:1d.7/1/usb-serial")
    reasons = [f"non-migratable device: {name}" for name in names]
    assert say(source, "query-migrate") == {"blocked-reasons": reasons}
    first = f"State blocked by non-migratable device '{names[-1]}'"
    assert say(source, "migrate", uri=two.uri) == first


def test_storage_is_not_copied_onto_itself(two: Two, tmp_path: Path) -> None:
    """The source writes to the image: nothing else may be let to, before the guest is there."""
    image = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "64M"], check=True)
    disk = ["-blockdev", f"qcow2,node-name=n,file.driver=file,file.filename={image}", "-S"]

    def other(name: str) -> list[str]:
        own = tmp_path / f"{name}.raw"
        own.write_bytes(bytes(1 << 20))
        words = ["-blockdev", f"raw,node-name=o,file.driver=file,file.filename={own}"]
        words += devices("virtio-blk-pci,drive=o")
        return words if name == "source" else ["-incoming", "defer", *words]

    disk += devices("virtio-blk-pci,drive=n")
    source, destination = (two.start(name, *disk, *other(name)) for name in ("source", "destination"))
    server = {"type": "unix", "data": {"path": f"{tmp_path}/nbd"}}
    assert say(destination, "nbd-server-start", addr=server) == {}
    export = {"type": "nbd", "id": "e", "node_name": "n"}
    assert say(destination, "block-export-add", **export, writable=True) == "Block node is read-only"
    assert say(destination, "block-export-add", **export) == {}
    its_own = {"type": "nbd", "id": "o", "node_name": "o"}
    assert say(destination, "block-export-add", **its_own, writable=True) == {}
    assert say(destination, "nbd-server-stop") == {}
    assert say(destination, "migrate-incoming", uri=two.uri) == {}
    assert say(source, "migrate", uri=two.uri) == {}
    poll(lambda: answer(destination, "query-migrate").get("status") == "completed")
    assert say(destination, "cont") == {}
    assert say(destination, "block_resize", node_name="n", size=128 << 20) == {}


def test_what_the_host_wanted_of_a_virtio_mem_goes_along(two: Two) -> None:
    """Whatever the destination's command line says."""
    words = [*MORE, *pluggable(128), *devices("virtio-mem-pci,id=v,memdev=m")]
    source = two.start("source", "-S", *words)
    destination = two.start("destination", "-S", "-incoming", "defer", *words)
    wish = {"path": "/machine/peripheral/v", "property": "requested-size", "value": 64 << 20}
    assert say(source, "qom-set", **wish) == {}
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    assert say(source, "migrate", uri=two.uri) == {}
    assert story(destination, "completed")[-1] == "completed"
    rows = say(destination, "query-memory-devices")
    assert isinstance(rows, list)
    assert (rows[0]["data"]["requested-size"], rows[0]["data"]["size"]) == (64 << 20, 0)


def test_persistent_bitmaps_go_along_in_their_image(two: Two) -> None:
    """The destination finds them when the image is its own; sent in the stream they are not, which ours says."""
    image = str(two.folder / "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
    disk = ["-blockdev", f"driver=qcow2,node-name=n,file.driver=file,file.filename={image}"]
    words = [*disk, *devices("virtio-blk-pci,drive=n")]
    source, destination = two.start("source", *words), two.start("destination", "-incoming", "defer", *words)
    for client in (source, destination):
        switch(client, "return-path", "late-block-activate")
    assert say(source, "block-dirty-bitmap-add", node="n", name="b", persistent=True) == {}
    if two.kind == "ours":
        switch(source, "dirty-bitmaps")
        assert "does not emulate" in str(say(source, "migrate", uri=two.uri))
        off = [{"capability": "dirty-bitmaps", "state": False}]
        assert say(source, "migrate-set-capabilities", capabilities=off) == {}
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    assert say(source, "migrate", uri=two.uri) == {}
    assert story(destination, "completed")[-1] == "completed"
    rows = say(destination, "query-named-block-nodes", flat=True)
    assert isinstance(rows, list)
    bitmaps = [each["name"] for row in rows for each in row.get("dirty-bitmaps", [])]
    assert bitmaps == ["b"]


def test_channels_that_there_are_not_and_zero_copy(two: Two) -> None:
    """What needs several channels fails on a pipe; zero copy goes with neither TLS nor compression."""
    source = two.start("source", "-S")
    no_zero_copy = "Zero copy only available for non-compressed non-TLS multifd migration"
    switch(source, "multifd", "zero-copy-send")
    assert say(source, "migrate-set-parameters", tls_creds="t") == no_zero_copy
    assert say(source, "migrate-set-parameters", multifd_compression="zlib") == no_zero_copy
    assert say(source, "migrate", uri="exec:cat >/dev/null") == {}
    while (told := say(source, "query-migrate"))["status"] == "setup":  # type: ignore[index]
        pass
    assert told == {"status": "failed"}
    off = [{"capability": "zero-copy-send", "state": False}]
    assert say(source, "migrate-set-capabilities", capabilities=off) == {}
    assert say(source, "migrate-set-parameters", tls_creds="t") == {}
    on = [{"capability": "zero-copy-send", "state": True}]
    assert say(source, "migrate-set-capabilities", capabilities=on) == no_zero_copy
    two.made[0].process.kill()  # type: ignore[union-attr]
    assert "multifd is not supported by current protocol\n" in two.made[0].finish()[1]


def test_a_port_that_came_after_the_guest_is_not_told_of(two: Two) -> None:
    """Once the guest runs, clients hear of the ports that came with it alone."""
    words = devices("virtio-serial-pci,id=s", "virtserialport,bus=s.0,id=one,name=a.b.1")
    source = two.start("source", "-S", *words)
    destination = two.start("destination", "-S", "-incoming", "defer", *words)
    destination.put("migrate-incoming", uri=two.uri)
    assert story(destination, "return") == ["setup", "return"]
    assert say(source, "migrate", uri=two.uri) == {}
    assert story(destination, "completed")[-1] == "completed"
    port = {"driver": "virtserialport", "bus": "s.0", "id": "two", "name": "a.b.2"}
    assert say(destination, "device_add", **port) == {}
    told = []
    destination.put("cont")
    while "one" not in told:
        told.append(destination.read().get("data", {}).get("id"))
    destination.put("query-status")
    while (message := destination.read()).get("return", {}).get("status") != "running":
        told.append(message.get("data", {}).get("id"))
    assert "two" not in told
