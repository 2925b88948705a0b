"""The test phase."""

from __future__ import annotations

import shlex

from nix_repro.build.suite import run_checks, run_command
from nix_repro.nix.log.recorder import Recorder
from nix_repro.plan.scope import Plan
from nix_repro.report import SuiteRun
from nix_repro.run import Run


def run_tests(run: Run, plan: Plan) -> None:
    wanted = run.config.test
    if wanted == "none":
        return
    with run.phase("test", "testing" if wanted == "checks" else f"testing: {shlex.join(wanted)}"):
        if wanted == "checks":
            before = {activity.name for activity in run.recorder.builds}
            run.test = run_checks(run.nix, run.realiser, run.limits, Recorder(watcher=run.display), before, run.cwd)
        elif not run.seen.built().keys() >= set(plan.targets):
            run.test = SuiteRun(command=shlex.join(wanted), status="not-run", log="the build did not succeed")
        else:
            run.test = run_command(run.nix, tuple(wanted), run.cwd)
            run.nix.processes.check()
