"""Windows error codes of a shutdown, and their texts as Windows words them (facts: windows-acpi 6)."""

from __future__ import annotations

SUCCESS, NOT_READY = 0, 21
SHUTDOWN_IN_PROGRESS, NO_SHUTDOWN_IN_PROGRESS = 1115, 1116
SHUTDOWN_IS_SCHEDULED, SHUTDOWN_USERS_LOGGED_ON = 1190, 1191

TEXTS = {
    NOT_READY: "The device is not ready.",
    SHUTDOWN_IN_PROGRESS: "A system shutdown is in progress.",
    NO_SHUTDOWN_IN_PROGRESS: "Unable to abort the system shutdown because no shutdown was in progress.",
    SHUTDOWN_IS_SCHEDULED: "A system shutdown has already been scheduled.",
    SHUTDOWN_USERS_LOGGED_ON: (
        "The system shutdown cannot be initiated because there are other users logged on to the computer."
    ),
}
