"""A run → its report. Works on whatever has been found so far: an interrupted run has a report too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nix_repro import __version__
from nix_repro.config import Config, ProposedConfig, kept
from nix_repro.errors import interrupted
from nix_repro.metrics import history
from nix_repro.metrics.built import Asked
from nix_repro.metrics.measure import Facts, Measurements, measure
from nix_repro.metrics.remembered import ledger_use
from nix_repro.nix.checkout import Checkout, flake_ref
from nix_repro.nix.elsewhere import elsewhere, reproduce_line
from nix_repro.nix.graph import above
from nix_repro.nix.machine import describe_environment, in_ci
from nix_repro.nix.secrets import cut
from nix_repro.nix.store_path import store_name
from nix_repro.output.github.event import on_default_branch
from nix_repro.parts import LedgerUse, RuleUse
from nix_repro.plan.installables import attribute_name
from nix_repro.plan.scope import Plan
from nix_repro.reasons import EVALUATION_FAILED, FIXED_OUTPUT, IMPURE, UPSTREAM, Reason
from nix_repro.report import Build, DerivationReport, Output, Phase, Report, Skipped, not_evaluated
from nix_repro.run import Run
from nix_repro.verdict import allow, verdict
from nix_repro.verdict import fail_when as policy
from nix_repro.verdict.allow import AllowRule
from nix_repro.verdict.conclusion import judge, judge_policies


def assemble(run: Run, signum: int | None) -> Report:
    """The report, with `signum` when the run was interrupted."""
    derivations, rules = _allowed(run, _derivations(run, run.checkout))
    total = round(time.time() - run.began, 3)
    phases = (*run.phases, Phase(name="total", seconds=total))
    found = measure(_facts(run, run.plan, phases)) if run.plan is not None else Measurements()
    for warning in found.warnings:
        run.warn(warning)
    release = run.nix.release()
    conclusion, exit_code = judge(
        derivations, found.targets, run.config.fail_on, signum=signum, test=run.test, rules=rules
    )
    return Report(
        tool=f"nix-repro {__version__}",
        started=datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        system=run.nix.settings()["system"],
        commit=run.checkout.commit,
        nix_implementation=release.implementation,
        nix_version=release.version,
        environment=describe_environment(run.nix, run.environ),
        conclusion=conclusion,
        exit_code=exit_code,
        fail_on=run.config.fail_on,
        scope=run.config.scope,
        rebuilder=run.rebuilder.name if run.rebuilder else None,
        rounds=run.config.rounds,
        variations=run.varied.said if run.rebuilder is not None else (),
        derivations=tuple(derivations),
        skipped=_skipped(run.plan, derivations) if run.plan else (),
        phases=phases,
        scenario=found.scenario,
        targets=found.targets,
        caches=found.caches,
        test=run.test,
        elsewhere=elsewhere(run.environ),
        ledger=_ledger_use(run, run.plan) if run.plan and (run.ledger or run.known) else None,
        verified_paths=run.verified_paths,
        verified_cache=run.verified_use,
        configuration=run.config.configuration if isinstance(run.config, ProposedConfig) else None,
        allow=rules,
        warnings=tuple(run.warnings),
    )


def _allowed(run: Run, derivations: Sequence[DerivationReport]) -> tuple[list[DerivationReport], tuple[RuleUse, ...]]:
    """What the allow rules make of the verdicts, and what the verdicts make of the rules."""
    config, plan = run.config, run.plan
    if not config.allow:
        return list(derivations), ()
    everything = "all" in config.installables and config.since is None and config.scope != "installables"
    left_out: set[str] = set()
    if plan is not None:
        for path in plan.skipped:
            name = plan.derivations[path].name if path in plan.derivations else store_name(path)
            left_out.update(allow.names(name, plan.attrs(path)))
    reach = allow.Reach(run.nix.settings()["system"], left_out, everything and plan is not None)
    return allow.apply(
        _from_here(config.allow, run.cwd), derivations, datetime.fromtimestamp(run.began, UTC).date(), reach
    )


def _from_here(rules: Sequence[AllowRule], cwd: Path) -> list[AllowRule]:
    """The rules with their files as seen from the flake. A base's file has no path."""
    return [replace(r, file=os.path.relpath(r.file, cwd)) if os.path.isabs(r.file) else r for r in rules]


def _facts(run: Run, plan: Plan, phases: Sequence[Phase]) -> Facts:
    """What is measured, as far as the run came."""
    config, realiser = run.config, run.realiser
    return Facts(
        plan=plan,
        needs=run.needs,
        against=run.against,
        builds=run.recorder.builds,
        fetches=run.recorder.substitutions,
        phases=phases,
        asked=Asked(
            realiser.configured(),
            realiser.dropped,
            realiser.upstream,
            realiser.asked,
            int(run.nix.settings().get("narinfo-cache-negative-ttl", 3600)),
        ),
        incidents=realiser.incidents(),
        ci=in_ci(run.environ),
        tested=config.test != "none",
        chosen=config.scenario,
        limits=config.targets,
        jobs=config.jobs or str(run.nix.settings().get("max-jobs", "")),
    )


def finish(
    report: Report, config: Config, environ: Mapping[str, str], cwd: Path, warn: Callable[[str], None]
) -> Report:
    """The report with what needs the report itself: how this run compares with earlier ones, and the user's own
    policies."""
    file = cwd / config.history if config.history is not None and not interrupted(report.exit_code) else None
    runs, wrong = history.read(file) if file is not None else ((), None)
    this = history.entry(report, map(cut, config.installables), default=on_default_branch(environ, cwd, report.commit))
    report = msgspec.structs.replace(report, history=history.compare(runs, this))
    policies, errors = policy.evaluate(config.fail_when, msgspec.json.encode(report)) if config.fail_when else ((), [])
    conclusion, exit_code = judge_policies(report.conclusion, report.exit_code, policies, errors)
    # Not before all is known that can fail a run.
    this = msgspec.structs.replace(this, conclusion=conclusion)
    wrote = history.write(file, [*runs, this]) if file is not None else None
    warnings = [text for text in (wrong, wrote) if text is not None]
    for warning in [*warnings, *errors]:
        warn(warning)
    return msgspec.structs.replace(
        report,
        conclusion=conclusion,
        exit_code=exit_code,
        policies=policies,
        warnings=(*report.warnings, *warnings, *errors),
    )


def _derivations(run: Run, checkout: Checkout) -> list[DerivationReport]:
    plan = run.plan
    if plan is None:
        return []
    judged = dict(run.verdicts)
    named = set(plan.installables.values())
    for drv_path, reason in plan.skipped.items():
        tried = run.seen.first(drv_path) is not None
        if drv_path in plan.derivations and (
            reason in (FIXED_OUTPUT, IMPURE) or drv_path in named or reason != UPSTREAM or tried
        ):
            judged[drv_path] = verdict.not_rebuilt(plan.derivations[drv_path], run.seen, reason)
    judged |= {path: verdict.stale(plan.derivations[path], reason) for path, reason in run.stale.items()}
    ref = flake_ref(checkout, run.environ)
    judged |= {path: replace(judged[path], marks=(*judged[path].marks, "new")) for path in _new(run, plan, judged)}
    judged |= {path: replace(judged[path], marks=(*judged[path].marks, "time-bomb")) for path in _bombs(run, judged)}
    inputs = {path: tuple(i for i in plan.derivations[path].input_drvs if i in judged) for path in judged}
    built = [_derivation(run, plan, drv_path, result, inputs[drv_path], ref) for drv_path, result in judged.items()]
    broken = (
        not_evaluated(attr, attribute_name(attr), f"{EVALUATION_FAILED.text}: {words}")
        for attr, words in run.broken.items()
    )
    return [*built, *broken]


def _bombs(run: Run, judged: Mapping[str, verdict.Judged]) -> list[str]:
    """What is the same, and was proved not to build when the clock is ahead."""
    return [
        path
        for path in run.stopping
        if path in judged
        and judged[path].verdict == "reproducible"
        and any(finding.cause == "timestamp" for finding in run.findings.get(path, ()))
    ]


def _new(run: Run, plan: Plan, judged: Mapping[str, verdict.Judged]) -> set[str]:
    """What differs and does not on the base, by itself or because an input does."""
    roots = {path for path, found in run.on_base.items() if found.standing == "new"}
    users = above(plan.derivations, roots) & judged.keys()
    return roots | {path for path in users if "propagated" in judged[path].marks}


def _derivation(
    run: Run, plan: Plan, drv_path: str, judged: verdict.Judged, inputs: tuple[str, ...], ref: str
) -> DerivationReport:
    builds = tuple(
        Build(
            round=a.round,
            status=a.status,
            started=round(a.started - run.began, 3) if a.started else None,
            seconds=a.seconds,
            log=a.log,
            isolated=a.isolated,
        )
        for a in run.seen.attempts.get(drv_path, ())
        if not a.recalled
    )
    return DerivationReport(
        drv_path=drv_path,
        name=plan.derivations[drv_path].name,
        attrs=plan.attrs(drv_path),
        verdict=judged.verdict,
        marks=judged.marks,
        reason=_text(judged.reason),
        outputs={
            name: Output(path=out.path, verdict=out.verdict, reason=_text(out.reason), hashes=out.hashes)
            for name, out in judged.outputs.items()
        },
        builds=builds,
        findings=run.findings.get(drv_path, ()),
        reproduce=reproduce_line(ref, plan.top_of(drv_path), kept(run.config), elsewhere(run.environ))
        if judged.verdict in ("divergent", "rebuild-failed") and drv_path not in run.stale
        else None,
        inputs=inputs,
        rebuilds=judged.rebuilds,
        differed=judged.differed,
        on_base=run.on_base.get(drv_path),
    )


def _ledger_use(run: Run, plan: Plan) -> LedgerUse:
    again = sum(any(a.round > 1 and a.status == "built" for a in found) for found in run.seen.attempts.values())
    return ledger_use(run.known.values(), len(plan.targets), again, run.config.rounds)


def _text(reason: Reason | None) -> str | None:
    return reason.text if reason is not None else None


def _skipped(plan: Plan, derivations: Sequence[DerivationReport]) -> tuple[Skipped, ...]:
    """What was left out, by reason. A download that failed stands among the derivations with the reason for that, and
    does not stand here, too."""
    said = {derivation.drv_path: derivation.reason for derivation in derivations}
    groups: dict[Reason, list[str]] = {}
    for path, reason in plan.skipped.items():
        if said.get(path, reason.text) == reason.text:
            groups.setdefault(reason, []).append(path)
    return tuple(
        Skipped(reason=reason.text, count=len(paths), examples=tuple(paths[:5]))
        for reason, paths in sorted(groups.items(), key=lambda group: -len(group[1]))
    )
