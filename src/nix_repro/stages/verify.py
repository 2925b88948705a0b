"""Building and building again, with what is remembered of both: of the plan, and of what the base has."""

from __future__ import annotations

from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.plan.scope import Plan
from nix_repro.run import Run
from nix_repro.stages.build import build_targets
from nix_repro.stages.rebuild import rebuild_targets
from nix_repro.stages.remember import recollect, remember
from nix_repro.stages.suite import run_tests


def build_and_rebuild(run: Run, plan: Plan, rebuilder: Rebuilder) -> Plan:
    """Build the plan's targets, test, rebuild what is not verified, and judge. Returns the plan that is known then."""
    plan = build_targets(run, plan)
    # What is known is what others have built: this run's own builds come after it.
    recollect(run, plan)
    remember(run, plan)
    run_tests(run, plan)
    rebuild_targets(run, plan, rebuilder)
    remember(run, plan)
    # A signal that came while something had to be finished was not heard: what it cut short is no finding.
    run.nix.processes.check()
    run.judge()
    return plan
