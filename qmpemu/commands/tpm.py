"""QAPI module `tpm`."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command


@command("query-tpm")
def query_tpm(ctx: Context) -> object:
    """-> the TPM that a device shows the guest, and where its emulator is reached; one without a device is not seen."""
    found = []
    for device in ctx.machine.devices.of_kind("tpm-"):
        name = str(device.values["tpmdev"])
        options = ctx.machine.config.tpms[name]
        data = {"chardev": options["chardev"]}
        found.append({"model": device.kind, "options": {"type": options["type"], "data": data}, "id": name})
    return found
