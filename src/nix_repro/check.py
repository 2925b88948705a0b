"""The run, top to bottom: evaluate, plan, build, rebuild, judge, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from nix_repro import __version__
from nix_repro.assemble import assemble, finish
from nix_repro.build.outcome import present_outputs
from nix_repro.build.rebuild.choose import choose
from nix_repro.build.varying import varied
from nix_repro.config import Config
from nix_repro.errors import Interrupted, UsageError
from nix_repro.files import private_directory
from nix_repro.metrics.phases import NOTED, job_phases
from nix_repro.nix.checkout import read_checkout
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.lock import locked
from nix_repro.nix.processes import Processes
from nix_repro.nix.secrets import cut, cut_all
from nix_repro.observations import Tree
from nix_repro.plan.installables import add_roots
from nix_repro.plan.planned import Planned, planned_derivations
from nix_repro.reasons import CANCELLED, said
from nix_repro.report import Report
from nix_repro.run import Display, Run
from nix_repro.stages.base import BASE, compare_divergences
from nix_repro.stages.explain import explain_divergences
from nix_repro.stages.fetch import fetch_changed
from nix_repro.stages.forecast import foretell
from nix_repro.stages.plan import plan_run
from nix_repro.stages.remember import explain_by_date, open_ledger
from nix_repro.stages.verified import keep_verified, open_verified
from nix_repro.stages.verify import build_and_rebuild
from nix_repro.text import last_line, seconds
from nix_repro.verdict.fail_when import check_syntax


def check(
    config: Config,
    processes: Processes,
    environ: Mapping[str, str],
    cwd: Path,
    display: Display,
    keep: Callable[[Report, Mapping[tuple[str, str], Tree]], Report],
) -> Report:
    """Run the check, and hand the report and the differing trees (by .drv path and output) to `keep` while these are
    still there; it returns the report, with what it has to add to it.

    Raises `UsageError` for what the user can mend. An interruption is no error: the report says what was not finished.
    """
    check_syntax(config.fail_when)
    noted = [environ.get(name) for name in NOTED]
    began, before = job_phases(noted, time.time())
    with ExitStack() as held, private_directory() as directory:
        nix = Nix(processes, environ, config.options)
        run = Run(config, nix, cwd, environ, display, read_checkout(cwd), began, phases=before, work=directory)
        signum: int | None = None
        try:
            _work(run, held)
        except Interrupted as stop:
            signum = stop.signum
            run.end_early(CANCELLED)
        except (NixError, OSError) as error:
            if run.plan is None:
                raise UsageError(str(error)) from None
            # What was found so far is worth a report.
            run.warn(f"Nix failed: {error}")
            run.end_early(said(last_line(str(error)).removeprefix("error: ")))
        with processes.shielded():
            report = finish(public(assemble(run, signum)), config, environ, cwd, run.warn)
            report = msgspec.structs.replace(report, warnings=tuple(map(cut, report.warnings)))
            return keep(report, run.seen.trees)


def public(report: Report) -> Report:
    """The report without credentials. Whatever shows or keeps anything of a run does it by the report; what differs is
    shown as it is, but for what is certainly one."""
    return cut_all(report, frozenset(["findings"]))


def plan_only(config: Config, processes: Processes, environ: Mapping[str, str], cwd: Path, display: Display) -> Planned:
    """What `check` would work on, which of its outputs are in the store already, and which cache has the others.

    Raises `UsageError` for what the user can mend.
    """
    run = Run(config, Nix(processes, environ, config.options), cwd, environ, display)
    try:
        return _look_ahead(run)
    except NixError as error:
        raise UsageError(str(error)) from None


def _look_ahead(run: Run) -> Planned:
    open_verified(run)
    plan = plan_run(run)
    for attr, words in run.broken.items():
        run.warn(f"{attr} does not evaluate: {words}")
    derivations = [plan.derivations[path] for path in dict.fromkeys([*plan.targets, *plan.installables.values()])]
    present = present_outputs(run.nix, derivations)
    missing = [
        o.path for drv in derivations for o in drv.outputs.values() if o.path is not None and o.path not in present
    ]
    caches = run.lookups.others(run.realiser.trusted_to_answer())
    where = caches.where(missing)
    for url, why in caches.unreachable.items():
        run.warn(f"cache {url}: {why}")
    for incident in run.realiser.incidents():
        run.warn(incident.line())
    release = run.nix.release()
    found, verification = foretell(
        run, planned_derivations(plan, present, {path: cut(url) for path, url in where.items()})
    )
    return Planned(
        tool=f"nix-repro {__version__}",
        system=run.nix.settings()["system"],
        nix_version=release.version,
        nix_implementation=release.implementation,
        scope=run.config.scope,
        installables=dict(plan.installables),
        derivations=found,
        upstream_unreachable=plan.upstream_unreachable,
        verification=verification,
        warnings=tuple(run.warnings),
    )


def _work(run: Run, held: ExitStack) -> None:
    """`held` keeps the locks of the stores until the report is made: what it explains is in them."""
    open_verified(run)
    plan = plan_run(run)
    if run.config.rebuilder == "shadow" and os.getuid() != 0:
        run.display.phase("asking sudo for root's rights: it may want your password")
    rebuilder = choose(run.config.rebuilder, run.nix, run.environ, lambda: _release_roots(run), run.warn)
    run.varied = varied(run.config.vary, run.config.rounds, run.machine, rebuilder, run.conditions)
    held.enter_context(_store_lock(run, alone=rebuilder.alone))
    # Not before: to another run, what is rooted is in use.
    add_roots(run.nix, plan.tops, run.work / "roots")
    open_ledger(run, held)
    plan = build_and_rebuild(run, plan, rebuilder)
    explain_divergences(run, plan, rebuilder)
    explain_by_date(run)
    compare_divergences(run, rebuilder)
    fetch_changed(run, plan)
    run.nix.processes.check()
    keep_verified(run, plan)


@contextmanager
def _store_lock(run: Run, *, alone: bool) -> Iterator[None]:
    began = time.monotonic()

    def wait() -> None:
        run.display.waiting("for another run of nix-repro, which is using this store")

    with locked(Path(run.nix.store_dir()), alone=alone, waiting=wait, pause=run.nix.processes.pause):
        run.display.waiting("")
        if (waited := time.monotonic() - began) >= 1:
            run.warn(f"waited {seconds(waited)} for another run of nix-repro on this store")
        yield


def _release_roots(run: Run) -> None:
    for roots in (run.work / "roots", run.work / BASE / "roots"):
        for link in roots.glob("out*"):
            link.unlink()
