"""How the real binary refuses a command whose object is not there: a job, a node, a device, a running server.

Each string argument carries a name of its own that nothing has; in the refusal it is put back as `{member}`:

    {"block-job-cancel": {"class": "DeviceNotActive", "desc": "Block job '{device}' not found"}, ...}

Only commands of `NAMING` are asked: those that must find something before they do anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

NAMING = """
    job-cancel job-complete job-dismiss job-finalize job-pause job-resume block-job-cancel block-job-complete
    block-job-dismiss block-job-finalize block-job-pause block-job-resume block-job-set-speed block-dirty-bitmap-add
    block-dirty-bitmap-clear block-dirty-bitmap-disable block-dirty-bitmap-enable block-dirty-bitmap-merge
    block-dirty-bitmap-remove block-export-del nbd-server-remove nbd-server-stop chardev-remove chardev-send-break
    ringbuf-read ringbuf-write device_del object-del netdev_del set_link eject blockdev-open-tray blockdev-close-tray
    blockdev-remove-medium blockdev-insert-medium blockdev-change-medium block_resize block_set_io_throttle
    block-set-write-threshold block-stream block-commit blockdev-del blockdev-backup blockdev-mirror
    change-backing-file x-blockdev-change x-blockdev-set-iothread x-debug-block-dirty-bitmap-sha256
    blockdev-snapshot blockdev-snapshot-sync blockdev-snapshot-internal-sync blockdev-snapshot-delete-internal-sync
    block-latency-histogram-set drive-backup drive-mirror query-rocker query-rocker-ports query-rocker-of-dpa-flows
    query-rocker-of-dpa-groups replay-break replay-delete-break replay-seek x-query-virtio-queue-element
    x-query-virtio-queue-status x-query-virtio-status x-query-virtio-vhost-queue-status migrate-pause migrate-recover
    migrate-start-postcopy set_password expire_password change-vnc-password set-vcpu-dirty-limit
    sev-inject-launch-secret query-sev-attestation-report x-colo-lost-heartbeat add_client
""".split()


async def refusals(client: QMPClient, schema: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Ask every command of NAMING that the binary has; those that do not refuse are left out."""
    types = {info["name"]: info for info in schema if info["meta-type"] != "command"}
    commands = {info["name"]: info for info in schema if info["meta-type"] == "command"}
    found: dict[str, dict[str, str]] = {}
    for name in NAMING:
        if name in commands:
            arguments = _arguments(types, commands[name]["arg-type"])
            try:
                await client.execute(name, arguments)
            except ExecuteError as error:
                found[name] = {"class": error.error_class, "desc": _template(str(error), arguments)}
    return found


def _arguments(types: dict[str, Any], arg_type: str) -> dict[str, Any]:
    """Mandatory members, strings with telling values; of optional ones `id`, else `device`, which name a thing."""
    arguments: dict[str, Any] = {}
    names = [member["name"] for member in types[arg_type]["members"]]
    naming = "id" if "id" in names else "device"
    for member in types[arg_type]["members"]:
        if "default" not in member or member["name"] == naming:
            arguments[member["name"]] = _value(types, member["type"], member["name"])
    return arguments


def _value(types: dict[str, Any], name: str, member: str) -> Any:
    info = types[name]
    kind = info["meta-type"]
    if kind == "builtin":
        named = f"no-{member}"
        return {"string": named, "int": 4096, "number": 0, "boolean": False, "null": None}.get(
            info["json-type"]
        )
    if kind == "enum":
        return info["values"][0]
    if kind == "array":
        return []
    if kind == "alternate":
        plain = [m["type"] for m in info["members"] if types[m["type"]]["meta-type"] != "object"]
        return _value(types, (plain or [info["members"][0]["type"]])[0], member)
    return {m["name"]: _value(types, m["type"], m["name"]) for m in info["members"] if "default" not in m}


def _template(desc: str, arguments: dict[str, Any]) -> str:
    """The text with the names taken out."""
    desc = desc.replace("{", "{{").replace("}", "}}")
    for member, value in arguments.items():
        if isinstance(value, str) and value == f"no-{member}":
            desc = desc.replace(value, "{" + member + "}")
    return desc
