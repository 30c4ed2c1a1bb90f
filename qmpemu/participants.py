"""Public API: let your own program, service or driver take part in the simulated Windows' shutdown.

    from qmpemu.participants import QUERY_END_SESSION, Response, participant

    @participant("application", name="cad.exe", block_reason="Rendering")
    def cad(point):                                    # asked at each point of its life
        return "no" if point == QUERY_END_SESSION else None

    @participant("service", name="AcmeBackup", preshutdown=True)
    class Backup:                                      # one instance a boot; a method for each point
        def preshutdown(self):
            return Response(after_ms=8_000)

Answers: None (leave it to the data), "yes", "no", "hang", or a `Response` with a delay. An installed package offers
its own as entry points of the group `qmpemu.participants`; a scenario file writes the same as data (`from_data`).
"""

from qmpemu.guests.windows.declarations import ParticipantError, from_data, named, participant
from qmpemu.guests.windows.participants import (
    CONSOLE_CLOSE,
    END_SESSION,
    HANG,
    IRP_SET_POWER,
    IRP_SHUTDOWN,
    NO,
    PRESHUTDOWN,
    QUERY_END_SESSION,
    SHUTDOWN,
    START,
    SUSPEND,
    YES,
    Application,
    Driver,
    Participant,
    Response,
    Service,
)

__all__ = [
    "CONSOLE_CLOSE",
    "END_SESSION",
    "HANG",
    "IRP_SET_POWER",
    "IRP_SHUTDOWN",
    "NO",
    "PRESHUTDOWN",
    "QUERY_END_SESSION",
    "SHUTDOWN",
    "START",
    "SUSPEND",
    "YES",
    "Application",
    "Driver",
    "Participant",
    "ParticipantError",
    "Response",
    "Service",
    "from_data",
    "named",
    "participant",
]
