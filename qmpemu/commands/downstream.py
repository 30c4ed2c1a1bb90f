"""Commands of our own, `__org.qmpemu_ACT`: whoever sits at the guest's console, reached through any QMP client.

    virsh qemu-monitor-command DOMAIN '{"execute": "__org.qmpemu_log_on", "arguments": {"value": "Ada"}}'

One for each act of the operator (`qmpemu acts`), its argument as `value`. QEMU reserves names with `__` and a domain
for such commands. They work always; query-commands lists them where QMPEMU_OPERATOR is set, so that by default it
answers as the real one does.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.runstate import RUNNING, SUSPENDED
from qmpemu.qmp.errors import QmpError, command_not_found, parameter_type, parameter_unexpected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.guests.guest import Guest
    from qmpemu.machine.machine import Machine

PREFIX = "__org.qmpemu_"


HOST_ACTS = {"disk_error": ("DEVICE:enospc|eio|read-eio|none", "From now on the guest's disk fails so")}
"""What is done to the machine and not at its console: argument and meaning."""


def names() -> list[str]:
    """Every such command."""
    from qmpemu.guests.windows.operator import ACTIONS

    return [PREFIX + name for name in (*ACTIONS, *HOST_ACTS)]


def to_machine(name: str, arguments: dict[str, object], machine: Machine) -> bool:
    """Do what is done to the machine itself; False for an act at the console. Raises QmpError."""
    if name.removeprefix(PREFIX) not in HOST_ACTS:
        return False
    try:
        machine.disk_errors.set(_value(arguments))
    except Refused as error:
        raise QmpError(str(error)) from None
    return True


def checked(name: str, arguments: dict[str, object], machine: Machine) -> tuple[str, str]:
    """The act and its argument. Raises QmpError."""
    from qmpemu.guests.windows import operator

    act = name.removeprefix(PREFIX)
    if act not in operator.ACTIONS:
        raise command_not_found(name)
    value = _value(arguments)
    if machine.board.runstate not in (RUNNING, SUSPENDED):
        raise QmpError(f"the machine is {machine.board.runstate}: nobody can do anything at its console")
    return act, value


def _value(arguments: dict[str, object]) -> str:
    value = arguments.get("value", "")
    if not isinstance(value, str):
        raise parameter_type("value", "string")
    unknown = next((member for member in arguments if member != "value"), None)
    if unknown is not None:
        raise parameter_unexpected(unknown)
    return value


def run(act: str, value: str, machine: Machine, guest: Guest | None) -> str:
    """Perform the act: what Windows shows, mostly nothing. Raises QmpError."""
    from qmpemu.guests.windows import operator

    try:
        return operator.of(guest, machine.board.request_wakeup).do(act, value)
    except (operator.OperatorError, Refused) as error:
        raise QmpError(str(error)) from None
