"""Who is logged on, and passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.registry import command, decoded, failed, unsupported
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent


@command("guest-get-users")
def guest_get_users(agent: Agent) -> object:
    """Who is logged on, each user once."""
    domain = agent.host.system.host_name()
    return [
        {"user": user, "domain": domain, "login-time": since_ns / NS_PER_S}
        for user, since_ns in agent.host.accounts.logged_on()
    ]


@command("guest-set-user-password", acts=True, username="str", password="str", crypted="bool")
def guest_set_user_password(agent: Agent, username: str, password: str, crypted: bool) -> object:
    """Change a password, given in base64; Windows takes no crypted one."""
    if crypted:
        raise unsupported()
    try:
        text = decoded(password).partition(b"\0")[0].decode()
    except UnicodeDecodeError:
        raise failed("Invalid byte sequence in conversion input") from None
    try:
        agent.host.accounts.set_password(username, text)
    except HostError as error:
        raise QmpError(f"failed to set password: {error}") from None
    return {}
