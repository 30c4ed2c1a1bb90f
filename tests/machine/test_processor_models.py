"""Processor models other than the default one: their features, what the accelerator lacks, and dies."""

from __future__ import annotations

import pytest

from qmpemu.edge import argv, shipped
from qmpemu.machine.config import MachineConfig
from qmpemu.machine.devices.processors import Slots
from qmpemu.machine.qom_processor import processor

SEEN = {
    "Skylake-Client": {"avx2": True, "svm": False, "hle": False, "unavailable-features": "x2apic"},
    "pentium": {"lm": False, "pae": False, "mmx": True},
    "EPYC": {"avx2": True, "fxsr-opt": False, "ffxsr": False, "vendor": "AuthenticAMD"},
}
"""Model -> a few of its properties as the real one shows them under TCG on q35."""


@pytest.mark.parametrize("model", SEEN)
def test_a_model_has_its_own_features(model: str) -> None:
    """Features are the model's; those that the accelerator has none of are off and told of."""
    config = MachineConfig()
    config.machine, config.cpu = "pc-q35-7.2", model
    made = processor(config, shipped.profile(None))
    for name, value in SEEN[model].items():
        found = made.values[name]
        assert value in found if isinstance(found, list) else value == found, name


def test_what_is_asked_for_in_vain() -> None:
    """A feature that the accelerator lacks stays off under every name of it."""
    config = MachineConfig()
    config.cpu_features = {"vmx": True, "lahf-lm": False, "kvm-pv-eoi": True, "hv-time": True}
    values = processor(config, shipped.profile(None)).values
    assert (values["vmx"], values["kvm-pv-eoi"], values["kvm_pv_eoi"], values["hv-time"]) == (
        False,
        False,
        False,
        True,
    )
    assert (values["lahf-lm"], values["lahf_lm"], values["unavailable-features"]) == (False, False, ["vmx"])


def test_every_spelling_is_one_feature() -> None:
    """What is set has no underscores; signs count last, a minus after a plus; dots are a spelling too."""
    line = "-M q35 -cpu qemu64,hv_time,aes=yes,-avx,+sse4_1,+avx,+aes,tsc_freq=2k"
    config, _ = argv.parse_command_line(line.split(), shipped.profile(None))
    values = processor(config, shipped.profile(None)).values
    names = ("hv-time", "aes", "avx", "sse4.1", "sse4-1", "tsc-frequency")
    assert [values[name] for name in names] == [True, True, False, True, True, 2000]


def test_lacking_features_are_in_order() -> None:
    """By register and bit, whether the model or -cpu asked for them."""
    config = MachineConfig()
    config.machine, config.cpu = "pc-q35-7.2", "Haswell"
    config.cpu_features = {"x2apic": True, "avx512f": True}
    values = processor(config, shipped.profile(None)).values
    assert values["unavailable-features"] == [
        *("pcid", "x2apic", "tsc-deadline", "hle", "invpcid", "rtm", "avx512f"),
    ]


def test_dies_are_a_level_of_their_own() -> None:
    """A slot is told by its die where a socket has more than one."""
    slots = Slots()
    slots.topology = (2, 3, 2, 2)
    assert slots.count == 24
    assert slots.props(23) == {"core-id": 1, "thread-id": 1, "die-id": 2, "socket-id": 1}
    assert slots.props(4) == {"core-id": 0, "thread-id": 0, "die-id": 1, "socket-id": 0}
