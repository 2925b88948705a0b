from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.output.render.comment import COMMENT_LIMIT, marker_id, outcome, read_marker, render_comment
from nix_repro.report import Report

HOSTILE: list[str] = json.loads((Path(__file__).parents[4] / "fixtures" / "hostile-words.json").read_text("utf-8"))
replace = msgspec.structs.replace


@pytest.mark.parametrize("run_id", ["build-0-Linux-X64", "a b", "-->", "a=b outcome=0", *HOSTILE])
def test_the_marker_carries_the_id_and_shows_nothing(diverged: Report, run_id: str, github: Any) -> None:
    body = render_comment(diverged, run_id=run_id)
    assert read_marker(body) == (marker_id(run_id), outcome(diverged))
    page = github(body)
    assert page.elements[0][0] == "h2"
    assert page.text.lstrip().startswith("❌ 1 new divergence")


def test_ids_do_not_collide() -> None:
    ids = ["a", "a ", "a%20", "A", "a-", "a--", *HOSTILE]
    assert len({marker_id(run_id) for run_id in ids}) == len(ids)


def test_a_marker_is_found_only_at_the_start(diverged: Report) -> None:
    body = render_comment(diverged, run_id="x")
    assert read_marker(body.replace("\n", "\r\n")) is not None  # GitHub gives back what browsers send
    assert read_marker("> " + body) is None
    assert read_marker("") is None


def test_the_outcome_changes_with_verdicts_and_with_nothing_else(diverged: Report, clean: Report) -> None:
    again = replace(
        diverged, started="2027-01-01T00:00:00Z", derivations=tuple(reversed(diverged.derivations)), phases=()
    )
    assert outcome(again) == outcome(diverged)
    assert outcome(clean) != outcome(diverged)
    calmer = tuple(replace(d, marks=("known",)) if d.verdict == "divergent" else d for d in diverged.derivations)
    assert outcome(replace(diverged, derivations=calmer)) != outcome(diverged)


def test_it_fits_whatever_the_report(diverged: Report) -> None:
    log = "a line of a log\n" * 10_000
    builds = tuple(replace(build, log=log) for build in diverged.derivations[0].builds)
    many = tuple(replace(diverged.derivations[0], name=f"package-{n}" + "|" * 80, builds=builds) for n in range(3000))
    body = render_comment(
        replace(diverged, derivations=many), run_id="|" * 200, run_url="https://github.com/a/b/actions/runs/1"
    )
    assert len(body) <= COMMENT_LIMIT
    assert "Left out" in body
    assert body.endswith("edited in place by every run</sub>\n")


@pytest.mark.parametrize("url", ['https://x/"><script>', "javascript:alert(1)", "https://x/ y"])
def test_only_plain_addresses_are_linked(clean: Report, url: str, github: Any) -> None:
    assert github(render_comment(clean, run_id="x", run_url=url)).count("a") == 0
    assert github(render_comment(clean, run_id="x", run_url="https://github.com/a/b/actions/runs/7")).count("a") == 1
