"""Folders of the host for the guest: -fsdev, and -virtfs that brings the device along. The guest mounts none here.

Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.edge.argv import groups
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError

MODELS = ("passthrough", "mapped", "mapped-xattr", "none", "mapped-file")
SECURITY = "Valid options are: security_model=[passthrough|mapped-xattr|mapped-file|none]"
MULTIDEVS = ("remap", "forbid", "warn")


@option("fsdev")
def _fsdev(parser: Parser, argument: str) -> None:
    options = groups.read(parser, "fsdev", argument, "fsdriver")
    if "id" not in options:
        raise OptionError("fsdev: No id specified")
    _add(parser, options["id"], options)


@option("virtfs")
def _virtfs(parser: Parser, argument: str) -> None:
    options = groups.read(parser, "virtfs", argument, "fsdriver")
    tag = options.get("mount_tag")
    if "fsdriver" not in options or tag is None:
        raise OptionError("Usage: -virtfs fsdriver,mount_tag=tag")
    name = options.get("id", tag)
    if name in parser.ids.setdefault("fsdev", set()):
        raise OptionError(f"duplicate fsdev id: {name}")
    parser.ids["fsdev"].add(name)
    _add(parser, name, options)
    device: dict[str, object] = {"driver": "virtio-9p-pci", "fsdev": name, "mount_tag": tag}
    parser.config.devices.insert(parser.plain_devices, device)
    parser.config.typed.setdefault("device", []).insert(parser.plain_devices, parser.typed)
    parser.plain_devices += 1


def _add(parser: Parser, name: str, options: dict[str, str]) -> None:
    kind = options.get("fsdriver", "")
    if kind not in ("local", "synth", "proxy"):
        raise OptionError(f"fsdev: fsdriver {kind} not found")
    if kind == "local":
        _check_local(options)
    parser.config.file_systems[name] = options.get("path", "/")


def _check_local(options: dict[str, str]) -> None:
    model, multidevs = options.get("security_model"), options.get("multidevs", "remap")
    if model is None:
        raise OptionError(f"security_model property not set\n{SECURITY}")
    if model not in MODELS:
        raise OptionError(f"invalid security_model property '{model}'\n{SECURITY}")
    if multidevs not in MULTIDEVS:
        raise OptionError(
            f"invalid multidevs property '{multidevs}'\nValid options are: multidevs=[remap|forbid|warn]"
        )
    if "path" not in options:
        raise OptionError("path property not set")
