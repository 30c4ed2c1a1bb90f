"""Every error text of the protocol layer, as QEMU 7.2 words it (measured: facts/qmp-wire.md §2, §3, §5)."""

from __future__ import annotations

GENERIC, NOT_FOUND = "GenericError", "CommandNotFound"
DEVICE_NOT_FOUND, DEVICE_NOT_ACTIVE = "DeviceNotFound", "DeviceNotActive"


class QmpError(Exception):
    """A mistake of the peer, sent to it as `{"error": {"class": cls, "desc": desc}}`; nothing else is affected."""

    def __init__(self, desc: str, cls: str = GENERIC) -> None:
        super().__init__(desc)
        self.desc = desc
        self.cls = cls


# --- envelope and negotiation ---------------------------------------------------------------------------------

NOT_AN_OBJECT = "QMP input must be a JSON object"
LACKS_EXECUTE = "QMP input lacks member 'execute'"
NEGOTIATE_FIRST = "Expecting capabilities negotiation with 'qmp_capabilities'"
NEGOTIATED_ALREADY = "Capabilities negotiation is already complete, command ignored"


def member_must_be(name: str, what: str) -> QmpError:
    """`execute` is no string, `arguments` is no object."""
    return QmpError(f"QMP input member '{name}' must be {what}")


def member_unexpected(name: str) -> QmpError:
    """A member the envelope does not have."""
    return QmpError(f"QMP input member '{name}' is unexpected")


def members_clash(one: str, other: str) -> QmpError:
    """Both `execute` and `exec-oob`."""
    return QmpError(f"QMP input member '{one}' clashes with '{other}'")


def command_not_found(name: str) -> QmpError:
    """No such command in this version."""
    return QmpError(f"The command {name} has not been found", NOT_FOUND)


def no_oob(name: str) -> QmpError:
    """exec-oob of a command that must wait its turn."""
    return QmpError(f"The command {name} does not support OOB")


def not_emulated(name: str) -> QmpError:
    """A command of this version that qmpemu does not have: said, never pretended."""
    return QmpError(f"qmpemu does not emulate the command '{name}'")


# --- arguments ------------------------------------------------------------------------------------------------


def parameter_missing(name: str) -> QmpError:
    """A mandatory member is absent."""
    return QmpError(f"Parameter '{name}' is missing")


def parameter_unexpected(name: str) -> QmpError:
    """A member the type does not have."""
    return QmpError(f"Parameter '{name}' is unexpected")


def parameter_type(name: str, expected: str) -> QmpError:
    """A member of the wrong JSON type."""
    return QmpError(f"Invalid parameter type for '{name}', expected: {expected}")


def parameter_expects(name: str, what: str) -> QmpError:
    """A number out of range, or another value with a form of its own."""
    return QmpError(f"Parameter '{name}' expects {what}")


def parameter_value(name: str, value: str) -> QmpError:
    """A string that is no value of the enumeration."""
    return QmpError(f"Parameter '{name}' does not accept value '{value}'")


def device_not_found(name: str) -> QmpError:
    """No such device, object path or device type."""
    return QmpError(f"Device '{name}' not found", DEVICE_NOT_FOUND)
