"""How numbers and verdicts are said, the same in the terminal and in the summary."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from nix_repro.metrics.targets import HIT_RATE, NAMES
from nix_repro.output.render import phrases
from nix_repro.output.render.html import render_html
from nix_repro.output.render.marks import marks
from nix_repro.output.render.summary import render_summary
from nix_repro.output.render.terminal import print_report
from nix_repro.report import Build, Elsewhere, Hash, Output, Report, Scenario, Source, Target, Trend


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (0.9999, HIT_RATE, "99.9 %"),
        (0.95, HIT_RATE, "95 %"),
        (1.0, HIT_RATE, "100 %"),
        (0.0, HIT_RATE, "0 %"),
        (72.0, "build", "1m 12s"),
        (0.5, "total", "0.5 s"),
        (0.5, "a target of another version", "0.5 s"),
    ],
)
def test_a_number_has_the_unit_of_its_name(value: float, name: str, said: str) -> None:
    assert phrases.measure(value, name) == said


@given(st.floats(0, 1, exclude_max=True))
def test_only_all_of_it_is_a_hundred_percent(ratio: float) -> None:
    assert float(phrases.percent(ratio).removesuffix(" %")) < 100


@pytest.mark.parametrize(
    ("name", "limit", "actual", "said"),
    [
        ("build", 60.0, 40.0, "20 s left"),
        ("build", 60.0, 60.0, "0 s left"),
        ("build", 60.0, 65.0, "5.0 s over"),
        (HIT_RATE, 0.95, 0.9999, "+5.0 pp"),
        (HIT_RATE, 0.95, 0.9, "-5.0 pp"),
        ("build", 60.0, None, ""),
    ],
)
def test_a_margin_says_on_which_side(name: str, limit: float, actual: float | None, said: str) -> None:
    assert phrases.margin(Target(name=name, limit=limit, actual=actual, ok=None)) == said


def report(**changes: object) -> Report:
    scenario = Scenario(name="warm", because="something was cached")
    return msgspec.structs.replace(reports.read("clean"), **{"scenario": scenario} | changes)


def words(text: str) -> str:
    """Without what each form does to a word for its own sake."""
    return " ".join(re.sub(r"<[^>]+>|\*\*", "", text.replace("&#46;", ".").replace("&nbsp;", " ")).split())


def terminal(what: Report) -> str:
    stream = io.StringIO()
    print_report(what, stream)
    return words(stream.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_terminal_summary_and_page_say_the_same_numbers(name: str) -> None:
    low, high = (0.9999, 0.51) if name == HIT_RATE else (1.5, 200.0)
    target = Target(name=name, limit=high, actual=low, ok=True)
    missed = Target(name=name, limit=low, actual=high, ok=False, advice="look")
    trend = Trend(name=name, actual=high, median=low, runs=5, regression=True)
    it = report(targets=(target, missed), history=(trend,))
    margins = {phrases.margin(target), phrases.margin(missed)}
    numbers = {phrases.measure(low, name), phrases.measure(high, name)}
    assert all(said in terminal(it) for said in numbers | margins)
    assert all(said in words(render_summary(it)) for said in numbers | margins)
    assert all(said in words(render_html(it)) for said in numbers)


def test_the_cache_layers_heading_says_the_rate_as_the_summary_does() -> None:
    clean = reports.read("diverged")
    it = msgspec.structs.replace(clean, caches=msgspec.structs.replace(clean.caches, hit_rate=0.9999))
    assert "cache layers; hit rate 99.9 %" in terminal(it)
    assert "Cache layers: hit rate 99.9 %" in words(render_summary(it))


def test_an_allowed_divergence_has_a_milder_sign_in_every_form() -> None:
    known = reports.derivation("known", verdict="divergent", marks=("known",))
    both = msgspec.structs.replace(known, marks=("known", "new"))
    for derivation, fail_on, milder in (
        (known, ("divergence",), True),
        (both, ("divergence",), True),
        (both, ("new-divergence",), False),
    ):
        it = report(derivations=(derivation,), fail_on=fail_on, conclusion="pass" if milder else "fail")
        assert ("~ known" in terminal(it)) == milder
        assert ("✗ known" in terminal(it)) != milder
        assert ("🟡" in render_summary(it)) == milder
        assert ("<details><summary>🟡 <code>known</code>" in render_summary(it)) == milder
        assert ('href="#i-known"' in render_html(it)) == milder


def test_what_fails_now_and_then_says_how_often_in_every_form() -> None:
    builds = [Build(round=1, status="built"), Build(round=2, status="failed"), Build(round=2, status="built")]
    flaky = reports.derivation(
        "flaky", verdict="rebuild-failed", reason="the builder failed", marks=("intermittent",), builds=tuple(builds)
    )
    it = report(derivations=(flaky,))
    for said in (terminal(it), words(render_summary(it)), words(render_html(it))):
        assert "1 of 3 builds failed" in said


def test_a_hash_is_set_against_the_first_that_differs() -> None:
    def output(*hashes: str) -> Output:
        found = tuple(Hash(nar_hash=h, source="built", origin="o") for h in hashes)
        return Output(path=None, verdict="divergent", hashes=found)

    assert phrases.two_hashes(output()) == (None, None)
    assert phrases.two_hashes(output("a")) == ("a", None)
    assert phrases.two_hashes(output("a", "a")) == ("a", "a")
    assert phrases.two_hashes(output("a", "a", "b", "c")) == ("a", "b")


def test_what_only_earlier_runs_have_built_again_is_said_to_be_as_before() -> None:
    def output(*sources: Source) -> Output:
        found = tuple(Hash(nar_hash="sha256-A", source=source, origin="o") for source in sources)
        return Output(path="/nix/store/x", verdict="reproducible", hashes=found)

    before, both = output("present", "ledger", "ledger"), output("built", "ledger", "rebuilt")
    assert (phrases.alike(before), phrases.alike(both), phrases.alike(output("built", "rebuilt"))) == (
        "as before",
        "same",
        "same",
    )
    it = report(
        derivations=(msgspec.structs.replace(reports.derivation("x"), outputs={"out": before}, builds=()),),
        rebuilder=None,
    )
    for shown in (terminal(it), render_summary(it), render_html(it)):
        assert "as before" in shown
        assert "same" not in shown.partition("What differs")[0].partition("<style>")[0]
    assert "nothing was rebuilt; verification" in terminal(it)


def test_the_end_of_a_log_says_how_long_it_was() -> None:
    assert phrases.log_end("a\nb\n", 5, 100) == "a\nb"
    assert phrases.log_end("a\nb\nc\n", 2, 100) == "… the end of 3 lines\nb\nc"


def test_nothing_in_scope_is_said() -> None:
    fixed = reports.derivation("source", verdict="unverified", reason="fixed-output")
    assert phrases.headline(report(derivations=(fixed,))).sentence == "Nothing in scope to verify"


def test_what_was_left_out_is_not_in_the_denominator() -> None:
    unchanged = [
        reports.derivation(f"u{n}", verdict="unverified", reason="unchanged since the revision that was named")
        for n in range(40)
    ]
    changed = [reports.derivation(f"c{n}", verdict="divergent" if n < 3 else "reproducible") for n in range(21)]
    assert phrases.headline(reports.bare(*unchanged, *changed)).sentence == "3 of 21 compared derivations diverge"
    late = reports.derivation("late", verdict="unverified", reason="cancelled")
    said = phrases.headline(reports.bare(*unchanged, *changed[1:], late)).sentence
    assert said == "2 of 21 derivations diverge; 1 unverified", "it was to be compared, and was not"
    assert phrases.headline(reports.bare(*unchanged, late)).sentence == "The one derivation in scope is unverified"
    assert phrases.headline(reports.bare(*unchanged, changed[0])).sentence == "The one derivation in scope diverges"
    assert phrases.headline(reports.bare(*unchanged)).sentence == "Nothing in scope to verify"


@pytest.mark.parametrize(
    ("differed", "rebuilds", "said"),
    [(1, 3, "intermittent: differed in 1 of 3 rebuilds"), (0, 0, "intermittent")],
)
def test_intermittent_says_how_often(differed: int, rebuilds: int, said: str) -> None:
    it = reports.derivation(
        "x",
        verdict="divergent",
        marks=("intermittent",),
        differed=differed,
        rebuilds=rebuilds,
        findings=(reports.finding(),),
    )
    assert marks(it) == [("intermittent", said)]
    stream = io.StringIO()
    print_report(reports.bare(it), stream, environ={})
    assert said in stream.getvalue()
    assert ("x: divergent in 1 of 3 rebuilds, timestamp" in stream.getvalue()) == (rebuilds > 0)
    assert said in render_summary(reports.bare(it))


def test_the_summary_says_where_the_program_and_the_artifact_are() -> None:
    elsewhere = Elsewhere(
        nix="nix run github:a/b/v1 --",
        uv="uvx --from git+https://github.com/a/b@v1 nix-repro",
        artifact="nix-repro-x",
        explain="gh run download 1 --name nix-repro-x && nix run github:a/b/v1 -- explain nix-repro-x",
    )
    report = msgspec.structs.replace(reports.read("diverged"), elsewhere=elsewhere)
    for told in (render_summary(report), render_html(report).replace("&amp;", "&")):
        assert "gh run download 1 --name nix-repro-x && nix run github:a/b/v1 -- explain nix-repro-x" in told
        assert "uvx --from git" in told
