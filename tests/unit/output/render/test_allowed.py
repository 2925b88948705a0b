"""What is said of allow rules is the same wherever it is shown, and of an expired one everybody says that it fails."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import pytest

import reports
from nix_repro.output.github.places import Location
from nix_repro.output.github.runner import annotate
from nix_repro.output.render import allowed, phrases
from nix_repro.output.render.html import render_html
from nix_repro.output.render.junit import render_junit
from nix_repro.output.render.statuses import commit_statuses
from nix_repro.output.render.summary import render_summary
from nix_repro.output.render.terminal import print_report
from nix_repro.report import Configuration, Report
from nix_repro.verdict.conclusion import judge

KNOWN = reports.derivation(
    "root",
    verdict="divergent",
    marks=("known",),
    reason="allowed until 2027-01-31: upstream bug",
    findings=(reports.finding(),),
    attrs=("packages.x.root",),
)
IN_USE = reports.rule("in use", until="2027-01-31", matched=1, allowed=1, examples=("root",))
OTHERS = tuple(reports.derivation(f"d{n}") for n in range(3))


def run(*derivations: Any, rules: Any = (IN_USE,), fail_on: tuple[str, ...] = ("divergence",), **fields: Any) -> Report:
    conclusion, exit_code = judge(derivations, [], fail_on, rules=rules)
    return reports.bare(
        *derivations, allow=tuple(rules), fail_on=fail_on, conclusion=conclusion, exit_code=exit_code, **fields
    )


def terminal(report: Report, verbosity: Any = "normal") -> str:
    stream = io.StringIO()
    print_report(report, stream, verbosity, environ={})
    return stream.getvalue()


def test_what_is_known_is_shown_with_its_reason_and_day_in_every_form() -> None:
    report = run(KNOWN, *OTHERS)
    said = "1 of 4 derivations diverges, known: upstream bug until 2027-01-31; no difference found in 3 derivations"
    assert phrases.headline(report).sentence.startswith(said)
    assert phrases.headline(report).symbol == "✅"
    assert terminal(report).rstrip().splitlines()[-1].startswith(f"✓ {said}")
    assert terminal(report, "quiet").startswith(f"✓ {said}")
    assert "known; allowed until 2027-01-31: upstream bug" in terminal(report)
    assert "share/info  timestamp" in terminal(report), "it is explained all the same"
    for text in (render_summary(report), render_html(report)):
        for words in (said, "allowed until 2027-01-31: upstream bug", ".nix-repro.yml:7"):
            assert words in text.replace("&#58;", ":")
    overall, status = commit_statuses(report, run_id="x", run_url=None)
    assert overall.state == status.state == "success"
    assert status.description == "Known divergence: allowed until 2027-01-31: upstream bug"
    assert 'skipped message="known divergence: allowed until 2027-01-31: upstream bug"' in render_junit(report)
    [annotation] = annotate(report, lambda _: None)
    assert annotation.level == "notice"
    assert "allowed until 2027-01-31: upstream bug" in annotation.message


@pytest.mark.parametrize(
    ("count", "rules", "said"),
    [
        (1, [IN_USE], "1 of 4 derivations diverges, known: upstream bug until 2027-01-31"),
        (2, [reports.rule("in use", reason=r) for r in "ab"], "2 of 5 derivations diverge, known: a, b"),
        (2, [reports.rule("in use", reason=r) for r in "abcc"], "2 of 5 derivations diverge, known: a, b and 1 more"),
        (1, [reports.rule("in use", reason="x" * 300)], f"known: {'x' * 119}…"),
    ],
)
def test_the_line_has_the_reasons_in_short(count: int, rules: list[Any], said: str) -> None:
    known = [msgspec.structs.replace(KNOWN, drv_path=f"/nix/store/{n}.drv") for n in range(count)]
    assert said in phrases.headline(run(*known, *OTHERS, rules=rules)).sentence


def test_what_is_not_known_comes_first() -> None:
    fresh = reports.derivation("fresh", verdict="divergent")
    said = phrases.headline(run(KNOWN, fresh, *OTHERS)).sentence
    assert said == "1 of 5 derivations diverges; 1 known divergence: upstream bug until 2027-01-31"


def test_why_a_rule_is_not_enough_is_said_where_it_fails() -> None:
    reason = "allowed for output doc; out differs too"
    report = run(msgspec.structs.replace(KNOWN, marks=(), reason=reason))
    assert f"✗ root: divergent ({reason}), timestamp" in terminal(report)
    for text in (render_summary(report), render_html(report), render_junit(report)):
        assert reason in text
    assert reason in annotate(report, lambda _: None)[0].message


@pytest.mark.parametrize(
    ("state", "word", "headline", "said"),
    [
        (
            "expired",
            "expired-rule",
            "1 allow rule expired",
            "expired on 2026-01-31, and what it allowed still differs",
        ),
        (
            "now reproducible",
            "unexpected-pass",
            "1 allow rule no longer needed",
            "not needed this time, as no difference was found",
        ),
    ],
)
def test_a_rule_that_fails_the_run_does_so_in_every_form(state: Any, word: str, headline: str, said: str) -> None:
    rule = reports.rule(state, until="2026-01-31", matched=1, allowed=1)
    report = run(*OTHERS, rules=(rule,), fail_on=(word,))
    assert (report.conclusion, report.exit_code) == ("fail", 3)
    assert phrases.headline(report).sentence == headline
    assert phrases.headline(report).symbol == "❌"
    assert f"✗ .nix-repro.yml:7: allow rule for root: {said}" in terminal(report)
    assert terminal(report, "quiet") == f"✗ {headline}: .nix-repro.yml:7 (allow rule for root: {said})\n"
    assert commit_statuses(report, run_id="x", run_url=None)[0].state == "failure"
    suite = ET.fromstring(render_junit(report).partition("\n")[2])  # noqa: S314  # our own
    assert suite.get("failures") == "1"
    [annotation] = annotate(report, lambda _: None)
    assert annotation.level == "error"
    assert annotation.location == Location(".nix-repro.yml", 7)
    assert annotation.message.startswith(said)
    for text in (render_summary(report), render_html(report)):
        assert said in text

    mild = run(*OTHERS, rules=(rule,), fail_on=("divergence", "overrun"))
    assert (mild.conclusion, mild.exit_code) == ("pass", 0)
    assert phrases.headline(mild).sentence.startswith("No difference found in 3 derivations")
    assert f"? .nix-repro.yml:7: allow rule for root: {said}" in terminal(mild)
    assert "failure" not in re.sub(r'failures="0"', "", render_junit(mild))
    assert annotate(mild, lambda _: None)[0].level == "warning"
    assert said in render_summary(mild)


def test_a_rule_whose_name_is_right_is_not_told_to_mend_it() -> None:
    """Its output or its cause is not what differs."""
    told = [terminal(run(*OTHERS, rules=[reports.rule("matches nothing", cause="cpu", matched=n)])) for n in (0, 1)]
    assert "allow rule for root (cause cpu): matches nothing" in told[0]
    assert "mend its name, or remove the rule" in told[0]
    assert "allow rule for root (cause cpu): allows nothing that was found to differ" in told[1]
    assert "mend its output or cause, or remove the rule" in told[1]


def test_what_differs_only_through_an_input_is_not_counted_among_what_is_the_same() -> None:
    victims = [reports.derivation(f"v{n}", marks=("propagated", "known")) for n in range(2)]
    said = phrases.headline(run(KNOWN, victims[0], *OTHERS, rules=[IN_USE])).sentence
    assert said.endswith("no difference found in 3 derivations (3 outputs); 1 differs only through an input")
    assert phrases.headline(run(KNOWN, *victims)).sentence.endswith("; 2 differ only through an input")


def test_where_a_rule_is_annotated() -> None:
    rule = reports.rule("matches nothing")

    def place(prefix: str = "", file: str = ".nix-repro.yml", **fields: Any) -> Location | None:
        report = run(*OTHERS, rules=(msgspec.structs.replace(rule, file=file),), **fields)
        return annotate(report, lambda _: None, prefix)[0].location

    assert place() == Location(".nix-repro.yml", 7)
    assert place("services/api/") == Location("services/api/.nix-repro.yml", 7)
    assert place("services/api/", "../../ci/x.yml") == Location("ci/x.yml", 7)
    assert place("", "../x.yml") is None
    base = Configuration(file="api/.nix-repro.yml", source="base", base="f" * 40)
    named = "base fffffff, api/.nix-repro.yml"
    assert place("api/", named, configuration=base) == Location("api/.nix-repro.yml", 7)
    # What the base has in line 7, the change may have in another.
    edited = msgspec.structs.replace(base, edited=("allow",))
    assert place("api/", named, configuration=edited) == Location("api/.nix-repro.yml", None)
    head = msgspec.structs.replace(edited, source="head")
    assert place("api/", configuration=head) == Location("api/.nix-repro.yml", 7)


def test_rules_are_counted_by_state() -> None:
    rules = [reports.rule("in use"), reports.rule("in use"), reports.rule("not compared"), reports.rule("expired")]
    assert allowed.counted(rules) == "4 allow rules: 2 in use, 1 expired, 1 about nothing that was compared"
    assert [rule.state for rule in allowed.urgent_first(rules)] == ["expired", "in use", "in use", "not compared"]
    assert "<details open>" in render_summary(run(*OTHERS, rules=rules))
    assert "4 allow rules: 2 in use" in terminal(run(*OTHERS, rules=rules))


def test_many_rules_are_cut_and_counted() -> None:
    rules = [reports.rule("in use", name=f"r{n}", line=n) for n in range(300)]
    report = run(*OTHERS, rules=rules)
    assert "240 more rules are in the JSON report only." in render_summary(report)
    assert "200 rules are left out of this page" in render_html(report)
