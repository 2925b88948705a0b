"""From two trees to findings: compare, explain each difference, tie derived ones to their source, best first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.derived import DIGEST_LENGTHS, Digested, Sources
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


#: What a draft's evidence has in common: one sure place does not make the others sure.
Key = tuple[str, Cause, Confidence, bool, bool]
#: Evidence of one draft whose tokens are looked up; more is not called derived.
LOOKED_UP = 256


@dataclass
class Draft:
    """The evidence for one cause in one path, while more of it may come. `opaque` is that of which every token may be a
    digest or a size of something else."""

    path: str
    best: Evidence
    places: int = 1
    source: str | None = None
    words: str = ""
    opaque: list[Evidence] = field(default_factory=list)

    def key(self) -> Key:
        best = self.best
        return self.path, best.cause, best.confidence, best.derived, bool(self.opaque)


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


def _collect(drafts: dict[Key, Draft], path: str, evidence: Evidence) -> None:
    draft = Draft(path, evidence, opaque=[evidence] if evidence.tokens else [])
    known = drafts.setdefault(draft.key(), draft)
    if known is draft:
        return
    if evidence.tokens and len(known.opaque) >= LOOKED_UP:
        _collect(drafts, path, replace(evidence, tokens=()))
        return
    known.places += 1
    known.opaque += draft.opaque


def _settle(drafts: list[Draft], sources: Sources) -> list[Draft]:
    """Ties derived drafts to what they derive from. None is dropped: what is not tied to another one is a cause of its
    own, however unsure, beside however sure a one."""
    kept = [one for draft in drafts for one in (_looked_up(draft, sources) if draft.opaque else [draft])]
    roots = [draft.path for draft in kept if draft.source is None and not draft.best.derived]
    for draft in kept:
        if draft.best.derived and draft.source is None:
            inside = (path for path in roots if path == draft.path or path.startswith(f"{draft.path}!"))
            if (source := next(inside, None)) is not None:
                draft.source, draft.words = source, draft.best.because
    return _joined([_inherited(_part(draft, kept), kept) for draft in kept])


def _looked_up(draft: Draft, sources: Sources) -> list[Draft]:
    """The draft in up to three: what is a digest or a size of something else that differs, what is one of an input, and
    what is neither."""
    found: dict[str, Draft] = {}
    for evidence in draft.opaque:
        hits = [sources.find(*tokens, draft.path) for tokens in evidence.tokens]
        for hit in dict.fromkeys(None if hit is None else hit[0].of_input for hit in hits):
            of = {None: "", True: "input", False: "output"}[hit]
            one = Draft(draft.path, evidence, opaque=[evidence])
            known = found.setdefault(of, one)
            if known is not one:
                known.places += 1
                known.opaque.append(evidence)
            elif hit is not None:
                source, kind = next(both for both in hits if both is not None and both[0].of_input == hit)
                _tie(one, source, kind)
    if (rest := found.get("")) is not None and all(
        len(a) == len(b) and len(a) in DIGEST_LENGTHS for evidence in rest.opaque for a, b in evidence.tokens
    ):
        words = f"{rest.best.because}; it has the length of a digest, perhaps over what else differs"
        rest.best = replace(rest.best, because=words)
    return list(found.values())


def _tie(draft: Draft, source: Digested, kind: str) -> None:
    if source.of_input:
        words = f"it is the {kind} of the input's {source.path}, on either side"
        draft.best = replace(draft.best, cause="propagated", confidence="high", because=words, form="content")
    else:
        draft.source, draft.words = source.path, f"it is the {kind} of {source.path}, on either side"


def _joined(drafts: Sequence[Draft]) -> list[Draft]:
    """Drafts that say the same of one path, as one."""
    by_key: dict[tuple[str, Cause, Confidence, str | None], Draft] = {}
    for draft in drafts:
        known = by_key.setdefault((draft.path, draft.best.cause, draft.best.confidence, draft.source), draft)
        if known is not draft:
            known.places += draft.places
    return list(by_key.values())


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
    confidence: Confidence = "low" if best.derived else root.best.confidence
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
