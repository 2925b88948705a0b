"""The last runs in one small file, and this run against the default branch's. Comparing is pure; reading and writing
are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec

from nix_repro.errors import UsageError
from nix_repro.files import write_whole
from nix_repro.metrics.targets import HIT_RATE, measured, quantity
from nix_repro.report import Report, Trend

#: Runs kept in the file.
KEPT = 100
#: Runs of the default branch that a run is compared with.
COMPARED = 20
#: Fewer runs say nothing.
FEWEST = 3
#: A regression is slower by this factor
FACTOR = 1.25
#: and by as many seconds,
SECONDS = 5.0
#: or has a hit rate (0 to 1) that is lower by so much.
RATE = 0.05
_NAMES = ("evaluate", "fetch", "build", "test", "verification", "total", HIT_RATE)
#: Bytes of a history that is read.
_BYTES = 4 << 20


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a run. `default` says that it was one of the default branch's; `values` are seconds by
    phase, the total without verification and setup, and the hit rate. `whole` says that every build and test
    that it wanted succeeded. `installables`, `scope` and `conclusion` are null in what was written before they were
    kept."""

    started: str
    commit: str | None
    system: str
    default: bool
    scenario: str | None
    values: dict[str, float]
    installables: tuple[str, ...] | None = None
    scope: str | None = None
    conclusion: str | None = None
    whole: bool = False

    def comparable(self, other: HistoryEntry) -> bool:
        """Whether both did the same work in the same circumstances. What is not known is not the same."""
        return None not in (self.installables, self.scope) and (
            (self.installables, self.scope, self.system, self.scenario)
            == (other.installables, other.scope, other.system, other.scenario)
        )

    @property
    def exemplary(self) -> bool:
        """Whether others can be held against it: what fails may have ended early, whatever `fail-on` makes of it."""
        return self.whole and self.conclusion in ("pass", "inconclusive")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """The history file. Other versions are not read."""

    version: int = 1
    runs: tuple[HistoryEntry, ...] = ()


def entry(report: Report, installables: Iterable[str], *, default: bool) -> HistoryEntry:
    """What is remembered of a run that was asked for these installables."""
    values = measured(report.phases, report.caches.hit_rate)
    if report.ledger is not None and report.ledger.verified:
        # How much there was to verify is another thing every time.
        values.pop("verification", None)
    return HistoryEntry(
        started=report.started,
        commit=report.commit,
        system=report.system,
        default=default,
        scenario=report.scenario.name if report.scenario is not None else None,
        installables=tuple(sorted(set(installables))),
        scope=report.scope,
        conclusion=report.conclusion,
        whole=not any(d.verdict in ("build-failed", "rebuild-failed") for d in report.derivations)
        and (report.test is None or report.test.status != "failed"),
        values={name: value for name in _NAMES if (value := values.get(name)) is not None},
    )


def compare(runs: Sequence[HistoryEntry], this: HistoryEntry) -> tuple[Trend, ...]:
    """This run against the median of the last runs of the default branch that it can be compared with. One that failed
    is nothing to go by."""
    alike = [run for run in runs if run.default and run.exemplary and run.comparable(this)][-COMPARED:]
    found: list[Trend] = []
    for name, actual in this.values.items():
        before = [run.values[name] for run in alike if name in run.values]
        if len(before) >= FEWEST:
            usual = median(before)
            worse = _worse(name, actual, usual)
            found.append(Trend(name=name, actual=actual, median=round(usual, 4), runs=len(before), regression=worse))
    return tuple(found)


def _worse(name: str, actual: float, usual: float) -> bool:
    much = RATE if quantity(name).unit == "ratio" else max(usual * (FACTOR - 1), SECONDS)
    return actual > usual + much if quantity(name).direction == "at most" else actual < usual - much


def read(file: Path) -> tuple[tuple[HistoryEntry, ...], str | None]:
    """The runs in the file, and what was wrong with it. No file: no runs, and nothing wrong."""
    try:
        if file.stat().st_size > _BYTES:
            return (), f"history {file}: it is too large; it is begun anew"
        found = msgspec.json.decode(file.read_bytes(), type=File)
    except FileNotFoundError:
        return (), None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return (), f"history {file}: {error}; it is begun anew"
    return (
        (found.runs, None)
        if found.version == 1
        else ((), f"history {file}: version {found.version} is not known; it is begun anew")
    )


def write(file: Path, runs: Sequence[HistoryEntry]) -> str | None:
    """Write the last runs; what went wrong, if anything did."""
    try:
        write_whole(file, msgspec.json.encode(File(runs=tuple(runs[-KEPT:]))) + b"\n")
    except UsageError as error:
        return f"history {error}"
    return None
