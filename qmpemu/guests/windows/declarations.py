"""How a participant comes to be: a decorated Python function or class, an installed package, or data.

    @participant("service", name="AcmeBackup")         [project.entry-points."qmpemu.participants"]
    def backup(point): ...                             acme-backup = "acme.backup:backup"

    named("acme-backup")                               from_data([{"kind": "service", "name": "AcmeBackup", ...}])

A mistake is one sentence that says where it is and what would be right; a mistake inside the function, while the
machine runs, is a fact (`participants.ParticipantCrashed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qmpemu.guests.registry import GuestError, nearest
from qmpemu.guests.windows import participants as parts
from qmpemu.guests.windows.participants import Application, Driver, Participant, Response, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from qmpemu.guests.windows.participants import Respond

    D = TypeVar("D", bound=Callable[..., Any])

GROUP = "qmpemu.participants"
"""The entry point group of installed packages."""

MARK = "__qmpemu_participant__"
"""The attribute under which a decorated function or class keeps its declaration."""

HOUR_MS = 3_600_000

POINTS = {
    "start": parts.START,
    "suspend": parts.SUSPEND,
    "query_end_session": parts.QUERY_END_SESSION,
    "end_session": parts.END_SESSION,
    "console_close": parts.CONSOLE_CLOSE,
    "preshutdown": parts.PRESHUTDOWN,
    "shutdown": parts.SHUTDOWN,
    "irp_shutdown": parts.IRP_SHUTDOWN,
    "set_power": parts.IRP_SET_POWER,
}
"""The points by the names they have as methods and in data."""

KINDS: dict[str, tuple[type[Application | Service | Driver], tuple[str, ...]]] = {
    "application": (
        Application,
        ("start", "suspend", "query_end_session", "end_session", "console_close"),
    ),
    "service": (Service, ("start", "preshutdown", "shutdown")),
    "driver": (Driver, ("irp_shutdown", "set_power")),
}
"""The kinds, and the points at which each is asked."""

FLAG, TEXT, TEXTS = "true or false", "a text", "a list of texts"
FIELDS: dict[str, dict[str, str | tuple[int, int]]] = {
    "application": {
        "level": (0, parts.LEVEL_MAX),
        "window": FLAG,
        "console": FLAG,
        "noretry": FLAG,
        "documents": TEXTS,
        "saves_at_end": FLAG,
        "block_reason": TEXT,
    },
    "service": {"preshutdown": FLAG, "preshutdown_timeout_ms": (0, HOUR_MS), "core": FLAG},
    "driver": {},
}
"""What else each kind can say of itself, and what that can be."""

ANSWER_KEYS = ("answers", "delays_ms", "hangs")


class ParticipantError(GuestError):
    """A participant that cannot be; the text is one sentence that says where and what would be right."""


class Declaration(NamedTuple):
    """A declared participant. make: its function for one boot, or None where the data says it all."""

    kind: str
    fields: dict[str, Any]
    make: Callable[[], Respond]

    def build(self) -> Participant:
        """The participant of one boot."""
        return KINDS[self.kind][0](respond=self.make(), **self.fields)


DECLARED: dict[str, Declaration] = {}


def participant(kind: str, *, name: str = "", **fields: Any) -> Callable[[D], D]:
    """Declare a function `(point) -> answer`, or a class with methods named like `POINTS`, as a participant.

    kind: "application", "service" or "driver". name: Windows' name of it; without one, the Python name. fields: as in
    `Application`, `Service`, `Driver`. A class is made anew for each boot. An answer is None, "yes", "no", "hang" or
    a `Response`. Raises ParticipantError.
    """

    def declare(declared: D) -> D:
        own = name or str(declared.__name__)
        where = f"participant '{own}'"
        _known_kind(kind, where)
        checked = {key: _field(kind, key, value, where) for key, value in fields.items()}
        make = _maker(kind, declared, where) if isinstance(declared, type) else lambda: declared
        DECLARED[own] = declaration = Declaration(kind, {"name": own, **checked}, make)
        setattr(declared, MARK, declaration)
        return declared

    return declare


def _maker(kind: str, made: type, where: str) -> Callable[[], Respond]:
    """What makes a class's instance for one boot answer at points."""
    methods = {POINTS[point]: point for point in KINDS[kind][1] if callable(getattr(made, point, None))}
    if not methods:
        raise ParticipantError(
            f"{where}: class {made.__name__} answers at no point: valid methods of a {kind} are "
            f"{', '.join(KINDS[kind][1])}"
        )

    def make() -> Respond:
        instance = made()
        return lambda point: getattr(instance, methods[point])() if point in methods else None

    return make


def named(name: str) -> Participant:
    """The participant declared as `name`, here or by an installed package. Raises ParticipantError."""
    if name in DECLARED:
        return DECLARED[name].build()
    from importlib.metadata import entry_points  # looked up only where a name is asked for

    offered = {each.name: each for each in entry_points(group=GROUP)}
    if name not in offered:
        known = sorted({*DECLARED, *offered})
        hint = nearest(name, known) if known else f"no installed package offers any ({GROUP})"
        raise ParticipantError(f"participant '{name}' does not exist: {hint}")
    try:
        loaded = offered[name].load()
    except Exception as error:  # the package's code: anything may come out of it
        raise ParticipantError(
            f"participant '{name}' of {offered[name].value} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if isinstance(loaded, Participant):
        return loaded
    declaration = getattr(loaded, MARK, None)
    if not isinstance(declaration, Declaration):
        raise ParticipantError(
            f"participant '{name}': {offered[name].value} is none: decorate it with qmpemu.participants.participant"
        )
    return declaration.build()


# --- data -----------------------------------------------------------------------------------------------------


def from_data(tables: Iterable[Mapping[str, object]], where: str = "the scenario") -> list[Participant]:
    """The participants of a scenario: each a table with `kind` and `name`, or with `use` and a declared name.

    Keys: those of `FIELDS`; answers = {point = "yes" | "no"}, delays_ms = {point = ms}, hangs = [points].
    Raises ParticipantError with one sentence that begins with `where`.
    """
    return [_from_table(table, f"{where}: participant {n}") for n, table in enumerate(tables, 1)]


def _from_table(table: Mapping[str, object], where: str) -> Participant:
    if "use" in table:
        if len(table) > 1 or not isinstance(table["use"], str):
            raise ParticipantError(f"{where}: 'use' stands alone, with the name of a declared participant")
        return named(table["use"])
    kind, name = table.get("kind"), table.get("name")
    _known_kind(kind, where)
    assert isinstance(kind, str)
    if not isinstance(name, str) or not name:
        raise ParticipantError(f"{where} has no 'name': give one such as 'WINWORD.EXE'")
    where = f"{where} ('{name}')"
    own = {k: v for k, v in table.items() if k not in ("kind", "name", *ANSWER_KEYS)}
    fields = {key: _field(kind, key, value, where) for key, value in own.items()}
    return KINDS[kind][0](name=name, responses=_responses(kind, table, where), **fields)


def _known_kind(kind: object, where: str) -> None:
    if kind is None:
        raise ParticipantError(f"{where} has no 'kind': valid are {', '.join(KINDS)}")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ParticipantError(f"{where}: kind {kind!r} does not exist: {nearest(str(kind), KINDS)}")


def _field(kind: str, key: str, value: object, where: str) -> Any:
    """A field's value as the participant takes it."""
    known = FIELDS[kind]
    if key not in known:
        valid = ["kind", "name", *known, *ANSWER_KEYS]
        raise ParticipantError(f"{where}: kind '{kind}' has no '{key}': {nearest(key, valid)}")
    shape = known[key]
    if isinstance(shape, tuple):
        if isinstance(value, int) and not isinstance(value, bool) and shape[0] <= value <= shape[1]:
            return value
        shape = f"a whole number from {shape[0]} to {shape[1]}"
    elif (shape == FLAG and isinstance(value, bool)) or (shape == TEXT and isinstance(value, str)):
        return value
    elif shape == TEXTS and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise ParticipantError(f"{where}: {key} cannot be {value!r}: valid is {shape}")


def _responses(kind: str, table: Mapping[str, object], where: str) -> dict[str, Response]:
    answers = _by_point(kind, table, "answers", where)
    delays = _by_point(kind, table, "delays_ms", where)
    hangs = table.get("hangs", [])
    if not isinstance(hangs, (list, tuple)):
        raise ParticipantError(f"{where}: hangs cannot be {hangs!r}: valid is a list of points")
    responses: dict[str, Response] = {}
    for point in {**answers, **delays, **{_point(kind, each, where): None for each in hangs}}:
        answer, after_ms = answers.get(point, "yes"), delays.get(point, 0)
        if point in hangs and (point in answers or point in delays):
            raise ParticipantError(f"{where}: at '{point}' it cannot both hang and answer")
        if answer not in ("yes", "no"):
            raise ParticipantError(
                f"{where}: the answer at '{point}' cannot be {answer!r}: valid are yes and no"
            )
        if not isinstance(after_ms, int) or isinstance(after_ms, bool) or not 0 <= after_ms <= 24 * HOUR_MS:
            raise ParticipantError(
                f"{where}: the delay at '{point}' cannot be {after_ms!r}: valid is a whole number of ms from 0 to "
                f"{24 * HOUR_MS}"
            )
        responses[POINTS[point]] = parts.HANG if point in hangs else Response(answer, after_ms)
    return responses


def _by_point(kind: str, table: Mapping[str, object], key: str, where: str) -> dict[str, Any]:
    given = table.get(key, {})
    if not isinstance(given, dict):
        raise ParticipantError(f"{where}: {key} cannot be {given!r}: valid is a table of points and values")
    return {_point(kind, point, where): value for point, value in given.items()}


def _point(kind: str, given: object, where: str) -> str:
    """A point's short name, from it or from Windows' own name."""
    short = {long: name for name, long in POINTS.items()}.get(str(given), str(given))
    if short not in KINDS[kind][1]:
        raise ParticipantError(
            f"{where}: kind '{kind}' is not asked at '{given}': {nearest(short, KINDS[kind][1])}"
        )
    return short
