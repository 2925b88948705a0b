"""The history: one run against those before it, and a file that stays small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from nix_repro.metrics import history
from nix_repro.metrics.history import HistoryEntry
from nix_repro.parts import LedgerUse
from nix_repro.report import SuiteRun


def run(total: float, *, default: bool = True, scenario: str = "warm", rate: float = 1.0, **more: Any) -> HistoryEntry:
    values = {"total": total, "hit rate": rate}
    given = {"installables": (".#default",), "scope": "own", "conclusion": "pass", "whole": True, **more}
    return HistoryEntry(
        **{"started": "", "commit": None, "system": "x86_64-linux", **given},
        default=default,
        scenario=scenario,
        values=values,
    )


@pytest.mark.parametrize(
    "other",
    [
        {"installables": (".#default", ".#docs")},
        {"installables": ("all",)},
        {"installables": None},
        {"scope": "closure"},
        {"scope": None},
        {"system": "aarch64-linux"},
        {"scenario": "cold"},
        {"conclusion": "fail"},
        {"conclusion": None},
        {"whole": False},
    ],
)
def test_like_is_compared_with_like(other: dict[str, Any]) -> None:
    """Ten times as quick, because it did something else, or not all of it."""
    assert history.compare([run(10, **other) for _ in range(9)], run(100)) == ()
    mixed = [*(run(100) for _ in range(3)), *(run(10, **other) for _ in range(9))]
    trends = {trend.name: trend for trend in history.compare(mixed, run(100))}
    assert (trends["total"].median, trends["total"].runs) == (100, 3)
    # A run that fails is held against the others all the same: it may fail because it is slow.
    late = {trend.name: trend for trend in history.compare(mixed, run(200, conclusion="fail"))}
    assert late["total"].regression


def test_an_old_file_still_loads_and_is_no_baseline(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    old = {"started": "", "commit": None, "system": "x86_64-linux", "default": True, "scenario": "warm"}
    file.write_text(json.dumps({"version": 1, "runs": [old | {"values": {"total": 10.0}}] * 5}))
    runs, wrong = history.read(file)
    assert (len(runs), wrong) == (5, None)
    assert history.compare(runs, run(100)) == ()
    assert history.write(file, [*runs, run(100)]) is None
    assert len(history.read(file)[0]) == 6


def test_this_run_against_the_median_of_the_default_branch() -> None:
    runs = [run(100), run(110), run(90), run(9, default=False), run(9, scenario="cold")]
    trends = {trend.name: trend for trend in history.compare(runs, run(130, rate=0.9))}
    assert (trends["total"].median, trends["total"].runs, trends["total"].regression) == (100, 3, True)
    assert trends["hit rate"].regression
    assert not any(trend.regression for trend in history.compare(runs, run(124)))
    assert history.compare(runs[:2], run(1000)) == ()


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=30), st.floats(0, 1000))
def test_a_regression_is_slower_than_most(before: list[float], now: float) -> None:
    (total, _) = history.compare([run(value) for value in before], run(now))
    if total.regression:
        recent = before[-history.COMPARED :]
        assert sum(value < now for value in recent) * 2 >= len(recent)


def test_the_file_is_small_and_a_bad_one_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "history.json"
    assert history.read(file) == ((), None)
    assert history.write(file, [run(i) for i in range(500)]) is None
    runs, wrong = history.read(file)
    assert (len(runs), runs[-1], wrong) == (history.KEPT, run(499), None)
    assert file.stat().st_size < 30_000
    for content in (b"", b"[]", b'{"version": 2}', b"\xff", b'{"runs": [{"started": 1}]}'):
        file.write_bytes(content)
        runs, wrong = history.read(file)
        assert runs == ()
        assert wrong is not None
        assert wrong.endswith("it is begun anew")
    assert "cannot be written" in (history.write(Path("/proc/none/history.json"), []) or "")


def test_what_is_remembered_of_a_run() -> None:
    report = reports.everything()
    it = history.entry(report, (".#b", ".#a", ".#b"), default=True)
    assert (it.installables, it.scope, it.conclusion) == ((".#a", ".#b"), report.scope, report.conclusion)
    assert not it.whole, "a build failed in it"
    fine = msgspec.structs.replace(report, derivations=(), test=None)
    assert history.entry(fine, (), default=True).whole
    failed = msgspec.structs.replace(fine, test=SuiteRun(command="x", status="failed"))
    assert not history.entry(failed, (), default=True).whole
    assert (it.default, it.scenario, it.commit) == (True, "warm", report.commit)
    assert it.values["hit rate"] == report.caches.hit_rate
    assert it.values["total"] == pytest.approx(
        sum(phase.seconds for phase in report.phases if phase.name == "total") - it.values["verification"]
    )
    assert "install" not in it.values, "what is not this tool's is not compared"


@pytest.mark.parametrize(
    ("usual", "now", "worse"),
    [
        ({"build": 8.0}, {"build": 12.9}, False),  # not by as many seconds as matter
        ({"build": 8.0}, {"build": 13.1}, True),
        ({"build": 100.0}, {"build": 124.9}, False),  # not by as large a part
        ({"build": 100.0}, {"build": 125.1}, True),
        ({"build": 100.0}, {"build": 1.0}, False),
        ({"hit rate": 0.9}, {"hit rate": 0.86}, False),
        ({"hit rate": 0.9}, {"hit rate": 0.84}, True),
        ({"hit rate": 0.9}, {"hit rate": 1.0}, False),
    ],
)
def test_worse_is_slower_or_fewer_hits(usual: dict[str, float], now: dict[str, float], worse: bool) -> None:
    runs = [msgspec.structs.replace(run(0), values=usual)] * 3
    this = msgspec.structs.replace(run(0, default=False), values=now)
    assert [trend.regression for trend in history.compare(runs, this)] == [worse]


def test_a_file_that_is_too_large_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    with file.open("wb") as stream:
        stream.truncate(5 << 20)
    assert history.read(file) == ((), f"history {file}: it is too large; it is begun anew")


def test_a_verification_that_earlier_runs_have_spared_in_part_is_nothing_to_compare() -> None:
    def values(ledger: LedgerUse | None) -> dict[str, float]:
        report = msgspec.structs.replace(reports.read("clean"), ledger=ledger)
        return history.entry(report, (".#a",), default=True).values

    assert "verification" in values(None)
    assert "verification" in values(LedgerUse(compared=4, verified=0, rebuilt=3, machines=0))
    assert "verification" not in values(LedgerUse(compared=4, verified=1, rebuilt=3, machines=1))
