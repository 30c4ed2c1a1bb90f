"""Whether a certificate is for a host (RFC 6125): by its alternative names, without such a name by its common name."""

from __future__ import annotations

from ipaddress import ip_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_for(shown: dict[str, Any], host: str) -> bool:
    """shown: as `getpeercert` has it; host: a name or an address."""
    names = shown.get("subjectAltName", ())
    try:
        wanted = ip_address(host)
    except ValueError:
        alternatives = [value for kind, value in names if kind == "DNS"]
    else:
        alternatives = [value for kind, value in names if kind == "IP Address"]
        if alternatives:
            return any(ip_address(each.strip()) == wanted for each in alternatives)
    if not alternatives:
        alternatives = [
            value for part in shown.get("subject", ()) for kind, value in part if kind == "commonName"
        ][-1:]
    return any(_fits(each.lower(), host.lower()) for each in alternatives)


def _fits(pattern: str, host: str) -> bool:
    """A star stands for one whole label, the first of three or more."""
    if not pattern.startswith("*."):
        return pattern == host
    rest = pattern[1:]
    return rest.count(".") > 1 and host.endswith(rest) and "." not in host[: -len(rest)] and host != rest
