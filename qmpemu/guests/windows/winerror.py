"""Windows error codes and their texts as Windows words them (facts: windows-acpi 6; files and accounts: Win32)."""

from __future__ import annotations

SUCCESS, NOT_READY = 0, 21
SHUTDOWN_IN_PROGRESS, NO_SHUTDOWN_IN_PROGRESS = 1115, 1116
SHUTDOWN_IS_SCHEDULED, SHUTDOWN_USERS_LOGGED_ON = 1190, 1191
FILE_NOT_FOUND, PATH_NOT_FOUND, ACCESS_DENIED, SHARING_VIOLATION = 2, 3, 5, 32
DISK_FULL, INVALID_NAME, NEGATIVE_SEEK = 112, 123, 131
USER_NOT_FOUND, PASSWORD_TOO_SHORT = 2221, 2245
SERVICE_DOES_NOT_EXIST, SERVICE_NOT_ACTIVE, SERVICE_ALREADY_RUNNING = 1060, 1062, 1056
SERVICE_REQUEST_TIMEOUT = 1053

TEXTS = {
    NOT_READY: "The device is not ready.",
    SHUTDOWN_IN_PROGRESS: "A system shutdown is in progress.",
    NO_SHUTDOWN_IN_PROGRESS: "Unable to abort the system shutdown because no shutdown was in progress.",
    SHUTDOWN_IS_SCHEDULED: "A system shutdown has already been scheduled.",
    SHUTDOWN_USERS_LOGGED_ON: (
        "The system shutdown cannot be initiated because there are other users logged on to the computer."
    ),
    FILE_NOT_FOUND: "The system cannot find the file specified.",
    PATH_NOT_FOUND: "The system cannot find the path specified.",
    ACCESS_DENIED: "Access is denied.",
    SHARING_VIOLATION: "The process cannot access the file because it is being used by another process.",
    DISK_FULL: "There is not enough space on the disk.",
    INVALID_NAME: "The filename, directory name, or volume label syntax is incorrect.",
    NEGATIVE_SEEK: "An attempt was made to move the file pointer before the beginning of the file.",
    USER_NOT_FOUND: "The user name could not be found.",
    PASSWORD_TOO_SHORT: (
        "The password does not meet the password policy requirements. Check the minimum password length, password "
        "complexity and password history requirements."
    ),
    SERVICE_REQUEST_TIMEOUT: "The service did not respond to the start or control request in a timely fashion.",
    SERVICE_DOES_NOT_EXIST: "The specified service does not exist as an installed service.",
    SERVICE_NOT_ACTIVE: "The service has not been started.",
    SERVICE_ALREADY_RUNNING: "An instance of the service is already running.",
}
