"""`qmpemu`, the command for people: run a VM, see the demo, list guests, record a profile.

Every mistake is one sentence on standard error and exit status 1 (2 for wrong usage).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qmpemu import __version__

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
profile_app = typer.Typer(no_args_is_help=True, help="Recorded QEMU versions.")
app.add_typer(profile_app, name="profile")


def main() -> None:
    """Entry point."""
    app(args=paired(sys.argv[1:]))


def paired(words: list[str]) -> list[str]:
    """`--at TIME ACT` as one argument each, which the option parser cannot do: it takes lists of single words only."""
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        joined.append(word)
        if word == "--at":
            time = next(rest, None)
            if time is not None:
                act = "" if " " in time else next(rest, "")
                joined.append(f"{time} {act}".strip())
    return joined


def fail(sentence: object) -> typer.Exit:
    """Say what is wrong; raise what this returns."""
    typer.echo(f"qmpemu: {sentence}", err=True)
    return typer.Exit(1)


GuestOption = Annotated[str, typer.Option(help="The simulated guest; `qmpemu guests` lists them.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A guest setting, NAME=VALUE; repeatable.")
]
SpeedOption = Annotated[str, typer.Option(help="Clock speed: 1x, 60x, 0.5x, or virtual.")]
SeedOption = Annotated[str, typer.Option(help="Any text; the same seed gives the same history.")]


@app.command()
def run(
    qmp: Annotated[Path, typer.Option(help="Where the QMP socket shall be.")] = Path("qmp.sock"),
    guest: GuestOption = "",
    set_: SetOption = None,
    speed: SpeedOption = "1x",
    seed: SeedOption = "0",
    machine: Annotated[str, typer.Option(help="Machine type, as QEMU's -machine.")] = "q35",
    paused: Annotated[bool, typer.Option("--paused", help="Wait for `cont`, as QEMU's -S.")] = False,
    no_shutdown: Annotated[
        bool, typer.Option("--no-shutdown", help="Stay after the guest powers off.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The time line as JSON lines.")] = False,
) -> None:
    """Start a VM in the foreground and print its time line; Ctrl-C cuts its power."""
    from qmpemu.edge import foreground

    environment = {"QMPEMU_SPEED": speed, "QMPEMU_SEED": seed, "QMPEMU_SET": ",".join(set_ or [])}
    if guest:
        environment["QMPEMU_GUEST"] = guest
    words = ["-name", "qmpemu", "-machine", machine, "-nodefaults", "-display", "none"]
    words += ["-qmp", f"unix:{qmp},server=on,wait=off"]
    words += ["-S"] if paused else []
    words += ["-no-shutdown"] if no_shutdown else []
    raise typer.Exit(foreground.run(words, environment, as_json=json))


@app.command()
def demo(
    speed: SpeedOption = "20x",
    guest: GuestOption = "windows-server-2022-cloud",
) -> None:
    """The main job: shut a Windows guest down through real QMP, once obeying and once ignoring the button."""
    from qmpemu.edge import demo as demonstration

    raise typer.Exit(demonstration.run(guest, speed))


@app.command()
def guests() -> None:
    """List the simulated guests."""
    from qmpemu.guests import registry

    for name in registry.names():
        typer.echo(f"{name}{'   (default)' if name == registry.DEFAULT else ''}")
    typer.echo(f"{registry.NONE}   (the machine runs, and nothing boots on it)")


@app.command()
def explain(
    log: Annotated[Path, typer.Argument(help="The time line that QMPEMU_LOG wrote.")],
    json: Annotated[
        bool, typer.Option("--json", help="The verdict as one JSON object (docs/verdict.md).")
    ] = False,
) -> None:
    """Say why a run ended as it did: each request's outcome, the setting behind it, what was lost."""
    from qmpemu.edge import explanation

    try:
        entries = explanation.read(log)
    except explanation.LogError as error:
        raise fail(error) from None
    explanation.show(entries, as_json=json)


@app.command("try")
def try_(
    scenario: Annotated[
        Path | None, typer.Argument(help="A scenario file (TOML); the options change it.")
    ] = None,
    guest: GuestOption = "",
    set_: SetOption = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at", metavar="TIME ACT", help="What happens when, e.g. --at 90s power_button; repeatable."
        ),
    ] = None,
    until: Annotated[str, typer.Option(help="How long the trial lasts, e.g. 900s.")] = "",
    seed: Annotated[str, typer.Option(help="The same seed gives the same history.")] = "",
    boot: Annotated[
        bool, typer.Option("--boot", help="Begin at power-on, not two minutes after the boot.")
    ] = False,
    disk: Annotated[
        Path | None,
        typer.Option(help="A file for what outlives the power: what this boots from and the next one."),
    ] = None,
    facts: Annotated[Path | None, typer.Option(help="Write the time line there, as JSON lines.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="The verdict as one JSON object (docs/verdict.md).")
    ] = False,
    event_log: Annotated[
        Path | None, typer.Option(help="Write the Windows event log there, as JSON lines.")
    ] = None,
    no_remedies: Annotated[
        bool, typer.Option("--no-remedies", help="Do not look for what would have helped.")
    ] = False,
) -> None:
    """Play a scenario on the virtual clock, and say at once how it ended and why."""
    from qmpemu.edge import trying
    from qmpemu.edge.keyval import OptionError
    from qmpemu.guests.registry import GuestError

    asked = trying.Asked(
        file=scenario,
        guest=guest,
        settings=set_ or [],
        at=at or [],
        until=until,
        seed=seed,
        boot=boot,
        disk=disk,
        facts=facts,
        event_log=event_log,
        as_json=json,
        no_remedies=no_remedies,
    )
    try:
        raise typer.Exit(trying.run(asked))
    except (GuestError, OptionError) as error:
        raise fail(error) from None


@app.command()
def acts() -> None:
    """List the acts of `qmpemu try`: what the host does, and what somebody at the console does."""
    from qmpemu.guests.windows.operator import ACTIONS
    from qmpemu.trial.scenario import HOST_ACTS

    for name, (argument, meaning) in HOST_ACTS.items():
        typer.echo(f"{name + ('=' + argument if argument else ''):<24} {meaning}")
    for action in ACTIONS.values():
        typer.echo(f"{action.name + ('=' + action.argument if action.argument else ''):<24} {action.meaning}")


@app.command()
def faults(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of docs/faults.md.")] = False,
) -> None:
    """List the ways in which a guest can fail to shut down: cause, what happens, what remedies it."""
    from qmpemu.guests import registry

    if markdown:
        typer.echo("| fault | cause | aimed at | what happens | remedy |\n|---|---|---|---|---|")
        for row in registry.faults():
            typer.echo(f"| {' | '.join(row)} |")
        return
    for name, cause, target, does, remedy in registry.faults():
        typer.echo(f"{name:<24} {cause}  {target}")
        typer.echo(f"    {does} Remedy: {remedy}.")


@app.command()
def settings(
    guest: Annotated[str, typer.Argument(help="The guest; the default one if left out.")] = "",
) -> None:
    """List a guest's settings: value, valid values, meaning, and the grade of its source (A primary to U unsourced)."""
    from textwrap import fill

    from qmpemu.guests import registry

    try:
        found = registry.describe(guest or registry.DEFAULT)
    except registry.GuestError as error:
        raise fail(error) from None
    for name, value, valid, grade, meaning in found:
        typer.echo(f"{name} = {value}")
        typer.echo(
            fill(
                f"[{grade}] {meaning}. Valid: {valid}.", 100, initial_indent="    ", subsequent_indent="    "
            )
        )


@app.command()
def coverage(
    names: Annotated[
        bool, typer.Option("--names", help="A line for each command instead of counts.")
    ] = False,
) -> None:
    """Show what becomes of each QMP command: behaves, recorded, or not emulated."""
    from rich.console import Console

    from qmpemu.edge import coverage as table
    from qmpemu.edge import shipped

    found = list(table.rows(shipped.profile(None)))
    if names:
        for row in found:
            typer.echo(f"{row.command:<45}{row.module:<17}{row.kind}")
    else:
        Console(highlight=False).print(table.table(found))


@app.command()
def conform(
    binary: Annotated[
        str, typer.Option(help="A QEMU, or what stands in for it, to start for each case.")
    ] = "",
    connect: Annotated[str, typer.Option(help="The UNIX socket of a QMP server that runs.")] = "",
    recorded: Annotated[str, typer.Option(help="A recording, by its name, instead of a server.")] = "",
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help="Only cases of this name, e.g. 'order/*'; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cases at a time.")] = os.cpu_count() or 1,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page there.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Cases, recordings and ledger of your own, instead of those that came along."),
    ] = None,
    record: Annotated[
        str, typer.Option(help="Record the --binary, a real QEMU, under this name instead of judging it.")
    ] = "",
    beside: Annotated[
        str, typer.Option(help="A binary to compare with in generated sessions, instead of the cases.")
    ] = "",
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions are generated.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed generates the same sessions.")] = 0,
) -> None:
    """Judge a QMP server by the conformance suite; the exit status is 1 when something differs."""
    from qmpemu.edge.conform import command, suite

    if sum(map(bool, (binary, connect, recorded))) != 1:
        raise fail("give one of --binary, --connect and --recorded")
    request = command.Request(
        binary=binary or None,
        socket=connect or None,
        recorded=recorded or None,
        only=case or [],
        folder=folder or suite.data_folder(),
        jobs=jobs,
        junit=junit,
        html=html,
        record=record or None,
        beside=beside or None,
        sessions=sessions,
        seed=seed,
    )
    try:
        raise typer.Exit(command.run(request))
    except command.ConformError as error:
        raise fail(error) from None


@profile_app.command("list")
def profile_list() -> None:
    """List the profiles that came with qmpemu."""
    from qmpemu.edge import shipped

    for name in shipped.names():
        recorded = shipped.profile(name)
        typer.echo(f"{name}   {recorded.banner.partition(chr(10))[0]}")


@profile_app.command("record")
def profile_record(
    binary: Annotated[Path, typer.Option(help="The QEMU to record, e.g. /usr/bin/qemu-system-x86_64.")],
    into: Annotated[Path, typer.Option(help="The folder to make.")] = Path("qemu-profile"),
) -> None:
    """Record a real QEMU binary as a profile; use it with QMPEMU_PROFILE=<folder path>."""
    import asyncio

    from qmpemu.edge import record

    try:
        summary = asyncio.run(
            record.record(str(binary), into, progress=lambda text: typer.echo(text, err=True))
        )
    except record.RecordError as error:
        raise fail(error) from None
    typer.echo(summary)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"qmpemu {__version__}, Python {sys.version.split()[0]}, pid {os.getpid()}")


if __name__ == "__main__":
    main()
