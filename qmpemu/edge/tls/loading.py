"""Objects that are credentials for TLS: made from what they were given, found again by whoever makes a connection."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.secret import text_of
from qmpemu.edge.tls.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qmpemu.machine.devices.objects import Objects, UserObject


PARAMETERS, KEYS = "dh-params.pem", "keys.psk"
USER = "qemu"


def load(given: dict[str, object], others: Mapping[str, UserObject]) -> Credentials | None:
    """What the object holds; None for kinds with which no connection is made here. Raises Refused."""
    kind = str(given["qom-type"])
    if kind == "tls-creds-x509":
        return Credentials(given, lambda name: text_of(others, name))
    if kind == "tls-creds-psk":
        _look_through_keys(given)
    elif given.get("endpoint") == "server" and "dir" in given:
        _look_for(f"{given['dir']}/{PARAMETERS}", needed=False)
    return None


def _look_through_keys(given: dict[str, object]) -> None:
    """The shared keys of who may come, or one's own among them. Raises Refused."""
    server, path = given.get("endpoint") == "server", f"{given.get('dir')}/{KEYS}"
    if "dir" not in given:
        raise Refused("Missing 'dir' property value")
    if server and "username" in given:
        raise Refused("username should not be set when endpoint=server")
    if server:
        _look_for(f"{given['dir']}/{PARAMETERS}", needed=False)
    _look_for(path, needed=True)
    user = str(given.get("username", USER))
    if server:
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        if not any(line.startswith(f"{user}:") for line in file):
            raise Refused(f"Username {user} not found in PSK file {path}")


def _look_for(path: str, *, needed: bool) -> None:
    """See that a file can be read. Raises Refused."""
    try:
        open(path, "rb").close()
    except OSError as error:
        if needed or not isinstance(error, FileNotFoundError):
            raise Refused(f"Unable to access credentials {path}: {error.strerror}") from None


def find(objects: Objects, name: str) -> Credentials:
    """The credentials with that id. Raises Refused."""
    found = objects.all.get(name)
    if found is None:
        raise Refused(f"No TLS credentials with id '{name}'")
    if not found.kind.startswith("tls-creds"):
        raise Refused(f"Object with id '{name}' is not TLS credentials")
    if not isinstance(found.held, Credentials):
        raise Refused(f"qmpemu does not emulate connections with {found.kind}")
    return found.held


def judge(objects: Objects, name: str) -> Callable[[str], str] | None:
    """Who may come, by an authorization object's id: subject of a certificate -> "" or why not; None for everybody."""
    if not name:
        return None

    def allows(subject: str) -> str:
        found = objects.all.get(name)
        if found is None:
            return f"Cannot find QAuthZ object ID {name}"
        if not found.kind.startswith("authz-"):
            return f"Object '{name}' is not a QAuthZ subclass"
        return (
            ""
            if _allowed(found.kind, found.values, subject)
            else f"TLS x509 authz check for {subject} is denied"
        )

    return allows


def _allowed(kind: str, values: dict[str, object], subject: str) -> bool:
    if kind == "authz-simple":
        return values.get("identity") == subject
    rules, policy = values.get("rules"), values.get("policy", "deny")
    if kind == "authz-list" and isinstance(rules, list):
        for rule in rules:
            if _matches(rule, subject):
                policy = rule["policy"]
                break
    return policy == "allow"


def _matches(rule: dict[str, str], subject: str) -> bool:
    if rule.get("format", "exact") == "exact":
        return rule["match"] == subject
    from fnmatch import fnmatchcase

    return fnmatchcase(subject, rule["match"])
