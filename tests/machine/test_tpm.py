"""A TPM: what the monitors tell of it, and what is refused; texts measured on QEMU 7.2 with swtpm behind it."""

from __future__ import annotations

import pytest

from qmpemu.core.options import OptionError
from qmpemu.core.table import Refused
from tests.driven import Driven

BACKEND = "-machine q35 -chardev null,id=c -tpmdev emulator,id=t,chardev=c"


@pytest.mark.parametrize("model", ["tpm-tis", "tpm-crb"])
def test_it_is_told_of(model: str) -> None:
    """query-tpm and info tpm name the device and its back end."""
    driven = Driven(f"{BACKEND} -device {model},tpmdev=t")
    options = {"type": "emulator", "data": {"chardev": "c"}}
    assert driven.say("query-tpm") == [{"return": [{"model": model, "options": options, "id": "t"}]}]
    text = f"TPM device:\r\n tpm0: model={model}\r\n  \\ t: type=emulator,chardev=c\r\n"
    assert driven.say("human-monitor-command", command_line="info tpm") == [{"return": text}]


def test_a_back_end_alone_is_not_seen() -> None:
    """Nor can a device be plugged into it later."""
    driven = Driven(BACKEND)
    assert driven.say("query-tpm") == [{"return": []}]
    [reply] = driven.say("device_add", driver="tpm-crb", tpmdev="t")
    assert reply["error"]["desc"] == "Device 'tpm-crb' can not be hotplugged on this machine"


def test_there_is_one() -> None:
    """A back end serves one device, and a machine has one back end."""
    with pytest.raises(Refused, match="TPM backend 't' is already initialized"):
        Driven(f"{BACKEND} -device tpm-tis,tpmdev=t -device tpm-crb,tpmdev=t")
    with pytest.raises(OptionError, match="Only one TPM is allowed"):
        Driven(f"{BACKEND} -tpmdev emulator,id=u,chardev=c")
