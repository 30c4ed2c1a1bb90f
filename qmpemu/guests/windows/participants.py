"""Who takes part in a shutdown: applications, services, drivers. Each is data plus at most one function.

    Application(name="WINWORD.EXE", responses={QUERY_END_SESSION: NO})      # an application that refuses
    Service(name="MSSQLSERVER", responses={SHUTDOWN: Response(after_ms=8000)})
    Service(name="Spooler", responses={SHUTDOWN: HANG})

At each point of Windows' life a participant is asked once, and answers with a `Response`: what, and after how long.
The data says it; a function, where there is one, is asked first and may return None to leave it to the data.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

START = "start"
SUSPEND = "PBT_APMSUSPEND"
QUERY_END_SESSION = "WM_QUERYENDSESSION"
END_SESSION = "WM_ENDSESSION"
PRESHUTDOWN = "SERVICE_CONTROL_PRESHUTDOWN"
SHUTDOWN = "SERVICE_CONTROL_SHUTDOWN"
IRP_SHUTDOWN = "IRP_MJ_SHUTDOWN"
"""The points at which participants are asked, by Windows' own names."""

LEVEL_DEFAULT = 0x280
"""The shutdown level of an application that sets none; levels are 0 to 0x4FF, high ones first (facts 6)."""

SUSPEND_MAX_MS = 2_000
"""What one application gets to prepare for sleep (facts: windows-acpi 4)."""


class Response(Struct, frozen=True):
    """An answer. hang: it never comes."""

    answer: Literal["yes", "no", "hang"] = "yes"
    after_ms: int = 0


YES, NO, HANG = Response("yes"), Response("no"), Response("hang")


class Participant(Struct, frozen=True, kw_only=True):
    """What all participants have. responses: answers by point; respond: the one function."""

    name: str
    responses: Mapping[str, Response] = {}
    respond: Callable[[str], Response | None] | None = None

    def response(self, point: str, default: Response = YES) -> Response:
        """What this participant answers at `point`."""
        if self.respond is not None:
            own = self.respond(point)
            if own is not None:
                return own
        return self.responses.get(point, default)


class Application(Participant, frozen=True, kw_only=True):
    """A program of a user's session.

    level: shutdown level. window: a console or windowless program cannot cancel a shutdown (facts 6).
    documents: open and unsaved; with any, it refuses unless its responses say otherwise. saves_at_end: it saves
    them by itself at WM_ENDSESSION. block_reason: the text it shows (ShutdownBlockReasonCreate).
    """

    level: int = LEVEL_DEFAULT
    window: bool = True
    documents: tuple[str, ...] = ()
    saves_at_end: bool = False
    block_reason: str = ""


class Service(Participant, frozen=True, kw_only=True):
    """A service. preshutdown: it gets PRESHUTDOWN and then no SHUTDOWN. core: it stops after all others."""

    preshutdown: bool = False
    preshutdown_timeout_ms: int | None = None
    core: bool = False


class Driver(Participant, frozen=True, kw_only=True):
    """A driver that registered for IRP_MJ_SHUTDOWN."""
