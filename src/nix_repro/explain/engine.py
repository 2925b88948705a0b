"""From two trees to findings: compare, explain each difference, tie derived ones to their source, best first."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.derived import Sources
from nix_repro.explain.causes.fixes import DERIVED, fix_for
from nix_repro.explain.causes.gather import gather
from nix_repro.explain.causes.propagated import propagated, read_inputs
from nix_repro.explain.causes.rules import RULES
from nix_repro.explain.compare.trees import compare_trees
from nix_repro.explain.context import Context
from nix_repro.explain.drafts import Draft, Key, collect, order, settle
from nix_repro.report import Finding

#: Findings listed of one output.
MOST = 200
#: How a finding begins that says what was left out.
CUT = "not everything was compared: "


def explain_output(
    output: str, a: Path, b: Path, context: Context, budget: Budget | None = None
) -> tuple[Finding, ...]:
    """Why the trees at `a` (build) and `b` (rebuild) differ: findings, the most certain root first, derived ones after.

    Empty when the trees are equal as NARs. Whatever a tree holds, this ends within the budget and raises nothing; what
    had to be left out is said in a last finding of unknown cause.
    """
    budget = budget or Budget()
    drafts: dict[Key, Draft] = {}
    with ExitStack() as open_files:
        sources = Sources(budget, open_files)
        rules = (propagated(read_inputs(context, budget, sources)), *RULES)
        for difference in compare_trees(os.fsencode(a), os.fsencode(b), budget):
            sources.take(difference, difference.path)
            if difference.kind == "container":
                continue
            if not budget.one_difference():
                break
            for evidence in gather(difference, context, rules, budget):
                collect(drafts, difference.path, evidence)
        settled = settle(list(drafts.values()), sources)
    findings = [_finding(output, draft) for draft in sorted(settled, key=order)]
    if len(findings) > MOST:
        budget.say(f"{len(findings) - MOST} more findings are not listed")
    if budget.cut:
        findings = [*findings[:MOST], _cut(output, budget)]
    return tuple(findings)


def _finding(output: str, draft: Draft) -> Finding:
    best = draft.best
    fix = DERIVED if draft.source is not None else fix_for(best.cause, best.form, best.producer)
    more = f"; places in the file that differ: {draft.places}" if draft.places > 1 else ""
    return Finding(
        output=output,
        path=draft.path,
        cause=best.cause,
        confidence=best.confidence,
        because=printable.escape(best.because) + more,
        fix=fix.advice,
        snippet=fix.snippet,
        a=printable.snippet(best.a, best.text) or None,
        b=printable.snippet(best.b, best.text) or None,
        offset=best.offset,
        derived_from=draft.source,
    )


def _cut(output: str, budget: Budget) -> Finding:
    return Finding(
        output=output,
        path="",
        cause="unknown",
        confidence="low",
        because=CUT + "; ".join(budget.cut),
        fix="Compare the kept trees with diffoscope.",
    )
