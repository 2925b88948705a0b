"""From two trees to findings: compare, explain each difference, tie derived ones to their source, best first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.derived import DIGEST_LENGTHS, Sources
from nix_repro.explain.causes.evidence import Evidence
from nix_repro.explain.causes.fixes import DERIVED, fix_for
from nix_repro.explain.causes.gather import PARTS, gather
from nix_repro.explain.causes.propagated import propagated, read_inputs
from nix_repro.explain.causes.rules import RULES
from nix_repro.explain.compare.names import VARIABLE
from nix_repro.explain.compare.trees import compare_trees
from nix_repro.explain.context import Context
from nix_repro.report import Cause, Confidence, Finding

#: Findings listed of one output.
MOST = 200
#: How a finding begins that says what was left out.
CUT = "not everything was compared: "
RANK: dict[Confidence, int] = {"proved": 0, "high": 1, "low": 2}


@dataclass
class Draft:
    """The evidence for one cause in one path, while more of it may come."""

    path: str
    best: Evidence
    places: int = 1
    source: str | None = None
    words: str = ""
    tokens: list[tuple[bytes, bytes]] = field(default_factory=list)

    def key(self) -> tuple[str, Cause, bool]:
        return self.path, self.best.cause, self.best.derived


def explain_output(
    output: str, a: Path, b: Path, context: Context, budget: Budget | None = None
) -> tuple[Finding, ...]:
    """Why the trees at `a` (build) and `b` (rebuild) differ: findings, the most certain root first, derived ones after.

    Empty when the trees are equal as NARs. Whatever a tree holds, this ends within the budget and raises nothing; what
    had to be left out is said in a last finding of unknown cause.
    """
    budget = budget or Budget()
    drafts: dict[tuple[str, Cause, bool], Draft] = {}
    with ExitStack() as open_files:
        sources = Sources(budget, open_files)
        rules = (propagated(read_inputs(context, budget, sources)), *RULES)
        for difference in compare_trees(os.fsencode(a), os.fsencode(b), budget):
            if difference.blobs and not difference.inside:
                sources.add(difference.path, *difference.blobs)
            if difference.kind == "container":
                continue
            if not budget.one_difference():
                break
            for evidence in gather(difference, context, rules, budget):
                _collect(drafts, difference.path, evidence)
        settled = _settle(list(drafts.values()), sources)
    findings = [_finding(output, draft) for draft in sorted(settled, key=_order)]
    if len(findings) > MOST:
        budget.say(f"{len(findings) - MOST} more findings are not listed")
    if budget.cut:
        findings = [*findings[:MOST], _cut(output, budget)]
    return tuple(findings)


def _collect(drafts: dict[tuple[str, Cause, bool], Draft], path: str, evidence: Evidence) -> None:
    draft = Draft(path, evidence, tokens=list(evidence.tokens))
    known = drafts.setdefault(draft.key(), draft)
    if known is not draft:
        known.places += 1
        known.tokens.extend(evidence.tokens[: max(0, 256 - len(known.tokens))])
        if RANK[evidence.confidence] < RANK[known.best.confidence]:
            known.best = evidence


def _settle(drafts: list[Draft], sources: Sources) -> list[Draft]:
    """Ties derived drafts to what they derive from, and drops noise that another draft of the same path accounts
    for."""
    for draft in drafts:
        if draft.tokens:
            found = [sources.find(*tokens, draft.path) for tokens in draft.tokens]
            if (hit := next(filter(None, found), None)) is not None:
                source, kind = hit
                if source.of_input:
                    words = f"it is the {kind} of the input's {source.path}, on either side"
                    draft.best = replace(
                        draft.best, cause="propagated", confidence="high", because=words, form="content"
                    )
                else:
                    draft.source, draft.words = source.path, f"it is the {kind} of {source.path}, on either side"
    sure = {draft.path: draft for draft in reversed(drafts) if draft.best.confidence == "high" and draft.source is None}
    kept = []
    for draft in drafts:
        main = sure.get(draft.path)
        if main is not None and main is not draft and draft.source is None:
            if draft.best.derived:
                draft.source, draft.words = draft.path, draft.best.because
            elif draft.tokens and all(len(a) == len(b) and len(a) in DIGEST_LENGTHS for a, b in draft.tokens):
                draft.source, draft.words = (
                    draft.path,
                    "it has the length of a digest, perhaps over what else differs in the file",
                )
            elif draft.best.confidence == "low" and not draft.best.text:
                main.places += draft.places
                continue
        kept.append(draft)
    return [_inherited(_part(draft, kept), kept) for draft in kept]


def _part(draft: Draft, drafts: Sequence[Draft]) -> Draft:
    """Parts of something that was cut into as many as there were cores differ in content too."""
    shape = VARIABLE.sub(b"*", draft.path.encode())
    if draft.best.cause != "unknown" or not any(
        other.best.form == PARTS and VARIABLE.sub(b"*", other.path.encode()) == shape for other in drafts
    ):
        return draft
    words = "it is one of the parts of which there are as many as the build had cores"
    return replace(draft, best=replace(draft.best, cause="parallelism", because=words, form=PARTS))


def _inherited(draft: Draft, drafts: Sequence[Draft]) -> Draft:
    """A derived draft takes the cause of the best draft of its source, or of what that in turn derives from."""
    if draft.source is None or not (roots := _roots(draft.source, drafts)):
        return draft
    root = min(roots, key=_order)
    best = draft.best
    confidence: Confidence = root.best.confidence if draft.source != draft.path else "low"
    evidence = Evidence(root.best.cause, confidence, draft.words, best.a, best.b, best.offset, best.text, derived=True)
    return Draft(draft.path, evidence, draft.places, draft.source)


def _roots(source: str | None, drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts that are no derived ones, of a source or of the source's own one: a digest of digests."""
    asked: set[str] = set()
    while source is not None and source not in asked:
        asked.add(source)
        file = source.split("!")[0]
        roots = [other for other in drafts if other.source is None and other.path.split("!")[0] == file]
        if roots:
            return [other for other in roots if other.path.startswith(source)] or roots
        source = next((other.source for other in drafts if other.path == source), None)
    return []


def _order(draft: Draft) -> tuple[bool, int, bool]:
    return draft.source is not None, RANK[draft.best.confidence], draft.best.cause == "unknown"


def _finding(output: str, draft: Draft) -> Finding:
    best = draft.best
    fix = DERIVED if draft.source is not None else fix_for(best.cause, best.form)
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
