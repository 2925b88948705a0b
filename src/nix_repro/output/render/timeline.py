"""The build timeline as a mermaid gantt chart, pruned to what GitHub draws."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from nix_repro import text as wording
from nix_repro.output.render import escape

if TYPE_CHECKING:
    from nix_repro.report import Build, DerivationReport, Report

#: GitHub draws no diagram with more characters than this.
MERMAID_LIMIT = 50_000
#: More bars than this are a wall, not a picture.
LONGEST = 40
# An arbitrary day. mermaid reads and writes local time, so the axis counts from zero in every reader's zone.
_START = datetime(2000, 1, 1)  # noqa: DTZ001


class Timeline(NamedTuple):
    """A diagram and one sentence on what it does not show (null when it shows everything)."""

    diagram: str
    pruned: str | None


def _bar(sign: str, name: str, tag: str, started: float, lasted: float) -> str:
    start = (_START + timedelta(seconds=max(started, 0.0))).isoformat(sep=" ", timespec="milliseconds")
    label = f"{sign} {escape.mermaid(name)} {wording.seconds(lasted)}"
    return f"  {label} :{tag}{start}, {max(round(lasted * 1000), 1)}ms"


def _build_bar(derivation: DerivationReport, build: Build, zero: float) -> str:
    failed = build.status not in {"built", "substituted", "present"}
    bad = failed or (build.round > 1 and derivation.verdict == "divergent")
    name = f"{derivation.name} (alone)" if build.isolated else derivation.name
    return _bar("✗" if bad else "✓", name, "crit, " if bad else "", (build.started or 0.0) - zero, build.seconds or 0.0)


def _draw(report: Report, kept: list[tuple[DerivationReport, Build]]) -> str:
    lines = ["gantt", "  dateFormat YYYY-MM-DD HH:mm:ss.SSS", "  axisFormat %H:%M:%S"]
    phases = sorted((p for p in report.phases if p.name != "total" and p.seconds > 0), key=lambda p: p.started)
    # Installing Nix comes before the run: it starts below zero.
    zero = min([0.0, *(phase.started for phase in phases)])
    if phases:
        lines.append("  section Phases")
        lines += [_bar("▸", phase.name, "active, ", phase.started - zero, phase.seconds) for phase in phases]
    for title, builds in (
        ("First build", [pair for pair in kept if pair[1].round == 1]),
        ("Rebuild", [pair for pair in kept if pair[1].round > 1]),
    ):
        if builds:
            lines.append(f"  section {title}")
            lines += [_build_bar(*pair, zero) for pair in sorted(builds, key=lambda pair: pair[1].started or 0.0)]
    return "\n".join(lines)


def timeline(report: Report) -> Timeline | None:
    """Phases and the longest builds, each where it ran. Null when the report has no times."""
    timed = [(d, b) for d in report.derivations for b in d.builds if b.started is not None and b.seconds is not None]
    timed.sort(key=lambda pair: pair[1].seconds or 0.0, reverse=True)
    kept = timed[:LONGEST]
    if not kept and not any(phase.seconds > 0 for phase in report.phases if phase.name != "total"):
        return None
    while len(diagram := _draw(report, kept)) > MERMAID_LIMIT:
        kept = kept[: len(kept) // 2]
    pruned = None
    if rest := timed[len(kept) :]:
        together = wording.seconds(sum(build.seconds or 0.0 for _, build in rest))
        pruned = (
            f"The {len(kept)} longest of {wording.plural(len(timed), 'build')}; the {len(rest):,} shorter ones took "
            f"{together} together."
        )
    return Timeline(diagram, pruned)
