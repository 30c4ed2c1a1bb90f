"""Features of a processor that the accelerator has none of: which they are, and what is said of them at the start.

Only TCG's are told of: they are the same on every host. What KVM lacks depends on the host, and the recorded one's is
nobody's here.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.profile import Profile

COMPLETE = ("qemu64", "max", "host")
"""Models of which TCG has everything, or that are made of what it has."""
VENDOR_LETTERS = 12
AMD = "AuthenticAMD"
ALIASES = {"ffxsr": "fxsr-opt", "i64": "lm", "xd": "nx", "pclmuldq": "pclmulqdq"}


def tell(config: MachineConfig, profile: Profile, host: Host) -> None:
    """Warn as each processor is made. Raises Refused with -cpu ...,enforce=on, or where no board has a place for it."""
    if config.family == "none" and config.cpu_given:
        raise Refused("apic-id property was not initialized properly")
    if config.cpu_vp_index and config.accel == "tcg" and config.family != "none":
        raise Refused("kernel doesn't allow setting HyperV VP_INDEX")  # which TCG says of itself
    if config.cpu == "host" and config.accel != "kvm":
        raise Refused("CPU model 'host' requires KVM or HVF")
    if config.accel == "kvm" or config.family == "none":
        return
    texts = _lacking(config, profile) if config.cpu_features.get("check") is not False else []
    enforced = config.cpu_features.get("enforce") is True
    for number in range(config.cpus):
        if len(str(config.cpu_features.get("hv-vendor-id", ""))) > VENDOR_LETTERS:
            host.report(f"warning: hv-vendor-id truncated to {VENDOR_LETTERS} characters")
        for text in texts:
            host.report(f"warning: TCG doesn't support requested feature: {text}")
        if enforced and texts:
            raise Refused("TCG doesn't support requested features")
        if number == 0:
            _tell_of_threads(config, profile, host)


def _lacking(config: MachineConfig, profile: Profile) -> list[str]:
    """The registers and bits, in QEMU's order."""
    asked = {_named(name): value for name, value in config.cpu_features.items() if isinstance(value, bool)}
    own = [] if config.cpu in COMPLETE else profile.unavailable("tcg", config.cpu)
    wanted = {name for name in own if asked.get(name) is not False}
    wanted |= {name for name, value in asked.items() if value}
    if not wanted:
        return []
    return [text for text in profile.lacking() if text.partition(" ")[0].rpartition(".")[2] in wanted]


def _named(switch: str) -> str:
    """A feature by the name that warnings have of it."""
    name = switch.replace("_", "-")
    return ALIASES.get(name, name)


def _tell_of_threads(config: MachineConfig, profile: Profile, host: Host) -> None:
    """An AMD processor has threads by a feature that TCG lacks."""
    threads = config.topology[3]
    if threads < 2 or _vendor(config, profile) != AMD:
        return
    host.report(
        f"warning: This family of AMD CPU doesn't support hyperthreading({threads})\n"
        "Please configure -smp options properly or try enabling topoext feature."
    )


def _vendor(config: MachineConfig, profile: Profile) -> object:
    own: Mapping[str, object] = profile.cpu("tcg", config.cpu)["values"]
    return config.cpu_features.get("vendor", own.get("vendor"))
