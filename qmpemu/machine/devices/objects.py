"""User-created objects (-object, object-add): I/O threads, memory back ends, random sources, secrets, ..."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices import memory_backend, object_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.profile import Profile

NOT_PROPERTIES = ("qom-type", "id")
RANGE_TEXT = "{name} value must be in range [0, 9223372036854775807]"
IOTHREAD_LIMITS = (
    "poll-max-ns",
    "poll-grow",
    "poll-shrink",
    "aio-max-batch",
    "thread-pool-min",
    "thread-pool-max",
)


class UserObject:
    """One object. values: every readable property. users: what holds it."""

    __slots__ = ("errors", "given", "held", "kind", "properties", "users", "values")

    def __init__(self, kind: str, given: dict[str, object], about: dict[str, Any] | None) -> None:
        self.kind = kind
        self.given = given
        self.held: object = None
        """What the host made of it: a secret's data, credentials for TLS."""
        self.users: list[object] = []
        self.properties: dict[str, str] = {"type": "string"}
        self.values: dict[str, object] = {"type": kind}
        self.errors: dict[str, str] = {}
        if about is not None:
            self.properties = dict(about["rows"])
            self.values.update(about["values"])
            self.errors = dict(about["errors"])
        for name, value in given.items():
            if name not in NOT_PROPERTIES:
                self.properties.setdefault(name, "string" if isinstance(value, str) else "int")
                self.values[name] = value


class Objects:
    """All of them by id, in order of creation."""

    __slots__ = ("_config", "_host", "_profile", "all", "main_memory", "main_values")

    def __init__(self, profile: Profile, host: Host, config: MachineConfig) -> None:
        self._config = config
        self._profile = profile
        self._host = host
        self.all: dict[str, UserObject] = {}
        self.main_memory: str | None = None
        """The machine's own memory, where it is not among these."""
        self.main_values: dict[str, object] = {}
        """What was set of it since."""

    def add(self, given: dict[str, object]) -> None:
        """Create what `given` describes (`qom-type`, `id`, properties). Raises Refused."""
        kind, name = str(given["qom-type"]), str(given["id"])
        is_memory = kind.startswith(memory_backend.BEGINNING)
        if is_memory:
            given = {**memory_backend.defaults(self._config), **given}
            memory_backend.check_values(kind, given)
        if name in self.all or name in ("type", self.main_memory):  # `type` is the container's own property
            raise Refused(f"attempt to add duplicate property '{name}' to object (type 'container')")
        if is_memory:
            memory_backend.take(given, self._host)
        object_rules.check(given, {each: made.kind for each, made in self.all.items()}, self._host)
        recorded = self._profile.added("object", kind)
        about = None if recorded is None else next(iter(recorded["objects"].values()))
        made = UserObject(kind, given, about)
        if kind.startswith("tls-creds-"):
            made.held = self._host.load_credentials(given, self.all)
        if kind == "secret":
            made.held = self._host.load_secret(given, self.all)
            if "data" not in given:
                made.values["data"] = ""  # what is read from a file is not shown
        for each, value in made.values.items():
            check_range(made, each, value)
        self.all[name] = made

    def given(self) -> list[dict[str, object]]:
        """Every one as object-add takes it."""
        return [made.given for made in self.all.values()]

    def remove(self, name: str) -> None:
        """Delete an object that nothing uses. Raises Refused."""
        found = self.all.get(name)
        if found is None and name != self.main_memory:
            raise Refused(f"object '{name}' not found")
        if found is None or found.users:
            raise Refused(f"object '{name}' is in use, can not be deleted")
        del self.all[name]


def check_range(made: UserObject, name: str, value: object) -> None:
    """Refuse a number that an I/O thread cannot have, and what is none."""
    if made.kind != "iothread" or name not in IOTHREAD_LIMITS:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"Invalid parameter type for '{name}', expected: integer")
    if value < 0:
        raise Refused(RANGE_TEXT.format(name=name))
