"""Experiments against the corpus: every case whose difference comes from something that can be held still or changed is
proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import corpus
from command import nix_repro
from nixes import provide
from store import open_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store import NixBox

#: What a label's `vary` is held different by, and the cause that this proves.
VARIED = {
    "clock": "timestamp",
    "cores": "parallelism",
    "order": "ordering",
    "build-path": "build-path",
    "kernel": "host",
    "zone": "locale",
}


def provable() -> dict[str, str]:
    """The true cause by name, of every case that something is held different for, and of some that differ by the time
    alone: what tells these apart is their form, and that is for test_corpus.py."""
    found: dict[str, str] = {}
    by_time = 0
    for case in corpus.cases():
        causes = {cause for causes in case.files.values() for cause in causes}
        if case.files and case.vary:
            (found[case.name],) = {VARIED[what] for what in case.vary}
        elif causes == {"timestamp"}:
            by_time += 1
            if by_time % 3 == 1:
                found[case.name] = "timestamp"
    return found


def twins() -> list[str]:
    """The reproducible twin of one case for everything that is held different."""
    by_what = {case.vary[0]: f"{case.name}-fixed" for case in corpus.cases() if case.files and case.vary}
    return list(by_what.values())


#: Those of fixtures/corpus/beside.nix. Elsewhere what looks random may come from the clock, as a name by mktemp does.
BESIDE = (
    "time-and-identity",
    "time-and-token-as-long-as-a-digest",
    "digest-and-token",
    "member-time-and-noise",
    "gzip-time-and-noise",
)


@pytest.fixture
def sandbox_nix() -> Iterator[NixBox]:
    """One series is enough for many cases: test_experiments.py has each experiment on every series."""
    with open_box(provide("2.34")) as box:
        yield box


def test_every_such_case_is_proved_and_no_twin(sandbox_nix: NixBox) -> None:
    cases = provable()
    assert set(cases.values()) == set(VARIED.values())
    installables = [f"path:{corpus.CORPUS}#{name}" for name in (*cases, *twins())]
    said = nix_repro(
        sandbox_nix,
        "explain",
        *installables,
        "--cores",
        "2",
        "--jobs",
        "2",
        "--explain-budget",
        "20m",
        cwd=sandbox_nix.work,
        timeout=1200,
    )
    proved = {
        name: [f["cause"] for f in said.derivation(name)["findings"] if f["confidence"] == "proved"]
        for name in (*cases, *twins())
    }
    # A date is another one elsewhere, at some hours of the day.
    also = {"timestamp": {"timestamp", "locale"}}
    assert {
        name: causes for name, causes in proved.items() if cases.get(name) != (causes[0] if causes else None)
    } == {}, said.err
    assert {
        name: causes
        for name, causes in proved.items()
        if name in cases and not {*causes} <= also.get(cases[name], {cases[name]})
    } == {}


def test_nothing_is_proved_where_the_clock_is_one_cause_of_two(sandbox_nix: NixBox) -> None:
    installables = [f"path:{corpus.CORPUS}#{name}" for name in BESIDE]
    said = nix_repro(sandbox_nix, "check", *installables, "--explain", "experiments", cwd=sandbox_nix.work, timeout=600)
    assert {d["verdict"] for d in said.derivations} == {"divergent"}, said.err
    assert [(d["name"], f) for d in said.derivations for f in d["findings"] if f["confidence"] == "proved"] == []
