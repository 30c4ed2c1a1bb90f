"""Programs in the guest: started, and asked after by pid until their end has been told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.registry import command, decoded, encoded, failed
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent, Child

OUTPUT_MAX_BYTES = 16 << 20
"""Of each output, what is kept (measured)."""
CHILDREN_MAX = 1000
"""Ends that nobody asked after; of more, the oldest are forgotten."""
SIGNAL_FROM = 0xC000_0000
"""Exit codes from here on are exceptions, and told as signals."""


@command(
    "guest-exec",
    acts=True,
    path="str",
    arg="[str]?",
    env="[str]?",
    input_data="str?",
    capture_output="bool?",
)
def guest_exec(
    agent: Agent,
    path: str,
    arg: list[str] | None = None,
    env: list[str] | None = None,
    input_data: str | None = None,
    capture_output: bool = False,
) -> object:
    """Start a program; its pid."""
    given = decoded(input_data) if input_data is not None else b""
    variables = dict(each.partition("=")[::2] for each in env or () if "=" in each)
    try:
        child = agent.host.programs.start(path, arg or [], variables, given)
    except HostError as error:
        raise failed(str(error)) from None
    while len(agent.children) >= CHILDREN_MAX:
        del agent.children[next(iter(agent.children))]
    agent.children[child.pid] = child, capture_output
    return {"pid": child.pid}


@command("guest-exec-status", pid="int")
def guest_exec_status(agent: Agent, pid: int) -> object:
    """Whether it runs; once it does not, how it ended, and that only once."""
    if pid not in agent.children:
        raise QmpError("Invalid parameter 'pid'")
    child, captured = agent.children[pid]
    if child.code is None:
        return {"exited": False}
    del agent.children[pid]
    return _ended(child, captured)


def _ended(child: Child, captured: bool) -> dict[str, object]:
    assert child.code is not None
    status: dict[str, object] = {"exited": True}
    status["exitcode" if child.code < SIGNAL_FROM else "signal"] = child.code
    for name, data in (("out", child.output), ("err", child.errors)):
        if captured and data:
            status[f"{name}-data"] = encoded(data[:OUTPUT_MAX_BYTES])
            status[f"{name}-truncated"] = len(data) > OUTPUT_MAX_BYTES
    return status
