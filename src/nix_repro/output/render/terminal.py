"""The report in a terminal: one verdict line, one table, details of what failed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nix_repro.nix.store_path import store_name
from nix_repro.output.render.escape import visible
from nix_repro.output.render.phrases import failures_first, headline, printed_nothing, short_hash, verification_cost
from nix_repro.output.render.terminal_metrics import print_ci
from nix_repro.report import SEVERITY, Conclusion, DerivationReport, Output, Report, Verdict
from nix_repro.text import plural
from nix_repro.verdict.policy import Meaning, standing

#: Rows of the table.
ROWS = 60
#: Lines of a failed build's log.
LOG = 25
#: Findings of one derivation.
FINDINGS = 10
#: Columns where there is no terminal to say how many it has.
LOG_WIDTH = 140
_STYLE: dict[Verdict, str] = {
    "divergent": "bold red",
    "build-failed": "bold red",
    "rebuild-failed": "bold red",
    "unverified": "yellow",
    "reproducible": "green",
}
_SIGN: dict[Verdict, str] = {
    "divergent": "✗",
    "build-failed": "✗",
    "rebuild-failed": "✗",
    "unverified": "?",
    "reproducible": "✓",
}
#: What is no cause for alarm, whatever its verdict.
_MILDER: dict[Meaning, str] = {"settled": "dim", "excused": "yellow"}
_CONCLUSION: dict[Conclusion, tuple[str, str]] = {
    "pass": ("✓", "bold green"),
    "fail": ("✗", "bold red"),
    "inconclusive": ("?", "bold yellow"),
}


def print_report(report: Report, stream: TextIO | None = None) -> None:
    """The whole report for a person, failures first."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, LOG_WIDTH)
    sign, style = _CONCLUSION[report.conclusion]
    console.print()
    console.print(Text(f"{sign} {headline(report).sentence}", style=style))
    console.print()
    left_out = {skipped.reason for skipped in report.skipped}
    told = [d for d in report.derivations if d.attrs or d.reason not in left_out]
    rows = failures_first(told, report.fail_on)
    if rows:
        console.print(_table(rows[:ROWS], report.fail_on))
    if len(rows) > ROWS:
        left = Counter(d.verdict for d in rows[ROWS:])
        console.print(f"  and {len(rows) - ROWS} more: " + ", ".join(f"{n} {v}" for v, n in left.items()))
    for derivation in rows:
        _print_failure(console, derivation, standing(derivation, report.fail_on).meaning)
    print_ci(console, report)
    _print_notes(console, report)


def _table(rows: Iterable[DerivationReport], fail_on: Collection[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "derivation", "verdict", "output", "build", "rebuild", "seconds"):
        table.add_column(
            column, justify="right" if column == "seconds" else "left", overflow="fold", no_wrap=column != "verdict"
        )
    for derivation in rows:
        _add_rows(table, derivation, standing(derivation, fail_on).meaning)
    return table


def _add_rows(table: Table, derivation: DerivationReport, meaning: Meaning) -> None:
    """A row for every output, worst first; what is said of the derivation stands in the first."""
    verdict = derivation.verdict + "".join(f" ({mark})" for mark in derivation.marks)
    if derivation.reason and derivation.verdict == "unverified":
        verdict += f": {derivation.reason}"
    seconds = "/".join(
        f"{b.seconds:.1f}" if b.seconds is not None else "–" for b in derivation.builds if not b.isolated
    )
    first = True
    for name, output in sorted(derivation.outputs.items(), key=lambda item: (SEVERITY.index(item[1].verdict), item[0])):
        hashes = list(dict.fromkeys(short_hash(h.nar_hash) for h in output.hashes))
        again = (
            ""
            if not output.hashes
            else "same"
            if len(hashes) == 1 and len(output.hashes) > 1
            else (hashes[1] if len(hashes) > 1 else "–")
        )
        own = "" if output.verdict == derivation.verdict or first else f"{output.verdict}"
        table.add_row(
            _sign(output, meaning),
            Text(visible(derivation.name)) if first else "",
            Text(visible(verdict), style=_MILDER.get(meaning, _STYLE[derivation.verdict]))
            if first
            else Text(own, style=_STYLE[output.verdict]),
            Text(visible(name)),
            Text(hashes[0] if hashes else "–", style="dim"),
            Text(again, style="red" if output.verdict == "divergent" else "dim"),
            seconds if first else "",
        )
        first = False


def _sign(output: Output, meaning: Meaning) -> Text:
    if meaning == "settled":
        return Text("–", style="dim")
    if meaning == "excused" and output.verdict == "divergent":
        return Text("~", style=_MILDER[meaning])
    return Text(_SIGN[output.verdict], style=_STYLE[output.verdict])


def _print_failure(console: Console, derivation: DerivationReport, meaning: Meaning) -> None:
    if meaning == "failed":
        log = next((b.log for b in derivation.builds if b.log), None)
        because = f": {visible(derivation.reason)}" if derivation.reason else ""
        console.print(
            Text(f"\n{visible(derivation.name)}: {derivation.verdict}{because}", style="bold red"), soft_wrap=True
        )
        told = log or ("the builder printed nothing" if printed_nothing(derivation) else "")
        for line in told.splitlines()[-LOG:]:
            console.print(Text(f"  {visible(line)}"), soft_wrap=True)
    elif derivation.verdict == "divergent":
        style = _MILDER.get(meaning, _STYLE[derivation.verdict])
        console.print(Text(f"\n{visible(derivation.name)} differs", style=style))
        _print_findings(console, derivation)
    elif derivation.findings:
        console.print(
            Text(f"\n{visible(derivation.name)} is the same, but not under every condition", style="bold yellow")
        )
        _print_findings(console, derivation)


def _print_findings(console: Console, derivation: DerivationReport) -> None:
    for finding in derivation.findings[:FINDINGS]:
        path = f"{finding.output}:{finding.path}" if finding.path else finding.output
        console.print(Text(f"  {visible(path)}  {finding.cause} ({finding.confidence})"), soft_wrap=True)
        for side, text in (("-", finding.a), ("+", finding.b)):
            if text is not None:
                console.print(
                    Text(f"    {side} {visible(text)}", style="red" if side == "-" else "green"), soft_wrap=True
                )
        console.print(
            Text(f"    {visible(finding.because)}\n    fix: {visible(finding.fix)}", style="dim"), soft_wrap=True
        )
    if len(derivation.findings) > FINDINGS:
        console.print(
            Text(f"  and {plural(len(derivation.findings) - FINDINGS, 'more finding')} in the report", style="dim")
        )
    if derivation.reproduce:
        console.print(Text(f"  reproduce: {visible(derivation.reproduce)}", style="dim"), soft_wrap=True)


def _print_notes(console: Console, report: Report) -> None:
    console.print()
    for skipped in report.skipped:
        names = ", ".join(visible(store_name(path)) for path in skipped.examples[:3])
        console.print(
            Text(
                f"not rebuilt: {skipped.count} {visible(skipped.reason)} ({names}{', …' if skipped.count > 3 else ''})",
                style="dim",
            ),
            soft_wrap=True,
        )
    varied = ", ".join(v.name for v in report.variations if v.applied)
    total = next((phase.seconds for phase in report.phases if phase.name == "total"), 0.0)
    cost = f"verification +{verification_cost(report) or 0.0:.1f} s of {total:.1f} s"
    console.print(
        Text(
            (
                f"rebuilder {report.rebuilder or 'none'}, {report.rounds} builds each, varied: {varied or 'nothing'}; "
                f"{cost}"
            ),
            style="dim",
        ),
        soft_wrap=True,
    )
