"""Every derivation of the corpus, built twice with real Nix, and what is found in it against the labels: as when this
run had made both builds, and as when the first one was there before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import corpus
from nix_repro.explain.engine import explain_output

if TYPE_CHECKING:
    from nix_repro.report import Finding

Found = list[tuple[corpus.Case, tuple["Finding", ...]]]


Builds = tuple[corpus.Built, corpus.Built]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    return corpus.build_twice(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module", params=["fresh", "present"])
def found(builds: Builds, request: pytest.FixtureRequest) -> Found:
    a, b = builds
    results: Found = []
    for case in corpus.cases():
        context = corpus.context_of(case, a, b)
        if request.param == "present":
            context = corpus.with_first_build_present(context)
        results.append((case, explain_output("out", a.outputs[case.name], b.outputs[case.name], context)))
    return results


@pytest.fixture
def divergent(found: Found) -> Found:
    return [(case, findings) for case, findings in found if case.files]


def names(path: str, label: str) -> bool:
    """Does a finding's path point at a label's? A label names the directory of entries whose own name differs."""
    return path == label or path.rpartition("/")[0] == label


def test_corpus_is_large_enough() -> None:
    assert len([case for case in corpus.cases() if case.files]) >= 60


def test_nothing_is_found_in_reproducible_twins(found: Found) -> None:
    assert {case.name: findings for case, findings in found if not case.files and findings} == {}


def test_every_divergent_file_is_found(divergent: Found) -> None:
    missed = {
        (case.name, label)
        for case, findings in divergent
        for label in case.files
        if not any(names(item.path, label) for item in findings)
    }
    assert missed == set()


def test_first_named_cause_is_right(divergent: Found) -> None:
    confusion = Counter(
        ("/".join(sorted(truth(case))), findings[0].cause if findings else "nothing") for case, findings in divergent
    )
    print()
    for (true, named), count in sorted(confusion.items()):
        print(f"{true:28} → {named:18} {count:3}")
    right = sum(bool(findings) and findings[0].cause in truth(case) for case, findings in divergent)
    print(f"first-named cause right: {right} of {len(divergent)}")
    assert right / len(divergent) >= 0.95


def test_every_true_cause_of_a_file_is_named(divergent: Found) -> None:
    missed = {
        (case.name, label, cause)
        for case, findings in divergent
        for label, causes in case.files.items()
        for cause in causes
        if not any(names(item.path, label) and item.cause == cause for item in findings)
    }
    assert missed == set()


def test_no_confident_cause_is_wrong(divergent: Found) -> None:
    wrong = [
        (case.name, item)
        for case, findings in divergent
        for item in findings
        if item.confidence != "low" and item.cause not in truth(case)
    ]
    assert wrong == []


def test_derived_differences_name_their_source(divergent: Found) -> None:
    sources = {
        (case.name, item.path): item.derived_from
        for case, findings in divergent
        for item in findings
        if item.derived_from
    }
    assert sources["checksums", "SHA256SUMS"] == "data.txt"
    assert sources["build-id", "when"] == "when"
    assert (
        sources["wheel", "demo-1-py3-none-any.whl!demo-1.dist-info/RECORD"]
        == "demo-1-py3-none-any.whl!demo/_version.py"
    )


def truth(case: corpus.Case) -> set[str]:
    return {cause for causes in case.files.values() for cause in causes}
