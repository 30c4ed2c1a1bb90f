"""edge.argv: QEMU's command line, its meaning and its refusals (texts measured on QEMU 7.2)."""

import shlex

import pytest

from qmpemu.edge import argv, shipped
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.config import MachineConfig


def parse(line: str) -> tuple[MachineConfig, argv.ProcessOptions]:
    return argv.parse_command_line(shlex.split(line), shipped.profile(None))


def test_libvirts_probe() -> None:
    """The capability probe's command line is understood: no machine, KVM, a daemon with a pidfile."""
    config, process = parse(
        "-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg "
        "-qmp unix:/run/q/qmp.monitor,server=on,wait=off -pidfile /run/q/qmp.pid -daemonize"
    )
    assert (config.machine, config.family, config.accel, config.start_paused) == ("none", "none", "kvm", True)
    assert (process.daemonize, process.pidfile) == (True, "/run/q/qmp.pid")
    (monitor,) = process.monitors
    assert monitor.control
    assert monitor.chardev.options == {"path": "/run/q/qmp.monitor", "server": "on", "wait": "off"}
    assert config.not_emulated == []


def test_libvirts_domain() -> None:
    """A domain's command line: inherited monitor, JSON devices, sleep states, topology."""
    config, process = parse(
        "-name guest=w10,debug-threads=on -machine pc-q35-7.2,usb=off,memory-backend=pc.ram -accel tcg "
        "-cpu qemu64,hv-time=on "
        "-m 2048 -smp 2,maxcpus=4,sockets=4,cores=1,threads=1 -uuid 8D0A3F3C-0000-4000-8000-000000000001 "
        "-chardev socket,id=charmonitor,fd=29,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control "
        "-no-shutdown -global ICH9-LPC.disable_s3=0 -global ICH9-LPC.disable_s4=1 -boot strict=on "
        """-device '{"driver":"virtserialport","id":"channel0","name":"org.qemu.guest_agent.0"}' """
        "-sandbox off -msg timestamp=on"
    )
    assert (config.name, config.family, config.cpu) == ("w10", "q35", "qemu64")
    assert config.memory_bytes == 2 << 30
    assert (config.cpus, config.cpus_max, config.topology) == (2, 4, (4, 1, 1, 1))
    assert config.uuid == "8d0a3f3c-0000-4000-8000-000000000001"
    assert (config.s3_disabled, config.s4_disabled) == (False, True)
    assert config.actions == {"shutdown": "pause"}
    assert config.devices == [
        {"driver": "virtserialport", "id": "channel0", "name": "org.qemu.guest_agent.0"}
    ]
    assert process.monitors[0].chardev.options["fd"] == "29"
    assert config.not_emulated == ["-boot strict=on", "-sandbox off"]


def test_a_monitor_may_name_a_chardev_that_comes_later() -> None:
    """-mon before its -chardev works, as in QEMU."""
    _, process = parse(
        "-mon chardev=c,mode=control,pretty=on -chardev socket,path=/x,id=c,server=on,wait=off"
    )
    assert process.monitors[0].pretty


@pytest.mark.parametrize(
    ("name", "resolved"), [("q35", "pc-q35-7.2"), ("pc", "pc-i440fx-7.2"), ("pc-q35-6.2", "pc-q35-6.2")]
)
def test_machine_aliases_come_from_the_profile(name: str, resolved: str) -> None:
    """`q35` is the newest recorded q35."""
    config, _ = parse(f"-M {name}")
    assert config.machine == resolved


@pytest.mark.parametrize("word", ["-S", "--S"])
def test_one_or_two_dashes(word: str) -> None:
    """QEMU takes both."""
    assert parse(word)[0].start_paused


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-nope", "-nope: invalid option"),
        ("-m", "-m: requires an argument"),
        ("-machine foo", "unsupported machine type\nUse -machine help to list supported machines"),
        ("-machine none -accel foo", "-accel foo: invalid accelerator foo"),
        ("-machine none,accel=foo", "invalid accelerator foo"),
        (
            "-qmp foo:x",
            "-qmp foo:x: 'foo:x' is not a valid char driver\n{prefix}-qmp foo:x: parse error: foo:x",
        ),
        (
            "-qmp unix:x,bogus=1",
            "-qmp unix:x,bogus=1: Invalid parameter 'bogus'\n{prefix}-qmp unix:x,bogus=1: parse error: unix:x,bogus=1",
        ),
        (
            "-qmp unix:x,server=maybe",
            "-qmp unix:x,server=maybe: Parameter 'server' expects 'on' or 'off'\n"
            "{prefix}-qmp unix:x,server=maybe: parse error: unix:x,server=maybe",
        ),
        (
            "-qmp tcp:127.0.0.1,server=on",
            "-qmp tcp:127.0.0.1,server=on: parse error: tcp:127.0.0.1,server=on",
        ),
        ("-chardev socket,path=/z", "-chardev socket,path=/z: chardev: no id specified"),
        ("-chardev foo,id=a", "-chardev foo,id=a: 'foo' is not a valid char driver name"),
        ("-chardev socket,id=a,bogus=1", "-chardev socket,id=a,bogus=1: Invalid parameter 'bogus'"),
        ("-mon nochar", '-mon nochar: chardev "nochar" not found'),
        ("-mon mode=control", "-mon mode=control: Parameter 'chardev' is missing"),
        ("-action foo=bar", "-action foo=bar: Invalid parameter 'foo'"),
        ("-action reboot=bar", "-action reboot=bar: Parameter 'reboot' does not accept value 'bar'"),
        ("-name foo,bogus=1", "-name foo,bogus=1: Invalid parameter 'bogus'"),
        ("-uuid zz", "-uuid zz: failed to parse UUID string: wrong format"),
        ("-smp foo", "Parameter 'smp.cpus' expects integer"),
        ("-device '{\"driver\":'", '-device {"driver":: JSON parse error, premature EOI'),
        ("nope.img", "nope.img: Could not open 'nope.img': No such file or directory"),
    ],
)
def test_refusals_have_qemus_texts(line: str, text: str) -> None:
    """A wrong command line is refused with QEMU's words; {prefix} stands for the program's name."""
    with pytest.raises(OptionError) as refusal:
        parse(line)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("line", "stamped"),
    [
        ("-msg timestamp=on -nope", False),
        ("-msg timestamp=on -m", False),
        ("-m x -msg timestamp=on", False),
        ("-msg timestamp=on -m x", True),
        ("-machine none-such -msg timestamp=on", True),
        ("-display sdl -msg timestamp=on", True),
        ("-machine none-such -msg timestamp=off", False),
    ],
)
def test_what_a_time_stands_before(line: str, stamped: bool) -> None:
    """`-msg timestamp=on` puts the time before refusals of what QEMU reads after it."""
    with pytest.raises(OptionError) as refused:
        parse(line)
    assert refused.value.stamped is stamped


def test_spice_is_not_emulated_and_says_so() -> None:
    """The machine starts, with its sound's driver, and a warning; without -spice that driver cannot be made."""
    config, _ = parse("-audiodev spice,id=a -spice port=5990")
    assert [text.partition(": ")[2] for text in config.warnings] == [
        "warning: qmpemu does not emulate SPICE: the machine starts, and a client that comes is told of an error"
    ]
