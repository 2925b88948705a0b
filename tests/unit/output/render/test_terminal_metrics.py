"""The terminal's part about time: nothing where there is nothing to say, and every part of it in words."""

from __future__ import annotations

import io

import msgspec
import pytest

import reports
from nix_repro.output.render.digest import troubles
from nix_repro.output.render.html import render_html
from nix_repro.output.render.phrases import headline
from nix_repro.output.render.screen import Screen
from nix_repro.output.render.summary import render_summary
from nix_repro.output.render.terminal_metrics import print_ci
from nix_repro.report import (
    BuiltBecause,
    Caches,
    Change,
    Layer,
    LockChange,
    Policy,
    Report,
    Scenario,
    SuiteRun,
    Target,
    Trend,
)


def shown(**changes: object) -> str:
    nothing: dict[str, object] = {
        "targets": (),
        "scenario": None,
        "caches": Caches(),
        "test": None,
        "policies": (),
        "history": (),
    }
    it: Report = msgspec.structs.replace(reports.read("clean"), **nothing | changes)
    stream = io.StringIO()
    print_ci(Screen(stream, {}), it, 4)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_nothing_is_said_of_nothing() -> None:
    assert shown() == ""
    assert shown(scenario=Scenario(name="warm", because="x")) == ""


def test_a_default_that_only_advises_says_so_everywhere() -> None:
    late = Target(name="hit rate", limit=0.95, actual=0.5, ok=False, advice="look at it", advisory=True)
    targets = (late, Target(name="build", limit=30.0, actual=32.0, ok=False, advisory=True))
    made = {"scenario": Scenario(name="cached", because="x"), "targets": targets}
    text = shown(**made)
    assert "  hit rate: only advice: a default, which fails nothing here" in text
    assert "(--target hit-rate=LIMIT sets your own); look at it" in text
    assert "  build: only advice" in text
    assert "these defaults only advise outside CI" in text
    mixed = {**made, "targets": (late, Target(name="build", limit=60.0, actual=32.0, ok=True))}
    assert "the default of hit rate only advises outside CI" in shown(**mixed)
    assert "advise" not in shown(**{**made, "targets": (Target(name="build", limit=60.0, actual=32.0, ok=True),)})
    assert [row[0] for row in rows(text) if row and row[-1] in ("over", "pp")] == ["!", "!"]
    report = msgspec.structs.replace(reports.read("clean"), **made)
    assert headline(report).symbol == headline(reports.read("clean")).symbol
    assert troubles(report) == []
    summary = render_summary(report)
    assert "⚠️ | build" in summary
    assert "only advice" in summary
    assert "; these defaults only advise outside CI" in summary
    assert "❌" not in summary
    page = render_html(report)
    assert "missed, advice only" in page
    assert "; these defaults only advise outside CI" in page
    assert "<strong>missed" not in page


def test_targets_with_their_margins_and_what_to_look_at() -> None:
    targets = (
        Target(name="build", limit=120.0, actual=78.0, ok=True),
        Target(name="total", limit=150.0, actual=170.0, ok=False, advice="most of it is build"),
        Target(name="hit rate", limit=0.95, actual=0.9999, ok=True),
        Target(name="test", limit=60.0, actual=None, ok=None),
    )
    text = shown(scenario=Scenario(name="warm", because="a cache had it"), targets=targets)
    assert "targets (warm: a cache had it)" in text
    assert ["✓", "build", "2m", "00s", "1m", "18s", "42", "s", "left"] in rows(text)
    assert [
        "✗",
        "total",
        "(without",
        "verification)",
        "2m",
        "30s",
        "2m",
        "50s",
        "20",
        "s",
        "over",
    ] in rows(text)
    assert ["✓", "hit", "rate", "95", "%", "99.9", "%", "+5.0", "pp"] in rows(text)
    assert ["–", "test", "1m", "00s", "not", "measured"] in rows(text)
    assert "  total: most of it is build\n" in text


def test_cache_layers_with_what_is_known_of_them() -> None:
    layers = (
        Layer(name="a cache", url="https://a.example", paths=1200, bytes=5_000_000, seconds=2.0),
        Layer(name="local store", url=None, paths=3, bytes=None, seconds=None),
    )
    text = shown(caches=Caches(layers=layers, hit_rate=0.9999))
    assert "cache layers; hit rate 99.9 %" in text
    assert ["a", "cache", "1,200", "5.0", "MB", "2.0", "s", "2.5", "MB/s"] in rows(text)
    assert ["local", "store", "3", "–", "–", "–"] in rows(text)
    assert "hit rate" not in shown(caches=Caches(layers=layers))


def test_why_anything_was_built() -> None:
    lock = LockChange(input="nixpkgs", old_rev="a" * 40, new_rev="b" * 40, old_date=None, new_date=None)
    change = Change(base="main", change_class="partial", derivations=2, lock=(lock,))
    built = [
        BuiltBecause(drv_path=f"/nix/store/{'0' * 32}-{n}.drv", why="changed", root_change="src") for n in "abcdef"
    ]
    built.append(BuiltBecause(drv_path=f"/nix/store/{'0' * 32}-x.drv", why="unknown", root_change="there is no base"))
    text = shown(caches=Caches(change=change, built=tuple(built), incidents=("a cache was slow",)))
    assert "against main: 2 derivations differ, class partial" in text
    assert "  flake.lock: nixpkgs" in text
    assert "  built 6, changed (src): a, b, c, d and 2 more" in text
    assert "  built 1, unexplained (there is no base): x\n" in text
    assert "cache: a cache was slow" in text


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (SuiteRun(command="make check", status="passed"), "test make check: passed\n"),
        (SuiteRun(command="checks", status="cached", cached=("a", "b")), "test checks: cached (2 cached, not run)\n"),
        (
            SuiteRun(command="checks", status="failed", ran=("a", "b"), failed=("a",), log="boom\n"),
            "test checks: failed (2 ran; failed: a)\n  boom\n",
        ),
    ],
)
def test_the_test_phase(suite: SuiteRun, said: str) -> None:
    assert shown(test=suite) == f"\n{said}"


def test_policies_that_failed_and_numbers_that_got_worse() -> None:
    policies = (Policy(expression=".a", failed=True), Policy(expression=".b", failed=False))
    history = (
        Trend(name="hit rate", actual=0.9, median=0.9999, runs=4, regression=True),
        Trend(name="build", actual=90.0, median=30.0, runs=1, regression=True),
        Trend(name="total", actual=90.0, median=90.0, runs=4, regression=False),
    )
    assert shown(policies=policies, history=history).splitlines() == [
        "fail-when: .a",
        "worse than usual: hit rate 90 %, median of 4 runs 99.9 %",
        "worse than usual: build 1m 30s, median of 1 run 30 s",
    ]
