"""Which of several variations a difference needs, on derivations that do as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kiln import Kiln, Nobody, Recipe
from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.protocol import Request
from nix_repro.build.variations import ALL, NAMED, PLACEBOS, Condition, Machine, at_once
from nix_repro.explain.experiments import laboratory as laboratories
from nix_repro.explain.experiments.laboratory import Laboratory
from nix_repro.explain.experiments.naming import doubtful, name_variations
from nix_repro.explain.experiments.prove import Found
from nix_repro.nix.log.recorder import Recorder
from nix_repro.report import Finding

Name = Callable[..., tuple[Kiln, Found]]


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Name:
    """Build `it`, rebuild it with the variations at once, and have the reason named."""
    monkeypatch.setattr(laboratories, "TIME_GAP", 0.0)
    (tmp_path / "libfaketime.so.1").touch()

    def named(
        it: Recipe, varied: tuple[str, ...] = ALL, findings: tuple[Finding, ...] = (), *, thorough: bool = False
    ) -> tuple[Kiln, Found]:
        kiln = Kiln(tmp_path, {"it": it})
        seen, path = kiln.first_builds(), kiln.path("it")
        together = at_once([NAMED[one] for one in varied])
        request = Request(tuple(kiln.graph.values()), seen.built(), 2, Limits(), tmp_path, condition=together)
        seen.add(kiln.rebuild(request, Recorder()).attempts)
        kiln.asked.clear()
        laboratory = Laboratory(
            kiln,
            kiln.plan,
            seen.built(),
            settings={"sandbox": True, "cores": 2},
            limits=Limits(),
            round_number=3,
            directory=tmp_path / "experiments",
            machine=Machine(2, 2, tmp_path / "libfaketime.so.1"),
            deadline=time.monotonic() + 60,
            watcher=Nobody(),
        )
        wanted = {path: {"out": seen.built()[path].outputs["out"].nar_hash}}
        found = name_variations(
            laboratory,
            seen,
            {path: findings},
            wanted,
            varied,
            lambda _: None,
            lambda: False,
            thorough=thorough,
        )
        return kiln, found

    return named


def under(*names: str) -> Recipe:
    """Content that is another one under any of these conditions."""
    return lambda condition, _: "other" if {*names} & {*condition.names} else "usual"


@pytest.mark.parametrize("variation", ALL)
def test_the_one_that_a_difference_needs_is_named(name: Name, variation: str) -> None:
    kiln, found = name(under(variation))
    [finding] = found.findings[kiln.path("it")]
    # Disk and memory differ in more than the order of directories.
    assert finding.confidence == ("low" if variation == "directory-order" else "proved")
    assert f"it differs with {NAMED[variation].what}, and is the same again without" in finding.because
    assert not found.attempts, "what was the same without is no divergence of its own"


def test_every_one_of_several_is_named(name: Name) -> None:
    kiln, found = name(under("zone", "kernel"))
    assert [f.cause for f in found.findings[kiln.path("it")]] == ["host", "locale"]


def test_what_differs_anyway_needs_none(name: Name) -> None:
    kiln, found = name(lambda _, number: f"build {number}")
    assert [asked for asked, _ in kiln.asked] == ["time"], "one rebuild without variations says so"
    assert [attempt.varied for attempt in found.attempts] == [()]
    assert not any("it differs with" in f.because for f in found.findings[kiln.path("it")])


def test_a_coin_is_taken_for_no_variation(name: Name) -> None:
    """It fell the other way with the variations, and this way without."""
    falls = iter("ababbabaabbbabaaab" * 9)
    kiln, found = name(lambda _, __: next(falls))
    assert not any(f.confidence == "proved" for f in found.findings.get(kiln.path("it"), ()))


def test_what_needs_two_together_is_said_to(name: Name) -> None:
    before = Finding(output="out", path="", cause="unknown", confidence="low", because="one line differs", fix="")
    kiln, found = name(lambda c, _: "other" if {"zone", "kernel"} <= {*c.names} else "usual", findings=(before,))
    [finding] = found.findings[kiln.path("it")]
    assert (finding.cause, finding.confidence) == ("unknown", "low")
    assert finding.because == (
        "one line differs; without the variations, a rebuild was the same, and no single one of them was seen to be "
        "the reason"
    )


def test_what_the_rules_are_sure_of_is_rebuilt_once_without(name: Name) -> None:
    before = Finding(output="out", path="", cause="parallelism", confidence="high", because="its cores", fix="")
    kiln, found = name(under("cores"), findings=(before,))
    assert [asked for asked, _ in kiln.asked] == ["time"]
    [finding] = found.findings[kiln.path("it")]
    assert (finding.cause, finding.confidence) == ("parallelism", "high")
    assert finding.because == "its cores; without the variations, a rebuild was the same"


def test_what_the_rules_are_sure_of_is_proved_where_proofs_are_asked_for(name: Name) -> None:
    before = Finding(output="out", path="", cause="parallelism", confidence="high", because="its cores", fix="")
    kiln, found = name(under("cores"), findings=(before,), thorough=True)
    [finding] = found.findings[kiln.path("it")]
    assert (finding.cause, finding.confidence) == ("parallelism", "proved")


def test_the_means_alone_are_not_the_effect(name: Name) -> None:
    """A file more in the sandbox, whatever the clock says."""
    placebo = PLACEBOS["clock-shifted"].name
    kiln, found = name(under("clock-shifted", placebo, "future"))
    assert not any(f.confidence == "proved" for f in found.findings.get(kiln.path("it"), ()))


@pytest.mark.parametrize(("variation", "advice"), [("clock-shifted", "compares the date"), ("zone", "the log")])
def test_what_stops_building_is_a_finding(name: Name, variation: str, advice: str) -> None:
    def stops(condition: Condition, _: int) -> str | None:
        return None if variation in condition.names else "usual"

    kiln, found = name(stops)
    [finding] = found.findings[kiln.path("it")]
    assert finding.because == (
        f"proved: it stops building with {NAMED[variation].what} (3 of 3 rebuilds), and builds without: it has expired"
    )
    assert (finding.confidence, finding.path) == ("proved", "")
    assert advice in finding.fix


def finding(cause: str, confidence: str = "high", output: str = "out") -> Finding:
    given = {"output": output, "path": "", "because": "b", "fix": "f"}
    return Finding(cause=cause, confidence=confidence, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "varied", "expected"),
    [
        ((), ("nice",), True),
        ((finding("randomness"),), ALL, False),
        ((finding("randomness", "low"),), ("nice",), True),
        ((finding("timestamp"),), ("more-cores", "nice"), False),
        ((finding("timestamp"),), ("clock-shifted",), True),
        ((finding("ordering"),), ("more-cores",), True),
        ((finding("ordering"),), ("zone",), False),
        ((finding("randomness"), finding("unknown", "low")), ("nice",), True),
        ((finding("randomness", output="doc"),), ("nice",), True),
    ],
)
def test_what_the_rules_account_for_is_not_rebuilt(
    findings: tuple[Finding, ...], varied: tuple[str, ...], expected: bool
) -> None:
    assert doubtful(findings, ["out"], varied) == expected
