"""The build timeline as bars on one axis, in percent of its length. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from nix_repro.report import Build, DerivationReport, Report

#: More rows than this are a wall, not a picture.
ROWS = 50
#: A build of no length still happened: percent that stay visible.
_THINNEST = 0.35

BarKind = Literal["phase", "build", "rebuild", "failed"]


class Bar(NamedTuple):
    """From `left`, `width` wide (both in percent of the axis). `seconds` and `started` are the real ones."""

    left: float
    width: float
    kind: BarKind
    started: float
    seconds: float


class Line(NamedTuple):
    """A row of the timeline."""

    name: str
    bars: tuple[Bar, ...]
    derivation: DerivationReport | None


class Axis(NamedTuple):
    """`ticks` are places in percent with their seconds since the start of the run."""

    ticks: tuple[tuple[float, float], ...]
    phases: tuple[Line, ...]
    builds: tuple[Line, ...]
    left_out: int
    left_out_seconds: float


def timeline(report: Report) -> Axis | None:
    """Phases and the longest builds, each where it ran. Null when the report has no times."""
    phases = sorted((p for p in report.phases if p.name != "total" and p.seconds > 0), key=lambda p: p.started)
    timed = [
        (d, b)
        for d in report.derivations
        if (b := [b for b in d.builds if b.started is not None and b.seconds is not None])
    ]
    if not phases and not timed:
        return None
    # Installing Nix comes before the run: it starts below zero.
    starts = [0.0, *(p.started for p in phases), *(b.started or 0.0 for _, builds in timed for b in builds)]
    ends = [p.started + p.seconds for p in phases]
    ends += [(b.started or 0.0) + (b.seconds or 0.0) for _, builds in timed for b in builds]
    zero = min(starts)
    length = max(*ends, zero + 0.001) - zero
    timed.sort(key=lambda pair: (pair[0].verdict != "divergent", -_spent(pair[1])))
    kept = sorted(timed[:ROWS], key=lambda pair: pair[1][0].started or 0.0)
    rest = timed[ROWS:]

    def bar(kind: BarKind, started: float, seconds: float) -> Bar:
        left = min(100 * (started - zero) / length, 100 - _THINNEST)
        width = max(min(100 * seconds / length, 100 - left), _THINNEST)
        return Bar(round(left, 2), round(width, 2), kind, started, seconds)

    return Axis(
        tuple((round(100 * (at - zero) / length, 2), at) for at in _ticks(zero, zero + length)),
        tuple(Line(p.name, (bar("phase", p.started, p.seconds),), None) for p in phases),
        tuple(
            Line(d.name, tuple(bar(_kind(b), b.started or 0.0, b.seconds or 0.0) for b in builds), d)
            for d, builds in kept
        ),
        len(rest),
        sum(_spent(builds) for _, builds in rest),
    )


def _spent(builds: list[Build]) -> float:
    return sum(build.seconds or 0.0 for build in builds)


def _kind(build: Build) -> BarKind:
    if build.status not in {"built", "substituted", "present"}:
        return "failed"
    return "build" if build.round == 1 else "rebuild"


def _ticks(start: float, end: float) -> list[float]:
    """About five round numbers of seconds, minutes or hours."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
    step = next((s for s in steps if (end - start) / s <= 6), (end - start) / 5)
    first = -int(-start // step)
    return [round(place * step, 3) for place in range(first, first + 8) if place * step < end - step / 4]
