"""What builds of earlier runs are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nix_repro.nix.derivation import Derivation
from nix_repro.observations import Attempt, Place, Seen
from nix_repro.report import Source, Status
from nix_repro.verdict.evidence import (
    ENOUGH,
    Built,
    Demands,
    How,
    Recalled,
    digests,
    foresee,
    inherits,
    original,
    recall,
    sampled,
    together,
)
from rebuilds import derivation, output_path, sri

HERE, THERE = Place("here", {"kernel": "6.1"}), Place("there", {"kernel": "5.10"})
A = derivation("a")


def build(content: str, at: float = 0.0, inputs: str = "none", machine: Place = HERE, how: How = "built") -> Built:
    return Built(A.drv_path, inputs, {"out": sri(content)}, how, at, machine)


def now(content: str, status: Status = "built") -> Attempt:
    source: Source = "built" if status == "built" else "present"
    return Attempt(A.drv_path, 1, status, {"out": Seen(output_path("a"), sri(content), source, "")}, started=100.0)


def told(first: Attempt, before: str, demands: Demands | None = None) -> Recalled | None:
    builds = [build(content, float(at)) for at, content in enumerate(before)]
    return recall(first, "none", builds, demands or Demands())


@pytest.mark.parametrize(
    ("mine", "before", "rounds", "verified", "diverges"),
    [
        # Today's build is the second one.
        ("A", "A", 2, True, False),
        ("A", "A", 3, False, False),
        ("A", "AA", 3, True, False),
        # What differs is known, whichever way round.
        ("B", "A", 2, False, True),
        ("B", "AA", 2, False, True),
        ("A", "AB", 2, False, True),
        ("A", "BA", 2, False, True),
        ("A", "BAAA", 2, False, True),
        # Until it has agreed often enough.
        ("A", "B" + "A" * (ENOUGH - 1), 2, True, False),
        ("A", "B" + "A" * (ENOUGH - 1), ENOUGH + 1, False, True),
        ("A", "A" * 50 + "B", 2, False, True),
    ],
)
def test_what_this_run_has_built_is_one_build_more(
    mine: str, before: str, rounds: int, verified: bool, diverges: bool
) -> None:
    known = told(now(mine), before, Demands(rounds))
    assert known is not None
    assert (known.verified, known.diverges) == (verified, diverges)
    contents = {build.hashes["out"] for build in known.builds} | {sri(mine)}
    assert (len(contents) > 1) == diverges, "what the verdict is given says the same"


@pytest.mark.parametrize(
    ("there", "before", "verified", "diverges"),
    [
        # A copy agrees with what it is a copy of: it is no build.
        ("A", "A", False, False),
        ("A", "AA", True, False),
        ("A", "AB", False, True),
        ("B", "ABBBBB", True, False),
        ("A", "ABBBBB", False, True),
    ],
)
@pytest.mark.parametrize("status", ["present", "substituted"])
def test_what_it_has_found_or_fetched_is_none(
    there: str, before: str, verified: bool, diverges: bool, status: Status
) -> None:
    known = told(now(there, status), before)
    assert known is not None
    assert (known.verified, known.diverges) == (verified, diverges)


def test_a_copy_of_what_nobody_knows_is_not_known() -> None:
    assert told(now("C", "present"), "AAAA") is None


def test_builds_on_other_inputs_say_nothing() -> None:
    assert recall(now("B"), "these", [build("A", inputs="those")], Demands()) is None
    assert recall(now("B"), None, [build("A")], Demands()) is None, "what the inputs were is not known"
    found = recall(now("B"), "these", [build("A", inputs="those"), build("B", inputs="these")], Demands())
    assert found is not None
    assert found.verified


def test_of_a_copy_the_inputs_are_those_of_the_builds_that_made_it() -> None:
    """A run that fetches everything has no inputs to look at."""
    found = recall(
        now("B", "substituted"), None, [build("A", inputs="1"), build("B", 1.0, "2"), build("B", 5.0, "2")], Demands()
    )
    assert found is not None
    assert (found.verified, len(found.builds)) == (True, 2)


def test_an_output_more_or_less_is_another_content() -> None:
    two = Built(A.drv_path, "none", {"out": sri("A"), "dev": sri("A")}, "built", 0.0, HERE)
    found = recall(now("A"), "none", [two], Demands())
    assert found is not None
    assert found.diverges


@pytest.mark.parametrize(
    ("status", "demands", "verified"),
    [
        ("present", Demands(since=1.0), True),
        ("present", Demands(since=1.5), False),
        ("built", Demands(since=1.5), True),
        ("present", Demands(again={A.drv_path}), False),
        ("built", Demands(again={A.drv_path}), False),
        ("built", Demands(again={"/nix/store/another.drv"}), True),
    ],
)
def test_what_is_old_or_asked_for_again_is_not_enough(status: Status, demands: Demands, verified: bool) -> None:
    known = told(now("A", status), "AA", demands)
    assert known is not None
    assert known.verified == verified


@pytest.mark.parametrize(
    ("builds", "verified"),
    [
        # What was there came of a build that the rebuild is none of.
        ("A found, A rebuilt", True),
        # It may be a copy of what another run has built, or another machine keeps.
        ("A found, A built", False),
        ("A found, A remote", False),
        ("A built, A found", False),
        # Found twice, it is still one build.
        ("A found, A found, A rebuilt", True),
        ("A found, A found", False),
        ("A rebuilt", False),
        ("A found, A built, A rebuilt", True),
        # What it differs from stays known.
        ("B found, A rebuilt", False),
        ("A rebuilt, B found, A rebuilt", False),
    ],
)
def test_what_was_there_stands_for_the_one_build_that_it_came_of(builds: str, verified: bool) -> None:
    hows: dict[str, How] = {"built": "built", "rebuilt": "rebuilt", "remote": "remote", "found": "found"}
    rows = [build(said[0], 10.0 * at, how=hows[said[2:]]) for at, said in enumerate(builds.split(", "))]
    known = recall(now("A", "present"), None, rows, Demands())
    assert known is not None
    assert known.verified == verified
    assert known.diverges == ("B" in builds)


def test_what_was_found_is_no_build_beside_one_of_today() -> None:
    known = recall(now("A"), "none", [build("A", 0.0, how="found")], Demands())
    assert known is not None
    assert not known.verified


@pytest.mark.parametrize(
    ("starts", "verified"),
    [((0.0, 0.4), False), ((0.0, 1.0), True), ((0.0, 0.6, 1.2), True), ((0.0, 0.9, 1.7, 1.9), True), ((5.0,), False)],
)
def test_builds_of_one_second_are_no_evidence_of_each_other(starts: tuple[float, ...], verified: bool) -> None:
    """They agree on whatever tells the time, also where they are of two machines."""
    rows = [build("A", at, machine=(HERE, THERE)[number % 2]) for number, at in enumerate(starts)]
    known = recall(now("A", "present"), None, rows, Demands())
    assert known is not None
    assert known.verified == verified


@pytest.mark.parametrize(("started", "verified"), [(100.4, False), (99.6, False), (101.0, True), (50.0, True)])
def test_the_same_second_as_today_s(started: float, verified: bool) -> None:
    """Also where the clock has been set back."""
    known = recall(now("A"), "none", [build("A", started)], Demands())
    assert known is not None
    assert known.verified == verified


def test_nothing_is_young_because_it_says_that_it_is_of_tomorrow() -> None:
    rows = [build("A", 1.0), build("A", 10.0), build("A", 9e9)]
    for since, verified in ((0.0, True), (5.0, True), (50.0, False)):
        known = recall(now("A", "present"), None, rows[-2:] if not since else rows, Demands(since=since, now=100.0))
        assert known is not None
        assert known.verified == verified
    found = recall(now("A", "present"), None, [*rows[:2], build("A", 60.0, how="found")], Demands(since=50.0))
    assert found is not None
    assert not found.verified, "what was found was not built then"


@pytest.mark.parametrize(
    ("there", "builds", "built", "known"),
    [
        # To be built: what comes is expected to be what came last.
        (None, "A", True, "verified"),
        (None, "AB", True, "diverges"),
        # To be fetched: a copy of it.
        (None, "A", False, "seen"),
        (None, "AA", False, "verified"),
        # There already: it is known what it is.
        ("A", "A", False, "seen"),
        ("A", "AA", False, "verified"),
        ("A", "AB", False, "diverges"),
        ("C", "AB", False, None),
        (None, "", True, None),
    ],
)
def test_before_a_run_it_is_expected_that_nothing_has_changed(
    there: str | None, builds: str, built: bool, known: str | None
) -> None:
    rows = [build(content, 10.0 * at) for at, content in enumerate(builds)]
    hashes = {"out": sri(there)} if there else None
    found = foresee(A.drv_path, rows, hashes, Demands(), built=built)
    said = None if found is None else "verified" if found.verified else "diverges" if found.diverges else "seen"
    assert said == known
    again = foresee(A.drv_path, rows, hashes, Demands(again={A.drv_path}), built=built)
    assert again is None or not again.verified


def test_before_a_run_builds_on_the_last_ones_inputs_count() -> None:
    rows = [build("A", 0.0, "1"), build("A", 9.0, "1"), build("B", 20.0, "2")]
    found = foresee(A.drv_path, rows, None, Demands(), built=False)
    assert found is not None
    assert (found.verified, len(found.builds)) == (False, 1)


@pytest.mark.parametrize(
    ("inputs", "others", "heir"),
    [
        ("1", {"2": "B"}, True),
        ("1", {"1": "B"}, False),
        ("1", {"2": "A"}, False),
        (None, {"1": "A", "2": "B"}, True),
        (None, {"1": "A"}, False),
    ],
)
def test_what_came_out_differently_on_other_inputs_differs_with_them(
    inputs: str | None, others: dict[str, str], heir: bool
) -> None:
    rows = [build(content, inputs=others_) for others_, content in others.items()]
    assert inherits(now("A"), inputs, rows) == heir


@pytest.mark.parametrize(
    ("varied", "verified"), [([(), ()], False), ([("zone",), ()], False), ([("zone",), ("time", "kernel")], True)]
)
def test_what_has_to_be_varied_was_varied_in_one_of_them(varied: list[tuple[str, ...]], verified: bool) -> None:
    builds = [replace(build("A", 10.0 * at), variations=names) for at, names in enumerate(varied, 1)]
    known = recall(now("A"), "none", builds, Demands(variations={"zone", "kernel"}))
    assert known is not None
    assert known.verified is verified


def content_of(made: dict[str, str], drvs: Sequence[Derivation]) -> dict[str, str]:
    """The digests where every derivation made the letter that `made` has for its name; a dash is not known."""

    def content(drv_path: str, output: str) -> str | None:
        name = drv_path.rpartition("-")[2].removesuffix(".drv")
        return None if made[name] == "-" else made[name]

    found = digests({drv.drv_path: drv for drv in drvs}, content)
    return {drv.name: found[drv.drv_path] for drv in drvs if drv.drv_path in found}


def test_inputs_are_told_apart_by_content_down_to_the_last() -> None:
    a, b, c = derivation("a"), derivation("b", {"a": ("out",)}), derivation("c", {"b": ("out",)})
    one = content_of({"a": "1", "b": "1", "c": "1"}, [a, b, c])
    assert one["a"] == "none"
    assert content_of({"a": "1", "b": "1", "c": "2"}, [a, b, c]) == one, "its own content is not its input's"
    other = content_of({"a": "2", "b": "1", "c": "1"}, [a, b, c])
    assert other["b"] != one["b"]
    assert other["c"] != one["c"], "an input may refer to what differs, and the builder can read that"
    assert content_of({"a": "-", "b": "1", "c": "1"}, [a, b, c]).keys() == {"a"}, "what is not known is not guessed"


def test_behind_what_nobody_here_builds_nothing_is_looked_at() -> None:
    """A compiler from a cache: its own inputs are not even read."""
    gcc, a = derivation("gcc", {"source": ("out",)}), derivation("a", {"gcc": ("out",)})
    assert gcc.drv_path in a.input_drvs
    one, other = content_of({"gcc": "1", "a": "1"}, [a]), content_of({"gcc": "2", "a": "1"}, [a])
    assert one.keys() == other.keys() == {"a"}
    assert one != other


def test_a_deep_graph() -> None:
    chain = [derivation("d0"), *(derivation(f"d{n}", {f"d{n - 1}": ("out",)}) for n in range(1, 3000))]
    assert len(content_of({drv.name: "1" for drv in chain}, chain)) == 3000


def test_each_day_another_share_is_looked_at_again() -> None:
    paths = [f"/nix/store/{n}.drv" for n in range(4000)]
    days = [{path for path in paths if sampled(path, day, 0.05)} for day in range(40)]
    assert all(120 < len(day) < 280 for day in days)
    assert days[0] == {path for path in paths if sampled(path, 0, 0.05)}
    assert len(set.union(*days)) > 3200, "over time everything is"
    assert not any(sampled(path, 1, 0.0) for path in paths)
    assert all(sampled(path, 1, 1.0) for path in paths)


@pytest.mark.parametrize(
    ("before", "rounds", "expected"),
    [
        ("", 2, None),
        ("A", 2, None),
        ("AA", 2, "reproducible"),
        ("AA", 3, None),
        ("AAA", 3, "reproducible"),
        ("AB", 2, "divergent"),
        ("BAA", 2, "divergent"),
        ("B" + "A" * ENOUGH, 2, "reproducible"),
        ("B" + "A" * (ENOUGH - 1), 2, "divergent"),
        ("A" * ENOUGH + "B", 2, "divergent"),
    ],
)
def test_what_builds_say_by_themselves(before: str, rounds: int, expected: str | None) -> None:
    builds = [build(content, float(at)) for at, content in enumerate(before)]
    assert together(builds, Demands(rounds)) == expected
    assert together(reversed(builds), Demands(rounds)) == expected


def test_builds_on_other_inputs_are_not_set_against_each_other() -> None:
    two = [build("A", 0, "one"), build("B", 1, "two")]
    assert together(two, Demands()) is None
    assert together([*two, build("A", 2, "one")], Demands()) == "reproducible"
    assert together([*two, build("A", 2, "one"), build("C", 3, "two")], Demands()) == "divergent"


def test_builds_under_fewer_variations_do_not_say_that_nothing_differs() -> None:
    plain = [build("A", 0), build("A", 2)]
    varied = replace(build("A", 4, how="rebuilt"), variations=("clock",))
    wanted = Demands(variations=frozenset(["clock"]))
    assert together(plain, wanted) is None
    assert together([*plain, varied], wanted) == "reproducible"
    assert together([*plain, build("B", 6)], wanted) == "divergent"


def test_what_was_there_may_be_a_copy_of_one_build_and_of_no_rebuild() -> None:
    builds = [build("A", 1, how="rebuilt"), build("B", 2), build("A", 4), build("A", 5)]
    assert original(now("A", "present"), builds) is builds[2]
    assert original(now("A"), builds) is None, "it was built"
    assert original(now("A", "present"), builds[:2]) is None
    found = build("A", 3, how="found")
    assert original(now("A", "present"), [found, *builds[:2]]) is found
    assert original(now("B", "present"), [found]) is None


@pytest.mark.parametrize(
    ("seen", "since", "settled"),
    [
        ((), [()] * 5, True),
        (("time",), [()] * 5, True),
        (("time", "zone"), [()] * 8, False),
        (("time", "zone"), [(), (), ("time", "zone"), (), ()], True),
        (("time", "zone", "kernel"), [("zone",), (), ("kernel",), (), ()], True),
        (("time", "zone", "kernel"), [("zone",), (), ("zone",), (), ()], False),
    ],
)
def test_what_differed_under_a_variation_is_over_when_it_agreed_under_it(
    seen: tuple[str, ...], since: list[tuple[str, ...]], settled: bool
) -> None:
    rows = [build("A", 0.0), replace(build("B", 10.0), variations=seen)]
    rows += [replace(build("A", 20.0 + 10 * number), variations=names) for number, names in enumerate(since)]
    known = recall(now("A", "present"), None, rows, Demands())
    assert known is not None
    assert (known.verified, known.diverges) == (settled, not settled)
