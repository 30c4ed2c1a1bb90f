"""Run by /usr/bin/python3 with Debian's libvirt bindings: one domain's life, told by libvirt's callbacks.

    callbacks.py URI DOMAIN COPY    starts the domain, copies its disk to COPY if it can, shuts it down by its agent

Prints one JSON list for each event, as `["lifecycle", "Started"]`, `["agent", "connected"]`, `["block job", "ready"]`,
and ends when the domain has stopped. libvirt's own default event loop runs in a thread, as in the bindings' example.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import Any

import libvirt

PATIENCE_S = 30.0
LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: "Started",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "Resumed",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "Suspended",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "Shutdown",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "Stopped",
}
AGENT = {1: "connected", 2: "disconnected"}
BLOCK_JOB = {0: "completed", 1: "failed", 2: "canceled", 3: "ready"}


class Events:
    """What the callbacks said, in order."""

    def __init__(self, connection: libvirt.virConnect) -> None:
        self._queue: queue.Queue[tuple[str, str]] = queue.Queue()
        for event, callback in (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, self._agent),
            (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, self._block_job),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot),
        ):
            connection.domainEventRegisterAny(None, event, callback, None)

    def wait_for(self, kind: str, what: str) -> None:
        """Print events until this one has come. Raises queue.Empty if it does not."""
        while True:
            event = self._queue.get(timeout=PATIENCE_S)
            print(json.dumps(event), flush=True)
            if event == (kind, what):
                return

    def _lifecycle(self, _c: Any, _domain: Any, event: int, _detail: int, _opaque: Any) -> None:
        if event in LIFECYCLE:
            self._queue.put(("lifecycle", LIFECYCLE[event]))

    def _agent(self, _c: Any, _domain: Any, state: int, _reason: int, _opaque: Any) -> None:
        self._queue.put(("agent", AGENT[state]))

    def _block_job(self, _c: Any, _domain: Any, _disk: str, _type: int, status: int, _opaque: Any) -> None:
        self._queue.put(("block job", BLOCK_JOB[status]))

    def _reboot(self, _c: Any, _domain: Any, _opaque: Any) -> None:
        self._queue.put(("reboot", ""))


def run_loop() -> None:
    """Serve libvirt's file handles and timers, for ever."""
    while True:
        libvirt.virEventRunDefaultImpl()


def main() -> None:
    """One life."""
    uri, name, *copy = sys.argv[1:]
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=run_loop, daemon=True).start()
    connection = libvirt.open(uri)
    events = Events(connection)
    domain = connection.lookupByName(name)
    domain.create()
    events.wait_for("agent", "connected")
    domain.suspend()
    domain.resume()
    events.wait_for("lifecycle", "Suspended")
    for target in copy:
        xml = f"<disk type='file'><source file='{target}'/><driver type='qcow2'/></disk>"
        domain.blockCopy("vda", xml, flags=libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB)
        events.wait_for("block job", "ready")
        domain.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        events.wait_for("block job", "completed")
    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    events.wait_for("lifecycle", "Stopped")


if __name__ == "__main__":
    main()
