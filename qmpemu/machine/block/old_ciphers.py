"""Images with the old kind of encryption (AES-CBC): no system emulator opens them, the real block layer here would.

Measured on QEMU 7.2, whatever secret is given.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.host import Host

FORMATS = ("qcow2", "qcow")
HINT = (
    "You can use 'qemu-img convert' to convert your image to an alternative supported format, such as unencrypted "
    "qcow2, or raw with the LUKS format instead."
)
OPENED = {"blockdev-snapshot-sync": "snapshot-file", "drive-mirror": "target", "drive-backup": "target"}
"""Commands that open an image that is there (mode=existing), and which argument names it."""


def refuse(host: Host, blocks: Blocks, command: str, arguments: dict[str, Any]) -> None:
    """Whether a command would open one. Raises Refused."""
    for path in _opened(host, blocks, command, arguments):
        text = host.old_cipher(path)
        if text is not None:
            raise Refused(text, HINT)


def _opened(host: Host, blocks: Blocks, command: str, arguments: dict[str, Any]) -> Iterator[str]:
    """The images that a command opens."""
    if command == "transaction":
        for each in arguments["actions"]:
            yield from _opened(host, blocks, each["type"], each["data"])
    elif command == "blockdev-add":
        yield from _of_node(blocks, arguments)
    elif command in OPENED and arguments.get("mode") == "existing":
        path = str(arguments[OPENED[command]])
        if arguments.get("format", FORMATS[0]) in FORMATS:
            yield path


def _of_node(blocks: Blocks, options: dict[str, Any]) -> Iterator[str]:
    file = options.get("file")
    for each in options.values():
        if isinstance(each, dict):
            yield from _of_node(blocks, each)
    if options.get("driver") in FORMATS:
        path = (
            file.get("filename")
            if isinstance(file, dict)
            else blocks.nodes[file].path
            if file in blocks.nodes
            else None
        )
        if path is not None:
            yield str(path)
