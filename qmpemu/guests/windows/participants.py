"""Who takes part in a shutdown: applications, services, drivers. Each is data plus at most one function.

    Application(name="WINWORD.EXE", responses={QUERY_END_SESSION: NO})      # an application that refuses
    Service(name="MSSQLSERVER", responses={SHUTDOWN: Response(after_ms=8000)})
    Service(name="Spooler", responses={SHUTDOWN: HANG})

At each point of Windows' life a participant is asked once, and answers with a `Response`: what, and after how long.
The data says it; a function, where there is one, is asked first and may return None to leave it to the data. A
function that raises is a participant that crashed (`guarded`): the machine goes on without it.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from msgspec import Struct, structs

from qmpemu.core.facts import Bus, Fact

START = "start"
SUSPEND = "PBT_APMSUSPEND"
QUERY_END_SESSION = "WM_QUERYENDSESSION"
END_SESSION = "WM_ENDSESSION"
CONSOLE_CLOSE = "CTRL_CLOSE_EVENT"
PRESHUTDOWN = "SERVICE_CONTROL_PRESHUTDOWN"
SHUTDOWN = "SERVICE_CONTROL_SHUTDOWN"
IRP_SHUTDOWN = "IRP_MJ_SHUTDOWN"
IRP_SET_POWER = "IRP_MN_SET_POWER"
"""The points at which participants are asked, by Windows' own names."""

LEVEL_DEFAULT = 0x280
"""The shutdown level of an application that sets none; levels are 0 to 0x4FF, high ones first (facts 6)."""

LEVEL_MAX = 0x4FF

SUSPEND_MAX_MS = 2_000
"""What one application gets to prepare for sleep (facts: windows-acpi 4)."""


class ParticipantCrashed(Fact):
    """A participant's own function raised, or answered something that is no answer; it no longer takes part."""

    participant: str
    point: str
    error: str


class Response(Struct, frozen=True):
    """An answer. hang: it never comes. crashed: nobody is left to answer."""

    answer: Literal["yes", "no", "hang", "crashed"] = "yes"
    after_ms: int = 0


YES, NO, HANG, CRASHED = Response("yes"), Response("no"), Response("hang"), Response("crashed")
ANSWERS = {"yes": YES, "no": NO, "hang": HANG}
"""Short for a `Response` without a delay."""

Respond = Callable[[str], Response | str | None]
"""A participant's one function: asked with a point."""


class Participant(Struct, frozen=True, kw_only=True):
    """What all participants have. responses: answers by point; respond: the one function."""

    name: str
    responses: Mapping[str, Response] = {}
    respond: Respond | None = None

    def response(self, point: str, default: Response = YES) -> Response:
        """What this participant answers at `point`."""
        if self.respond is not None:
            own = self.respond(point)
            if own is not None:
                return ANSWERS[own] if isinstance(own, str) else own
        return self.responses.get(point, default)


class Application(Participant, frozen=True, kw_only=True):
    """A program of a user's session.

    level: shutdown level. window: a program without one cannot cancel a shutdown (facts 6). console: it gets
    CTRL_CLOSE_EVENT instead of window messages, and cannot cancel either. noretry: SHUTDOWN_NORETRY, it is ended
    without asking the user. documents: open and unsaved; with any, it asks the user to save them, and so refuses
    unless its responses say otherwise. saves_at_end: it saves them by itself at WM_ENDSESSION. block_reason: the
    text it shows (ShutdownBlockReasonCreate).
    """

    level: int = LEVEL_DEFAULT
    window: bool = True
    console: bool = False
    noretry: bool = False
    documents: tuple[str, ...] = ()
    saves_at_end: bool = False
    block_reason: str = ""


class Service(Participant, frozen=True, kw_only=True):
    """A service. preshutdown: it gets PRESHUTDOWN and then no SHUTDOWN. core: it stops after all others."""

    preshutdown: bool = False
    preshutdown_timeout_ms: int | None = None
    core: bool = False


class Driver(Participant, frozen=True, kw_only=True):
    """A driver that registered for IRP_MJ_SHUTDOWN; it also gets the power IRP that switches the machine off."""


P = TypeVar("P", bound=Participant)


class Guard:
    """A participant's function made safe, for one boot: whatever it does, the machine goes on."""

    __slots__ = ("_crashed", "_facts", "_name", "_respond")

    def __init__(self, name: str, respond: Respond, facts: Bus) -> None:
        self._name = name
        self._respond = respond
        self._facts = facts
        self._crashed = False

    def __call__(self, point: str) -> Response | None:
        """What the function answers; CRASHED from its first exception on."""
        if self._crashed:
            return CRASHED
        try:
            return checked(self._respond(point))
        except Exception as error:  # the user's code: anything may come out of it
            self._crashed = True
            text = f"{type(error).__name__}: {error}"
            self._facts.publish(ParticipantCrashed(participant=self._name, point=point, error=text))
            return CRASHED


def checked(answer: object) -> Response | None:
    """A function's answer, if it is one. Raises TypeError with one sentence."""
    if answer is None:
        return None
    if isinstance(answer, str) and answer in ANSWERS:
        return ANSWERS[answer]
    if isinstance(answer, Response) and type(answer.after_ms) is int and answer.after_ms >= 0:
        return answer
    raise TypeError(
        f"the answer {answer!r} is none: valid are None, 'yes', 'no', 'hang' and Response(answer, after_ms=0 or more)"
    )


def guarded(participants: tuple[P, ...], facts: Bus) -> tuple[P, ...]:
    """The same participants, with every function made safe for one boot (`Guard`)."""
    if all(participant.respond is None for participant in participants):
        return participants
    return tuple(
        p if p.respond is None else structs.replace(p, respond=Guard(p.name, p.respond, facts))
        for p in participants
    )
