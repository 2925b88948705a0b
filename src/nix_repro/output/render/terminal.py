"""The report in a terminal, most important last: that is where the eye is when it ends. Background and time come first,
then a table, then details of what is wrong, in the end what is wrong and what to do in a few lines, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from nix_repro.nix.store_path import store_name
from nix_repro.output.render import allowed
from nix_repro.output.render.digest import digest, troubles
from nix_repro.output.render.escape import visible, visible_lines
from nix_repro.output.render.lines import Cell, TableRow, wrap
from nix_repro.output.render.marks import at_length, marks
from nix_repro.output.render.phrases import (
    EXCUSED,
    alike,
    failures_first,
    headline,
    kept,
    kept_log,
    log_end,
    needs_attention,
    place,
    printed_nothing,
    short_hash,
    two_hashes,
    verification_cost,
)
from nix_repro.output.render.savings import remembered
from nix_repro.output.render.screen import Screen, Verbosity
from nix_repro.output.render.terminal_metrics import print_ci
from nix_repro.report import SEVERITY, Conclusion, DerivationReport, Finding, Output, Report, Verdict
from nix_repro.text import plural, some
from nix_repro.verdict.policy import Meaning, standing

#: Lines at the end of the output that say by themselves what is wrong, why, and what to do.
TAIL = 10
#: Where the rest is.
_ELSEWHERE = "(in the report, and with -v here)"
#: Named in a line where nothing but that line is wanted.
_NAMED = 3
_HEADER = ("", "derivation", "verdict", "output", "build", "rebuild", "seconds")
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
_MILDER: dict[Meaning, str] = {"settled": "dim", "excused": "yellow", "old": "yellow"}
_CONCLUSION: dict[Conclusion, tuple[str, str]] = {
    "pass": ("✓", "bold green"),
    "fail": ("✗", "bold red"),
    "inconclusive": ("?", "bold yellow"),
}


@dataclass(frozen=True)
class Amount:
    """How much is shown: `plain` rows of the table where nothing is to be seen, and `rows` of others; `details` of so
    many derivations, with so many `findings` and last lines of the `log` of each; `named` below one heading."""

    plain: int = 10
    rows: int = 40
    details: int = 10
    findings: int = 10
    log: int = 25
    named: int = 4


NORMAL = Amount()
_ALL = 1 << 30
VERBOSE = Amount(_ALL, _ALL, _ALL, _ALL, _ALL, _ALL)


def print_report(
    report: Report,
    stream: TextIO | None = None,
    verbosity: Verbosity = "normal",
    written: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> None:
    """The whole report for a person; in one line when `quiet`, with nothing left out when `verbose`. `written` are the
    files where there is more."""
    out = Screen(stream, environ)
    sign, style = _CONCLUSION[report.conclusion]
    verdict = f"{sign} {visible(headline(report).sentence)}"
    found = troubles(report)
    if verbosity == "quiet":
        names = [f"{one.named(0)} ({one.what})" for one in found]
        out.line(": ".join([verdict, *([some(names, _NAMED)] if names else [])]), style)
        return
    amount = VERBOSE if verbosity == "verbose" else NORMAL
    out.line()
    _print_notes(out, report)
    print_ci(out, report, amount.named)
    _print_table(out, report, amount)
    _print_details(out, report, amount)
    out.line()
    files = _files(written, out.width)
    end = wrap(verdict, out.width, 0, 2)
    for line in digest(found, out.width, max(TAIL - len(files) - len(end), 1)):
        out.line(line, "bold" if line[:1].strip() else "")
    for line in files:
        out.line(line, "dim")
    for line in end:
        out.line(line, style)


def _files(written: Sequence[str], width: int | None) -> list[str]:
    """The files in few lines: what is in a directory only where there is room for it."""
    if not written:
        return []
    long, short = ([visible(name.partition(" (")[0] if cut else name) for name in written] for cut in (False, True))
    lines = wrap(f"written: {', '.join(long)}", width, 0, 2)
    return lines if len(lines) <= 2 else wrap(f"written: {', '.join(short)}", width, 0, 2)


def _print_table(out: Screen, report: Report, amount: Amount) -> None:
    """The rows that say nothing new first, most of them counted, then the others, worst last."""
    left_out = {skipped.reason for skipped in report.skipped}
    told = [d for d in report.derivations if d.attrs or d.reason not in left_out]
    ordered = failures_first(told, report.fail_on)
    urgent = [d for d in ordered if needs_attention(d, report.fail_on)]
    plain = [d for d in ordered if not needs_attention(d, report.fail_on)]
    shown, worst, more = plain[: amount.plain], *_of_every_kind(urgent, amount.rows)
    if not ordered:
        return
    rows = [row for d in shown for row in _rows(d, report.fail_on)]
    rows += [TableRow((), f"and {_counted(rest)} {_ELSEWHERE}") for rest in (plain[amount.plain :], more) if rest]
    rows += [row for d in reversed(worst) for row in _rows(d, report.fail_on)]
    out.line()
    out.table(_HEADER, rows, ("seconds",))


def _of_every_kind(
    derivations: Sequence[DerivationReport], count: int
) -> tuple[list[DerivationReport], list[DerivationReport]]:
    """So many derivations, of every verdict and cause the first before any second, and the others; both in order."""
    kinds: Counter[object] = Counter()
    ranks: list[tuple[int, int]] = []
    for number, derivation in enumerate(derivations):
        kind = derivation.verdict, derivation.reason, derivation.findings[0].cause if derivation.findings else None
        ranks.append((kinds[kind] > 0, number))
        kinds[kind] += 1
    chosen = {number for _, number in sorted(ranks)[:count]}
    shown = [derivation for number, derivation in enumerate(derivations) if number in chosen]
    return shown, [derivation for number, derivation in enumerate(derivations) if number not in chosen]


def _counted(rest: Sequence[DerivationReport]) -> str:
    """What is not shown, by verdict and reason."""
    kinds = Counter(visible(d.verdict + (f" ({d.reason})" if d.reason else "")) for d in rest)
    return some([f"{count:,} more {kind}" for kind, count in kinds.most_common()], 5)


def _rows(derivation: DerivationReport, fail_on: Sequence[str]) -> list[TableRow]:
    """A row for every output, worst first; what is said of the derivation stands in the first."""
    meaning = standing(derivation, fail_on).meaning
    style = _MILDER.get(meaning, _STYLE[derivation.verdict])
    reason = derivation.reason if derivation.verdict in ("unverified", "divergent") else None
    notes = [words for _, words in marks(derivation)] + ([visible(reason)] if reason else [])
    took = "/".join(f"{b.seconds:.1f}" if b.seconds is not None else "–" for b in derivation.builds if not b.isolated)
    rows: list[TableRow] = []
    for name, output in sorted(derivation.outputs.items(), key=lambda item: (SEVERITY.index(item[1].verdict), item[0])):
        own = "" if output.verdict == derivation.verdict else output.verdict
        first, again = two_hashes(output)
        verdict: Cell = (own, _STYLE[output.verdict]) if rows else (derivation.verdict, style)
        cells: tuple[Cell, ...] = (
            _sign(output, meaning),
            ("" if rows else visible(derivation.name), ""),
            verdict,
            (visible(name), ""),
            (visible(short_hash(first)) if first else "–", "dim"),
            (_again(first, again, alike(output)), "red" if output.verdict == "divergent" else "dim"),
            ("" if rows else took, ""),
        )
        rows.append(TableRow(cells, "" if rows else "; ".join(notes)))
    return rows


def _again(first: str | None, again: str | None, same: str) -> str:
    if first is None:
        return ""
    return "–" if again is None else same if again == first else visible(short_hash(again))


def _sign(output: Output, meaning: Meaning) -> Cell:
    if meaning == "settled":
        return "–", "dim"
    if meaning in EXCUSED and output.verdict == "divergent":
        return "~", _MILDER[meaning]
    return _SIGN[output.verdict], _STYLE[output.verdict]


def _print_details(out: Screen, report: Report, amount: Amount) -> None:
    """What is known of everything that is wrong, worst last."""
    ordered = failures_first(report.derivations, report.fail_on)
    failed = {d.drv_path for d in ordered if standing(d, report.fail_on).meaning == "failed"}
    wanted = [d for d in ordered if d.drv_path in failed or d.verdict == "divergent" or d.findings]
    shown, more = _of_every_kind(wanted, amount.details)
    if more:
        out.line()
        out.say(f"and {plural(len(more), 'more derivation')} of which there are details {_ELSEWHERE}", style="dim")
    for derivation in reversed(shown):
        out.line()
        meaning = standing(derivation, report.fail_on).meaning
        if derivation.drv_path in failed:
            _print_failure(out, derivation, amount)
        else:
            divergent = derivation.verdict == "divergent"
            often = (
                f" in {derivation.differed} of {plural(derivation.rebuilds, 'rebuild')}"
                if derivation.rebuilds > 1
                else ""
            )
            said = f"differs{often}" if divergent else "is the same, but not under every condition"
            style = _MILDER.get(meaning, _STYLE[derivation.verdict]) if divergent else "bold yellow"
            out.say(f"{visible(derivation.name)} {said}", style, 0, 2)
            if against_base := at_length(derivation):
                out.say(visible(against_base), "dim", 2)
            _print_findings(out, derivation.findings, amount.findings)
        if derivation.reproduce:
            out.command("reproduce: ", visible(derivation.reproduce), "dim", 2)


def _print_failure(out: Screen, derivation: DerivationReport, amount: Amount) -> None:
    log = kept_log(derivation)
    because = f": {visible(derivation.reason)}" if derivation.reason else ""
    out.say(f"{visible(derivation.name)}: {derivation.verdict}{because}", "bold red", 0, 2)
    told = log or ("the builder printed nothing" if printed_nothing(derivation) else "")
    for line in log_end(told, amount.log, _ALL).splitlines() if told else ():
        out.say(visible(line), "", 2, 4)
    _print_findings(out, derivation.findings, amount.findings)


def _print_findings(out: Screen, findings: Sequence[Finding], limit: int) -> None:
    for finding in findings[:limit]:
        out.say(f"{visible(place(finding))}  {finding.cause} ({finding.confidence})", "", 2, 6)
        for side, text in (("-", finding.a), ("+", finding.b)):
            if text is not None:
                out.say(f"{side} {visible(text)}", "red" if side == "-" else "green", 4, 6)
        out.say(visible(finding.because), "dim", 4)
        out.say(f"fix: {visible(finding.fix)}", "", 4, 9)
        for line in visible_lines(finding.snippet or "").splitlines():
            out.code(line.expandtabs(), "cyan", 9)
    if len(findings) > limit:
        out.say(f"and {plural(len(findings) - limit, 'more finding')} {_ELSEWHERE}", "dim", 2)


def _print_notes(out: Screen, report: Report) -> None:
    for skipped in report.skipped:
        out.say(
            f"not rebuilt: {skipped.count:,} {visible(skipped.reason)} ({_examples(skipped.examples, skipped.count)})",
            "dim",
        )
    varied = ", ".join(v.name for v in report.variations if v.applied)
    total = next((phase.seconds for phase in report.phases if phase.name == "total"), 0.0)
    cost = f"verification +{verification_cost(report) or 0.0:.1f} s of {total:.1f} s"
    how = f"rebuilder {report.rebuilder}, {report.rounds} builds each, varied: {varied or 'nothing'}"
    out.say(visible(f"{how if report.rebuilder else 'nothing was rebuilt'}; {cost}"), "dim")
    if report.ledger is not None:
        out.say(f"ledger: {visible(remembered(report))}", "dim")
    if report.verified_cache is not None:
        out.say(kept(report.verified_cache), "dim")
    if report.allow:
        out.say(allowed.counted(report.allow), "dim")


def _examples(paths: Iterable[str], count: int, shown: int = 3) -> str:
    names = [visible(store_name(path)) for path in paths][:shown]
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")
