"""Verbs of the human monitor on ours and the real QEMU: each line and what it shows."""

from __future__ import annotations

import subprocess

from emulators import Client, Emulator


def ask(client: Client, line: str) -> str:
    """What a line shows; events before it are left out."""
    client.put("human-monitor-command", **{"command-line": line})
    while "return" not in (told := client.read()):
        assert "event" in told, told
    return str(told["return"])


NUMBERS = """
print 1+2 =>0x3|
p /d 2*(3+4)-0x10/5%2 =>13|
p/c 65 =>'A'|
p /o 6&3^1 =>03|
p ~0 =>01777777777777777777777|
p 'a' =>0141|
p 5/0 =>division by zero|Try "help p" for more information|
p (1 =>')' expected|Try "help p" for more information|
p 1 + =>unexpected end of expression|Try "help p" for more information|
p/t 5 =>invalid char in format: 't'|Try "help p" for more information|
p 10 20 =>print|p: extraneous characters at the end of line|Try "help p" for more information|
xp/2xb 0x1000 =>0000000000001000: 0x00 0x00|
xp /3dh 0 =>0000000000000000:     0     0     0|
x/4c 0 =>0000000000000000: '\\x00' '\\x00' '\\x00' '\\x00' '\\x00' '\\x00' '\\x00' '\\x00'|
x =>unexpected end of expression|Try "help x" for more information|
sum 0 4096 =>00000|
i/h 0x600 =>portw[0x0600] = 0xffff|
o/b 0x80 1 =>
"""
OBJECTS = """
qom-list =>/|
qom-list /objects =>type (string)|pc.ram (child<memory-backend-ram>)|
qom-get /machine type =>"pc-q35-7.2-machine"|
qom-set bal0 guest-stats-polling-interval 2 =>
qom-set -j bal0 guest-stats-polling-interval 3 =>
qom-get bal0 guest-stats-polling-interval =>3|
qom-get /nope type =>Error: Device '/nope' not found|
object_add memory-backend-ram,id=m1,size=1M =>
object_add memory-backend-ram,id=m2,size=1Q =>Error: Parameter 'size' expects size|
object_add iothread =>Error: Parameter 'id' is missing|
object_del m1 =>
chardev-add ringbuf,id=r1,size=64 =>
chardev-add null =>Error: chardev: no id specified|
chardev-add nope,id=a =>Error: 'nope' is not a valid char driver name|
ringbuf_write r1 a\\b =>
ringbuf_read r1 9 =>a\\\\b|
chardev-change r1 null =>
chardev-remove r1 =>
chardev-remove r1 =>Error: Chardev 'r1' not found|
balloon 64 =>
announce_self =>
netdev_add user,id=late =>
info trace-events vnc_client_eo* =>vnc_client_eof : state 0|
trace-event nope on =>unknown event "nope"|
calc_dirty_rate 0 =>Incorrect period length specified!|
info stats nope =>invalid stats target nope|
info rocker x =>Error: rocker x not found|
replay_seek 1 =>replay must be enabled to seek|
dump-guest-memory -z -l /x =>Error: only one of '-z|-l|-s|-w' can be set|
cpu 9 =>invalid CPU index|
info status x =>status: extraneous characters at the end of line|Try "help info status" for more information|
"""
EXPORTS = """
nbd_server_start nope =>Error: error parsing address 'nope'|
nbd_server_start -w 127.0.0.1:0 =>Error: -w only valid together with -a|
nbd_server_start 127.0.0.1:0 =>
nbd_server_add drv0 =>
nbd_server_add drv0 =>Error: Block export id 'drv0' is already in use|
nbd_server_add zz =>Error: Cannot find device='zz' nor node-name='zz'|
nbd_server_remove zz =>Error: Export 'zz' is not found|
nbd_server_remove -f drv0 =>
nbd_server_stop =>
nbd_server_stop =>Error: NBD server not running|
nbd_server_start -a 127.0.0.1:0 =>
nbd_server_stop =>
"""


def test_what_lines_show(emulator: Emulator) -> None:
    """Numbers, memory, ports, objects, character devices, network, exports; what is wrong with each."""
    image = emulator.folder / "i.raw"
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", image, "1M"], check=True)
    client = emulator.start(
        *"-machine q35 -m 256 -S -netdev user,id=net0 -device e1000,netdev=net0,id=nic0".split(),
        *"-device virtio-balloon-pci,id=bal0 -drive".split(),
        f"if=none,id=drv0,format=raw,file={image}",
    ).client()
    for table in (NUMBERS, OBJECTS, EXPORTS):
        for row in table.strip().splitlines():
            line, _, shown = row.partition(" =>")
            assert ask(client, line).replace("\r\n", "|") == shown, line


def test_back_ends_of_run_time_are_behind_the_cards(emulator: Emulator) -> None:
    """Those of the start are before them."""
    words = "-machine q35 -S -netdev user,id=net0 -device e1000,netdev=net0,id=nic0 -netdev user,id=alone"
    client = emulator.start(*words.split()).client()
    ask(client, "netdev_add user,id=late")
    names = [line.split(":")[0] for line in ask(client, "info network").splitlines()]
    assert names == ["alone", "nic0", " \\ net0", "late"]


def test_help(emulator: Emulator) -> None:
    """Of all, of one, of topics; each verb that is listed is known."""
    client = emulator.start("-machine", "none").client()
    listed = ask(client, "help")
    assert "\r\nstop|s  -- stop emulation\r\n" in listed and listed.count(" -- ") >= 108
    assert ask(client, "help info") == ask(client, "info")
    assert ask(client, "? info status x").startswith("info status  -- ")
    assert ask(client, "help info nope") == "unknown command: 'info nope'\r\n"
    assert ask(client, "device_add help").startswith("Controller/Bridge/Hub devices:\r\nname ")
    assert ask(client, "log nope") == ask(client, "help log")
