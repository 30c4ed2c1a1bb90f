"""Records which features the plain accelerator has none of, by one start that asks for all of them and is refused.

One list: the register and bit of each, as the warning names it, in the order of the registers. And what of them comes
with `vmx` in each model: texts, and each model's by their numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qmpemu.edge.record.process import output

if TYPE_CHECKING:
    from collections.abc import Iterable

WARNING = re.compile(r"warning: TCG doesn't support requested feature: (.+)$", re.MULTILINE)
NOT_ASKED = ("enforce", "realized", "hotplug", "x-", "hv-", "hv_", "kvm", "start-powered-off")
"""Beginnings of switches that are no features, or that the accelerator passes over in silence."""
VMX = ("MSR(48", "MSR(49")
"""The registers that tell of VMX."""


async def lacking(binary: str, switches: Iterable[str], model: str) -> list[str]:
    """`CPUID.01H:ECX.vmx [bit 5]` and the like. switches: names of a processor's switches. Raises RecordError."""
    wanted = sorted(name for name in switches if not name.startswith(NOT_ASKED))
    cpu = ",".join([model, "enforce=on", *(f"+{name}" for name in wanted)])
    return list(dict.fromkeys(await _warned_of(binary, cpu)))


async def _warned_of(binary: str, cpu: str) -> list[str]:
    said = await output(binary, "-accel", "tcg", "-machine", "q35", "-display", "none", "-S", "-cpu", cpu)
    return WARNING.findall(said)


async def with_vmx(binary: str, models: Iterable[str]) -> dict[str, Any]:
    """What a model asks for in vain with `vmx` beside what it asks for without. Raises RecordError."""
    texts: list[str] = []
    found: dict[str, list[int]] = {}
    for model in models:
        warned_of = await _warned_of(binary, f"{model},enforce=on,+vmx")
        said = [text for text in warned_of if text.startswith(VMX)]
        texts += [text for text in said if text not in texts]
        if said:
            found[model] = [texts.index(text) for text in said]
    return {"texts": texts, "models": found}
