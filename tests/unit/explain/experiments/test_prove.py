"""Experiments from beginning to end, on derivations that do as they are told: what they find is returned, stage by
stage, and nothing is changed behind anybody's back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kiln import Kiln, Nobody, Recipe
from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.protocol import Request
from nix_repro.build.variations import CLOCK_FROZEN, CLOCK_SHIFTED, CORES, KERNEL, ONE_CPU, PLACEBOS, Condition, Machine
from nix_repro.explain.engine import CUT
from nix_repro.explain.experiments import laboratory as laboratories
from nix_repro.explain.experiments.inquiry import FEW, MANY, VARIES, Experiment, Proof
from nix_repro.explain.experiments.laboratory import Laboratory
from nix_repro.explain.experiments.prove import Found, experiment, proved
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Observations
from nix_repro.report import Finding

Make = Callable[..., tuple[Kiln, Laboratory, Observations]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A kiln with these recipes, a laboratory around it, and the first build and one rebuild of everything."""
    library = tmp_path / "libfaketime.so.1"
    library.touch()
    monkeypatch.setattr(laboratories, "TIME_GAP", 0.0)

    def build(seconds: float = 60.0, sandbox: bool = True, **recipes: Recipe) -> tuple[Kiln, Laboratory, Observations]:
        kiln = Kiln(tmp_path, recipes)
        seen = kiln.first_builds()
        laboratory = Laboratory(
            kiln,
            kiln.plan,
            seen.built(),
            settings={"sandbox": sandbox, "cores": 2},
            limits=Limits(),
            round_number=3,
            directory=tmp_path / "experiments",
            machine=Machine(
                2, 2, library, lacks={} if sandbox else {"sandbox": "it needs Nix's sandbox, which is off"}
            ),
            deadline=time.monotonic() + seconds,
            watcher=Nobody(),
        )
        request = Request(tuple(kiln.graph.values()), seen.built(), 2, Limits(), tmp_path)
        seen.add(kiln.rebuild(request, Recorder()).attempts)
        kiln.asked.clear()
        return kiln, laboratory, seen

    return build


def run(
    laboratory: Laboratory, seen: Observations, findings: Mapping[str, tuple[Finding, ...]], *, roots: bool
) -> tuple[Found, Found, Found]:
    paths = list(laboratory.plan.derivations)
    held, varied, last = experiment(
        laboratory,
        seen,
        findings,
        paths if roots else [],
        [] if roots else paths,
        lambda _: None,
        lambda: False,
    )
    return held, varied, last


def clock(condition: Condition, number: int) -> str:
    if condition.name == CLOCK_FROZEN.name:
        return "frozen"
    return f"build {number}"


def finding(cause: str = "randomness", **fields: object) -> Finding:
    given = {"output": "out", "path": "", "confidence": "high", "because": "b", "fix": "f"} | fields
    return Finding(cause=cause, **given)  # type: ignore[arg-type]


def test_a_root_that_the_frozen_clock_holds_is_a_timestamp_whatever_a_rule_said(make: Make) -> None:
    kiln, laboratory, seen = make(stamp=clock)
    root = kiln.path("stamp")
    before = {root: (finding(),)}
    held, varied, last = run(laboratory, seen, before, roots=True)
    [found] = held.findings[root]
    assert (found.cause, found.confidence) == ("timestamp", "proved")
    assert f"{MANY} rebuilds are the same" in found.because
    assert before == {root: (finding(),)}, "findings are returned, not written"
    assert not varied.findings
    assert not last.warnings


def test_a_race_needs_one_core(make: Make) -> None:
    kiln, laboratory, seen = make(race=lambda c, n: "calm" if c.name == ONE_CPU.name else f"{n}")
    root = kiln.path("race")
    held, _, _ = run(laboratory, seen, {root: (finding("ordering"),)}, roots=True)
    assert held.findings[root][0].cause == "parallelism"
    assert [name for name, _ in kiln.asked].count(ONE_CPU.name) == MANY


def test_few_rebuilds_are_enough_where_the_rules_account_for_all(make: Make) -> None:
    kiln, laboratory, seen = make(stamp=clock)
    root = kiln.path("stamp")
    held, *_ = run(laboratory, seen, {root: (finding("timestamp"), finding("timestamp"))}, roots=True)
    assert {f.confidence for f in held.findings[root]} == {"proved"}
    assert [name for name, _ in kiln.asked].count(CLOCK_FROZEN.name) == FEW


def test_a_coin_beside_a_time_is_not_taken_for_it(make: Make) -> None:
    """Every hash is a new one because of the time, and with the clock frozen the coin falls alike three times."""

    def both(condition: Condition, number: int) -> str:
        coin = "heads" if number < 7 else "tails"
        return f"{clock(condition, number)} {coin}"

    kiln, laboratory, seen = make(both=both)
    root = kiln.path("both")
    held, *_ = run(laboratory, seen, {root: (finding("timestamp"), finding("unknown", confidence="low"))}, roots=True)
    assert [(f.cause, f.confidence) for f in held.findings[root]] == [("timestamp", "high"), ("unknown", "low")]


def test_what_the_fake_clock_does_by_itself_is_no_timestamp(make: Make) -> None:
    """Steady or not, as soon as the library is there, whatever time it shows."""
    faked = (CLOCK_FROZEN.name, PLACEBOS[CLOCK_FROZEN.name].name)
    kiln, laboratory, seen = make(steadied=lambda c, n: "steady" if c.name in faked else f"{n}")
    root = kiln.path("steadied")
    held, *_ = run(laboratory, seen, {root: (finding("timestamp"),)}, roots=True)
    assert [f.confidence for f in held.findings[root]] == ["high"]


@pytest.mark.parametrize("name", PLACEBOS)
def test_what_its_placebo_does_as_well_proves_nothing(make: Make, name: str) -> None:
    traces = {name, PLACEBOS[name].name}
    _, laboratory, seen = make(traces=lambda c, _: "traces" if c.name in traces else "none")
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    assert varied.findings == {}
    kiln, laboratory, seen = make(effect=lambda c, _: "effect" if c.name == name else "none")
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    assert {f.confidence for f in varied.findings.get(kiln.path("effect"), ())} == (
        {"proved"} if name in {e.condition.name for e in VARIES} else set()
    )


def test_a_placebo_that_cannot_be_had_proves_nothing(make: Make) -> None:
    kiln, laboratory, seen = make(uname=lambda c, _: "2.6.60" if c.name == KERNEL.name else "6.1.0")
    kiln.varies -= {PLACEBOS[KERNEL.name].name}
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    assert varied.findings == {}


def test_a_build_that_fails_with_the_clock_ahead_is_said(make: Make) -> None:
    _, laboratory, seen = make(bomb=lambda c, _: None if c.name == CLOCK_SHIFTED.name else "ok")
    _, varied, last = run(laboratory, seen, {}, roots=False)
    assert last.warnings == (
        f"bomb fails to build with the clock 400 days ahead ({FEW} of {FEW} rebuilds): it has expired",
    )
    assert varied.findings == {}


def test_a_root_that_fails_with_the_clock_frozen_is_said_and_not_proved(make: Make) -> None:
    kiln, laboratory, seen = make(old=lambda c, n: None if c.name == CLOCK_FROZEN.name else f"{n}")
    root = kiln.path("old")
    held, _, last = run(laboratory, seen, {root: (finding("timestamp"),)}, roots=True)
    assert held.findings[root][0].confidence == "high"
    assert last.warnings == ("old fails to build with the clock frozen (1 of 1 rebuild): it has expired",)


def test_what_memory_and_disk_differ_in_need_not_be_an_order(make: Make) -> None:
    kiln, laboratory, seen = make(
        listing=lambda c, _: "one\ntwo\nfour\nfive\nsix" if c.build_on else "six\nfive\nfour\ntwo\none",
        size=lambda c, _: "size 4 K" if c.build_on else "size 0 K",
    )
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    [listing], [size] = (varied.findings[kiln.path(name)] for name in ("listing", "size"))
    assert (listing.cause, listing.confidence) == ("ordering", "proved")
    assert (size.cause, size.confidence) == ("ordering", "low")
    assert "the build directory moved between disk and memory" in size.because


def test_that_not_all_was_compared_is_still_said_of_what_is_proved() -> None:
    cut = finding("unknown", because=f"{CUT}there is more")
    proof = Proof(Experiment(KERNEL, "host", holds=False), "out", "it differs")
    first, second = proved([finding("unknown"), cut], [proof])
    assert (first.cause, first.confidence) == ("host", "proved")
    assert second == cut


def test_what_nothing_holds_stays_what_it_was_taken_for(make: Make) -> None:
    kiln, laboratory, seen = make(random=lambda _, n: f"{n}")
    root = kiln.path("random")
    held, _, _ = run(laboratory, seen, {root: (finding(), finding("timestamp"))}, roots=True)
    assert [f.confidence for f in held.findings[root]] == ["high", "high"]
    assert "it still differs with the clock frozen" in held.findings[root][1].because
    assert held.findings[root][0].because == "b"


def test_a_difference_of_two_shapes_needs_more_equal_rebuilds(make: Make) -> None:
    kiln, laboratory, seen = make(coin=lambda c, n: "frozen" if c.name == CLOCK_FROZEN.name else str(n % 2))
    run(laboratory, seen, {kiln.path("coin"): (finding(),)}, roots=True)
    assert [name for name, _ in kiln.asked].count(CLOCK_FROZEN.name) == MANY


def test_what_differs_under_another_kernel_only_is_the_host(make: Make) -> None:
    kiln, laboratory, seen = make(uname=lambda c, _: "2.6.60" if c.name == KERNEL.name else "6.1.0")
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    [found] = varied.findings[kiln.path("uname")]
    assert (found.cause, found.confidence) == ("host", "proved")
    assert "another kernel release" in found.because
    assert varied.attempts == ()


def test_what_shows_another_day_differs_with_the_clock_ahead(make: Make) -> None:
    def year(condition: Condition, _: int) -> str:
        ahead = condition.clock_shift if condition.name == CLOCK_SHIFTED.name else 0
        return datetime.fromtimestamp(time.time() + ahead, UTC).strftime("%Y-%m-%d")

    kiln, laboratory, seen = make(year=year)
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    [found] = varied.findings[kiln.path("year")]
    assert (found.cause, found.confidence) == ("timestamp", "proved")


def test_what_differs_with_nothing_changed_is_an_observation(make: Make) -> None:
    """A condition seems to make it differ; without, it differs as well: then it was never steady, and that counts."""
    kiln, laboratory, seen = make(now_and_then=lambda c, n: "odd" if c.name == CORES.name or n >= 8 else "even")
    path = kiln.path("now_and_then")
    attempts_before = len(seen.attempts[path])
    _, varied, _ = run(laboratory, seen, {}, roots=False)
    [attempt] = varied.attempts
    assert attempt.drv_path == path
    assert not attempt.isolated
    assert (path, "out") in varied.trees
    assert len(seen.attempts[path]) == attempts_before, "observations are returned, not written"
    assert varied.findings[path], "and explained"


def test_what_this_machine_cannot_do_is_said_once(make: Make) -> None:
    _, laboratory, seen = make(sandbox=False, steady=lambda _c, _n: "same")
    *_, last = run(laboratory, seen, {}, roots=False)
    [warning] = last.warnings
    assert warning.startswith(
        "experiments that this machine cannot do: build-path (it needs Nix's sandbox, which is off)"
    )


def test_who_had_no_time_is_named(make: Make) -> None:
    _, laboratory, seen = make(seconds=-1.0, stamp=clock)
    *_, last = run(laboratory, seen, {}, roots=True)
    assert last.warnings == (
        "1 derivation did not get all experiments, because the time was up (explain-budget): stamp",
    )


def test_a_rebuild_that_cannot_be_had_proves_nothing(make: Make) -> None:
    kiln, laboratory, seen = make(stamp=clock)
    kiln.broken = True
    root = kiln.path("stamp")
    held, _, _ = run(laboratory, seen, {root: (finding(),)}, roots=True)
    assert held.findings[root] == (finding(),)


def test_a_rebuilder_that_cannot_vary_is_asked_for_nothing(make: Make) -> None:
    kiln, laboratory, seen = make(steady=lambda _c, _n: "same")
    kiln.varies = frozenset()
    *_, last = run(laboratory, seen, {}, roots=False)
    assert kiln.asked == []
    assert "kiln" in last.warnings[0]
