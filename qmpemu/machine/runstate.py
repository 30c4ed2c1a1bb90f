"""The run state of a machine: which moves are legal, as one table (measured: facts/qmp-wire.md §7).

    prelaunch ──cont──> running <──cont── paused        running ──suspend──> suspended ──wakeup──> running
        ^                 │  └────stop────^                │
        └────reset────────┼── paused, suspended, shutdown  └──shutdown (-no-shutdown)──> shutdown

Only a running machine is stopped by what stops it: `shutdown` (under -no-shutdown) and `panic` move no other.
A machine that waits for a migration (`inmigrate`, -incoming) leaves that state by none of these moves; what migration
itself sets (`finish-migrate`, `postmigrate`, `restore-vm`) it sets beside the table (`machine.migration`), and so does
a dump (`save-vm`).
A command that is legal but changes nothing (`stop` while paused) is a move to the same state.
"""

from __future__ import annotations

from qmpemu.core.table import Table

PRELAUNCH, RUNNING, PAUSED, SUSPENDED = "prelaunch", "running", "paused", "suspended"
SHUTDOWN, PANICKED, INMIGRATE = "shutdown", "guest-panicked", "inmigrate"
FINISH_MIGRATE, POSTMIGRATE, RESTORE_VM = "finish-migrate", "postmigrate", "restore-vm"
SAVE_VM, WATCHDOG, IO_ERROR = "save-vm", "watchdog", "io-error"

RUN_STATES = Table(
    "the machine",
    {
        PRELAUNCH: {
            "cont": RUNNING,
            "stop": PRELAUNCH,
            "reset": PRELAUNCH,
            "shutdown": PRELAUNCH,
            "panic": PRELAUNCH,
        },
        RUNNING: {
            "cont": RUNNING,
            "stop": PAUSED,
            "reset": RUNNING,
            "suspend": SUSPENDED,
            "shutdown": SHUTDOWN,
            "panic": PANICKED,
            "watchdog": WATCHDOG,
            "disk failed": IO_ERROR,
        },
        PAUSED: {
            "cont": RUNNING,
            "stop": PAUSED,
            "reset": PRELAUNCH,
            "shutdown": PAUSED,
            "panic": PAUSED,
        },
        SUSPENDED: {
            "cont": SUSPENDED,
            "stop": SUSPENDED,
            "reset": PRELAUNCH,
            "wakeup": RUNNING,
            "shutdown": SUSPENDED,
            "panic": SUSPENDED,
        },
        INMIGRATE: {
            "cont": INMIGRATE,
            "stop": INMIGRATE,
            "reset": INMIGRATE,
            "shutdown": INMIGRATE,
            "panic": INMIGRATE,
        },
        FINISH_MIGRATE: {
            "stop": FINISH_MIGRATE,
            "reset": FINISH_MIGRATE,
            "shutdown": FINISH_MIGRATE,
            "panic": FINISH_MIGRATE,
        },
        POSTMIGRATE: {
            "cont": RUNNING,
            "stop": POSTMIGRATE,
            "reset": PRELAUNCH,
            "shutdown": POSTMIGRATE,
            "panic": POSTMIGRATE,
        },
        RESTORE_VM: {
            "cont": RUNNING,
            "stop": RESTORE_VM,
            "reset": PRELAUNCH,
            "shutdown": RESTORE_VM,
            "panic": RESTORE_VM,
        },
        SAVE_VM: {
            "cont": RUNNING,
            "stop": SAVE_VM,
            "reset": PRELAUNCH,
            "shutdown": SAVE_VM,
            "panic": SAVE_VM,
        },
        WATCHDOG: {
            "cont": RUNNING,
            "stop": WATCHDOG,
            "reset": PRELAUNCH,
            "shutdown": WATCHDOG,
            "panic": WATCHDOG,
        },
        IO_ERROR: {
            "cont": RUNNING,
            "stop": IO_ERROR,
            "reset": PRELAUNCH,
            "shutdown": IO_ERROR,
            "panic": IO_ERROR,
        },
        SHUTDOWN: {"stop": SHUTDOWN, "reset": PRELAUNCH, "shutdown": SHUTDOWN, "panic": SHUTDOWN},
        PANICKED: {
            "cont": RUNNING,
            "stop": PANICKED,
            "reset": PRELAUNCH,
            "shutdown": PANICKED,
            "panic": PANICKED,
        },
    },
)
