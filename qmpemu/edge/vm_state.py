"""Internal snapshots on the host: the guest's state beside the image, and an image made what it was.

vm.qcow2                     the image, which knows the snapshot `before`
vm.qcow2.before.qmpemu-vm    what the guest was then, in the form of disk_file
"""

from __future__ import annotations

import os
import shutil
import subprocess
from urllib.parse import quote

from qmpemu.core.table import Refused
from qmpemu.edge.disk_file import read, write
from qmpemu.edge.keyval import OptionError

TOOL = "qemu-img"


def save(image: str, tag: str, data: bytes | None) -> None:
    """Keep it, or forget it for None. Raises Refused."""
    path = _path(image, tag)
    try:
        if data is not None:
            write(path, data)
        elif os.path.exists(path):
            os.unlink(path)
    except OSError as error:
        raise Refused(f"Could not open VM state file '{path}': {error.strerror}") from None


def load(image: str, tag: str) -> bytes | None:
    """What was kept, or None. Raises Refused for a file that is damaged or none of ours."""
    try:
        return read(_path(image, tag))
    except OptionError as error:
        raise Refused(str(error)) from None


def revert(image: str, tag: str) -> None:
    """Let qemu-img apply the snapshot: nobody else may have the image open. Raises Refused."""
    tool = shutil.which(TOOL)
    if tool is None:
        raise Refused(
            f"to go back to a snapshot takes {TOOL}, which is not installed (Debian package qemu-utils)"
        )
    done = subprocess.run([tool, "snapshot", "-a", tag, image], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"Error while applying snapshot on '{image}': {done.stderr.strip()}")


def _path(image: str, tag: str) -> str:
    return f"{image}.{quote(tag, safe='')}.qmpemu-vm"
