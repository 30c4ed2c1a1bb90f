"""Internal snapshots on the host: the guest's state beside the image, and an image made what it was.

vm.qcow2                     the image, which knows the snapshot `before`
vm.qcow2.before.qmpemu-vm    what the guest was then, in the form of disk_file
"""

from __future__ import annotations

import os

from qmpemu.core.table import Refused
from qmpemu.edge.child import found, spawn
from qmpemu.edge.disk_file import read, write
from qmpemu.edge.image_locks import WITHOUT_NAME
from qmpemu.edge.keyval import OptionError

TOOL = "qemu-img"
BY_DESCRIPTOR = "/proc/"
PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
"""What stands for itself in the name of a file that is named after a snapshot; the rest as in a URL."""


def save(image: str, tag: str, data: bytes | None) -> None:
    """Keep it, or forget it for None. Raises Refused."""
    if image.startswith(BY_DESCRIPTOR):
        kept = WITHOUT_NAME.setdefault(image, {})
        kept.pop(tag, None)
        if data is not None:
            kept[tag] = data
        return
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
    if image.startswith(BY_DESCRIPTOR):
        return WITHOUT_NAME.get(image, {}).get(tag)
    try:
        return read(_path(image, tag))
    except OptionError as error:
        raise Refused(str(error)) from None


def revert(image: str, tag: str) -> None:
    """Let qemu-img apply the snapshot: nobody else may have the image open. Raises Refused."""
    complaint = _complaint("go back to a snapshot", "snapshot", "-a", tag, image)
    if complaint is not None:
        raise Refused(f"Error while applying snapshot on '{image}': {complaint}")


def commit(image: str) -> None:
    """Let qemu-img commit the image: nobody else may have it open. Raises Refused."""
    complaint = _complaint("commit an image", "commit", "-q", image)
    if complaint is not None:
        raise Refused(complaint)


def make_overlay(path: str, form: str, backing: str, backing_form: str, size: int) -> None:
    """Let qemu-img make an image over one that need not be there, and tell of it. Raises Refused."""
    words = ("create", "-f", form, "-u", "-b", backing, "-F", backing_form, path, str(size))
    complaint = _complaint("make an overlay", *words)
    if complaint is not None:
        raise Refused(complaint.removeprefix(f"{TOOL}: {path}: "))


def _complaint(what: str, *words: str) -> str | None:
    """What qemu-img says when it fails. Raises Refused where there is none. what: what is to be done."""
    tool = found(TOOL)
    if tool is None:
        raise Refused(f"to {what} takes {TOOL}, which is not installed (Debian package qemu-utils)")
    readable, writable = os.pipe()
    pid = spawn([tool, *words], None, 1, writable)
    os.close(writable)
    with open(readable, encoding="utf-8", errors="replace") as complaint:
        text = complaint.read().strip()
    return text if os.waitpid(pid, 0)[1] else None


def _path(image: str, tag: str) -> str:
    plain = "".join(chr(each) if each in PLAIN else f"%{each:02X}" for each in tag.encode())
    return f"{image}.{plain}.qmpemu-vm"
