"""The human monitor's verbs for the NBD server. Texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.hmp.block import when_told
from qmpemu.commands.hmp.words import answered
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmpemu.commands.registry import Context

    Given = dict[str, str]
    Step = tuple[str, dict[str, object]]

PARAMETERS = {
    "nbd_server_start": "all:!a writable:!w uri:s",
    "nbd_server_add": "writable:!w device:B name:s?",
    "nbd_server_remove": "force:!f name:s",
    "nbd_server_stop": "",
}


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in PARAMETERS:
        return None
    return answered(verb, PARAMETERS[verb], words, lambda given: VERBS[verb](ctx, given))


def _start(ctx: Context, given: Given) -> str | Later:
    if "writable" in given and "all" not in given:
        raise QmpError("-w only valid together with -a")
    host, colon, port = given["uri"].rpartition(":")
    if not colon or not port:
        raise QmpError(f"error parsing address '{given['uri']}'")
    address = {"type": "inet", "data": {"host": host, "port": port}}
    steps: list[Step] = [("nbd-server-start", {"addr": address})]
    if "all" in given:
        for drive in ctx.machine.blocks.drives:
            if drive.name and drive.node is not None:
                steps.append(
                    (
                        "nbd-server-add",
                        {
                            "device": drive.name,
                            "name": drive.name,
                            "writable": "writable" in given,
                        },
                    )
                )
    return _in_turn(ctx, iter(steps), begun=False)


def _in_turn(ctx: Context, steps: Iterator[Step], *, begun: bool) -> str | Later:
    """One command after another; the first that fails ends them, and stops the server if it was started."""
    later = Later()

    def go() -> None:
        nonlocal begun
        for command, members in steps:
            try:
                result = ctx.commands(command, members)
            except (Refused, QmpError) as error:
                failed(QmpError(str(error)))
                return
            if isinstance(result, Later):
                result.when_finished(came)
                return
            begun = True
        later.finish("")

    def came(outcome: object) -> None:
        nonlocal begun
        if isinstance(outcome, QmpError):
            failed(outcome)
        else:
            begun = True
            go()

    def failed(error: QmpError) -> None:
        text = f"Error: {error}\r\n"
        if not begun:
            later.finish(text)
            return
        stopped = ctx.commands("nbd-server-stop", {})
        if isinstance(stopped, Later):
            stopped.when_finished(lambda outcome: later.finish(text))
        else:
            later.finish(text)

    go()
    return str(later.outcome) if isinstance(later.outcome, str) else later


def _add(ctx: Context, given: Given) -> str | Later:
    members: dict[str, object] = {
        "device": given["device"],
        "name": given.get("name", given["device"]),
        "writable": "writable" in given,
    }
    return when_told(ctx.commands("nbd-server-add", members), lambda outcome: "")


def _remove(ctx: Context, given: Given) -> str | Later:
    members = {"name": given["name"], "mode": "hard" if "force" in given else "safe"}
    return when_told(ctx.commands("nbd-server-remove", dict(members)), lambda outcome: "")


def _stop(ctx: Context, given: Given) -> str | Later:
    return when_told(ctx.commands("nbd-server-stop", {}), lambda outcome: "")


VERBS: dict[str, Callable[[Context, Given], str | Later]] = {
    "nbd_server_start": _start,
    "nbd_server_add": _add,
    "nbd_server_remove": _remove,
    "nbd_server_stop": _stop,
}
