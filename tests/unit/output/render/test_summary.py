"""The step summary, rendered as GitHub renders it and read as a reader would."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import reports
from nix_repro.output.render import phrases
from nix_repro.output.render.summary import LEFT_OUT_FIRST, SUMMARY_LIMIT, render_summary
from nix_repro.output.render.timeline import LONGEST, MERMAID_LIMIT, timeline
from nix_repro.reasons import PATH_REWRITING
from nix_repro.report import (
    Build,
    BuiltBecause,
    Caches,
    DerivationReport,
    Finding,
    Policy,
    Report,
    SuiteRun,
    Trend,
)

HOSTILE: list[str] = json.loads((Path(__file__).parents[4] / "fixtures" / "hostile-words.json").read_text("utf-8"))
replace = msgspec.structs.replace


def test_failures_come_first_and_everything_is_said(diverged: Report, github: Any) -> None:
    page = github(render_summary(diverged))
    assert page.elements[0] == ("h2", {})
    order = [
        page.text.index(name)
        for name in ("widgets-cli-2.4.0", "widgets-docs-2.4.0", "widgets-e2e", "widgets-gpu", "widgets-assets")
    ]
    assert order == sorted(order)
    for said in (
        "1 new divergence in 15 derivations; 1 build failed; over target: total; 1 known divergence; 1 unverified",
        "Verification +1m\u00a018s",
        "h+7sGcA1",
        "timestamp in share/widgets/build-info.json and 2 more",
        "allow rule: sphinx writes its search index in set order",
        "differs only because an input does",
        "needs a feature",
        "20 s over",
        "hit rate 96.7 %",
        "magic nix cache answered 429",
        "650 derivations were not compared",
        "src/lib.rs in the source of widgets-core-2.4.0",
        "AMD EPYC 7763",
    ):
        assert said in page.text
    diff, code, reproduce = page.blocks[:3]
    assert diff == (
        "diff",
        (
            '- {"version": "2.4.0", "built": "2026-11-22T20:05:01Z"}\n+ {"version": "2.4.0", "built": '
            '"2026-11-22T20:06:18Z"}\n'
        ),
    )
    assert code[0] == "nix"
    assert reproduce[1] == diverged.derivations[0].reproduce + "\n"  # type: ignore[operator]


def test_a_clean_run_shows_one_line_one_table_and_no_empty_sections(clean: Report, github: Any) -> None:
    markdown = render_summary(clean)
    page = github(markdown)
    assert "✅ No difference found in 10 derivations (12 outputs)" in page.text
    assert page.count("h3") == page.count("h4") == 0
    folded = re.findall(r"<summary>(.*?)</summary>", markdown)
    assert folded == ["Build timeline", "38 derivations were not compared", "Environment"]


def test_nothing_is_shown_for_what_has_no_content(clean: Report, github: Any) -> None:
    bare = replace(
        clean, derivations=(), phases=(), skipped=(), variations=(), environment={}, rebuilder=None, commit=None
    )
    page = github(render_summary(bare))
    assert "Nothing in scope to verify" in page.text
    assert page.count("table") == 1  # the environment's
    assert page.count("details") == 1
    assert "None" not in page.text


CLEAN = "no difference found in 1 derivation (1 output)"


@pytest.mark.parametrize(
    ("verdicts", "conclusion", "exit_code", "said"),
    [
        (["reproducible"], "pass", 0, "✅ No difference found in 1 derivation (1 output)"),
        (["divergent"], "fail", 1, "❌ The one derivation in scope diverges"),
        (["divergent", "reproducible"], "pass", 0, "🟡 1 of 2 derivations diverges; allowed by fail-on (overrun)"),
        (["build-failed", "reproducible"], "fail", 4, "❌ 1 build failed"),
        (["rebuild-failed"], "fail", 4, "❌ 1 rebuild failed"),
        (["unverified", "reproducible"], "inconclusive", 5, f"⚠️ 1 of 2 derivations unverified; {CLEAN}"),
        (["unverified", "reproducible"], "fail", 5, f"❌ 1 of 2 derivations unverified; {CLEAN}"),
        (["unverified"], "inconclusive", 5, "⚠️ The one derivation in scope is unverified"),
        (["unverified", "unverified"], "inconclusive", 130, "⚠️ Interrupted; 2 unverified"),
    ],
)
def test_the_headline(
    clean: Report, named: Any, verdicts: list[Any], conclusion: Any, exit_code: int, said: str
) -> None:
    derivations = tuple(named(f"d{i}", verdict=verdict, reason="why") for i, verdict in enumerate(verdicts))
    report = replace(clean, derivations=derivations, conclusion=conclusion, exit_code=exit_code, fail_on=("overrun",))
    assert " ".join(phrases.headline(report)) == said


def test_no_headline_says_more_than_was_seen(clean: Report, named: Any) -> None:
    report = replace(
        clean,
        derivations=(named("a"), named("b", verdict="unverified", reason="upstream unreachable")),
        conclusion="inconclusive",
    )
    assert "reproducible" not in phrases.headline(report).sentence


def shape(page: Any) -> list[str]:
    """The elements in order, without the spans that keep a dollar sign from being mathematics."""
    return [name for name, _ in page.elements if name != "span"]


def test_hostile_words_change_nothing_about_the_page(diverged: Report, github: Any) -> None:
    harmless = github(render_summary(reports.hostile(diverged, "harmless")))
    for word in HOSTILE:
        page = github(render_summary(reports.hostile(diverged, word)))
        assert shape(page) == shape(harmless), word
        for name, attributes in page.elements:
            assert set(attributes) <= {"align", "lang"} or (name, attributes) == ("details", {"open": None}), (
                name,
                attributes,
            )
        assert set(page.comments) <= {" "}
        assert [language for language, _ in page.blocks] == [language for language, _ in harmless.blocks]


@pytest.mark.size
@pytest.mark.parametrize("verdict", ["reproducible", "divergent", "build-failed"])
def test_five_thousand_derivations_fit_and_are_quick(diverged: Report, github: Any, verdict: str) -> None:
    log = "a line of a log\n" * 5000 if verdict == "build-failed" else None
    report = reports.many(diverged, 5000, verdict, log)
    started = time.process_time()
    markdown = render_summary(report)
    taken = time.process_time() - started
    print(f"{verdict}: {len(markdown.encode()):,} bytes in {taken:.2f} s")
    assert len(markdown.encode()) <= SUMMARY_LIMIT
    page = github(markdown)
    assert "in the JSON report only" in page.text
    assert f"The {LONGEST} longest of 10,000 builds" in page.text


@pytest.mark.size
def test_a_diagram_never_exceeds_githubs_limit(diverged: Report) -> None:
    drawn = timeline(reports.many(diverged, 2000))
    assert drawn is not None
    assert len(drawn.diagram) < MERMAID_LIMIT


def test_sections_are_left_out_in_order_and_named(diverged: Report, named: Any, github: Any) -> None:
    finding = Finding(
        output="out", path="cores.txt", cause="parallelism", confidence="proved", because="one core", fix="a constant"
    )
    sensitive = named("sensitive", findings=(finding,))
    allow = (reports.rule("expired", until="2026-01-31"),)
    diverged = replace(diverged, derivations=(*diverged.derivations, sensitive), allow=allow)
    whole = render_summary(diverged)
    seen = []
    for limit in range(len(whole.encode()), 4000, -200):
        markdown = render_summary(diverged, limit_bytes=limit)
        assert len(markdown.encode()) <= limit
        page = github(markdown)
        found = re.search(r"Left out to stay under [^:]*: (.*)\. The JSON report has everything\.", page.text)
        names = [name for name in LEFT_OUT_FIRST.values() if found and name in found[1]]
        assert names == list(LEFT_OUT_FIRST.values())[: len(names)]
        seen.append(len(names))
        assert "1 new divergence" in page.text
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] >= 5


@pytest.mark.size
@pytest.mark.parametrize("word", ["|<>&" * 60, "\u202e" * 240, "name"])
@pytest.mark.parametrize("limit", [4000, 20_000, 65_536])
def test_a_small_limit_holds_for_the_worst_names(diverged: Report, github: Any, word: str, limit: int) -> None:
    report = reports.hostile(reports.many(diverged, 300, "divergent"), word)
    markdown = render_summary(report, limit_bytes=limit)
    assert len(markdown.encode()) <= limit
    assert github(markdown).text.count("300 new divergences in 300 derivations") == 1


def test_a_limit_that_holds_nothing_is_refused(clean: Report) -> None:
    with pytest.raises(ValueError, match="4,000"):
        render_summary(clean, limit_bytes=3999)


def test_a_divergence_takes_twenty_lines_at_most(diverged: Report, named: Any) -> None:
    lines = "\n".join(f"line {number}" for number in range(50))
    findings = tuple(
        Finding(
            output="out",
            path=f"f{n}",
            cause="ordering",
            confidence="high",
            because=lines,
            fix=lines,
            snippet=lines,
            a=lines,
            b=lines,
        )
        for n in range(9)
    )
    derivation: DerivationReport = named(
        "big", verdict="divergent", findings=findings, reproduce="nix-repro check .#big"
    )
    markdown = render_summary(
        replace(diverged, derivations=(derivation,), targets=(), scenario=None, warnings=(), caches=Caches())
    )
    block = markdown[markdown.index("#### ") : markdown.index("### Details")]
    shown = [line for line in block.splitlines() if line.strip() and not line.startswith("```")]
    assert len(shown) <= 20
    assert "and 5 more in the report" in block


def test_what_is_the_same_but_not_under_every_condition(clean: Report, named: Any, github: Any) -> None:
    lines = "\n".join(f"line {number}" for number in range(50))
    fields: dict[str, Any] = {
        "output": "out",
        "path": "lib/cores.txt",
        "confidence": "proved",
        "snippet": lines,
        "a": lines,
        "b": lines,
    }
    found = tuple(
        Finding(cause="parallelism", because="proved: one core", fix="a constant", **fields) for _ in range(3)
    )
    report = replace(clean, derivations=(*clean.derivations, named("zz-sensitive", findings=found)))
    markdown = render_summary(report)
    page = github(markdown)
    assert (
        "No difference found in 11 derivations (13 outputs); 1 derivation differs under other conditions" in page.text
    )
    assert page.text.index("zz-sensitive") < page.text.index(clean.derivations[0].name), (
        "it stands before what has nothing to say"
    )
    assert "under other conditions: parallelism in lib/cores.txt and 2 more" in page.text
    block = markdown[markdown.index("### The same, but not under every condition") : markdown.index("### Details")]
    assert "**parallelism** (proved)" in block
    assert len([line for line in block.splitlines()[1:] if line.strip() and not line.startswith("```")]) <= 20


def test_an_output_that_is_a_file_is_named_where_a_path_would_be(clean: Report, named: Any, github: Any) -> None:
    fields: dict[str, Any] = {"path": "", "cause": "randomness", "confidence": "high", "because": "a UUID", "fix": ""}
    found = tuple(Finding(output=output, **fields) for output in ("dev", "out"))
    page = github(render_summary(replace(clean, derivations=(named("multi", verdict="divergent", findings=found),))))
    assert "dev → the output itself · randomness" in page.text
    assert "Also: out (randomness)" in page.text


def test_what_was_never_built_again_is_not_said_to_be(clean: Report, named: Any, github: Any) -> None:
    failed = named("broken", verdict="build-failed", builds=(Build(round=1, status="failed", seconds=1.0, log="no"),))
    page = github(render_summary(replace(clean, derivations=(failed,), conclusion="fail", exit_code=4)))
    assert "nothing was built again" in page.text
    assert "held different" not in page.text
    assert "built twice (rebuilder" in github(render_summary(clean)).text


def test_a_reason_that_explains_little_is_explained(clean: Report, named: Any, github: Any) -> None:
    assert PATH_REWRITING.hint is not None
    derivations = tuple(named(name, verdict="unverified", reason=PATH_REWRITING.text) for name in "ab")
    page = github(render_summary(replace(clean, derivations=derivations, conclusion="inconclusive", exit_code=5)))
    assert page.text.count(PATH_REWRITING.hint) == 1
    assert "path rewriting: " not in github(render_summary(clean)).text


def test_known_divergences_are_folded(diverged: Report) -> None:
    markdown = render_summary(diverged)
    assert re.search(r"<details><summary>🟡 <code>widgets-docs-2.4.0</code>", markdown)
    assert "#### ❌ <code>widgets-cli-2.4.0</code>" in markdown


def test_what_nobody_expects_to_be_verified_is_no_trouble(clean: Report, named: Any, github: Any) -> None:
    fixed = named("source.tar.gz", verdict="unverified", reason="fixed-output")
    report = replace(clean, derivations=(fixed, *clean.derivations))
    markdown = render_summary(report)
    assert phrases.headline(report).sentence == phrases.headline(clean).sentence
    assert github(markdown).text.index("source.tar.gz") > github(markdown).text.index("widgets-testdata")
    assert "➖" in markdown
    assert "⚠️" not in markdown


def test_tests_policies_and_history_have_their_sections(clean: Report, github: Any) -> None:
    suite = SuiteRun(command="checks", status="failed", ran=("a", "b"), cached=("c",), failed=("unit",), log="boom")
    trend = Trend(name="hit rate", actual=0.5, median=0.97, runs=9, regression=True)
    policies = (Policy(expression=".caches.hit_rate < 0.9", failed=True), Policy(expression="false", failed=False))
    report = replace(clean, test=suite, policies=policies, history=(trend,), conclusion="fail")
    page = github(render_summary(report))
    assert "❌ Tests failed; 1 policy failed" in page.text
    assert "checks · 2 run · 1 cached, not run" in page.text
    assert "This policy failed: .caches.hit_rate < 0.9" in page.text
    assert (None, "boom\n") in page.blocks
    assert "97 %" in page.text
    passed = render_summary(replace(clean, test=replace(suite, status="passed", failed=(), log=None)))
    assert "### Tests passed" in passed
    assert "policy" not in passed


def test_a_comparison_with_a_caches_copy_is_said_to_be_that(clean: Report, named: Any, github: Any) -> None:
    derivation = named("a")
    output = derivation.outputs["out"]
    fetched = replace(
        output, hashes=(replace(output.hashes[0], source="substituted", origin="https://x"), *output.hashes[1:])
    )
    report = replace(clean, derivations=(replace(derivation, outputs={"out": fetched}),))
    assert "against a cache's copy" in github(render_summary(report)).text
    assert "against" not in github(render_summary(clean)).text


def test_why_built_is_grouped_and_what_is_left_out_is_counted() -> None:
    def row(number: int, change: str) -> BuiltBecause:
        return BuiltBecause(drv_path=f"/nix/store/{'0' * 32}-p{number}.drv", why="changed", root_change=change)

    built = tuple(row(n, "src/lib.rs") for n in range(30)) + tuple(row(n, f"file-{n}") for n in range(100, 170))
    report = msgspec.structs.replace(reports.read("clean"), caches=Caches(built=built))
    text = render_summary(report)
    assert "Why 100 derivations were built" in text
    assert "| 30 | changed | src/lib.rs |" in text
    assert "<code>p19</code> and 10 more in the JSON report |" in text
    assert "11 more reasons in the JSON report only, for 11 derivations." in text
