"""Which of the divergences the base has too: by what is known of it, else by building it twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.nix.command import NixError
from nix_repro.nix.store_path import store_name
from nix_repro.output.github.event import proposal
from nix_repro.parts import OnBase
from nix_repro.plan.base import FETCH_DEPTH
from nix_repro.plan.installables import add_roots
from nix_repro.plan.scope import make_plan
from nix_repro.report import Report
from nix_repro.run import Run
from nix_repro.stages.remember import known_builds
from nix_repro.stages.verify import build_and_rebuild
from nix_repro.text import last_line, plural, seconds, some
from nix_repro.verdict.evidence import Demands, together
from nix_repro.verdict.regression import Precedent, affordable, counterparts, on_base

#: The folder of a run that the check of the base works in.
BASE = "base"
#: Names in a warning.
_NAMED = 5

_Known = dict[str, list[Precedent]]


def compare_divergences(run: Run, rebuilder: Rebuilder) -> None:
    """Say of every divergence whether the base has it too, if there is to be a base."""
    config = run.config
    divergent = [path for path, judged in run.verdicts.items() if judged.verdict == "divergent"]
    asked = config.base or config.since or config.base_report or config.check_base
    if not divergent or not (asked or "new-divergence" in config.fail_on):
        return
    others = counterparts(divergent, run.against) if run.against is not None else {}
    known = _remembered(run, others.values())
    for path, precedent in reported(run.base_report, others.values(), run.varied.applied):
        known.setdefault(path, []).append(precedent)
    run.on_base = _judged(run, divergent, known)
    if config.check_base and (open_ := [path for path in others if run.on_base[path].standing == "unknown"]):
        for path, precedent in _checked(run, rebuilder, {path: others[path] for path in open_}):
            known.setdefault(path, []).append(precedent)
        run.on_base = _judged(run, divergent, known)
    _tell(run, [path for path in divergent if run.on_base[path].standing == "unknown"])


def _judged(run: Run, divergent: Iterable[str], known: Mapping[str, Collection[Precedent]]) -> dict[str, OnBase]:
    return {path: on_base(path, run.against, lambda other: known.get(other, ())) for path in divergent}


def _remembered(run: Run, drv_paths: Iterable[str]) -> _Known:
    """What the ledger knows."""
    found: _Known = {}
    # What differs here under a variation may do so there as well.
    wanted = Demands(run.config.rounds, variations=frozenset(run.varied.applied))
    for path, builds in known_builds(run, dict.fromkeys(drv_paths)).items():
        if (verdict := together(builds, wanted)) is not None:
            found[path] = [Precedent(verdict, None, f"{plural(len(builds), 'observation')} in the ledger")]
    return found


def reported(
    report: Report | None, drv_paths: Iterable[str], varied: Collection[str]
) -> Iterable[tuple[str, Precedent]]:
    """What the report of the base says. That nothing differed there under fewer variations says nothing."""
    if report is None:
        return
    wanted, source = set(drv_paths), f"the report of {report.started}"
    missing = sorted({*varied} - {variation.name for variation in report.variations if variation.applied})
    for derivation in report.derivations:
        if derivation.drv_path in wanted:
            found = Precedent(derivation.verdict, derivation.reason, source)
            if missing and derivation.verdict == "reproducible":
                found = Precedent("unverified", f"there, it was not built with {', '.join(missing)}", source)
            yield derivation.drv_path, found


def _checked(run: Run, rebuilder: Rebuilder, others: Mapping[str, str]) -> Iterable[tuple[str, Precedent]]:
    """What builds show: of those there is time for, `others` by what stands in their place here."""
    cost: dict[str, float] = {}
    for path, other in others.items():
        # What has changed will take as long as it did before.
        cost[other] = sum(attempt.seconds or 0.0 for attempt in run.seen.attempts[path])
    wanted = affordable(dict.fromkeys(others.values()), cost, run.config.explain_budget)
    for path, needed in cost.items():
        if path not in wanted:
            why = f"it would take about {seconds(needed)}, for which the time (explain-budget) is not enough"
            yield path, Precedent("unverified", why, "not checked")
    if not wanted:
        return
    with run.phase("base", f"checking {plural(len(wanted), 'derivation')} of the base"):
        try:
            yield from _check(run, rebuilder, wanted)
        except (NixError, OSError) as error:
            for path in wanted:
                yield path, Precedent("unverified", last_line(str(error)).removeprefix("error: "), "its check failed")
        finally:
            run.watch_store(here=not rebuilder.elsewhere)


def _check(run: Run, rebuilder: Rebuilder, wanted: Collection[str]) -> Iterable[tuple[str, Precedent]]:
    """A run of its own, with what this one has to build with, and nothing of what it has found."""
    side = Run(replace(run.config, test="none"), run.nix, run.cwd, run.environ, run.display, run.checkout, run.began)
    side.work, side.ledger, side.realiser, side.lookups = run.work / BASE, run.ledger, run.realiser, run.lookups
    side.varied, side.conditions, side.machine = run.varied, run.conditions, run.machine
    plan = make_plan(
        {path: path for path in wanted},
        "installables",
        lambda paths, recursive: run.nix.derivations(paths, recursive=recursive),
        None,
    )
    side.plan = plan
    add_roots(run.nix, list(wanted), side.work / "roots")
    plan = build_and_rebuild(side, plan, rebuilder)
    for warning in side.warnings:
        run.warn(f"base: {warning}")
    for path in wanted:
        judged = side.verdicts.get(path)
        reason = judged.reason if judged is not None else plan.skipped.get(path)
        verdict = judged.verdict if judged is not None else "unverified"
        yield path, Precedent(verdict, reason.text if reason is not None else None, "built twice now")


def _tell(run: Run, unknown: Collection[str]) -> None:
    """What is to be done about what is not known, where that matters."""
    config = run.config
    matters = config.check_base or ("new-divergence" in config.fail_on and "divergence" not in config.fail_on)
    if not unknown or not matters:
        return
    if run.against is None and (config.base or config.since):
        hint = "The base is not there to be compared with"
    elif run.against is None and proposal(run.environ) is not None:
        hint = f"The base of this change is not in the clone: {FETCH_DEPTH}"
    elif run.against is None:
        hint = "--base REF (`base`) names the base"
    elif not config.check_base:
        hint = "--check-base (`check-base: true`) builds what stands there twice"
    else:
        hint = f"The first: {run.on_base[next(iter(unknown))].because}"
    run.warn(
        f"not known whether the base has {'this divergence' if len(unknown) == 1 else 'these divergences'} too: "
        f"{some([store_name(path) for path in unknown], _NAMED)}. {hint}"
    )
