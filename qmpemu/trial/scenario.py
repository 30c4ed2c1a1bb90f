"""What is to happen: a guest, its settings, who takes part, and acts at times.

    guest = "windows-server-2022"           [settings]                  [[at]]
    seed = "7"                              ShutdownWithoutLogon = 0    time = "60s"
    until = "15m"                                                       do = "open_document"
                                            [[participants]]            with = "Report.docx"
    participants = ["acme-backup"]          kind = "service" ...

Times are seconds, or a number with `ms`, `s`, `m` or `h`. Every mistake is one sentence (`ScenarioError`).
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpemu.guests import registry
from qmpemu.guests.registry import GuestError, nearest
from qmpemu.guests.windows.operator import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qmpemu.guests.windows.participants import Participant

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
TIME_S_MAX = 31 * 86_400.0
ACTS_MAX = 10_000
UNTIL_S = 900.0
"""How long a trial lasts when nothing says so."""

HOST_ACTS = {
    "power_button": ("", "Press the power button (QMP system_powerdown)."),
    "agent_shutdown": ("[MODE]", "guest-shutdown of the guest agent: powerdown, halt or reboot."),
    "system_reset": ("", "Press the reset button."),
    "quit": ("", "End the emulator (QMP quit)."),
    "sigkill": ("", "Kill the emulator's process: the power is gone at once."),
    "wakeup": ("", "Wake the guest from S3 (QMP system_wakeup)."),
}
"""What the host does; everything else is an act of the operator inside."""

AGENT_MODES = ("powerdown", "halt", "reboot")
FIELDS = ("guest", "seed", "until", "boot", "settings", "at", "participants")


class ScenarioError(GuestError):
    """A scenario that cannot be played; one sentence."""


class Act(NamedTuple):
    """One act. at_s: seconds from the beginning of the trial."""

    at_s: float
    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.argument}" if self.argument else self.name


class Scenario(NamedTuple):
    """A trial. boot: it begins at power-on, and not two minutes after the boot."""

    guest: str = "windows-server-2022"
    settings: tuple[tuple[str, str], ...] = ()
    acts: tuple[Act, ...] = ()
    until_s: float = UNTIL_S
    seed: str = "0"
    boot: bool = False
    participants: tuple[Participant, ...] = ()

    def with_setting(self, name: str, value: str) -> Scenario:
        """The same with one setting changed."""
        return self._replace(settings=(*((n, v) for n, v in self.settings if n != name), (name, value)))

    def checked(self) -> Scenario:
        """Itself, if it can be played. Raises ScenarioError."""
        try:
            registry.check(self.guest, dict(self.settings))
        except GuestError as error:
            raise ScenarioError(str(error)) from None
        if self.guest == registry.NONE:
            raise ScenarioError("a trial needs a guest: 'none' does nothing")
        if len(self.acts) > ACTS_MAX:
            raise ScenarioError(f"a scenario has at most {ACTS_MAX} acts")
        for act in self.acts:
            _check_act(act)
        return self


def _check_act(act: Act) -> None:
    known = {name: argument for name, (argument, _) in HOST_ACTS.items()}
    known.update({action.name: action.argument for action in ACTIONS.values()})
    if act.name not in known:
        raise ScenarioError(f"act '{act.name}' does not exist: {nearest(act.name, known)}")
    if act.argument and not known[act.name]:
        raise ScenarioError(f"act '{act.name}' takes no argument, and got '{act.argument}'")
    if not act.argument and known[act.name] and not known[act.name].startswith("["):
        raise ScenarioError(f"act '{act.name}' needs its {known[act.name]}: {act.name}=...")
    if act.name == "agent_shutdown" and act.argument not in ("", "powerdown", "halt", "reboot"):
        raise ScenarioError(
            f"agent_shutdown={act.argument} does not exist: {nearest(act.argument, ('powerdown', 'halt', 'reboot'))}"
        )


def seconds(text: object, where: str) -> float:
    """A time: a number of seconds, or a text like 90s, 2.5m, 1h. Raises ScenarioError."""
    value: float | None = None
    if isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text)
    elif isinstance(text, str):
        for unit in sorted(UNITS, key=len, reverse=True):
            if text.endswith(unit) and _is_number(text[: -len(unit)]):
                value = float(text[: -len(unit)]) * UNITS[unit]
                break
        else:
            value = float(text) if _is_number(text) else None
    if value is None or not 0 <= value <= TIME_S_MAX:
        raise ScenarioError(f"{where}: '{text}' is no time: write 90s, 2.5m or 1h, up to 31 days")
    return value


def _is_number(text: str) -> bool:
    return bool(text) and text.isascii() and text.replace(".", "", 1).isdigit()


def act(at: object, words: str, where: str) -> Act:
    """An act from its time and `name` or `name=argument`. Raises ScenarioError."""
    name, _, argument = words.partition("=")
    made = Act(seconds(at, where), name.strip(), argument)
    _check_act(made)
    return made


def from_toml(text: str, where: str) -> Scenario:
    """The scenario in a TOML text. Raises ScenarioError."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{where}: {error}") from None
    unknown = next((name for name in given if name not in FIELDS), None)
    if unknown is not None:
        raise ScenarioError(f"{where}: '{unknown}' is no part of a scenario: {nearest(unknown, FIELDS)}")
    return Scenario(
        guest=_text(given, "guest", "windows-server-2022", where),
        settings=tuple(_settings(given.get("settings", {}), where)),
        acts=tuple(_acts(given.get("at", []), where)),
        until_s=seconds(given.get("until", UNTIL_S), f"{where}, until"),
        seed=str(given.get("seed", "0")),
        boot=given.get("boot", False) is True,
        participants=_participants(given.get("participants", []), where),
    ).checked()


def _text(given: Mapping[str, Any], name: str, default: str, where: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise ScenarioError(f"{where}: {name} must be a text")
    return value


def _settings(given: object, where: str) -> Iterable[tuple[str, str]]:
    if not isinstance(given, dict):
        raise ScenarioError(f"{where}: settings must be a table, NAME = VALUE")
    for name, value in given.items():
        yield name, str(int(value)) if isinstance(value, bool) else str(value)


def _acts(given: object, where: str) -> Iterable[Act]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ScenarioError(f"{where}: write each act as [[at]] with time, do and, where it takes one, with")
    for number, each in enumerate(given, 1):
        here = f"{where}, act {number}"
        unknown = next((name for name in each if name not in ("time", "do", "with")), None)
        if unknown is not None:
            raise ScenarioError(f"{here}: '{unknown}' is none of time, do, with")
        if "time" not in each or "do" not in each:
            raise ScenarioError(f"{here}: it needs time and do")
        argument = f"={each['with']}" if "with" in each else ""
        yield act(each["time"], f"{each['do']}{argument}", here)


def _participants(given: object, where: str) -> tuple[Participant, ...]:
    from qmpemu.guests.windows import declarations

    if not isinstance(given, list):
        raise ScenarioError(f"{where}: participants must be a list of tables, or of names of installed ones")
    names = [each for each in given if isinstance(each, str)]
    try:
        installed = [declarations.named(name) for name in names]
        described = declarations.from_data([each for each in given if not isinstance(each, str)])
    except GuestError as error:
        raise ScenarioError(f"{where}: {error}") from None
    return (*installed, *described)
