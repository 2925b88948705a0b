"""fail-when: exactly one boolean, in a process that has nothing, in no time; the history's arithmetic; what fails a
run."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.errors import UsageError
from nix_repro.metrics import history
from nix_repro.metrics.history import Entry
from nix_repro.report import DerivationReport, Policy, SuiteRun
from nix_repro.verdict import conclusion as judge
from nix_repro.verdict import fail_when as policy
from nix_repro.verdict.fail_when import Expression
from nix_repro.verdict.policy import DEFAULT_FAIL_ON

REPORT = b'{"rounds": 2, "caches": {"hit_rate": null}, "targets": [{"ok": true}]}'


def ask(*texts: str) -> tuple[list[bool], list[str]]:
    policies, errors = policy.evaluate([Expression(text, f"file:{i}") for i, text in enumerate(texts)], REPORT)
    return [row.failed for row in policies], errors


def test_true_fails_and_false_does_not() -> None:
    assert ask(".rounds < 3", ".rounds > 3", "any(.targets[]; .ok == false)") == ([True, False, False], [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".caches.hit_rate", "null or no boolean"),
        (".rounds", "null or no boolean"),
        ("true, false", "more than one value"),
        ("empty", "no value"),
        (".rounds | error", "jq says: 2"),
        ("repeat(empty)", "ran for more than 2 s"),
        ("[limit(100000000; repeat(1))] | length > 1", "time or memory|ran for more than 2 s"),
    ],
)
def test_anything_else_is_a_mistake_in_the_configuration(text: str, words: str) -> None:
    _, (error,) = ask(text)
    assert error.startswith(f"file:0: {text!r} must give exactly one true or false; ")
    assert any(word in error for word in words.split("|"))


def test_an_expression_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-long-token")
    assert ask("$ENV | length > 0", "env | length > 0") == ([False, False], [])


def test_endless_programs_are_gone_afterwards() -> None:
    began = time.monotonic()
    ask("repeat(empty)")
    assert time.monotonic() - began < 20


def test_syntax_is_looked_at_first() -> None:
    with pytest.raises(UsageError, match=r"^file:7: '\.a \|' is not jq: "):
        policy.check_syntax([Expression(".a", "file:6"), Expression(".a |", "file:7")])


def test_what_jq_computes_while_it_reads_is_bounded_too() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=r"^file:1: '.*' (it ran for more than 2 s|it used up its time or memory)$"):
        policy.check_syntax([Expression('"x" * 1500000000 | length > 1', "file:1")])
    # Kilobytes; macOS counts in bytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000 * (
        1024 if sys.platform == "darwin" else 1
    )


def derivation() -> DerivationReport:
    return DerivationReport(drv_path="/nix/store/a.drv", name="a", verdict="reproducible")


def test_policies_and_tests_in_the_conclusion() -> None:
    failed, passed = Policy(expression="x", failed=True), Policy(expression="y", failed=False)
    assert judge.judge_policies("pass", 0, [passed], []) == ("pass", 0)
    assert judge.judge_policies("pass", 0, [passed, failed], []) == ("fail", 3)
    assert judge.judge_policies("inconclusive", 5, [failed], []) == ("fail", 3)
    assert judge.judge_policies("fail", 1, [failed], []) == ("fail", 1)
    assert judge.judge_policies("fail", 1, [], ["file:1: …"]) == ("fail", 2)
    assert judge.judge_policies("inconclusive", 130, [failed], ["…"]) == ("inconclusive", 130)
    broken, cached = SuiteRun(command="make", status="failed"), SuiteRun(command="checks", status="cached")
    assert judge.judge([derivation()], (), DEFAULT_FAIL_ON, test=broken) == ("fail", 4)
    assert judge.judge([derivation()], (), ("divergence",), test=broken) == ("pass", 0)
    assert judge.judge([derivation()], (), DEFAULT_FAIL_ON, test=cached) == ("pass", 0)


def run(total: float, *, default: bool = True, scenario: str = "warm", rate: float = 1.0) -> Entry:
    values = {"total": total, "hit rate": rate}
    return Entry(started="", commit=None, system="x86_64-linux", default=default, scenario=scenario, values=values)


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
    assert file.stat().st_size < 20_000
    for content in (b"", b"[]", b'{"version": 2}', b"\xff", b'{"runs": [{"started": 1}]}'):
        file.write_bytes(content)
        runs, wrong = history.read(file)
        assert runs == ()
        assert wrong is not None
        assert wrong.endswith("it is begun anew")
    assert "cannot be written" in (history.write(Path("/proc/none/history.json"), []) or "")
