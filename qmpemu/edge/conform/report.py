"""What a run has found, for people and for CI: a table by area, JUnit XML, one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from rich.markup import escape as plain
from rich.table import Table

from qmpemu.edge.conform.judge import AGREES, DIFFERS, NOT_ASKED, OUTCOMES, TOLERATED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from qmpemu.edge.conform.judge import Result

DIFFERENCES_SHOWN_MAX = 5


class Report(NamedTuple):
    """A finished run. target: what was judged. against: the recording it was compared with, or that there is none."""

    target: str
    against: str
    results: list[Result]
    complaints: list[str]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing differs and the ledger is sound."""
        return not self.complaints and not any(each.outcome == DIFFERS for each in self.results)

    def count(self, outcome: str) -> int:
        """How many cases came out so."""
        return sum(each.outcome == outcome for each in self.results)

    def areas(self) -> Iterator[tuple[str, list[Result]]]:
        """The results by area."""
        for area, results in groupby(self.results, lambda each: each.case.area):
            yield area, list(results)


def show(report: Report, console: Console) -> None:
    """Print the differences, the table, and one line that says how it ended."""
    for result in report.results:
        if result.outcome == DIFFERS:
            _show_result(result, console)
    for complaint in report.complaints:
        console.print(plain(complaint), style="red")
    console.print(_table(report))
    counts = ", ".join(
        f"{report.count(outcome)} {_word(outcome)}" for outcome in OUTCOMES if report.count(outcome)
    )
    console.print(
        f"{plain(report.target)} against {plain(report.against)}: {counts}, in {report.seconds:.1f} s",
        style="bold green" if report.passed else "bold red",
    )


def _word(outcome: str) -> str:
    return {AGREES: "agree", TOLERATED: "tolerated", DIFFERS: "differ"}.get(outcome, outcome)


def _show_result(result: Result, console: Console) -> None:
    console.print(f"[bold]{plain(result.case.name)}[/bold]: {plain(result.case.title)}")
    if result.note:
        console.print(f"    {plain(result.note)}")
    for difference in result.differences[:DIFFERENCES_SHOWN_MAX]:
        console.print(f"    line {difference.line}, by the {difference.by}:")
        console.print(f"      expected  {plain(difference.expected)}", soft_wrap=True)
        console.print(f"      got       {plain(difference.got)}", soft_wrap=True)
    if len(result.differences) > DIFFERENCES_SHOWN_MAX:
        console.print(f"    and {len(result.differences) - DIFFERENCES_SHOWN_MAX} lines more")


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("area")
    for outcome in (*OUTCOMES, "s"):
        table.add_column(outcome, justify="right")
    for area, results in report.areas():
        counts = [str(sum(each.outcome == outcome for each in results) or "") for outcome in OUTCOMES]
        style = "red" if any(each.outcome == DIFFERS for each in results) else ""
        table.add_row(area, *counts, f"{sum(each.seconds for each in results):.1f}", style=style)
    return table


def write_junit(report: Report, path: Path) -> None:
    """JUnit XML: a suite for each area."""
    root = ElementTree.Element("testsuites", name=f"qmpemu conform {report.target}")
    for area, results in report.areas():
        _suite(root, area, results)
    if report.complaints:
        suite = ElementTree.SubElement(root, "testsuite", name="ledger", tests="1", failures="1")
        case = ElementTree.SubElement(suite, "testcase", classname="ledger", name="every entry is sound")
        failure = ElementTree.SubElement(case, "failure", message=report.complaints[0])
        failure.text = "\n".join(report.complaints)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(root: ElementTree.Element, area: str, results: list[Result]) -> None:
    counts = {
        "tests": len(results),
        "failures": sum(each.outcome == DIFFERS for each in results),
        "skipped": sum(each.outcome == NOT_ASKED for each in results),
    }
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": area, **{k: str(v) for k, v in counts.items()}}
    )
    for result in results:
        name = result.case.name.partition("/")[2]
        case = ElementTree.SubElement(
            suite, "testcase", classname=area, name=name, time=f"{result.seconds:.3f}"
        )
        if result.outcome == DIFFERS:
            ElementTree.SubElement(case, "failure", message=result.case.title).text = _xml(_text(result))
        elif result.outcome == NOT_ASKED:
            ElementTree.SubElement(case, "skipped", message="it needs a process of its own: give --binary")


def _xml(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c if c >= " " or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def _text(result: Result) -> str:
    lines = [result.note] if result.note else []
    for each in result.differences:
        lines += [
            f"line {each.line}, by the {each.by}:",
            f"  expected  {each.expected}",
            f"  got       {each.got}",
        ]
    return "\n".join(lines)


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr:nth-child(even) { background: #f4f4f4; }
pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; } summary { cursor: pointer; }
.agrees { color: #176117; } .tolerated { color: #8a5a00; } .differs { color: #b00020; font-weight: bold; }
.not-asked { color: #777; }
"""


def write_html(report: Report, path: Path) -> None:
    """One page: the table, then every case with its transcript and what differs."""
    verdict = "passed" if report.passed else "failed"
    body = [
        f"<h1>qmpemu conform: {verdict}</h1>",
        f"<p>{escape(report.target)} against {escape(report.against)}, {report.seconds:.1f} s.</p>",
        *(f'<p class="differs">{escape(each)}</p>' for each in report.complaints),
        _html_table(report),
        *(_html_result(result) for result in report.results),
    ]
    head = f'<meta charset="utf-8"><title>qmpemu conform: {verdict}</title><style>{STYLE}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'
    path.write_text(page, encoding="utf-8")


def _html_table(report: Report) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("area", *OUTCOMES))
    rows = []
    for area, results in report.areas():
        counts = [sum(each.outcome == outcome for each in results) for outcome in OUTCOMES]
        cells = "".join(f"<td>{count or ''}</td>" for count in counts)
        rows.append(f"<tr><td>{escape(area)}</td>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _html_result(result: Result) -> str:
    mark = f'<span class="{result.outcome.replace(" ", "-")}">{result.outcome}</span>'
    opened = " open" if result.outcome == DIFFERS else ""
    transcript = escape("\n".join(str(step)[:400] for step in result.case.steps))
    found = f'<pre class="differs">{escape(_text(result))}</pre>' if _text(result) else ""
    title = f"{escape(result.case.name)}: {escape(result.case.title)}"
    return f"<details{opened}><summary>{mark} {title}</summary>{found}<pre>{transcript}</pre></details>"
