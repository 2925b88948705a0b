"""Every way in which observations become a verdict, with its marks and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from graphs import plain
from nix_repro.nix.derivation import Derivation
from nix_repro.observations import Attempt, Observations, Seen
from nix_repro.plan.scope import Plan, make_plan
from nix_repro.reasons import (
    BUILDER_FAILED,
    CANCELLED,
    CONTENT_ADDRESSED,
    DEPENDENCY_FAILED,
    DISK_FULL,
    FIRST_OUTPUT_ONLY,
    FIXED_OUTPUT,
    INPUT_REBUILT,
    NO_EVENT,
    NOT_ISOLATED,
    NOT_REBUILT,
    PATH_REWRITING,
    TIMED_OUT,
    Reason,
    said,
)
from nix_repro.report import Hash, Mark, Source, Status, Verdict
from nix_repro.verdict.verdict import (
    Judged,
    dependent_divergences,
    judge_all,
    judge_whole_set,
    not_rebuilt,
)

A, B, C = "/s/a.drv", "/s/b.drv", "/s/c.drv"
NO = said("no")


def plan_of(*drvs: Derivation) -> Plan:
    graph = {d.drv_path: d for d in drvs}
    return make_plan({"top": drvs[-1].drv_path}, "closure", lambda *_: graph, None)


def attempt(
    path: str,
    round_number: int,
    hashes: Mapping[str, str] | str | None,
    *,
    status: Status = "built",
    why: Reason | None = None,
    missing: Mapping[str, Reason] | None = None,
    source: Source | None = None,
    isolated: bool = False,
) -> Attempt:
    by_output = {"out": hashes} if isinstance(hashes, str) else hashes or {}
    how: Source = source or ("built" if round_number == 1 else "rebuilt")
    seen = {o: Seen(f"{path[:-4]}-{o}", f"sha256-{h}", how, f"round {round_number}") for o, h in by_output.items()}
    return Attempt(path, round_number, status, seen, missing or {}, why, isolated=isolated)


def judged(plan: Plan, *attempts: Attempt, unfinished: Reason = NOT_REBUILT) -> dict[str, Judged]:
    seen = Observations()
    seen.add(attempts)
    return judge_all(plan, seen, unfinished)


ONE = plan_of(plain("a"))


@pytest.mark.parametrize(
    ("attempts", "verdict", "marks", "reason"),
    [
        ([attempt(A, 1, "x"), attempt(A, 2, "x")], "reproducible", (), None),
        ([attempt(A, 1, "x"), attempt(A, 2, "y")], "divergent", (), None),
        ([attempt(A, 1, "x", source="substituted", status="substituted"), attempt(A, 2, "y")], "divergent", (), None),
        ([attempt(A, 1, "x"), attempt(A, 2, "x"), attempt(A, 3, "x")], "reproducible", (), None),
        ([attempt(A, 1, "x"), attempt(A, 2, "x"), attempt(A, 3, "y")], "divergent", ("intermittent",), None),
        ([attempt(A, 1, "x"), attempt(A, 2, "y"), attempt(A, 3, "z")], "divergent", (), None),
        # A difference that was seen stays seen, whatever the other rounds came to.
        (
            [attempt(A, 1, "x"), attempt(A, 2, "y"), attempt(A, 3, None, status="failed", why=NO)],
            "divergent",
            (),
            None,
        ),
        (
            [attempt(A, 1, "x"), attempt(A, 2, "x"), attempt(A, 3, None, status="failed", why=NO)],
            "rebuild-failed",
            ("intermittent",),
            NO,
        ),
        ([attempt(A, 1, "x"), attempt(A, 2, None, status="failed", why=NO)], "rebuild-failed", (), NO),
        ([attempt(A, 1, None, status="failed", why=BUILDER_FAILED)], "build-failed", (), BUILDER_FAILED),
        ([], "unverified", (), NOT_REBUILT),
        ([attempt(A, 1, "x")], "unverified", (), NOT_REBUILT),
        ([attempt(A, 1, None, status="dependency-failed", why=DEPENDENCY_FAILED)], "unverified", (), DEPENDENCY_FAILED),
        ([attempt(A, 1, None, status="timed-out", why=TIMED_OUT)], "unverified", (), TIMED_OUT),
        ([attempt(A, 1, None, status="disk-full", why=DISK_FULL)], "unverified", (), DISK_FULL),
        ([attempt(A, 1, None, status="not-built")], "unverified", (), NOT_REBUILT),
    ],
)
def test_one_output(attempts: list[Attempt], verdict: Verdict, marks: tuple[Mark, ...], reason: Reason | None) -> None:
    found = judged(ONE, *attempts)[A]
    assert (found.verdict, found.marks, found.reason) == (verdict, marks, reason)
    assert {o.verdict for o in found.outputs.values()} == {verdict}


@pytest.mark.parametrize(
    "reason",
    [
        TIMED_OUT,
        DISK_FULL,
        CANCELLED,
        NO_EVENT,
        INPUT_REBUILT,
        PATH_REWRITING,
        CONTENT_ADDRESSED,
        "a dependency failed to build",
    ],
)
@pytest.mark.parametrize("rounds_before", [0, 1])
def test_a_rebuild_that_shows_nothing_leaves_its_reason(reason: Reason, rounds_before: int) -> None:
    equal = [attempt(A, 2 + n, "x") for n in range(rounds_before)]
    found = judged(
        ONE, attempt(A, 1, "x"), *equal, attempt(A, 5, None, status="not-built", missing={"out": reason}, why=reason)
    )[A]
    assert (found.verdict, found.reason, found.outputs["out"].reason) == ("unverified", reason, reason)


def test_the_run_was_cancelled() -> None:
    found = judged(
        plan_of(plain("a"), plain("b", "a")),
        attempt(A, 1, "x"),
        attempt(A, 2, "x"),
        attempt(B, 1, "y"),
        unfinished=CANCELLED,
    )
    assert found[A].verdict == "reproducible"
    assert (found[B].verdict, found[B].reason) == ("unverified", CANCELLED)


THREE = plan_of(plain("a", outputs=("out", "dev", "doc")))


def test_every_output_has_its_own_verdict() -> None:
    found = judged(
        THREE, attempt(A, 1, {"out": "1", "dev": "2", "doc": "3"}), attempt(A, 2, {"out": "1", "dev": "x", "doc": "y"})
    )[A]
    assert {name: o.verdict for name, o in found.outputs.items()} == {
        "out": "reproducible",
        "dev": "divergent",
        "doc": "divergent",
    }
    assert found.verdict == "divergent"
    assert found.outputs["dev"].hashes == (
        Hash(nar_hash="sha256-2", source="built", origin="round 1"),
        Hash(nar_hash="sha256-x", source="rebuilt", origin="round 2"),
    )


def test_outputs_that_were_not_seen_are_unverified_beside_one_that_diverges() -> None:
    missing = {"out": FIRST_OUTPUT_ONLY, "doc": FIRST_OUTPUT_ONLY}
    found = judged(
        THREE, attempt(A, 1, {"out": "1", "dev": "2", "doc": "3"}), attempt(A, 2, {"dev": "x"}, missing=missing)
    )[A]
    assert {name: (o.verdict, o.reason) for name, o in found.outputs.items()} == {
        "out": ("unverified", FIRST_OUTPUT_ONLY),
        "dev": ("divergent", None),
        "doc": ("unverified", FIRST_OUTPUT_ONLY),
    }
    assert (found.verdict, found.reason) == ("divergent", None)


def test_an_output_that_was_not_seen_keeps_its_derivation_from_being_reproducible() -> None:
    found = judged(
        THREE,
        attempt(A, 1, {"out": "1", "dev": "2", "doc": "3"}),
        attempt(A, 2, {"out": "1", "dev": "2"}, missing={"doc": FIRST_OUTPUT_ONLY}),
    )[A]
    assert (found.verdict, found.reason) == ("unverified", FIRST_OUTPUT_ONLY)
    assert found.outputs["out"].verdict == "reproducible"


def test_intermittent_is_counted_per_output() -> None:
    """In each round another output differs: each of them is the same in one round of two."""
    two = plan_of(plain("a", outputs=("out", "dev")))
    found = judged(
        two,
        attempt(A, 1, {"out": "1", "dev": "2"}),
        attempt(A, 2, {"out": "x", "dev": "2"}),
        attempt(A, 3, {"out": "1", "dev": "y"}),
    )[A]
    assert (found.verdict, found.marks) == ("divergent", ("intermittent",))
    assert (found.differed, found.rebuilds) == (2, 2)


@pytest.mark.parametrize(
    ("rounds", "differed", "rebuilds"),
    [("x", 0, 0), ("xx", 0, 1), ("xy", 1, 1), ("xyx", 1, 2), ("xxyx", 1, 3), ("xyzw", 3, 3), ("xy-x", 1, 2)],
)
def test_of_so_many_rebuilds_so_many_differed(rounds: str, differed: int, rebuilds: int) -> None:
    tried = [
        attempt(A, n, None, status="failed", why=NO) if content == "-" else attempt(A, n, content)
        for n, content in enumerate(rounds, 1)
    ]
    found = judged(ONE, *tried)[A]
    assert (found.differed, found.rebuilds) == (differed, rebuilds)


def test_a_hash_seen_twice_from_the_same_source_is_listed_once() -> None:
    same = attempt(A, 2, "x")
    assert len(judged(ONE, attempt(A, 1, "x"), same, same)[A].outputs["out"].hashes) == 2


CHAIN = plan_of(plain("a"), plain("b", "a"), plain("c", "b"))
WHOLE = [
    attempt(A, 1, "a"),
    attempt(B, 1, "b"),
    attempt(C, 1, "c"),
    attempt(A, 2, "x"),
    attempt(B, 2, "y"),
    attempt(C, 2, "z"),
]


def test_below_a_divergent_root_the_victims_are_marked() -> None:
    found = judged(CHAIN, *WHOLE, attempt(B, 2, "b", isolated=True), attempt(C, 2, "c", isolated=True))
    assert {path: (j.verdict, j.marks) for path, j in found.items()} == {
        A: ("divergent", ()),
        B: ("reproducible", ("propagated",)),
        C: ("reproducible", ("propagated",)),
    }
    hashes = [h.nar_hash for h in found[B].outputs["out"].hashes]
    assert hashes == ["sha256-b", "sha256-y", "sha256-b"], "why it was looked at twice stays visible"


def test_a_victim_that_diverges_by_itself_too_is_a_root() -> None:
    found = judged(CHAIN, *WHOLE, attempt(B, 2, "other", isolated=True), attempt(C, 2, "c", isolated=True))
    assert (found[B].verdict, found[B].marks) == ("divergent", ())
    assert (found[C].verdict, found[C].marks) == ("reproducible", ("propagated",))


def test_without_an_isolated_rebuild_nobody_knows() -> None:
    found = judged(CHAIN, *WHOLE)
    assert found[A].verdict == "divergent"
    assert (found[B].verdict, found[B].reason) == ("unverified", NOT_ISOLATED)
    assert (found[B].outputs["out"].verdict, found[B].outputs["out"].reason) == ("unverified", NOT_ISOLATED)
    assert len(found[B].outputs["out"].hashes) == 2


@pytest.mark.parametrize(
    ("isolated", "verdict", "reason"),
    [
        (attempt(B, 2, None, status="failed", why=NO, isolated=True), "rebuild-failed", NO),
        (
            attempt(B, 2, None, status="timed-out", missing={"out": TIMED_OUT}, why=TIMED_OUT, isolated=True),
            "unverified",
            TIMED_OUT,
        ),
        (attempt(B, 2, None, status="not-built", isolated=True), "unverified", NOT_ISOLATED),
    ],
)
def test_an_isolated_rebuild_that_shows_nothing(isolated: Attempt, verdict: Verdict, reason: Reason) -> None:
    found = judged(CHAIN, *WHOLE, isolated)[B]
    assert (found.verdict, found.marks, found.reason) == (verdict, (), reason)


def test_two_rounds_both_isolated_of_which_one_differs() -> None:
    found = judged(CHAIN, *WHOLE, attempt(B, 2, "b", isolated=True), attempt(B, 3, "q", isolated=True))[B]
    assert (found.verdict, found.marks) == ("divergent", ("intermittent",))
    assert (found.differed, found.rebuilds) == (1, 2), "those that were rebuilt alone count"


def test_who_may_be_a_victim() -> None:
    """Through an input that is the same, too: a builder can read what its inputs refer to."""
    seen = Observations()
    seen.add(
        [
            attempt(A, 1, "a"),
            attempt(B, 1, "b"),
            attempt(C, 1, "c"),
            attempt(A, 2, "x"),
            attempt(B, 2, "b"),
            attempt(C, 2, "z"),
        ]
    )
    whole = judge_whole_set(CHAIN, seen)
    assert dependent_divergences(CHAIN, whole) == [C]
    assert whole[B].verdict == "reproducible"
    assert whole[C].verdict == "divergent"


def test_a_derivation_beside_a_divergent_one_is_a_root_of_its_own() -> None:
    beside = plan_of(plain("a"), plain("b"), plain("c", "a", "b"))
    found = judged(beside, *WHOLE, attempt(C, 2, "c", isolated=True))
    assert [found[path].verdict for path in (A, B, C)] == ["divergent", "divergent", "reproducible"]


def test_what_was_not_looked_at() -> None:
    found = not_rebuilt(plain("a", outputs=("out", "dev")), Observations(), FIXED_OUTPUT)
    assert (found.verdict, found.reason) == ("unverified", FIXED_OUTPUT)
    assert {o.reason for o in found.outputs.values()} == {FIXED_OUTPUT}
    assert found.outputs["dev"].path == "/s/a-dev"


def test_what_is_not_rebuilt_has_to_be_built_all_the_same() -> None:
    seen = Observations()
    seen.add([attempt(A, 1, None, status="failed")])
    assert not_rebuilt(plain("a"), seen, FIXED_OUTPUT).verdict == "build-failed"


def test_the_reason_is_never_missing() -> None:
    """The contract of the report: `unverified` says why."""
    for attempts in (
        [],
        [attempt(A, 1, "x")],
        [attempt(A, 1, None, status="not-built")],
        [attempt(A, 1, "x"), attempt(A, 2, None)],
    ):
        found = judged(ONE, *attempts)[A]
        assert found.verdict == "unverified"
        assert found.reason
        assert all(o.reason for o in found.outputs.values())


def test_a_rebuild_is_compared_with_what_stood_on_the_same_inputs() -> None:
    """A first build that cannot be put back: its inputs are no longer there, those of the second round are."""
    victims = plan_of(plain("a"), plain("b", "a"), plain("c", "a"))
    held = {path: attempt(path, 2, path[3]) for path in (A, B, C)}
    alone = (
        replace(attempt(B, 2, "b", isolated=True), against=held[B]),
        replace(attempt(C, 2, "other", isolated=True), against=held[C]),
    )
    found = judged(victims, *(attempt(path, 1, "1") for path in (A, B, C)), *held.values(), *alone)
    assert {path: (verdict.verdict, verdict.marks) for path, verdict in found.items()} == {
        A: ("divergent", ()),
        B: ("reproducible", ("propagated",)),
        C: ("divergent", ()),
    }
    assert [h.nar_hash for h in found[C].outputs["out"].hashes] == ["sha256-1", "sha256-c", "sha256-other"]


def test_a_rebuild_on_the_same_inputs_need_not_be_asked_for_again() -> None:
    """`nix --check` takes the registered inputs always: what differs differs by itself."""
    victims = plan_of(plain("a"), plain("b", "a"))
    rebuilds = [replace(attempt(path, 2, "2"), same_inputs=True) for path in (A, B)]
    found = judged(victims, attempt(A, 1, "1"), attempt(B, 1, "1"), *rebuilds)
    assert {path: (verdict.verdict, verdict.marks) for path, verdict in found.items()} == {
        A: ("divergent", ()),
        B: ("divergent", ()),
    }


def test_what_speaks_against_an_attempt_leaves_nothing_of_it() -> None:
    found = attempt(A, 2, {"out": "1"}, missing={"doc": FIRST_OUTPUT_ONLY}).discounted(INPUT_REBUILT)
    assert (found.status, found.outputs, found.because) == ("not-built", {}, INPUT_REBUILT)
    assert found.missing == {"out": INPUT_REBUILT, "doc": INPUT_REBUILT}


def earlier(hashes: str, at: float) -> Attempt:
    """A build of an earlier run, on the same inputs."""
    found = attempt(A, 0, hashes, source="ledger")
    return replace(found, started=at, same_inputs=True, recalled=True)


@pytest.mark.parametrize(
    ("attempts", "verdict", "marks"),
    [
        # Enough is known: nothing was built again.
        ([attempt(A, 1, "x"), earlier("x", 1)], "reproducible", ()),
        ([attempt(A, 1, "x"), earlier("y", 1)], "divergent", ()),
        # Within this run they agree.
        ([attempt(A, 1, "x"), earlier("y", 1), attempt(A, 2, "x")], "divergent", ()),
        ([attempt(A, 1, "x"), earlier("y", 1), attempt(A, 2, "z")], "divergent", ()),
        ([attempt(A, 1, "x"), earlier("x", 1), attempt(A, 2, "y")], "divergent", ()),
        # What came out before comes out again.
        ([attempt(A, 1, "x"), earlier("x", 1), earlier("y", 2), attempt(A, 2, "x")], "divergent", ("intermittent",)),
        ([attempt(A, 1, "x"), earlier("x", 1), attempt(A, 2, "y"), attempt(A, 3, "x")], "divergent", ("intermittent",)),
    ],
)
def test_with_builds_of_earlier_runs(attempts: list[Attempt], verdict: Verdict, marks: tuple[Mark, ...]) -> None:
    found = judged(ONE, *attempts)[A]
    assert (found.verdict, found.marks) == (verdict, marks)


def test_a_copy_of_an_earlier_build_is_not_that_content_come_back() -> None:
    there = attempt(A, 1, "x", status="present", source="present")
    assert judged(ONE, there, earlier("x", 1), earlier("y", 2))[A].marks == ()


def test_what_the_first_build_may_be_a_copy_of_is_none_of_so_many_rebuilds() -> None:
    there = attempt(A, 1, "x", status="present", source="present")
    copied = replace(earlier("x", 1), copied=True)
    found = judged(ONE, there, copied, earlier("y", 2), attempt(A, 2, "z"))[A]
    assert (found.differed, found.rebuilds) == (2, 2)


def test_what_was_found_is_no_content_that_came_back() -> None:
    """It is what was there before, looked at again on another day."""
    there = attempt(A, 1, "x", status="present", source="present")
    found_again = replace(earlier("x", 3), started=None, copied=True)
    before = [earlier("x", 1), earlier("y", 2), found_again, earlier("y", 4)]
    assert judged(ONE, there, *before, attempt(A, 2, "y"))[A].marks == ()


def test_a_victim_is_judged_by_builds_on_its_own_inputs() -> None:
    plan = plan_of(plain("a"), plain("b", "a"))
    known = replace(attempt(B, 0, "v", source="ledger"), started=1.0, same_inputs=True, recalled=True)
    found = judged(plan, attempt(A, 1, "x"), attempt(A, 2, "y"), attempt(B, 1, "v"), known, attempt(B, 2, "w"))
    assert (found[A].verdict, found[B].verdict, found[B].marks) == ("divergent", "reproducible", ("propagated",))


def test_what_was_not_built_again_is_known_to_differ_with_its_input() -> None:
    """Its own builds agree; that it comes out differently on others is the ledger's word."""
    plan = plan_of(plain("a"), plain("b", "a"), plain("c", "a"))
    seen = Observations()
    known = {path: replace(attempt(path, 0, "v", source="ledger"), same_inputs=True, recalled=True) for path in (B, C)}
    seen.add([attempt(A, 1, "x"), attempt(A, 2, "y"), *(attempt(path, 1, "v") for path in known), *known.values()])
    found = judge_all(plan, seen, heirs={A, B})
    assert {path: (one.verdict, one.marks) for path, one in found.items()} == {
        A: ("divergent", ()),
        B: ("reproducible", ("propagated",)),
        C: ("reproducible", ()),
    }
    steady = Observations({path: made for path, made in seen.attempts.items() if path != A})
    steady.add([attempt(A, 1, "x"), attempt(A, 2, "x")])
    assert judge_all(plan, steady, heirs={A, B})[B].marks == (), "the input is the same again"


@pytest.mark.parametrize(
    ("attempts", "expected", "marks"),
    [
        ([("failed", None)], "rebuild-failed", ()),
        ([("failed", None), ("failed", None)], "rebuild-failed", ()),
        ([("failed", None), ("built", "x")], "rebuild-failed", ("intermittent",)),
        ([("built", "x"), ("failed", None), ("failed", None)], "rebuild-failed", ("intermittent",)),
        ([("failed", None), ("built", "y")], "divergent", ()),
        ([("failed", None), ("built", "y"), ("built", "x")], "divergent", ("intermittent",)),
    ],
)
def test_what_fails_now_and_then_is_told_from_what_always_fails_and_from_what_differs(
    attempts: list[tuple[Status, str | None]], expected: Verdict, marks: tuple[Mark, ...]
) -> None:
    rebuilds = [
        attempt(A, number, content, status=status, why=BUILDER_FAILED if content is None else None)
        for number, (status, content) in enumerate(attempts, 2)
    ]
    found = judged(ONE, attempt(A, 1, "x"), *rebuilds)[A]
    assert (found.verdict, found.marks) == (expected, marks)


def test_what_failed_is_asked_for_again_with_what_waited_for_it() -> None:
    failed = attempt(A, 2, None, status="failed", why=BUILDER_FAILED)
    waited = attempt(B, 2, None, status="dependency-failed", why=DEPENDENCY_FAILED)
    seen = Observations()
    seen.add([attempt(A, 1, "x"), attempt(B, 1, "y"), attempt(C, 1, "z"), failed, waited, attempt(C, 2, "z")])
    assert seen.failed([A, B, C], 2, isolated=False) == {A: "failed", B: "dependency-failed"}
    assert seen.failed([B, C], 2, isolated=False) == {B: "dependency-failed"}, "nothing of these has failed itself"
    assert seen.failed([A, B, C], 2, isolated=True) == seen.failed([A, B, C], 3, isolated=False) == {}
    seen.repeat([attempt(A, 2, "x"), attempt(B, 2, "y")])
    assert seen.failed([A, B, C], 2, isolated=False) == {}
    assert failed in seen.attempts[A]
    assert waited not in seen.attempts[B]
    found = judge_all(plan_of(plain("a"), plain("b", "a")), seen)
    assert {path: each.verdict for path, each in found.items()} == {A: "rebuild-failed", B: "reproducible"}


@pytest.mark.parametrize(
    ("rebuilds", "intermittent"),
    [
        # Each rebuild had variations of its own, and one of them makes it differ.
        ([("x", ("zone",)), ("y", ("kernel",))], False),
        ([("y", ("zone",)), ("x", ())], False),
        # What costs nothing is the same to every honest build.
        ([("x", ("more-cores",)), ("y", ("nice",))], True),
        ([("y", ("zone",)), ("x", ("zone", "nice"))], True),
        ([("y", ("zone",)), ("x", ()), ("y", ())], True),
    ],
)
def test_what_differs_under_a_variation_alone_does_not_come_and_go(
    rebuilds: list[tuple[str, tuple[str, ...]]], intermittent: bool
) -> None:
    again = [replace(attempt(A, 2 + n, content), varied=names) for n, (content, names) in enumerate(rebuilds)]
    found = judged(plan_of(plain("a")), attempt(A, 1, "x"), *again)[A]
    assert (found.verdict, "intermittent" in found.marks) == ("divergent", intermittent)
