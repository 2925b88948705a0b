"""Allow rules: what they match, what they excuse, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from nix_repro.parts import RuleUse
from nix_repro.report import DerivationReport, Output
from nix_repro.verdict.allow import AllowRule, Reach, apply
from nix_repro.verdict.conclusion import judge
from nix_repro.verdict.policy import FAIL_ON

TODAY = date(2026, 11, 26)
ALL = Reach("x86_64-linux", everything=True)
SOME = Reach("x86_64-linux")


def rule(name: str, **fields: Any) -> AllowRule:
    given: dict[str, Any] = {"name": name, "reason": "upstream bug", "file": ".nix-repro.yml", "line": 4}
    return AllowRule(**given | fields)


def divergent(name: str = "foo-1.0", outputs: dict[str, str] | None = None, **fields: Any) -> DerivationReport:
    """One that diverges, in these outputs, by these causes (where there are any)."""
    causes = {"out": "timestamp"} if outputs is None else outputs
    findings = tuple(
        reports.finding(output=output, cause=cause) for output, said in causes.items() for cause in said.split()
    )
    found = {output: Output(path=None, verdict="divergent") for output in causes}
    return reports.derivation(
        name, **{"verdict": "divergent", "outputs": found, "findings": findings, "attrs": (ATTR,)} | fields
    )


ATTR = "packages.x86_64-linux.foo"
SAME = reports.derivation("foo-1.0", attrs=(ATTR,))


def one(
    given: AllowRule, derivation: DerivationReport, today: date = TODAY, reach: Reach = ALL
) -> tuple[DerivationReport, RuleUse]:
    [found], [said] = apply([given], [derivation], today, reach)
    return found, said


@pytest.mark.parametrize(
    "name",
    [
        "foo-1.0",
        "foo",
        ".#foo",
        "github:org/repo#foo",
        ATTR,
        f".#{ATTR}",
        "foo-*",
        "f?o",
        "packages.*.foo",
        "packages.*",
        "*",
        "[f]oo",
    ],
)
def test_a_rule_matches_by_name_attribute_or_pattern(name: str) -> None:
    found, said = one(rule(name), divergent())
    assert (found.marks, found.reason) == (("known",), "allowed: upstream bug")
    assert (said.state, said.matched, said.allowed, said.examples) == ("in use", 1, 1, ("foo-1.0",))


@pytest.mark.parametrize(
    "name", ["fo", "foo-1", "Foo", "packages.foo", "checks.x86_64-linux.foo", "oo", "x86_64-linux"]
)
def test_and_by_nothing_else(name: str) -> None:
    found, said = one(rule(name), divergent())
    assert (found.marks, found.reason, said.state) == ((), None, "matches nothing")


def test_a_name_with_signs_of_patterns_is_meant_as_it_is_too() -> None:
    assert one(rule('packages.x86_64-linux."a[1]"'), divergent(attrs=('packages.x86_64-linux."a[1]"',)))[0].marks
    assert one(rule("[*]"), divergent(attrs=('packages.x86_64-linux."*"',)))[0].marks
    assert not one(rule("[*]"), divergent())[0].marks
    assert one(rule("a[1]"), divergent(attrs=('packages.x86_64-linux."a[1]"',)))[0].marks


def test_a_store_path_leads_to_no_attribute() -> None:
    assert not one(rule("drv"), divergent(attrs=("/nix/store/x-foo.drv",)))[0].marks


def test_the_day_is_the_last_one() -> None:
    dated = rule("foo", until=TODAY)
    assert one(dated, divergent())[0].reason == "allowed until 2026-11-26: upstream bug"
    found, said = one(replace(dated, until=date(2026, 11, 25)), divergent())
    assert (found.marks, found.reason) == ((), "no longer allowed: .nix-repro.yml:4 expired on 2026-11-25")
    assert (said.state, said.until, said.allowed) == ("expired", "2026-11-25", 1)


@pytest.mark.parametrize(
    ("rules", "outputs", "reason"),
    [
        ([{"output": "doc"}], {"doc": "", "out": ""}, "allowed for output doc; out differs too"),
        ([{"output": "doc"}], {"out": ""}, "allowed for output doc; out differs"),
        ([{"output": "doc"}, {"output": "out"}], {"doc": "", "out": ""}, None),
        ([{"output": "doc"}, {"cause": "host"}], {"doc": "", "out": "host"}, None),
        ([{"cause": "timestamp"}], {"out": "timestamp"}, None),
        ([{"cause": "timestamp"}], {"out": "timestamp host"}, "allowed for cause timestamp; out differs by host too"),
        ([{"cause": "timestamp"}, {"cause": "host"}], {"out": "timestamp host"}, None),
        (
            [{"cause": "timestamp"}],
            {"out": ""},
            "allowed for cause timestamp; why out differs was not found out",
        ),
        (
            [{"cause": "timestamp", "output": "doc"}],
            {"doc": "timestamp", "out": "timestamp"},
            "allowed for cause timestamp in output doc; out differs too",
        ),
        ([{}, {"output": "doc"}], {"doc": "", "out": ""}, None),
    ],
)
def test_all_that_differs_has_to_be_covered(
    rules: list[dict[str, str]], outputs: dict[str, str], reason: str | None
) -> None:
    [found], _ = apply([rule("foo", **fields) for fields in rules], [divergent(outputs=outputs)], TODAY, ALL)
    assert found.marks == (("known",) if reason is None else ())
    assert found.reason == (reason or "allowed: upstream bug")


def test_two_rules_with_a_reason_each() -> None:
    rules = [rule("foo", output="doc"), rule("foo", output="out", reason="mine", until=TODAY)]
    [found], _ = apply(rules, [divergent(outputs={"doc": "", "out": ""})], TODAY, ALL)
    assert found.reason == "allowed: upstream bug; allowed until 2026-11-26: mine"


@pytest.mark.parametrize("verdict", ["build-failed", "rebuild-failed", "unverified"])
def test_only_a_divergence_is_excused(verdict: Any) -> None:
    given = reports.derivation("foo-1.0", verdict=verdict, reason="timed out", attrs=(ATTR,))
    found, said = one(rule("foo"), given)
    assert found == given
    assert said.state == "not compared"
    assert judge([found], [], FAIL_ON, rules=[said]) == judge([given], [], FAIL_ON)


@pytest.mark.parametrize(
    ("fields", "derivation", "reach", "state"),
    [
        ({}, SAME, SOME, "now reproducible"),
        ({"output": "out"}, SAME, SOME, "now reproducible"),
        ({"output": "doc"}, SAME, SOME, "matches nothing"),
        ({"output": "doc"}, divergent(), SOME, "matches nothing"),
        ({"cause": "host"}, divergent(), SOME, "matches nothing"),
        ({"cause": "host"}, divergent(outputs={"out": ""}), SOME, "not compared"),
        # A pattern may be there for what this run did not look at.
        ({"name": "fo*"}, SAME, SOME, "not compared"),
        ({"name": "fo*"}, SAME, ALL, "now reproducible"),
        ({"name": "bar"}, SAME, SOME, "not compared"),
        ({"name": "bar"}, SAME, ALL, "matches nothing"),
        ({"name": "ba*"}, SAME, ALL, "matches nothing"),
        ({"name": "bar"}, SAME, replace(ALL, names=frozenset(["bar"])), "not compared"),
        ({"name": "ba*"}, SAME, replace(ALL, names=frozenset(["bar"])), "not compared"),
        ({"name": "packages.aarch64-darwin.foo"}, SAME, ALL, "not compared"),
        ({"name": "packages.*-darwin.foo"}, SAME, ALL, "not compared"),
        ({"name": "packages.*.bar"}, SAME, ALL, "matches nothing"),
        ({"name": "packages.x86_64-linux.bar"}, SAME, ALL, "matches nothing"),
        ({"name": "python3.12-bar-1.0"}, SAME, ALL, "matches nothing"),
        ({"name": "bar-1.2.3"}, SAME, ALL, "matches nothing"),
        ({"until": date(2020, 1, 1)}, SAME, ALL, "expired"),
        ({"name": "bar", "until": date(2020, 1, 1)}, SAME, SOME, "expired"),
    ],
)
def test_what_is_said_of_a_rule(fields: dict[str, Any], derivation: DerivationReport, reach: Reach, state: str) -> None:
    assert one(rule(**{"name": "foo"} | fields), derivation, reach=reach)[1].state == state


def test_an_output_that_was_fixed() -> None:
    outputs = {"doc": Output(path=None, verdict="reproducible"), "out": Output(path=None, verdict="divergent")}
    given = msgspec.structs.replace(divergent(), outputs=outputs)
    assert one(rule("foo", output="doc"), given)[1].state == "now reproducible"


def test_what_differs_through_an_input_is_as_known_as_that_is() -> None:
    root, other = divergent("root", attrs=()), divergent("other", attrs=())
    near = reports.derivation("near", marks=("propagated",), inputs=(root.drv_path,))
    far = reports.derivation("far", marks=("propagated",), inputs=(near.drv_path, other.drv_path))
    found, [said] = apply([rule("root")], [root, other, near, far], TODAY, ALL)
    assert [d.marks for d in found] == [("known",), (), ("propagated", "known"), ("propagated",)]
    # A victim is the same by itself: a rule for it changes nothing.
    found, [said] = apply([rule("near")], [root, other, near, far], TODAY, ALL)
    assert [d.marks for d in found] == [(), (), ("propagated",), ("propagated",)]
    assert said.state == "now reproducible"


@pytest.mark.parametrize(
    ("state", "fail_on", "conclusion"),
    [
        ("expired", ("divergence",), ("pass", 0)),
        ("expired", ("expired-rule",), ("fail", 3)),
        ("expired", ("unexpected-pass",), ("pass", 0)),
        ("now reproducible", ("unexpected-pass",), ("fail", 3)),
        ("now reproducible", ("expired-rule",), ("pass", 0)),
        ("matches nothing", FAIL_ON, ("pass", 0)),
        ("not compared", FAIL_ON, ("pass", 0)),
        ("in use", FAIL_ON, ("pass", 0)),
    ],
)
def test_what_a_rule_does_to_the_conclusion(state: Any, fail_on: tuple[str, ...], conclusion: tuple[str, int]) -> None:
    said = RuleUse(name="foo", reason="r", file="f", line=1, state=state)
    assert judge([SAME], [], fail_on, rules=[said]) == conclusion
    assert judge([SAME, divergent()], [], (*fail_on, "divergence"), rules=[said]) == ("fail", 1)
    assert judge([SAME], [], fail_on, rules=[said], signum=2)[1] == 130


RULES = st.builds(
    rule,
    st.sampled_from(["foo", "bar", "*", "foo-1.0", "b*", "x"]),
    until=st.sampled_from([None, TODAY, date(2020, 1, 1)]),
    output=st.sampled_from([None, "out", "doc"]),
    cause=st.sampled_from([None, "timestamp", "host"]),
)
OUTPUTS = st.dictionaries(
    st.sampled_from(["out", "doc"]), st.sampled_from(["", "timestamp", "timestamp host"]), min_size=1
)


@given(st.lists(RULES, max_size=4), st.lists(OUTPUTS, max_size=3))
def test_a_rule_more_never_makes_less_known_and_no_rule_changes_a_verdict(
    rules: list[AllowRule], outputs: list[dict[str, str]]
) -> None:
    derivations = [divergent(f"d{n}", o, attrs=(f"packages.x.{'foo' if n else 'bar'}",)) for n, o in enumerate(outputs)]
    before, said = apply(rules, derivations, TODAY, ALL)
    assert [d.verdict for d in before] == [d.verdict for d in derivations]
    assert len(said) == len(rules)
    after, _ = apply([*rules, rule("*")], derivations, TODAY, ALL)
    assert all("known" in d.marks for d in after)
    less, _ = apply(rules[:-1], derivations, TODAY, ALL)
    assert all("known" in more.marks or "known" not in few.marks for few, more in zip(less, before, strict=True))
    # Whatever made something known is in use.
    assert any(u.state == "in use" for u in said) or not any("known" in d.marks for d in before)
