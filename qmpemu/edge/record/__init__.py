"""Records a real QEMU binary as a profile (`profile.py` describes the files): the only way a profile is made.

    -version, -help ─> banner, options        machine none (TCG, KVM) ─> common, none        q35, pc ─> what differs
    a processor object under each accelerator ─> cpu/

What is recorded describes the version: capabilities, types, models, and what is idle for want of any means to use it.
State of a machine is recorded only for one to which nothing was added (`none`, `<machine>-bare`). A second recording of
the same binary on the same machine gives the same files but for the date.
"""

from __future__ import annotations

from qmpemu.edge.record.process import RecordError
from qmpemu.edge.record.recorder import record

__all__ = ["RecordError", "record"]
