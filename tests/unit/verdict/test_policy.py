"""Policy: every verdict, with every set of marks, under every `fail-on`, means one thing wherever it is judged or
shown."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import Any, Literal, NamedTuple

import msgspec
import pytest

import reports
from nix_repro.output.github import runner
from nix_repro.output.render import phrases
from nix_repro.output.render.junit import render_junit
from nix_repro.output.render.statuses import commit_statuses
from nix_repro.parts import OnBase
from nix_repro.reasons import FIXED_OUTPUT, NO_EVENT, UNREACHABLE
from nix_repro.report import SEVERITY, Caches, DerivationReport, Mark, Report, Target, Verdict
from nix_repro.verdict.conclusion import judge
from nix_repro.verdict.policy import FAIL_ON, Meaning, overrun_fails, standing

MARKS: tuple[Mark, ...] = ("known", "propagated", "intermittent", "new")
#: Those that are about allow rules are about no derivation.
WORDS = tuple(word for word in FAIL_ON if word not in ("expired-rule", "unexpected-pass"))


def subsets(values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [chosen for size in range(len(values) + 1) for chosen in itertools.combinations(values, size)]


def told(standing: Literal["new", "old", "unknown"] | None) -> OnBase | None:
    return OnBase(standing=standing, drv_path=None, because="x") if standing is not None else None


class Answers(NamedTuple):
    """What each place says of one derivation."""

    fails: bool
    exit_code: int
    annotation: str | None
    status: str
    junit: str | None
    symbol: str


def ask(derivation: DerivationReport, fail_on: tuple[str, ...]) -> Answers:
    fine = reports.derivation("fine")
    conclusion, exit_code = judge([derivation, fine], [], fail_on)
    report = msgspec.structs.replace(
        EMPTY, derivations=(derivation,), fail_on=fail_on, conclusion=conclusion, exit_code=exit_code
    )
    [case] = ET.fromstring(render_junit(report).partition("\n")[2]).iter("testcase")  # noqa: S314  # our own
    return Answers(
        conclusion == "fail",
        exit_code,
        next((annotation.level for annotation in runner.annotate(report, lambda _: None)), None),
        commit_statuses(report, run_id="x", run_url=None)[1].state,
        next((child.tag for child in case), None),
        phrases.symbol(derivation, fail_on),
    )


EMPTY: Report = msgspec.structs.replace(reports.read("clean"), targets=(), warnings=(), caches=Caches())
#: By meaning: when it fails, its exit code, and what is said of it then; and what is said when it does not.
CODE: dict[Meaning, int] = {"diverges": 1, "failed": 4, "open": 5, "unshown": 5}
FAILING: dict[Meaning, tuple[str, str, str | None, str]] = {
    "diverges": ("error", "failure", "failure", "❌"),
    "failed": ("error", "failure", "error", "💥"),
    "open": ("error", "error", "skipped", "⚠️"),
    "unshown": ("error", "error", "error", "⚠️"),
}
OTHERWISE: dict[Meaning, tuple[str | None, str, str | None, str]] = {
    "diverges": ("warning", "success", "failure", "❌"),
    "failed": ("warning", "success", "error", "💥"),
    "open": ("warning", "success", "skipped", "⚠️"),
    "excused": ("notice", "success", "skipped", "🟡"),
    "old": ("notice", "success", "skipped", "🟡"),
    "settled": (None, "success", "skipped", "➖"),
    "inherited": (None, "success", None, "🔗"),
    "passes": (None, "success", None, "✅"),
}


@pytest.mark.parametrize("on_base", [None, "old", "unknown"])
@pytest.mark.parametrize("marks", subsets(MARKS), ids=lambda marks: "+".join(marks) or "unmarked")
@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(v, None) for v in SEVERITY if v != "unverified"]
    + [("unverified", r) for r in (UNREACHABLE.text, FIXED_OUTPUT.text, NO_EVENT.text, "words")],
)
def test_one_answer_everywhere(
    verdict: Verdict, reason: str | None, marks: tuple[Mark, ...], on_base: Literal["old", "unknown"] | None
) -> None:
    derivation = reports.derivation(
        "a", verdict=verdict, reason=reason, marks=marks, attrs=("packages.x.a",), on_base=told(on_base)
    )
    for fail_on in subsets(WORDS):
        found = standing(derivation, fail_on)
        answers = ask(derivation, fail_on)
        annotation, status, junit, symbol = (FAILING if found.fails else OTHERWISE)[found.meaning]
        if found.meaning == "inherited" and found.word:
            # The input fails the run; the thing that was named differs all the same.
            status = "failure"
        is_open = found.meaning == "open" or found.undecided
        code = 5 if is_open else CODE[found.meaning] if found.fails else 0
        assert answers == (found.fails, code, annotation, status, junit, symbol), (found, fail_on)
        assert found.word is None or found.word in fail_on or found.meaning == "unshown"


@pytest.mark.parametrize(
    ("verdict", "marks", "fail_on", "meaning", "fails"),
    [
        ("divergent", (), ("divergence",), "diverges", True),
        ("divergent", (), ("build-failure", "overrun", "new-divergence"), "diverges", False),
        ("divergent", (), ("unverified", "new-divergence"), "diverges", True),
        ("divergent", (), ("unverified",), "diverges", False),
        ("divergent", ("intermittent",), ("divergence",), "diverges", True),
        ("divergent", ("known",), ("divergence",), "excused", False),
        ("divergent", ("known",), (), "excused", False),
        ("divergent", ("new",), ("new-divergence",), "diverges", True),
        ("divergent", ("new",), ("divergence",), "diverges", True),
        ("divergent", ("known", "new"), ("divergence",), "excused", False),
        ("divergent", ("known", "new"), ("new-divergence",), "diverges", True),
        ("build-failed", ("known",), ("build-failure",), "failed", True),
        ("rebuild-failed", (), ("build-failure",), "failed", True),
        ("rebuild-failed", (), ("divergence",), "failed", False),
        ("unverified", (), ("unverified",), "open", True),
        ("unverified", ("known",), (), "open", False),
        ("reproducible", (), WORDS, "passes", False),
        ("reproducible", ("known", "new", "intermittent"), WORDS, "passes", False),
        ("reproducible", ("propagated",), ("divergence",), "inherited", False),
    ],
)
def test_what_it_means(
    verdict: Verdict, marks: tuple[Mark, ...], fail_on: tuple[str, ...], meaning: Meaning, fails: bool
) -> None:
    reason = UNREACHABLE.text if verdict == "unverified" else None
    found = standing(reports.derivation("a", verdict=verdict, marks=marks, reason=reason), fail_on)
    assert (found.meaning, found.fails) == (meaning, fails)


@pytest.mark.parametrize(
    ("on_base", "marks", "fail_on", "expected"),
    [
        ("new", ("new",), ("new-divergence",), ("fail", 1)),
        ("old", (), ("new-divergence",), ("pass", 0)),
        ("unknown", (), ("new-divergence",), ("inconclusive", 5)),
        (None, (), ("new-divergence",), ("inconclusive", 5)),
        ("unknown", (), ("new-divergence", "unverified"), ("fail", 5)),
        ("old", (), ("new-divergence", "unverified"), ("pass", 0)),
        ("old", (), ("new-divergence", "divergence"), ("fail", 1)),
        ("unknown", (), ("new-divergence", "divergence"), ("fail", 1)),
        ("unknown", ("known",), ("new-divergence",), ("pass", 0)),
        ("new", ("known", "new"), ("new-divergence",), ("fail", 1)),
        ("new", ("new",), (), ("pass", 0)),
        ("unknown", (), (), ("pass", 0)),
    ],
)
def test_a_run_that_fails_on_what_is_new(
    on_base: Literal["new", "old", "unknown"] | None,
    marks: tuple[Mark, ...],
    fail_on: tuple[str, ...],
    expected: tuple[str, int],
) -> None:
    one = reports.derivation("a", verdict="divergent", marks=marks, on_base=told(on_base))
    assert judge([one, reports.derivation("fine")], [], fail_on) == expected


@pytest.mark.parametrize(
    ("standings", "fail_on", "said"),
    [
        (("new",), ("divergence",), "1 new divergence in 2 derivations"),
        (("new", "old", "old"), ("new-divergence",), "1 new divergence in 4 derivations; 2 that the base has too"),
        (
            ("new", "old", "unknown"),
            (),
            "1 new divergence in 4 derivations; 1 that the base has too; not known of 1 more",
        ),
        (
            ("old", "old"),
            ("new-divergence",),
            "No difference found in 1 derivation (1 output); 2 divergences that the base has too",
        ),
        (("old",), ("divergence",), "1 divergence that the base has too, in 2 derivations"),
        (
            ("unknown",),
            ("new-divergence",),
            "1 of 2 derivations diverges; not known whether the base has it too",
        ),
        (("unknown", None), ("divergence",), "2 of 3 derivations diverge"),
        (
            (None, "unknown"),
            ("new-divergence",),
            "2 of 3 derivations diverge; not known whether the base has them too",
        ),
        (("old", "unknown"), (), "1 divergence that the base has too, in 3 derivations; not known of 1 more"),
    ],
)
def test_the_verdict_line_tells_what_is_new(
    standings: tuple[Literal["new", "old", "unknown"] | None, ...], fail_on: tuple[str, ...], said: str
) -> None:
    differing = [
        reports.derivation(
            f"d{n}", verdict="divergent", marks=("new",) if standing == "new" else (), on_base=told(standing)
        )
        for n, standing in enumerate(standings)
    ]
    derivations = (*differing, reports.derivation("fine"))
    conclusion, exit_code = judge(derivations, [], fail_on)
    it = msgspec.structs.replace(
        EMPTY, derivations=derivations, fail_on=fail_on, conclusion=conclusion, exit_code=exit_code
    )
    assert phrases.headline(it).sentence.partition("; allowed by")[0] == said


@pytest.mark.parametrize("reason", [NO_EVENT.text, "error: whatever a builder may say", ""])
@pytest.mark.parametrize("marks", subsets(MARKS))
def test_a_build_that_nobody_can_show_fails_a_run_that_fails_on_nothing(reason: str, marks: tuple[Mark, ...]) -> None:
    unshown = reports.derivation("a", verdict="unverified", reason=reason, marks=marks)
    assert judge([unshown, reports.derivation("fine")], [], ()) == ("fail", 5)


@pytest.mark.parametrize("marks", subsets(MARKS))
def test_what_was_never_to_be_verified_fails_under_no_word(marks: tuple[Mark, ...]) -> None:
    settled = reports.derivation("a", verdict="unverified", reason=FIXED_OUTPUT.text, marks=marks)
    assert standing(settled, WORDS).word is None


def test_an_allowed_divergence_is_no_failure_and_no_proof_of_sameness() -> None:
    known = reports.derivation("a", verdict="divergent", marks=("known",))
    assert judge([known], [], WORDS) == ("pass", 0)
    said = phrases.headline(msgspec.structs.replace(EMPTY, derivations=(known,))).sentence
    assert said == "The one derivation in scope diverges, known"


def test_excused_ones_come_after_those_that_are_not() -> None:
    known, new, fresh = (
        reports.derivation(name, verdict="divergent", marks=marks)
        for name, marks in (("a", ("known",)), ("b", ("known", "new")), ("c", ()))
    )
    order = [d.name for d in phrases.failures_first((known, new, fresh), ("divergence",))]
    assert order == ["c", "b", "a"]
    assert [d.name for d in phrases.failures_first((known, new, fresh), ("new-divergence",))] == ["b", "c", "a"]


@pytest.mark.parametrize("ok", [True, False, None])
def test_only_a_target_that_was_exceeded_is_an_overrun(ok: bool | None) -> None:
    target = Target(name="build", limit=1, actual=None if ok is None else 2, ok=ok)
    for fail_on in subsets(WORDS):
        fails = overrun_fails(target, fail_on)
        assert fails == (ok is False and "overrun" in fail_on)
        report = msgspec.structs.replace(EMPTY, derivations=(), targets=(target,), fail_on=fail_on)
        levels = [annotation.level for annotation in runner.annotate(report, lambda _: None)]
        assert levels == ([] if ok is not False else ["error"] if fails else ["warning"])
        assert (judge([reports.derivation("fine")], [target], fail_on) == ("fail", 3)) == fails
        assert not overrun_fails(msgspec.structs.replace(target, advisory=True), fail_on)


@pytest.mark.parametrize(
    ("fail_on", "meaning", "code"), [(("time-bomb",), "failed", 4), (("build-failure",), "passes", 0)]
)
def test_what_will_not_build_one_day_fails_only_if_that_is_asked_for(
    fail_on: tuple[str, ...], meaning: Meaning, code: int
) -> None:
    bomb = msgspec.structs.replace(reports.read("clean").derivations[0], marks=("time-bomb",))
    assert bomb.verdict == "reproducible"
    assert standing(bomb, fail_on).meaning == meaning
    assert judge([bomb], (), fail_on) == ("fail" if code else "pass", code)
