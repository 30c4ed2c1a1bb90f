"""Features of a processor that the accelerator has none of: which they are, and what is said of them at the start.

Only TCG's are told of: they are the same on every host. What KVM lacks depends on the host, and the recorded one's is
nobody's here.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.profile import Profile

COMPLETE = ("qemu64", "max", "host")
"""Models of which TCG has everything, or that are made of what it has."""
VENDOR_LETTERS = 12
AMD = "AuthenticAMD"
ALIASES = {"ffxsr": "fxsr-opt", "i64": "lm", "xd": "nx", "pclmuldq": "pclmulqdq"}
ALL = range(64)
DEPENDENT: tuple[tuple[str, str, Iterable[int]], ...] = (
    ("arch-capabilities", "MSR(10AH)", ALL),
    ("core-capability", "MSR(CFH)", ALL),
    ("pdcm", "MSR(345H)", ALL),
    *(("vmx", f"MSR({register})", ALL) for register in ("48EH", "48DH", "48FH", "490H", "485H", "480H")),
    ("vmx-secondary-ctls", "MSR(48BH)", ALL),
    ("lm", "MSR(490H)", (9,)),
    ("xsaves", "MSR(48BH)", (20,)),
    ("rdrand", "MSR(48BH)", (11,)),
    ("invpcid", "MSR(48BH)", (12,)),
    ("mpx", "MSR(48FH)", (23,)),
    ("mpx", "MSR(490H)", (16,)),
    ("rdseed", "MSR(48BH)", (16,)),
    ("intel-pt", "CPUID.14H:ECX", ALL),
    ("rdtscp", "MSR(48BH)", (3,)),
    ("vmx-ept", "MSR(48CH)", range(32)),
    ("vmx-ept", "MSR(48BH)", (7,)),
    ("vmx-vpid", "MSR(48CH)", range(32, 64)),
    ("vmx-vmfunc", "MSR(491H)", ALL),
    ("svm", "CPUID.8000000AH:EDX", ALL),
)
"""A feature, and the bits of a register that nothing has without it, in the order in which they are looked at."""
HAD = ("CPUID.8000000AH:EDX.npt [bit 0]",)
"""What TCG has of them."""


LBR_STATE = ["CPUID.0DH:ECX [bit 15]"]
"""What comes with records of branches."""
PLACES = ("socket-id", "die-id", "core-id", "thread-id")


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
    for name in PLACES:
        asked = config.cpu_features.get(name)
        if asked:
            raise Refused(f"property {name}: {asked} doesn't match set apic-id: 0x0 ({name}: 0)")
    alone, texts = _lacking(config, profile)
    enforced = config.cpu_features.get("enforce") is True
    usual = profile.of_version(config.machine, config.cpu).get("check", True)
    quiet = not enforced and config.cpu_features.get("check", usual) is False
    for number in range(config.cpus):
        if len(str(config.cpu_features.get("hv-vendor-id", ""))) > VENDOR_LETTERS:
            host.report(f"warning: hv-vendor-id truncated to {VENDOR_LETTERS} characters")
        for text in alone:
            host.report(f"warning: This feature depends on other features that were not requested: {text}")
        for text in () if quiet else texts:
            host.report(f"warning: TCG doesn't support requested feature: {text}")
        if enforced and (alone or texts):
            raise Refused("TCG doesn't support requested features")
        if config.cpu_features.get("legacy-cache") is False and not config.cpu.startswith(KNOWN_CACHES):
            raise Refused(f"CPU model '{config.cpu}' doesn't support legacy-cache=off")
        if number == 0:
            _tell_of_threads(config, profile, host)


KNOWN_CACHES = "EPYC"
"""Models whose caches are known."""


def _lacking(config: MachineConfig, profile: Profile) -> tuple[list[str], list[str]]:
    """What is asked for without what it depends on, and what TCG has none of: registers and bits, in QEMU's order."""
    asked = {_named(name): value for name, value in config.cpu_features.items() if isinstance(value, bool)}
    own = [] if config.cpu in COMPLETE else profile.unavailable("tcg", config.cpu, config.machine)
    values = profile.cpu("tcg", config.cpu)["values"] if asked else {}
    has = {name for name in own if asked.get(name) is not False}
    has |= {_named(name) for name, value in values.items() if value is True}
    has = (has | {name for name, value in asked.items() if value}) - {n for n, v in asked.items() if not v}
    texts = [*profile.lacking(), *HAD] if has else []
    wanted = {text for text in texts if _name(text) in has}
    if "vmx" in has:
        hidden = [text for text in profile.with_vmx(config.cpu) if asked.get(_name(text)) is not False]
        texts += [text for text in hidden if text not in texts]
        wanted |= set(hidden)
    if "arch-lbr" in has:
        wanted.update(LBR_STATE)
        texts += LBR_STATE
    alone = _depending(wanted, has, {name for name, value in asked.items() if value}) if asked else []
    return alone, sorted(wanted.difference(HAD), key=_order(texts))


def _depending(wanted: set[str], has: set[str], asked: set[str]) -> list[str]:
    """Take out what depends on what is not there; -> what of it was asked for."""
    told: list[str] = []
    for needed, register, bits in DEPENDENT:
        if needed in has or any(_name(text) == needed for text in wanted):
            continue
        gone = [text for text in wanted if text.startswith(register) and _bit(text) in bits]
        told += sorted((text for text in gone if _name(text) in asked), key=_bit)
        wanted.difference_update(gone)
        has.difference_update(_name(text) for text in gone)
    return told


def _order(texts: Sequence[str]) -> Callable[[str], tuple[int, int]]:
    """By the registers as they come in `texts`, then by bits."""
    registers = list(dict.fromkeys(_register(text) for text in texts))
    return lambda text: (registers.index(_register(text)), _bit(text))


def _register(text: str) -> str:
    """`CPUID.01H:ECX` of `CPUID.01H:ECX.vmx [bit 5]`; a bit may have no name."""
    return text.partition(" ")[0].removesuffix(f".{_name(text)}")


def _name(text: str) -> str:
    """The feature's name, empty if it has none."""
    named = text.partition(" ")[0]
    return "" if named.endswith((")", ":EAX", ":EBX", ":ECX", ":EDX")) else named.rpartition(".")[2]


def _bit(text: str) -> int:
    return int(text.rpartition(" ")[2].removesuffix("]"))


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
