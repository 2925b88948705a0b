"""From differences to findings: the surest first, one a cause and path, and nothing left out unsaid."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binaries import archive, member
from nix_repro.explain import engine
from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from sides import BUILDS, STARTED, UNKNOWN, explain, make, sure

T1, T2 = STARTED + 1, STARTED + 1201
data = st.binary(max_size=300) | st.text(max_size=200).map(str.encode)
trees = st.dictionaries(st.sampled_from(["a", "b.gz", "c.txt", "d/e", "d/f-123", "d/f-456", "bin/x"]), data, max_size=6)


def test_a_sure_place_does_not_make_another_one_sure(tmp_path: Path) -> None:
    a, b = (b"x = %d\nmake -j%d all\ny = %d\n" % (cores, cores, cores) for cores in (3, 7))
    sure, likely = explain(tmp_path, a, b)
    assert (sure.cause, sure.confidence, sure.a) == ("parallelism", "high", "make -j3 all")
    assert (likely.cause, likely.confidence) == ("parallelism", "low")
    assert likely.because.endswith("; places in the file that differ: 2")


def test_the_surest_finding_comes_first_and_the_unexplained_last(tmp_path: Path) -> None:
    a = {"a": b"cat", "b": b"token: 8f14e45fceea167a", "c": b"at %d" % T1}
    b = {"a": b"dog", "b": b"token: c9f0f895fb98ab91", "c": b"at %d" % T2}
    findings = explain(tmp_path, a, b)
    assert [(item.path, item.cause, item.confidence) for item in findings] == [
        ("c", "timestamp", "high"),
        ("b", "randomness", "low"),
        ("a", "unknown", "low"),
    ]


def test_findings_beyond_the_most_that_are_listed_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST", 3)
    names = [f"f{n}" for n in range(8)]
    findings = explain(tmp_path, dict.fromkeys(names, b"cat"), dict.fromkeys(names, b"dog"))
    assert len(findings) == 4
    assert findings[-1].because == "not everything was compared: 5 more findings are not listed"


def library(*names: bytes) -> dict[str, bytes]:
    return {"x.a": archive(*(member(name + b"/", b"same") for name in names))}


def test_members_in_another_order(tmp_path: Path) -> None:
    (finding,) = explain(tmp_path, library(b"a.o", b"b.o", b"c.o"), library(b"c.o", b"b.o", b"a.o"))
    assert (finding.path, finding.cause, finding.confidence) == ("x.a", "ordering", "high")
    assert finding.because == "both archives have the same members in another order"
    assert "ar crD" in (finding.snippet or "")


@pytest.mark.parametrize(
    ("a", "b", "path", "because"),
    [
        ((b"a.o", b"b.o"), (b"a.o",), "x.a!b.o", "it exists only in the build"),
        ((b"a.o",), (b"a.o", b"b.o"), "x.a!b.o", "it exists only in the rebuild"),
        ((b"a.o", b"cat.o"), (b"a.o", b"dog.o"), "x.a!cat.o", "its name differs, and no cause can be told from the"),
    ],
)
def test_a_member_that_only_one_side_has(
    tmp_path: Path, a: tuple[bytes, ...], b: tuple[bytes, ...], path: str, because: str
) -> None:
    (finding,) = explain(tmp_path, library(*a), library(*b))
    assert (finding.path, finding.cause) == (path, "unknown")
    assert finding.because.startswith(because)


def test_what_is_known_of_one_build_alone_says_nothing(tmp_path: Path) -> None:
    half = Context(a=Side(window=BUILDS.a.window, cores=3, build_dir="/build"))
    (finding,) = explain(tmp_path, b"at %d" % T1, b"at %d" % T2, half)
    assert finding.confidence == "low"
    assert finding.because.endswith("when the builds ran is not known")


def test_nothing_known_of_the_builds_makes_no_confident_claim_about_them(tmp_path: Path) -> None:
    for a, b in ((b"-j3", b"-j7"), (b"on alpha", b"on beta"), (b"t=%d" % STARTED, b"t=%d" % (STARTED + 1200))):
        assert sure(explain(tmp_path, a, b, UNKNOWN)) == set()


def found(a: dict[str, bytes], b: dict[str, bytes]) -> list[tuple[str, str, str | None]]:
    with tempfile.TemporaryDirectory() as name:
        left, right = make(Path(name) / "a", a), make(Path(name) / "b", b)
        return [(item.path, item.cause, item.a) for item in explain_output("out", left, right, BUILDS)]


@settings(max_examples=60, deadline=None)
@given(trees)
def test_a_tree_does_not_differ_from_its_copy(tree: dict[str, bytes]) -> None:
    assert found(tree, dict(tree)) == []


@settings(max_examples=150, deadline=None)
@given(trees, trees)
def test_something_is_found_exactly_when_trees_differ(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    assert bool(found(a, b)) == (a != b)


@settings(max_examples=100, deadline=None)
@given(trees, st.sampled_from(["a", "c.txt", "d/e"]), data, data)
def test_the_file_that_differs_is_named(tree: dict[str, bytes], name: str, one: bytes, other: bytes) -> None:
    files = found({**tree, name: one}, {**tree, name: other})
    assert {path.split("!")[0] for path, _, _ in files} == ({name} if one != other else set())
