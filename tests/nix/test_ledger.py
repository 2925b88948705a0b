"""Runs in sequence that remember each other's builds: what is verified is not built again, and what differs from an
earlier build is found without a rebuild."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake
from nix_repro.ledger.file import opened
from nix_repro.observations import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from command import Said
    from store import NixBox


#: A content that nothing here has.
OTHER = f"sha256-{'A' * 43}="


def run_url(number: int) -> dict[str, str]:
    """The environment of another runner."""
    return {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/widgets",
        "GITHUB_RUN_ID": str(number),
    }


class Repository:
    """A flake whose runs share one ledger."""

    def __init__(self, box: NixBox) -> None:
        self.box = box
        box.conf(sandbox=False)
        self.ledger = box.work / "ledger.db"
        self.today = box.work / "today"
        self.today.write_text("monday\n")
        self.sources = {
            "leaf": 'mk "leaf" "echo leaf > $out" {}',
            "middle": 'mk "middle" "cat ${leaf} > $out" {}',
            "top": 'mk "top" "cat ${middle} > $out; echo more > $dev" { outputs = [ "out" "dev" ]; }',
            "other": 'mk "other" "echo other > $out" {}',
            "dated": f'mk "dated" "cat {self.today} > $out" {{}}',
        }

    def change(self, name: str, source: str) -> Said:
        self.sources[name] = source
        return self.check()

    def check(self, *args: str, env: Mapping[str, str] | None = None, what: str = "all") -> Said:
        flake = write_flake(self.box, "\n".join(f"{name} = {text};" for name, text in self.sources.items()))
        return nix_repro(self.box, "check", what, "--ledger", str(self.ledger), *args, cwd=flake, env=env)

    def empty_the_store(self) -> None:
        """As on a new runner."""
        self.box.run(["nix-collect-garbage"])


def rebuilt(said: Said) -> set[str]:
    return {d["name"] for d in said.derivations if any(build["round"] > 1 for build in d["builds"])}


def built(said: Said) -> set[str]:
    return {d["name"] for d in said.derivations if any(build["status"] == "built" for build in d["builds"])}


ALL = {"leaf", "middle", "top", "other", "dated"}


def test_verified_once_is_verified_until_it_changes(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix)
    assert rebuilt(flake.check()) == ALL
    said = flake.check("--target", "verification=1s")
    assert (built(said), rebuilt(said), said.code) == (set(), set(), 0), said.err
    assert set(said.verdicts().values()) == {"reproducible"}
    assert said.report["ledger"]["verified"] == 5
    assert said.report["rebuilder"] is None, "nothing was rebuilt"
    assert str(flake.ledger) in said.out, "among what was written"
    assert [(target["actual"], target["ok"]) for target in said.report["targets"] if target["limit"] == 1] == [
        (0, True)
    ]
    sources = [one["source"] for one in said.derivation("top")["outputs"]["dev"]["hashes"]]
    assert (sources[0], set(sources[1:])) == ("present", {"ledger"})
    assert "ledger: rebuilt 0 of 5; 5 verified before, oldest less than an hour ago" in " ".join(said.out.split())

    said = flake.change("other", 'mk "other" "echo changed > $out" {}')
    assert rebuilt(said) == {"other"}, "a leaf"
    said = flake.change("leaf", 'mk "leaf" "echo changed > $out" {}')
    assert rebuilt(said) == {"leaf", "middle", "top"}, "a root, and what is above it"
    assert rebuilt(flake.check("--recheck")) == ALL
    assert rebuilt(flake.check("--recheck-older", "0s")) == ALL
    assert rebuilt(flake.check("--recheck-older", "1d", "--sample", "0%")) == set()
    assert rebuilt(flake.check("--sample", "100%")) == ALL
    assert rebuilt(flake.check("--rounds", "3")) == set(), "three builds agree by now"


@pytest.mark.series("2.8", "2.34")
def test_a_build_of_today_is_the_rebuild_of_one_of_another_machine(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix)
    first = flake.check(env=run_url(1))
    flake.empty_the_store()
    said = flake.check(env=run_url(2))
    assert (built(said), rebuilt(said)) == (ALL, set()), said.err
    assert "https://github.example/acme/widgets/actions/runs/1" in str(said.derivation("leaf")["outputs"]["out"])

    # Nothing but the date is another one: the first builds alone tell, and both origins are named.
    flake.empty_the_store()
    flake.today.write_text("tuesday\n")
    said = flake.check(env=run_url(3))
    assert rebuilt(said) == {"dated"}, "to explain it"
    assert said.verdicts() == dict.fromkeys(ALL, "reproducible") | {"dated": "divergent"}, said.err
    assert said.code == 1
    [finding] = said.derivation("dated")["findings"]
    assert (finding["cause"], finding["confidence"]) == ("environment", "low")
    assert "actions/runs/" in finding["because"]
    assert "and not within this run" in finding["because"]
    hashes = said.derivation("dated")["outputs"]["out"]["hashes"]
    assert {one["source"] for one in hashes} == {"built", "ledger", "rebuilt"}
    assert first.derivation("dated")["outputs"]["out"]["hashes"][0]["nar_hash"] in {one["nar_hash"] for one in hashes}

    # It stays known, also where it is not built again, until it has agreed often enough, or is another derivation.
    said = flake.check("--explain", "off", env=run_url(4))
    assert said.verdicts()["dated"].startswith("divergent")
    assert said.derivation("dated")["findings"] == [], "no explanation was wanted"
    assert flake.check("--rounds", "6", env=run_url(5)).verdicts()["dated"].startswith("divergent")
    said = flake.check(env=run_url(6))
    assert (said.verdicts()["dated"], rebuilt(said)) == ("reproducible", set())


@pytest.mark.series("2.26")
def test_what_is_compared_alone_is_remembered_too(sandbox_nix: NixBox) -> None:
    """Its inputs are not in the plan, and looked up."""
    flake = Repository(sandbox_nix)
    for expected in ({"middle"}, set[str]()):
        said = flake.check("--scope", "installables", what=".#middle")
        assert (said.verdicts()["middle"], rebuilt(said)) == ("reproducible", expected), said.err


@pytest.mark.series("2.8", "2.34")
def test_a_victim_is_no_divergence_of_its_own(sandbox_nix: NixBox) -> None:
    """Above what comes out differently each time, the ledger holds builds on other inputs."""
    flake = Repository(sandbox_nix)
    said = flake.change("leaf", 'mk "leaf" "cat ${uuid} > $out" {}')
    assert said.verdicts() == dict.fromkeys(ALL, "reproducible") | {
        "leaf": "divergent",
        "middle": "reproducible propagated",
        "top": "reproducible propagated",
    }
    again = flake.check()
    assert again.verdicts() == said.verdicts(), "nothing was built again but the leaf"
    leaf = again.derivation("leaf")
    assert (leaf["differed"], leaf["rebuilds"]) == (2, 2), "what is in the store is no repetition of itself"
    for _ in range(2):
        flake.empty_the_store()
        said = flake.check()
        verdicts = said.verdicts()
        assert verdicts["leaf"] == "divergent", said.err
        assert verdicts["middle"].startswith("reproducible"), said.err
        assert verdicts["top"].startswith("reproducible"), said.err
    said = flake.change("leaf", 'mk "leaf" "echo mended > $out" {}')
    assert said.verdicts() == dict.fromkeys(ALL, "reproducible")


@pytest.mark.series("2.8", "2.34")
def test_what_comes_and_goes_is_not_forgotten(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix)
    there = write_flake(sandbox_nix, "\n".join(f"{name} = {text};" for name, text in flake.sources.items()))
    build = ["nix", "--extra-experimental-features", "nix-command flakes", "build", "--no-link"]
    sandbox_nix.run([*build, *(f"path:{there}#{name}" for name in flake.sources)])
    said = flake.check()
    first = {build["status"] for d in said.derivations for build in d["builds"] if build["round"] == 1}
    assert (first, rebuilt(said)) == ({"present"}, ALL), "who built what was there is not known"
    said = flake.check()
    assert (rebuilt(said), said.code) == (set(), 0), "but it was built once, and the rebuild is another build"

    for day, verdict in (("tuesday", "divergent"), ("monday", "divergent intermittent")):
        flake.empty_the_store()
        flake.today.write_text(f"{day}\n")
        said = flake.check()
        assert (said.verdicts()["dated"], said.code) == (verdict, 1), said.err
    assert flake.check().verdicts()["dated"].startswith("divergent"), "that it agreed once is not enough"


@pytest.mark.series("2.8", "2.34")
def test_a_ledger_of_another_machine(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix)
    flake.check()
    facts = {"kernel": "5.10.0-other", "machine": "x86_64", "cpus": "64", "nix": "Nix 2.3.16", "nix cores": "64"}
    with opened(flake.ledger) as found:
        # Once each; one of them came out differently there.
        once = {one.name: one for one in found.every() if one.how == "built"}
    contents = {name: {"out": OTHER} if name == "dated" else one.hashes for name, one in once.items()}
    flake.ledger = sandbox_nix.work / "there.db"
    with opened(flake.ledger) as there:
        there.add(
            replace(one, machine=Place("0f0f0f0f0f0f", facts), hashes=contents[name], at=one.at - 86400 * 9)
            for name, one in once.items()
        )
    flake.empty_the_store()
    said = flake.check()
    assert rebuilt(said) == {"dated"}, said.err
    assert said.verdicts() == dict.fromkeys(ALL, "reproducible") | {"dated": "divergent"}
    [finding] = said.derivation("dated")["findings"]
    for told in ("machine 0f0f0f0f0f0f", "kernel: 5.10.0-other then, ", "cpus: 64 then, ", "nix: Nix 2.3.16 then, "):
        assert told in finding["because"]
    assert "oldest 9 days ago, on 1 machine" in " ".join(said.out.split())


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"not a database" * 100, "not a database"), (None, "unable to open")],
    ids=["corrupt", "unwritable"],
)
@pytest.mark.series("2.26")
def test_a_ledger_that_cannot_be_used_costs_one_warning(sandbox_nix: NixBox, content: bytes | None, why: str) -> None:
    flake = Repository(sandbox_nix)
    if content is None:
        flake.ledger = Path("/proc/nowhere/ledger.db")
    else:
        flake.ledger.write_bytes(content)
    said = flake.check()
    assert (said.code, rebuilt(said)) == (0, ALL), said.err
    [warning] = [text for text in said.report["warnings"] if "ledger" in text]
    assert why in warning
    assert "goes on without it" in warning
    assert content is None or flake.ledger.read_bytes() == content
