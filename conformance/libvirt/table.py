"""A scenario table: a Markdown file whose rows are operations through libvirt, one line each.

    # Power                                  the title
    domain: w10                              domains/w10.xml, defined and started before the first row
    guest: windows-10 QEMU-GA=running        what runs in it on ours; `none` where real and ours are compared
    speed: 600x                              of its clock
    beside: another host                     there is a second libvirtd, which domains can migrate to

    | operation | virsh | afterwards | real |
    |---|---|---|---|
    | suspend | `suspend $D` | state paused (user); event Suspended Paused | yes |
    | shutdown acpi | `shutdown $D --mode acpi` | state shut off (shutdown) | no: SeaBIOS does not hear it |

Rows are played in their order on one domain. `real` is `yes` where the real QEMU does the same, without a guest, and
says the same; `outcome:` and why where it does the same, but what is said is a race; else `no:` and why. `virsh` holds
lines separated by `;`, `afterwards` holds checks (`stage.py` and `checks.py` list both). $D is the domain's name, $F a
folder for files, $X the folder of `devices/`, its files filled in alike, $HERE and $THERE the URIs of the two hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ("operation", "virsh", "afterwards", "real")


class TableError(Exception):
    """A table that cannot be read; one sentence with file and line."""


class Row(NamedTuple):
    """One operation. real: whether the real QEMU does the same; compared: whether it says the same meanwhile."""

    name: str
    lines: tuple[str, ...]
    checks: tuple[str, ...]
    real: bool
    compared: bool


class Table(NamedTuple):
    """One file. guest: name and settings, as `windows-10 QEMU-GA=running`; beside: whether there is another host."""

    name: str
    title: str
    domain: str
    guest: str
    speed: str
    rows: tuple[Row, ...]
    beside: bool = False


def read(file: Path) -> Table:
    """Read one table. Raises TableError."""
    title, about, rows = "", {"domain": "w10", "guest": "", "speed": "600x", "beside": ""}, []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        key, _, value = line.partition(":")
        if line.startswith("# "):
            title = line[2:]
        elif key in about:
            about[key] = value.strip()
        elif line.startswith("|"):
            cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
            if cells != HEAD and not set(line) <= set("|-"):
                rows.append(_row(cells, f"{file.name}:{number}"))
    if not title or not rows:
        raise TableError(f"{file.name}: a title and at least one row are needed")
    if twice := {row.name for row in rows if sum(row.name == other.name for other in rows) > 1}:
        raise TableError(f"{file.name}: more than one row is called {min(twice)!r}")
    beside = bool(about["beside"])
    return Table(file.stem, title, about["domain"], about["guest"], about["speed"], tuple(rows), beside)


def read_all(folder: Path) -> list[Table]:
    """Every table of a folder, by name. Raises TableError."""
    return [read(file) for file in sorted(folder.glob("*.md"))]


def _row(cells: tuple[str, ...], where: str) -> Row:
    if len(cells) != len(HEAD):
        raise TableError(f"{where}: {len(cells)} cells instead of {len(HEAD)}")
    name, virsh, afterwards, real = cells
    if real != "yes" and not real.startswith(("outcome: ", "no: ")):
        raise TableError(f"{where}: the last cell says `yes`, or `outcome:` or `no:` and why")
    lines, checks = _parts(virsh.replace("`", "")), _parts(afterwards)
    if not name or not lines or not checks:
        raise TableError(f"{where}: an operation has a name, a line and something that is true afterwards")
    return Row(name, lines, checks, not real.startswith("no: "), real == "yes")


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())
