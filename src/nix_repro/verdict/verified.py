"""What of a run may be handed on: outputs that are verified, and stand on nothing that is known to diverge. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nix_repro.nix.graph import above
from nix_repro.plan.scope import Plan
from nix_repro.verdict.verdict import Judged


def verified_outputs(plan: Plan, judged: Mapping[str, Judged]) -> dict[str, str]:
    """The narHash (SRI) of every output that may be handed on, by path, dependencies first.

    A derivation goes as a whole: an output that is fetched beside one that is built would come from another build.
    What is content-addressed is left out, and what is made of it: their paths alone tell nobody what they are.
    """
    out = _on_divergence(plan, judged)
    return {
        output.path: output.hashes[0].nar_hash
        for drv_path in plan.targets
        if drv_path not in out and drv_path in judged and judged[drv_path].verdict == "reproducible"
        if not plan.derivations[drv_path].found_later
        for output in judged[drv_path].outputs.values()
        if output.path is not None and output.hashes
    }


def withdrawn_outputs(plan: Plan, judged: Mapping[str, Judged]) -> set[str]:
    """The paths that are not to be handed on any more, whatever was known of them before."""
    return {
        output.path
        for drv_path in _on_divergence(plan, judged)
        for output in plan.derivations[drv_path].outputs.values()
        if output.path is not None
    }


def _on_divergence(plan: Plan, judged: Mapping[str, Judged]) -> set[str]:
    """What diverges, differed because an input does, or is above such a one: it was made of what another machine does
    not have."""
    divergent = {
        drv_path for drv_path, one in judged.items() if one.verdict == "divergent" or "propagated" in one.marks
    }
    return divergent | above(plan.derivations, divergent)


def downloads(plan: Plan) -> set[str]:
    """The paths of the plan whose content their derivation fixes."""
    return {
        output.path
        for drv in plan.derivations.values()
        for output in drv.outputs.values()
        if output.fixed and output.path is not None
    }


def whole(references: Mapping[str, Collection[str]], elsewhere: Collection[str]) -> set[str]:
    """Those of the paths, given with what they refer to, whose references are all among them or `elsewhere`: whoever
    fetches one of the others could not do so without building what it refers to."""
    there = {*references, *elsewhere}
    users: dict[str, list[str]] = {}
    for path, used in references.items():
        for reference in used:
            users.setdefault(reference, []).append(path)
    out: set[str] = set()
    left = [path for path, used in references.items() if not there.issuperset(used)]
    while left:
        if (path := left.pop()) not in out:
            out.add(path)
            # What is elsewhere as well is there all the same.
            left += users.get(path, ()) if path not in elsewhere else ()
    return references.keys() - out
