"""What becomes of each command of the recorded version: the table of `qmpemu coverage`.

    behaves        a handler acts on or reads this machine          recorded    answered from the profile
    refuses        as the real one does: what it needs (a job, a server, a rocker) cannot be there
    not emulated   refused by name, never answered with `{}`

Introspection does not tell a command's QAPI module, so the table's rows are written down here (QEMU 7.2, qapi/*.json).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from qmpemu.commands import registry
from qmpemu.profile import RecordedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.profile import Profile

BEHAVES, RECORDED, REFUSES, NOT_EMULATED = "behaves", "recorded", "refuses", "not emulated"
KINDS = (BEHAVES, RECORDED, REFUSES, NOT_EMULATED)

NEVER_THERE = (
    "job-",
    "block-job-",
    "query-rocker",
    "replay-",
    "nbd-server-",
    "block-export-del",
    "migrate-",
    "x-colo",
    "sev-inject-",
    "query-sev-attestation-",
)
"""Beginnings of commands that need something which nothing in qmpemu can make."""

ONLY_REFUSED = frozenset(
    """
    set-numa-node x-query-virtio-queue-element x-query-virtio-queue-status x-query-virtio-status
    x-query-virtio-vhost-queue-status xen-load-devices-state xen-save-devices-state xen-set-replication
    """.split()
)
"""Commands whose handler knows when the real one refuses them, and can do no more."""

MODULES = """
control: qmp_capabilities query-version query-commands quit
introspect: query-qmp-schema
run-state: query-status set-action watchdog-set-action
misc: add-fd add_client closefd cont dumpdtb getfd human-monitor-command query-command-line-options query-fdsets
  query-iothreads query-name remove-fd rtc-reset-reinjection stop x-exit-preconfig
misc-target: query-sev query-sev-attestation-report query-sev-capabilities query-sev-launch-measure query-sgx
  query-sgx-capabilities sev-inject-launch-secret
machine: balloon inject-nmi memsave pmemsave query-balloon query-cpus-fast query-current-machine
  query-hotpluggable-cpus query-kvm query-machines query-memdev query-memory-devices query-memory-size-summary
  query-target query-uuid query-vm-generation-id set-numa-node system_powerdown system_reset system_wakeup
  x-query-irq x-query-jit x-query-numa x-query-opcount x-query-profile x-query-ramblock x-query-rdma x-query-roms
  x-query-usb
machine-target: query-cpu-definitions query-cpu-model-expansion
acpi: query-acpi-ospm-status
pci: query-pci
qdev: device-list-properties device_add device_del
qom: object-add object-del qom-get qom-list qom-list-properties qom-list-types qom-set
char: chardev-add chardev-change chardev-remove chardev-send-break query-chardev query-chardev-backends ringbuf-read
  ringbuf-write
net: announce-self netdev_add netdev_del query-rx-filter set_link
rocker: query-rocker query-rocker-of-dpa-flows query-rocker-of-dpa-groups query-rocker-ports
ui: change-vnc-password client_migrate_info display-reload display-update expire_password input-send-event
  query-display-options query-mice query-spice query-vnc query-vnc-servers screendump send-key set_password
tpm: query-tpm query-tpm-models query-tpm-types
dump: dump-guest-memory query-dump query-dump-guest-memory-capability
migration: calc-dirty-rate cancel-vcpu-dirty-limit migrate migrate-continue migrate-incoming migrate-pause
  migrate-recover migrate-set-capabilities migrate-set-parameters migrate-start-postcopy migrate_cancel
  query-colo-status query-dirty-rate query-migrate query-migrate-capabilities query-migrate-parameters
  query-vcpu-dirty-limit query-xen-replication-status set-vcpu-dirty-limit snapshot-delete snapshot-load
  snapshot-save x-colo-lost-heartbeat xen-colo-do-checkpoint xen-load-devices-state xen-save-devices-state
  xen-set-global-dirty-log xen-set-replication
job: job-cancel job-complete job-dismiss job-finalize job-pause job-resume query-jobs
block-core: block-commit block-dirty-bitmap-add block-dirty-bitmap-clear block-dirty-bitmap-disable
  block-dirty-bitmap-enable block-dirty-bitmap-merge block-dirty-bitmap-remove block-job-cancel block-job-complete
  block-job-dismiss block-job-finalize block-job-pause block-job-resume block-job-set-speed
  block-set-write-threshold block-stream block_resize blockdev-add blockdev-backup blockdev-create blockdev-del
  blockdev-mirror blockdev-reopen blockdev-snapshot blockdev-snapshot-delete-internal-sync
  blockdev-snapshot-internal-sync blockdev-snapshot-sync change-backing-file drive-backup drive-mirror query-block
  query-block-jobs query-blockstats query-named-block-nodes x-blockdev-amend x-blockdev-change
  x-blockdev-set-iothread x-debug-block-dirty-bitmap-sha256 x-debug-query-block-graph
block: block-latency-histogram-set block_set_io_throttle blockdev-change-medium blockdev-close-tray
  blockdev-insert-medium blockdev-open-tray blockdev-remove-medium eject query-pr-managers
block-export: block-export-add block-export-del nbd-server-add nbd-server-remove nbd-server-start nbd-server-stop
  query-block-exports
transaction: transaction
stats: query-stats query-stats-schemas
replay: query-replay replay-break replay-delete-break replay-seek
trace: trace-event-get-state trace-event-set-state
virtio: x-query-virtio x-query-virtio-queue-element x-query-virtio-queue-status x-query-virtio-status
  x-query-virtio-vhost-queue-status
yank: query-yank yank
"""


class Row(NamedTuple):
    """A command, the QAPI module it belongs to, and what becomes of it."""

    module: str
    command: str
    kind: str


def rows(profile: Profile) -> Iterator[Row]:
    """One row for each command of the version."""
    registry.load()
    module_of = dict(_modules())
    for command in sorted(profile.commands(), key=lambda name: (module_of.get(name, "other"), name)):
        yield Row(module_of.get(command, "other"), command, _kind(profile, command))


def table(found: list[Row]) -> Table:
    """Counts by module, and the names of what is not emulated."""
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("QAPI module")
    for kind in KINDS:
        drawn.add_column(kind, justify="right")
    drawn.add_column("not emulated: which")
    for module in dict.fromkeys(row.module for row in found):
        mine = [row for row in found if row.module == module]
        missing = " ".join(row.command for row in mine if row.kind == NOT_EMULATED)
        drawn.add_row(module, *_counts(mine), missing)
    drawn.add_row("all", *_counts(found), f"{len(found)} commands", style="bold")
    return drawn


def _counts(found: list[Row]) -> list[str]:
    return [str(sum(row.kind == kind for row in found)) for kind in KINDS]


def _kind(profile: Profile, command: str) -> str:
    if command in ONLY_REFUSED:
        return NOT_EMULATED
    if command in registry.COMMANDS or command == "qmp_capabilities":  # the latter belongs to the session
        return BEHAVES
    if _is_recorded(profile, command):
        return RECORDED
    refused = profile.refuses(command) and command.startswith(NEVER_THERE)
    return REFUSES if refused else NOT_EMULATED


def _is_recorded(profile: Profile, command: str) -> bool:
    asked: tuple[dict[str, object] | None, ...] = (None, {"typename": "VGA"}, {"typename": "none-machine"})
    asked += ({"type": "static", "model": {"name": "max"}},)
    replies = [profile.reply("q35", "tcg", command, arguments, bare=True) for arguments in asked]
    return any(isinstance(reply, bytes | RecordedError) for reply in replies)


def _modules() -> Iterator[tuple[str, str]]:
    for line in MODULES.replace("\n  ", " ").strip().splitlines():
        module, _, names = line.partition(": ")
        for name in names.split():
            yield name, module
