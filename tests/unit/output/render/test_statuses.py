from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.output.render.statuses import CONTEXT_LIMIT, DESCRIPTION_LIMIT, INSTALLABLES, commit_statuses
from nix_repro.report import Finding, Report

HOSTILE: list[str] = json.loads((Path(__file__).parents[4] / "fixtures" / "hostile-words.json").read_text("utf-8"))
replace = msgspec.structs.replace


def test_overall_first_then_each_installable_by_name(diverged: Report) -> None:
    found = commit_statuses(diverged, run_id="test-0-Linux-X64", run_url="https://x/1")
    assert found[0].context == "nix-repro (test-0-Linux-X64)"
    assert found[0].state == "failure"
    assert found[0].description.startswith("1 new divergence in 15 derivations; 1 build failed")
    assert {status.target_url for status in found} == {"https://x/1"}
    rest = {status.context.partition("): ")[2]: status for status in found[1:]}
    assert list(rest) == sorted(rest)
    described = {attr.rpartition(".")[2]: status[1:3] for attr, status in rest.items()}
    assert described["default"] == ("failure", "Diverges (new): timestamp in share/widgets/build-info.json")
    reason = "allow rule: sphinx writes its search index in set order (until 2027-01-31)"
    assert described["docs"] == ("success", f"Known divergence: {reason}")
    assert rest["packages.x86_64-linux.image"][1:3] == ("failure", "Differs because an input diverges")
    assert rest["checks.x86_64-linux.e2e"][1:3] == ("failure", "Build failed: exit code 1")
    assert rest["packages.x86_64-linux.core"][1:3] == ("success", "No difference found in 2 outputs")
    assert len(commit_statuses(diverged, run_id="x", run_url=None, per_installable=False)) == 1


@pytest.mark.parametrize(
    ("verdict", "marks", "fail_on", "state"),
    [
        ("divergent", (), ("divergence",), "failure"),
        ("divergent", (), (), "success"),
        ("divergent", ("known",), ("divergence",), "success"),
        ("divergent", ("new",), ("new-divergence",), "failure"),
        ("divergent", (), ("new-divergence",), "success"),
        ("divergent", (), ("new-divergence", "unverified"), "failure"),
        ("unverified: upstream unreachable", (), ("divergence",), "success"),
        ("unverified: upstream unreachable", (), ("unverified",), "error"),
        ("unverified: why", (), (), "error"),
        ("rebuild-failed", (), ("build-failure",), "failure"),
        ("rebuild-failed", (), ("divergence",), "success"),
        ("reproducible", ("propagated",), ("divergence",), "failure"),
        ("reproducible", (), ("divergence", "unverified", "build-failure"), "success"),
    ],
)
def test_policy_decides_the_colour(
    clean: Report, named: Any, verdict: Any, marks: Any, fail_on: Any, state: str
) -> None:
    verdict, _, reason = verdict.partition(": ")
    derivation = named("a", verdict=verdict, marks=marks, attrs=("packages.x.a",), reason=reason or "why")
    found = commit_statuses(replace(clean, derivations=(derivation,), fail_on=fail_on), run_id="x", run_url=None)
    assert found[1].state == state


def test_an_output_that_is_a_file_is_named(clean: Report, named: Any) -> None:
    finding = Finding(output="dev", path="", cause="randomness", confidence="high", because="a UUID", fix="a constant")
    derivation = named("a", verdict="divergent", attrs=("packages.x.a",), findings=(finding,))
    found = commit_statuses(replace(clean, derivations=(derivation,)), run_id="x", run_url=None)
    assert found[1].description == "Diverges: randomness in dev"


def test_overall_state_follows_the_conclusion(clean: Report) -> None:
    def overall(conclusion: Any, exit_code: int) -> tuple[str, str]:
        first = commit_statuses(replace(clean, conclusion=conclusion, exit_code=exit_code), run_id="x", run_url=None)[0]
        return first.state, first.description.partition(":")[0]

    assert overall("pass", 0)[0] == "success"
    assert overall("fail", 1)[0] == "failure"
    assert overall("inconclusive", 5) == ("success", "Inconclusive")
    assert overall("inconclusive", 130) == ("error", "Inconclusive")


def test_names_depend_on_id_and_attribute_alone(diverged: Report, clean: Report, named: Any) -> None:
    verdicts = ("reproducible", "divergent", "unverified", "build-failed")
    names = set()
    for verdict in verdicts:
        derivation = named("a", verdict=verdict, attrs=("packages.x.a",), reason="r")
        names.add(
            tuple(
                status.context
                for status in commit_statuses(replace(clean, derivations=(derivation,)), run_id="leg 1", run_url=None)
            )
        )
    assert names == {("nix-repro (leg 1)", "nix-repro (leg 1): packages.x.a")}
    other = {status.context for status in commit_statuses(diverged, run_id="leg 2", run_url=None)}
    assert not other & {status.context for status in commit_statuses(diverged, run_id="leg 1", run_url=None)}


@pytest.mark.parametrize("word", [*HOSTILE, "x" * 1000, "ü" * 1000])
def test_limits_hold_and_nothing_is_hidden(clean: Report, named: Any, word: str) -> None:
    finding = Finding(output=word, path=word, cause="unknown", confidence="low", because=word, fix=word)
    derivations = tuple(
        named(word, drv_path=f"{n}", verdict="divergent", attrs=(f"{word}{n}",), findings=(finding,), reason=word)
        for n in range(INSTALLABLES + 7)
    )
    found = commit_statuses(replace(clean, derivations=derivations), run_id=word, run_url=None)
    assert len(found) == INSTALLABLES + 1
    assert len({status.context for status in found}) == len(found)
    for status in found:
        assert len(status.context) <= CONTEXT_LIMIT
        assert len(status.description) <= DESCRIPTION_LIMIT
        assert "\n" not in status.context + status.description
        assert "\x1b" not in status.context + status.description
        (status.context + status.description).encode()
