"""Evaluate what was named, decide what is compared, and compare it with the base."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from nix_repro.config import ProposedConfig
from nix_repro.doctor.diagnose import urgent
from nix_repro.errors import UsageError
from nix_repro.files import read_regular
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.lookup import BinaryCaches
from nix_repro.nix.log.recorder import waiting
from nix_repro.output.github.event import proposal
from nix_repro.plan.against import against
from nix_repro.plan.base import Base, at_revision, attribute, committed, from_report
from nix_repro.plan.flake_config import told
from nix_repro.plan.installables import evaluate
from nix_repro.plan.scope import Plan, make_plan, since
from nix_repro.plan.systems import refuse_other_systems
from nix_repro.report import Report
from nix_repro.run import Run
from nix_repro.text import plural

#: Bytes of a flake.nix.
FLAKE_BYTES = 4 << 20
DEFAULT_UPSTREAM = "https://cache.nixos.org"


def plan_run(run: Run) -> Plan:
    if isinstance(run.config, ProposedConfig):
        for note in run.config.notes:
            run.warn(note)
    with run.phase("evaluate", "evaluating"):
        urls = _upstream_urls(run)
        run.realiser.expect(urls, {})
        installables = evaluate(run.realiser, run.config.installables, run.cwd, run.warn, run.broken.__setitem__)
        caches = run.lookups = BinaryCaches(run.nix, urls)
        plan = run.plan = make_plan(
            installables,
            run.config.scope,
            lambda paths, recursive: run.nix.derivations(paths, recursive=recursive),
            partial(_available, run, caches) if urls else None,
        )
        run.realiser.expect(urls, caches.unreachable)
        plan = run.plan = _compare(run, plan)
    if (about := told(_flake_text(run), run.realiser.ignored)) is not None:
        run.warn(about)
    refuse_other_systems(plan, run.nix.settings())
    for finding in urgent(run.nix, run.environ, run.cwd):
        run.warn(finding)
    for cache in caches.degraded:
        run.warn(
            f"upstream cache {cache.url}: {cache.line()}. What it did not say it has counts as the repository's own"
        )
    for url, why in caches.locked.items():
        run.warn(
            f"upstream cache {url} wants a password: {why}. What it has counts as the repository's own, as for Nix"
        )
    for url, why in caches.unreachable.items():
        run.warn(
            f"upstream cache {url}: {why}. Only what this run builds is known to be the repository's own. "
            "If the cache can never be reached, `upstream-caches: none` treats everything as the repository's own"
        )
    return plan


def _flake_text(run: Run) -> str | None:
    """The flake.nix here, when what is checked is in it."""
    if all(attribute(installable) is None for installable in run.config.installables):
        return None
    try:
        return read_regular(run.cwd / "flake.nix", FLAKE_BYTES).decode("utf-8", "replace")
    except UsageError:
        return None


def _available(run: Run, caches: BinaryCaches, paths: Iterable[str]) -> set[str] | None:
    wanted = list(paths)
    with waiting(run.display, f"for the upstream caches to say which of {plural(len(wanted), 'path')} they have"):
        return caches.available(wanted)


def _compare(run: Run, plan: Plan) -> Plan:
    """Compare the plan with the base that was asked for. Returns the plan without what `since` is not about."""
    config = run.config
    base: Base | None = None
    revision = config.since or config.base
    if config.base_report is not None:
        run.base_report = _base_report(run, config.base_report)
    # What is to be built has to be evaluated.
    if run.base_report is not None and config.since is None and not (config.check_base and revision is not None):
        base = from_report(run.nix, run.base_report, plan.installables)
    elif revision is not None:
        with waiting(run.display, f"for {revision} to be evaluated"):
            base = at_revision(run.realiser, revision, config.installables, plan.installables, run.cwd, run.warn)
    if base is None:
        return plan
    run.against = against(run.nix, plan, base)
    return since(plan, run.against.known) if config.since is not None else plan


def _base_report(run: Run, file: Path) -> Report | None:
    """The report of the base, unless it cannot be that, which is said."""
    # Late: few runs have a report as their base.
    from nix_repro.output.directory import read_report

    if proposal(run.environ) is not None and committed(file, run.cwd):
        run.warn(f"base report {file.name}: it is part of the change itself, and not believed")
        return None
    report, system = read_report(file), run.nix.settings()["system"]
    if report.system != system:
        run.warn(f"base report {file.name}: it is of {report.system}, and this run of {system}. It is left out")
        return None
    return report


def _upstream_urls(run: Run) -> list[str]:
    """The upstream caches: those named in the configuration, else cache.nixos.org when Nix uses it."""
    if run.config.upstream_caches is not None:
        return list(run.config.upstream_caches)
    configured = {normal(url) for url in run.nix.settings().get("substituters", [])}
    return [DEFAULT_UPSTREAM] if DEFAULT_UPSTREAM in configured else []
