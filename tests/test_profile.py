"""profile: the shipped recording of Debian's QEMU 7.2, read a file at a time."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.edge import shipped
from qmpemu.edge.keyval import OptionError
from qmpemu.profile import NAME_CHARS_MAX, Profile, RecordedError, cpu_file, reply_file


@pytest.fixture
def profile() -> Profile:
    return shipped.profile(None)


def test_the_greeting_is_the_recorded_bytes(profile: Profile) -> None:
    """Byte for byte as the real QEMU greets."""
    assert profile.greeting == (
        b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, '
        b'"package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}, "capabilities": ["oob"]}}'
    )
    assert (profile.version, profile.kvm_present) == ({"major": 7, "minor": 2, "micro": 22}, True)


def test_the_schema_has_what_was_counted(profile: Profile) -> None:
    """216 commands and 52 events, as measured."""
    kinds = [info["meta-type"] for info in json.loads(profile.schema_bytes())]
    assert (kinds.count("command"), kinds.count("event")) == (216, 52)


@pytest.mark.parametrize(
    ("accel", "command", "arguments", "size"),
    [
        ("tcg", "query-qmp-schema", None, 207017),
        ("tcg", "query-cpu-definitions", None, 34902),
        ("tcg", "device-list-properties", {"typename": "virtio-blk-pci"}, 5938),
        ("tcg", "qom-list-properties", {"typename": "max-x86_64-cpu"}, 18409),
        ("tcg", "query-target", None, 49),
    ],
)
def test_replies_have_the_measured_size(
    profile: Profile, accel: str, command: str, arguments: dict[str, str] | None, size: int
) -> None:
    """What libvirt's probe asks has the bytes that were counted on the wire (facts/libvirt.md §2a, ids included)."""
    reply = profile.reply("none", accel, command, arguments)
    assert isinstance(reply, bytes)
    assert abs(len(b'{"return": %b, "id": "libvirt-N"}' % reply) - size) <= 1
    json.loads(reply)


def test_a_recorded_refusal(profile: Profile) -> None:
    """Errors are recorded with class and text."""
    reply = profile.reply("none", "tcg", "device-list-properties", {"typename": "virtio-net-ccw"})
    assert isinstance(reply, RecordedError)
    assert (reply.cls, reply.desc) == ("DeviceNotFound", "Device 'virtio-net-ccw' not found")


def test_what_was_not_recorded_is_none(profile: Profile) -> None:
    """State is never recorded for a real machine, and unknown arguments find nothing."""
    assert profile.reply("q35", "tcg", "query-pci", None) is None
    assert profile.reply("none", "tcg", "device-list-properties", {"typename": "nope"}) is None


@pytest.mark.parametrize(
    "typename",
    ["a" * 300, "\u4e2d" * 300, "\u4e2d", "\ud800", "a\0b", "../../common/query-target", "x" * 10_000],
)
def test_no_argument_of_a_client_breaks_the_reading(profile: Profile, typename: str) -> None:
    """Whatever a client names, too long or odd for a file system, is only not recorded."""
    assert profile.reply("none", "tcg", "device-list-properties", {"typename": typename}) is None
    assert profile.cpu("tcg", typename)["cpu"] == "qemu64"


def test_depth_is_the_client_s_and_costs_nothing(profile: Profile) -> None:
    """Arguments as deep as a message may be are not recorded, and no stack is spent on them."""
    deep: object = 1
    for _ in range(100_000):
        deep = {"a": deep}
    assert profile.reply("none", "tcg", "device-list-properties", {"typename": deep}) is None
    assert profile.reply("none", "tcg", "device-list-properties", {"typename": [[]]}) is None


def test_options_know_their_arity(profile: Profile) -> None:
    """Options are recorded with whether they take an argument."""
    options = profile.options()
    wanted = {
        "S": False,
        "m": True,
        "M": True,
        "qmp": True,
        "daemonize": False,
        "hdb": True,
        "preconfig": False,
        "qtest": True,
    }
    assert {name: options[name] for name in wanted} == wanted
    assert len(options) > 100


@pytest.mark.parametrize(
    ("accel", "model", "recorded"),
    [
        ("tcg", "qemu64", "qemu64"),
        ("tcg", "max", "max"),
        ("tcg", "unknown", "qemu64"),
        ("kvm", "host", "host"),
        ("kvm", "unknown", "host"),
    ],
)
def test_a_processor_has_its_bool_properties(profile: Profile, accel: str, model: str, recorded: str) -> None:
    """Every bool property of a recorded processor has a value (libvirt reads them all); it tells what it is of."""
    cpu = profile.cpu(accel, model)
    assert (cpu["accel"], cpu["cpu"].partition(",")[0]) == (accel, recorded)
    names = [row["name"] for row in cpu["properties"] if row["type"] == "bool"]
    assert len(names) > 390
    assert all(type(cpu["values"][name]) is bool for name in names)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (None, "replies/x/c.json"),
        ({"typename": "VGA"}, "replies/x/c/typename=VGA.json"),
        ({"b": 1, "a": {"d": False, "c": "h/o"}}, "replies/x/c/a.c=h%2Fo,a.d=false,b=1.json"),
        ({"a": "pc-q35-7.2", "b": "false"}, "replies/x/c/a=pc-q35-7.2,b=%22false%22.json"),
        ({"a": "x" * 250}, None),
    ],
)
def test_file_names_tell_the_arguments(arguments: dict[str, object] | None, name: str | None) -> None:
    """A folder listing reads like a list of questions."""
    assert reply_file("x", "c", arguments) == name


KEYS = st.text(alphabet='a.=,"{%/é', max_size=3)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(-2, 2),
    st.text(alphabet='a1-"{}.=,%/é', max_size=4),
)
ARGUMENTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=2), min_size=1, max_size=3)


@given(ARGUMENTS, ARGUMENTS)
def test_different_arguments_never_share_a_file(one: dict[str, object], other: dict[str, object]) -> None:
    """A reply is given only to the very arguments it was recorded for."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (reply_file("x", "c", one) == reply_file("x", "c", other)) is same


@given(st.text())
def test_a_name_is_one_a_file_system_takes(text: str) -> None:
    """One component, plain ASCII, no longer than a file name may be."""
    for name in (reply_file("x", "c", {"a": text}), cpu_file("tcg", text)):
        if name is not None:
            assert name.count("/") == 3 - (name.startswith("cpu"))
            assert name.isascii() and "\0" not in name
            assert len(os.path.basename(name)) <= NAME_CHARS_MAX + len(".json")


def test_an_unknown_profile_is_one_sentence() -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(
        OptionError, match=r"there is no profile 'nope': give the path .* or one of qemu-7.2-debian12"
    ):
        shipped.profile("nope")


def test_an_older_machine_type_has_an_older_processor(profile: Profile) -> None:
    """The newest type differs in nothing; of an old one, features belong to the measured model alone."""
    assert profile.of_version("pc-q35-7.2", "qemu64") == {}
    old = profile.of_version("pc-i440fx-2.3", "qemu64")
    assert (old["popcnt"], old["l3-cache"], old["model-id"]) == (
        True,
        False,
        "QEMU Virtual CPU version 2.3.0",
    )
    assert profile.of_version("pc-i440fx-2.3", "Haswell")["l3-cache"] is False
    assert "popcnt" not in profile.of_version("pc-i440fx-2.3", "Haswell")


def test_a_machine_under_kvm_has_its_devices() -> None:
    """KVM's own clock, timer and interrupt controllers stand where the others' would, and number those behind them."""
    profile = shipped.profile(None)
    plain, kvm = (profile.tree("q35", accel=accel) for accel in ("tcg", "kvm"))
    first, moved = "/machine/unattached/device[8]", "/machine/unattached/device[9]"
    assert plain[first]["values"]["type"] == kvm[moved]["values"]["type"] == "mc146818rtc"
    types = {about["values"]["type"] for about in kvm.values()}
    assert {"kvmclock", "kvm-pit", "kvm-i8259"} <= types
    assert profile.tree("none", accel="kvm") == profile.tree("none")


@pytest.mark.parametrize(
    ("machine", "kind", "values"),
    [
        ("pc-q35-7.2", "virtio-rng-pci-base", {}),
        ("pc-q35-7.1", "virtio-rng-pci-base", {"vectors": 0}),
        ("pc-i440fx-4.0", "virtio-balloon-device", {"page-poison": False, "qemu-4-0-config-size": True}),
        ("pc-i440fx-3.1", "virtio-balloon-device", {"page-poison": False, "qemu-4-0-config-size": None}),
        ("pc-q35-6.1", "pcie-slot", {"x-native-hotplug": False}),
        ("microvm", "virtio-device", {}),
    ],
)
def test_older_machine_types_have_devices_otherwise(
    profile: Profile, machine: str, kind: str, values: dict[str, object]
) -> None:
    """Each version's are on top of those of newer ones."""
    assert profile.compat(machine).get(kind, {}) == values
