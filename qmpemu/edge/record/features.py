"""Records which features the plain accelerator has none of, by one start that asks for all of them and is refused.

One list: the register and bit of each, as the warning names it, in the order of the registers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qmpemu.edge.record.process import output

if TYPE_CHECKING:
    from collections.abc import Iterable

WARNING = re.compile(r"warning: TCG doesn't support requested feature: (.+)$", re.MULTILINE)
NOT_ASKED = ("enforce", "realized", "hotplug", "x-", "hv-", "hv_", "kvm", "start-powered-off")
"""Beginnings of switches that are no features, or that the accelerator passes over in silence."""


async def lacking(binary: str, switches: Iterable[str], model: str) -> list[str]:
    """`CPUID.01H:ECX.vmx [bit 5]` and the like. switches: names of a processor's switches. Raises RecordError."""
    wanted = sorted(name for name in switches if not name.startswith(NOT_ASKED))
    cpu = ",".join([model, "enforce=on", *(f"+{name}" for name in wanted)])
    said = await output(binary, "-accel", "tcg", "-machine", "q35", "-display", "none", "-S", "-cpu", cpu)
    return list(dict.fromkeys(WARNING.findall(said)))
