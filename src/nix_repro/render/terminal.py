"""The terminal: live progress while Nix works, then one verdict line, one table, details of what failed."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nix_repro.render.terminal_ci import print_ci
from nix_repro.render.words import headline, printable, short_hash, store_name
from nix_repro.report import SEVERITY, DerivationReport, Report, Verdict

#: Seconds between signs of life where nobody watches a live display.
HEARTBEAT = 30.0
#: Running activities shown at once, rows of the table, lines of a failed build's log, findings of one derivation.
RUNNING, ROWS, LOG, FINDINGS = 8, 60, 25, 10
#: Columns where there is no terminal to say how many it has.
LOG_WIDTH = 140
_STYLE: dict[Verdict, str] = {
    "divergent": "bold red",
    "build-failed": "bold red",
    "rebuild-failed": "bold red",
    "unverified": "yellow",
    "reproducible": "green",
}
_SIGN: dict[Verdict, str] = {"divergent": "✗", "build-failed": "✗", "rebuild-failed": "✗", "unverified": "?", "reproducible": "✓"}


class Progress:
    """Says what the run is doing. On a terminal a live display of the running builds; elsewhere a line per phase and a
    heartbeat, so that a log shows that the job is alive."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._running: dict[str, tuple[str, float]] = {}
        self._phase = ""
        self._done = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._live is not None:
            self._live.stop()

    def phase(self, text: str) -> None:
        with self._lock:
            self._phase, self._done = text, 0
        if self._live is None:
            self._console.print(f"nix-repro: {escape(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(f"[yellow]warning:[/yellow] {escape(printable(text))}", soft_wrap=True)

    def started(self, kind: str, name: str, at: float) -> None:
        with self._lock:
            self._running[name] = (kind, at)

    def stopped(self, kind: str, name: str, _at: float) -> None:
        with self._lock:
            self._running.pop(name, None)
            self._done += kind == "build"

    def _render(self) -> RenderableType:
        with self._lock:
            running, phase, done = sorted(self._running.items(), key=lambda item: item[1][1]), self._phase, self._done
        now = time.time()
        lines = [Text.assemble(("● ", "cyan"), (phase, "bold"), f"  {done} built" if done else "")]
        lines += [Text(f"  {kind} {store_name(name)}  {now - at:.0f} s", style="dim") for name, (kind, at) in running[:RUNNING]]
        if len(running) > RUNNING:
            lines.append(Text(f"  and {len(running) - RUNNING} more", style="dim"))
        return Group(*lines)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            with self._lock:
                running, done = sorted(self._running.items(), key=lambda item: item[1][1]), self._done
            longest = f", longest: {store_name(running[0][0])} {time.time() - running[0][1][1]:.0f} s" if running else ""
            self._console.print(escape(f"nix-repro: {self._phase}: {done} built, {len(running)} running{longest}"), soft_wrap=True)


def print_report(report: Report, stream: TextIO | None = None) -> None:
    """The whole report for a person, failures first."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, LOG_WIDTH)
    verdict_line, good = headline(report)
    console.print()
    console.print(Text(verdict_line, style="bold green" if good else "bold red" if report.conclusion == "fail" else "bold yellow"))
    console.print()
    left_out = {skipped.reason for skipped in report.skipped}
    told = [d for d in report.derivations if d.attrs or d.reason not in left_out]
    rows = sorted(told, key=lambda d: (SEVERITY.index(d.verdict), "propagated" not in d.marks, not d.attrs, d.name))
    if rows:
        console.print(_table(rows[:ROWS]))
    if len(rows) > ROWS:
        left = Counter(d.verdict for d in rows[ROWS:])
        console.print(f"  and {len(rows) - ROWS} more: " + ", ".join(f"{n} {v}" for v, n in left.items()))
    for derivation in rows:
        _print_failure(console, derivation)
    print_ci(console, report)
    _print_notes(console, report)


def _table(rows: Iterable[DerivationReport]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "derivation", "verdict", "output", "build", "rebuild", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold", no_wrap=column != "verdict")
    for derivation in rows:
        style = _STYLE[derivation.verdict]
        verdict = derivation.verdict + "".join(f" ({mark})" for mark in derivation.marks)
        if derivation.reason and derivation.verdict == "unverified":
            verdict += f": {derivation.reason}"
        seconds = "/".join(f"{b.seconds:.1f}" if b.seconds is not None else "–" for b in derivation.builds if not b.isolated)
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
                Text(_SIGN[output.verdict], style=_STYLE[output.verdict]),
                Text(printable(derivation.name)) if first else "",
                Text(printable(verdict), style=style) if first else Text(own, style=_STYLE[output.verdict]),
                Text(printable(name)),
                Text(hashes[0] if hashes else "–", style="dim"),
                Text(again, style="red" if output.verdict == "divergent" else "dim"),
                seconds if first else "",
            )
            first = False
    return table


def _print_failure(console: Console, derivation: DerivationReport) -> None:
    if derivation.verdict in ("build-failed", "rebuild-failed"):
        log = next((b.log for b in derivation.builds if b.log), None)
        console.print(Text(f"\n{printable(derivation.name)}: {derivation.verdict}", style="bold red"))
        for line in (log or "the builder printed nothing").splitlines()[-LOG:]:
            console.print(Text(f"  {printable(line)}"), soft_wrap=True)
    elif derivation.verdict == "divergent":
        console.print(Text(f"\n{printable(derivation.name)} differs", style="bold red"))
        _print_findings(console, derivation)
    elif derivation.findings:
        console.print(Text(f"\n{printable(derivation.name)} is the same, but not under every condition", style="bold yellow"))
        _print_findings(console, derivation)


def _print_findings(console: Console, derivation: DerivationReport) -> None:
    for finding in derivation.findings[:FINDINGS]:
        path = f"{finding.output}:{finding.path}" if finding.path else finding.output
        console.print(Text(f"  {printable(path)}  {finding.cause} ({finding.confidence})"), soft_wrap=True)
        for side, text in (("-", finding.a), ("+", finding.b)):
            if text is not None:
                console.print(Text(f"    {side} {printable(text)}", style="red" if side == "-" else "green"), soft_wrap=True)
        console.print(Text(f"    {printable(finding.because)}\n    fix: {printable(finding.fix)}", style="dim"), soft_wrap=True)
    if len(derivation.findings) > FINDINGS:
        console.print(Text(f"  and {len(derivation.findings) - FINDINGS} more findings in the report", style="dim"))
    if derivation.reproduce:
        console.print(Text(f"  again: {printable(derivation.reproduce)}", style="dim"), soft_wrap=True)


def _print_notes(console: Console, report: Report) -> None:
    console.print()
    for skipped in report.skipped:
        names = ", ".join(printable(store_name(path)) for path in skipped.examples[:3])
        console.print(
            Text(f"not rebuilt: {skipped.count} {printable(skipped.reason)} ({names}{', …' if skipped.count > 3 else ''})", style="dim"),
            soft_wrap=True,
        )
    varied = ", ".join(v.name for v in report.variations if v.applied)
    phases = {p.name: p.seconds for p in report.phases}
    cost = f"verification +{phases.get('rebuild', 0.0):.1f} s of {phases.get('total', 0.0):.1f} s"
    console.print(
        Text(f"rebuilder {report.rebuilder or 'none'}, {report.rounds} builds each, varied: {varied or 'nothing'}; {cost}", style="dim"),
        soft_wrap=True,
    )
