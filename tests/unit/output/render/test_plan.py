"""What would be built, fetched and rebuilt, before anything is."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.output.render.plan import LISTED, print_plan
from nix_repro.parts import LedgerUse, VerificationCost
from nix_repro.plan.planned import Foreseen, Planned, planned_derivations
from nix_repro.plan.scope import Plan
from nix_repro.reasons import FIXED_OUTPUT, UPSTREAM, Reason


def drv(name: str, path: str | None) -> Derivation:
    outputs = {"out": DrvOutput(path, False, path is None)}
    return Derivation(f"/s/{name}.drv", name, "x86_64-linux", "/bin/sh", (), {}, outputs, {}, (), False)


def plan_of(*drvs: Derivation, skipped: dict[str, Reason] | None = None) -> Plan:
    named = {f"packages.{d.name}": d.drv_path for d in drvs}
    return Plan(named, {d.drv_path: d for d in drvs}, tuple(named.values()), skipped or {})


def shown(plan: Plan, present: set[str], where: dict[str, str], *, verbose: bool = False) -> None:
    derivations = planned_derivations(plan, present, where)
    said = {"tool": "t", "system": "s", "nix_version": "2", "nix_implementation": "Nix", "scope": "own"}
    print_plan(msgspec.convert({**said, "installables": {}, "derivations": derivations}, Planned), verbose=verbose)


def test_each_derivation_stands_where_its_outputs_are(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(drv("here", "/s/here"), drv("there", "/s/there"), drv("nowhere", "/s/nowhere"), drv("later", None))
    shown(plan, {"/s/here"}, {"/s/there": "https://cache.example"})
    assert capsys.readouterr().out.splitlines() == [
        "2 would be built:",
        "  nowhere",
        "  later",
        "1 would be fetched from https://cache.example:",
        "  there",
        "1 already in the store:",
        "  here",
        "4 would be rebuilt and compared:",
        "  here",
        "  there",
        "  nowhere",
        "  later",
    ]


def test_what_is_left_out_has_its_reason_most_frequent_first(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = {"/s/src.drv": FIXED_OUTPUT, "/s/gcc.drv": UPSTREAM, "/s/bash.drv": UPSTREAM}
    shown(plan_of(skipped=skipped), set(), {})
    assert capsys.readouterr().out.splitlines() == [
        "2 would not be rebuilt: out of scope: an upstream cache has it:",
        "  gcc",
        "  bash",
        "1 would not be rebuilt: fixed-output:",
        "  src",
    ]


def test_a_long_list_is_cut_and_a_name_is_only_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown(plan_of(*(drv(f"\x1b[2J{n}", None) for n in range(LISTED + 5))), set(), {})
    printed = capsys.readouterr().out
    assert printed.count("  and 5 more (-v names them)\n") == 2
    assert "\x1b" not in printed


def test_everything_is_named_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    many = [drv(f"n{n}", None) for n in range(LISTED + 5)]
    skipped = {f"/s/{'q' * 32}-left{n}.drv": UPSTREAM for n in range(LISTED + 5)}
    shown(plan_of(*many, skipped=skipped), set(), {}, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(f"  n{LISTED + 4}  /s/n{LISTED + 4}.drv") == 2
    assert f"  left{LISTED + 4}  /s/{'q' * 32}-left{LISTED + 4}.drv" in lines
    assert not any("more" in line for line in lines)


def test_what_was_verified_before_is_not_rebuilt_and_what_that_saves_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_of(drv("old", "/s/old"), drv("odd", "/s/odd"), drv("new", "/s/new"))
    known: dict[str, Foreseen] = {"/s/old.drv": "verified", "/s/odd.drv": "diverges"}
    derivations = tuple(
        msgspec.structs.replace(d, known=known.get(d.drv_path))
        for d in planned_derivations(plan, {"/s/old", "/s/odd", "/s/new"}, {})
    )
    use = LedgerUse(compared=3, verified=1, rebuilt=2, machines=4, oldest="2026-01-01T00:00:00+00:00", seconds=370.0)
    planned = Planned(
        tool="t",
        system="s",
        nix_version="2",
        nix_implementation="Nix",
        scope="own",
        installables={},
        derivations=derivations,
        verification=VerificationCost(ledger=use, cost=40.0, untimed=1),
    )
    print_plan(planned, now=datetime(2026, 1, 13, tzinfo=UTC))
    lines = capsys.readouterr().out.splitlines()[4:]
    assert lines[:7] == [
        "2 would be rebuilt and compared:",
        "  odd",
        "  new",
        "1 would not be rebuilt: verified before:",
        "  old",
        "1 known to diverge:",
        "  odd",
    ]
    assert " ".join(map(str.strip, lines[7:])) == (
        "to rebuild 2 of 3 (about 40 s of building and 1 of unknown duration); 1 verified before, oldest 12 days ago, "
        "on 4 machines; saves about 6m 10s of building"
    )
