"""Drafts of findings, one for each cause in each path, and what ties one that follows from another to its source."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nix_repro.explain.causes.derived import DIGEST_LENGTHS, Digested, Sources
from nix_repro.explain.causes.evidence import Evidence
from nix_repro.explain.causes.gather import PARTS
from nix_repro.explain.compare.names import VARIABLE
from nix_repro.report import Cause, Confidence

RANK: dict[Confidence, int] = {"proved": 0, "high": 1, "low": 2}
#: Pieces of evidence that are remembered of one draft, because of the tokens in them.
MOST = 256
#: Smaller sizes (bytes) may equal another number by chance.
SMALL = 1000

#: What a draft's evidence has in common: one sure place does not make the others sure.
Key = tuple[str, Cause, Confidence, bool, bool, bool]


@dataclass
class Draft:
    """The evidence for one cause in one path, while more of it may come. `opaque` is that of which every token may be a
    digest or a size of something else. `checked` says that the tie to the source was computed, not guessed; `limit` is
    the most that may be claimed of it."""

    path: str
    best: Evidence
    places: int = 1
    source: str | None = None
    words: str = ""
    opaque: list[Evidence] = field(default_factory=list)
    checked: bool = False
    limit: Confidence = "proved"

    def key(self) -> Key:
        best = self.best
        return self.path, best.cause, best.confidence, best.derived, best.named, bool(self.opaque)


def collect(drafts: dict[Key, Draft], path: str, evidence: Evidence) -> None:
    draft = Draft(path, evidence, opaque=[evidence] if evidence.tokens else [])
    known = drafts.setdefault(draft.key(), draft)
    if known is draft:
        return
    if evidence.tokens and len(known.opaque) >= MOST:
        collect(drafts, path, replace(evidence, tokens=()))
        return
    known.places += 1
    known.opaque += draft.opaque


def settle(drafts: list[Draft], sources: Sources) -> list[Draft]:
    """Ties derived drafts to what they derive from. None is dropped: what is not tied to another one is a cause of its
    own, however unsure, beside however sure a one."""
    kept = _tie(drafts, sources)
    roots = [draft.path for draft in kept if draft.source is None and not draft.best.derived and not draft.best.named]
    for draft in kept:
        if draft.best.derived and draft.source is None:
            inside = (path for path in roots if path == draft.path or path.startswith(f"{draft.path}!"))
            if (source := next(inside, None)) is not None:
                draft.source, draft.words = source, draft.best.because
    parts = {_shape(draft) for draft in kept if draft.best.form == PARTS}
    return _joined([_inherited(_part(draft, parts), kept) for draft in kept])


def _tie(drafts: Sequence[Draft], sources: Sources) -> list[Draft]:
    """The drafts with those that are digests or sizes of what differs elsewhere tied to that. A draft of which only a
    part is, becomes two."""
    tied = _merged(piece for draft in drafts for piece in _tied(draft, sources))
    for draft in tied:
        # A directory may have the first digits of what is in it for its name.
        if draft.best.named and draft.source is None:
            for other in tied:
                if other.best.named and other.checked and other.path.startswith(draft.path + "/"):
                    draft.source, draft.words, draft.checked = other.source, other.words, True
                    break
    return tied


def _merged(drafts: Iterable[Draft]) -> list[Draft]:
    """One derived draft for each path: a digest says more than the size beside it."""
    kept: list[Draft] = []
    known: dict[tuple[str, bool], Draft] = {}
    for draft in drafts:
        if draft.source is None:
            kept.append(draft)
            continue
        first = known.setdefault((draft.path, draft.best.named), draft)
        if first is draft:
            kept.append(draft)
            continue
        first.places += draft.places
        if RANK[draft.limit] < RANK[first.limit]:
            first.best, first.source, first.words, first.limit = draft.best, draft.source, draft.words, draft.limit
    return kept


def _tied(draft: Draft, sources: Sources) -> Iterator[Draft]:
    if not draft.opaque:
        yield draft
        return
    hits: list[tuple[Evidence, Digested, str]] = []
    rest: list[Evidence] = []
    for evidence in draft.opaque:
        own = evidence.named
        found = [sources.find(*tokens, draft.path, own=own) for tokens in evidence.tokens]
        hits += [(evidence, *hit) for hit in found if hit is not None]
        # A name is one thing, however it is cut into tokens.
        if not any(found) if own else None in found:
            rest.append(evidence)
    if rest:
        yield Draft(draft.path, _with_length(rest), len(rest), opaque=rest)
    yield from _derived(draft, hits)


def _with_length(rest: Sequence[Evidence]) -> Evidence:
    """The first of what is no digest of anything known, with what its length tells."""
    tokens = [tokens for evidence in rest for tokens in evidence.tokens]
    if rest[0].named or not all(len(a) == len(b) and len(a) in DIGEST_LENGTHS for a, b in tokens):
        return rest[0]
    words = f"{rest[0].because}; it has the length of a digest, perhaps over what else differs"
    return replace(rest[0], because=words)


def _derived(draft: Draft, hits: Sequence[tuple[Evidence, Digested, str]]) -> Iterator[Draft]:
    for of_input in (False, True):
        chosen = [hit for hit in hits if hit[1].of_input == of_input]
        if not chosen:
            continue
        evidence, source, kind = next((hit for hit in chosen if hit[2] != "size"), chosen[0])
        places = len({id(hit[0]) for hit in chosen})
        if of_input:
            words = f"it is the {kind} of the input's {source.path}, on either side"
            best = replace(evidence, cause="propagated", confidence="high", because=words, form="content")
            yield Draft(draft.path, best, places)
            continue
        words = f"it is the {kind} of {source.path}, on either side"
        if source.path == draft.path:
            words = f"its name is the {kind} of its content, on either side"
        small = kind == "size" and min(source.sizes) < SMALL
        yield Draft(draft.path, evidence, places, source.path, words, checked=True, limit="low" if small else "proved")


def _shape(draft: Draft) -> bytes:
    """The path without what may change in it."""
    return VARIABLE.sub(b"*", draft.path.encode())


def _part(draft: Draft, shapes: Container[bytes]) -> Draft:
    """Parts of something that was cut into as many as there were cores, of these `shapes`, differ in content too."""
    if draft.best.cause != "unknown" or _shape(draft) not in shapes:
        return draft
    words = "it is one of the parts of which there are as many as the build had cores"
    return replace(draft, best=replace(draft.best, cause="parallelism", because=words, form=PARTS))


def _inherited(draft: Draft, drafts: Sequence[Draft]) -> Draft:
    """A derived draft takes the cause of the best draft of its source, or of what that in turn derives from."""
    if draft.source is None or not (roots := _roots(draft, drafts)):
        return draft
    root = min(roots, key=order)
    best = draft.best
    known: Confidence = root.best.confidence if draft.checked else "low"
    confidence = max(known, draft.limit, key=RANK.__getitem__)
    evidence = replace(best, cause=root.best.cause, confidence=confidence, because=draft.words, form="", derived=True)
    return replace(draft, best=evidence)


def _roots(draft: Draft, drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts that are no derived ones, of a source or of the source's own one: a digest of digests."""
    asked: set[str] = set()
    source = draft.source
    while source is not None and source not in asked:
        asked.add(source)
        file = source.split("!")[0]
        inside = [
            other
            for other in drafts
            if other is not draft and not other.best.named and (other.path + "!").startswith(source + "!")
        ]
        inside = inside or [other for other in drafts if other is not draft and other.path.split("!")[0] == file]
        roots = [other for other in inside if other.source is None]
        if roots:
            return roots
        source = next((other.source for other in inside if other.source not in asked), None)
    return []


def _joined(drafts: Sequence[Draft]) -> list[Draft]:
    """Drafts that say the same of one path, as one."""
    by_key: dict[tuple[str, Cause, Confidence, str | None, bool], Draft] = {}
    for draft in drafts:
        best = draft.best
        known = by_key.setdefault((draft.path, best.cause, best.confidence, draft.source, best.named), draft)
        if known is not draft:
            known.places += draft.places
    return list(by_key.values())


def order(draft: Draft) -> tuple[bool, int, bool]:
    """Sorts the surest root first, and what is derived last."""
    return draft.source is not None, RANK[draft.best.confidence], draft.best.cause == "unknown"
