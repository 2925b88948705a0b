"""What a change was: its class, what the lock was moved to, and what should have rebuilt nothing."""

from __future__ import annotations

import json

import pytest

from nix_repro.metrics import change
from nix_repro.plan.against import Against
from nix_repro.plan.base import Base
from nix_repro.plan.compare import Comparison, Root
from nix_repro.report import LockChange


def root(kind: str, name: str = "", drv_name: str = "app") -> Root:
    return Root(f"/nix/store/{drv_name}.drv", drv_name, kind, name, "a", "b")


OWN = {"/nix/store/app.drv", "/nix/store/python3-3.12.drv"}


@pytest.mark.parametrize(
    ("change_root", "files", "repository", "lock", "expected"),
    [
        (root("source"), ["README.md"], None, False, "none"),
        (root("source"), [".github/workflows/ci.yml", "docs/a.png", "LICENSE"], None, False, "none"),
        (root("source"), ["README.md", "src/main.c"], None, False, "partial"),
        (root("source"), ["readme.c"], None, False, "partial"),
        (root("source"), ["src/security.py"], None, False, "partial"),
        (root("source"), ["LICENSE-MIT", "Readme.rst"], None, False, "none"),
        (root("source", drv_name="project-docs-1.0"), ["intro.md"], None, False, "partial"),
        (root("source"), None, None, False, "partial"),
        (root("source"), ["flake.lock", "README.md"], None, True, "full"),
        (root("environment", "CFLAGS"), None, {"flake.nix"}, False, "partial"),
        (root("environment", "CFLAGS"), None, {"flake.lock"}, True, "full"),
        (root("environment", "version", "openssl"), None, None, False, "full"),
        (root("environment", "version", "python3-3.12"), None, None, False, "full"),
        (root("input", "gcc-14"), None, None, False, "full"),
        (root("input", "zlib"), None, None, False, "partial"),
        (root("builder"), None, None, False, "full"),
    ],
)
def test_classes(
    change_root: Root, files: list[str] | None, repository: set[str] | None, lock: bool, expected: str
) -> None:
    moved = [LockChange(input="dep", old_rev="a", new_rev="b", old_date=None, new_date=None)] if lock else []
    assert change.classify(change_root, files, change.ChangeContext(repository, moved, OWN)) == expected


def test_lock_changes_with_revisions_dates_and_blast() -> None:
    def lock(rev: str, at: int) -> str:
        locked = {"locked": {"rev": rev, "lastModified": at}}
        return json.dumps({"nodes": {"nixpkgs": locked, "root": {"inputs": {"nixpkgs": "nixpkgs"}}}, "root": "root"})

    (moved,) = change.lock_changes(lock("4f2e" * 10, 1767312000), lock("9a1c" * 10, 1772582400))
    touched = Comparison(
        {f"/nix/store/{i}.drv": None for i in range(3)}, {f"/nix/store/{i}.drv": root("builder") for i in range(3)}
    )
    (sized,) = change.with_blast([moved], touched, {root("builder"): "full"})
    assert change.lock_line(sized) == "nixpkgs 4f2e4f2→9a1c9a1 (2026-01-02 → 2026-03-04): 3 derivations"
    assert change.with_blast([moved, moved], touched, {root("builder"): "full"}) == (moved, moved)
    for broken in (
        "",
        "{",
        "[]",
        '{"nodes": 3}',
        '{"nodes": {"a": 3}}',
        '{"nodes": {"a": {"locked": {"rev": ["x"], "lastModified": "y"}}}}',
    ):
        assert all(row.new_date is None for row in change.lock_changes(None, broken))
    assert change.lock_changes(lock("a", 1), lock("a", 1)) == []


def test_inputs_of_inputs_are_named_by_the_way_to_them() -> None:
    """A new input makes Nix call the old ones otherwise: `nixpkgs` is the new one's then, and ours is `nixpkgs_2`."""

    def lock(**inputs: tuple[str, dict[str, str | list[str]]]) -> str:
        return json.dumps(
            {
                "nodes": {name: {"locked": {"rev": rev}, "inputs": ins} for name, (rev, ins) in inputs.items()},
                "root": "root",
            }
        )

    before = lock(root=("", {"nixpkgs": "nixpkgs"}), nixpkgs=("a", {}))
    after = lock(
        root=("", {"nixpkgs": "nixpkgs_2", "abc": "abc"}),
        abc=("c", {"nixpkgs": "nixpkgs"}),
        nixpkgs=("b", {}),
        nixpkgs_2=("a", {}),
    )
    assert [(row.input, row.old_rev, row.new_rev) for row in change.lock_changes(before, after)] == [
        ("abc", None, "c"),
        ("abc/nixpkgs", None, "b"),
    ]
    follows = lock(
        root=("", {"nixpkgs": "nixpkgs", "abc": "abc"}), abc=("c", {"nixpkgs": ["nixpkgs"]}), nixpkgs=("a", {})
    )
    assert [(row.input, row.new_rev) for row in change.lock_changes(after, follows)] == [("abc/nixpkgs", None)]
    circle = lock(root=("", {"a": "a"}), a=("1", {"root": "root", "a": "a"}))
    assert [row.input for row in change.lock_changes(None, circle)] == ["a"]


def test_what_is_new_is_a_part() -> None:
    assert (change.worst([], new=False), change.worst([], new=True)) == ("none", "partial")
    assert (change.worst(["none"], new=True), change.worst(["full"], new=True)) == ("partial", "full")


def test_a_comparison_is_classified_as_a_whole_and_by_its_roots() -> None:
    locks = [
        json.dumps({"nodes": {"root": {"inputs": {"dep": "dep"}}, "dep": {"locked": {"rev": rev}}}}) for rev in "ab"
    ]
    moved, prose = root("environment", "version", "openssl"), root("source", "src")
    comparison = Comparison(
        {"/nix/store/app.drv": "/old/app.drv", "/nix/store/ssl.drv": "/old/ssl.drv"},
        {"/nix/store/app.drv": prose, "/nix/store/ssl.drv": moved},
    )
    base = Base("main", {}, files=frozenset({"flake.lock", "README.md"}), old_lock=locks[0], new_lock=locks[1])
    found = change.classify_all(Against(base, comparison, frozenset(), {moved: None, prose: ["README.md"]}), OWN)
    assert found.roots == {moved: "full", prose: "none"}
    assert found.whole == "full"
    assert [(row.input, row.derivations) for row in found.lock] == [("dep", 1)], "what the lock did is in one of two"
    # Against a report nobody knows what the lock was.
    base = Base("a report", {}, old_lock=locks[0], new_lock=locks[1])
    assert change.classify_all(Against(base, comparison, frozenset(), {prose: ["README.md"]}), OWN).lock == ()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (None, "9a1c9a1c9a1c", "dep new→9a1c9a1"),
        ("4f2e4f2e4f2e", None, "dep 4f2e4f2→removed"),
        ("sha256-AbCdEfGhIj", "sha256-ZyXwVuTsRq", "dep AbCdEfG→ZyXwVuT"),
    ],
)
def test_an_input_that_comes_goes_or_has_no_revision(old: str | None, new: str | None, line: str) -> None:
    moved = LockChange(input="dep", old_rev=old, new_rev=new, old_date=None, new_date="2026-01-02")
    assert change.lock_line(moved) == line


def test_a_file_that_should_have_rebuilt_nothing_is_named_with_what_it_rebuilt() -> None:
    said = change.idle_finding(["README.md", "docs/a", "docs/b", "docs/c"], ["app"], {"source"})
    assert said.startswith(
        "README.md, docs/a, docs/b and 1 more changed, which should rebuild nothing, and rebuilt app:"
    )
    assert "and rebuilt app: part of the source. Name what is needed:" in said
    assert "part of the source mine. " in change.idle_finding(["README"], ["app"], ["mine", "mine"])
    assert "part of their sources. " in change.idle_finding(["README"], ["app"], ["mine", "source"])
