"""How the marks on a verdict are said, and whether the base has a divergence too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from nix_repro.report import DerivationReport, Mark
from nix_repro.text import plural

#: What the marks mean, for people.
_MARKS: dict[Mark, str] = {
    "new": "new",
    "known": "known",
    "intermittent": "intermittent",
    "propagated": "differs only because an input does",
    "time-bomb": "stops building when the clock is ahead",
}
#: Whether the base has it.
_SAID = {
    "new": "the base does not have it",
    "old": "the base has it too",
    "unknown": "not known whether the base has it",
}


def beside(derivation: DerivationReport) -> str:
    """What is said beside a divergence's name when the base has it too. That it is new, a mark says."""
    found = derivation.on_base
    return _SAID["old"] if found is not None and found.standing == "old" else ""


def at_length(derivation: DerivationReport) -> str:
    """Whether the base has a divergence, and how that is known; empty where there is no base."""
    found = derivation.on_base
    return f"{_SAID[found.standing]}: {found.because}" if found is not None else ""


def divergences(derivations: Collection[DerivationReport], of_all: str = "") -> str:
    """How many of these, which diverge, are new, and how many the base has too; empty where that is known of none.
    `of_all` says in how many derivations."""
    found = Counter(d.on_base.standing for d in derivations if d.on_base is not None)
    new, old = found["new"], found["old"]
    if not (new or old):
        return ""
    said = [plural(new, "new divergence") + of_all] if new else []
    if old:
        alone = f"{plural(old, 'divergence')} that the base has too{of_all and ','}{of_all}"
        said.append(f"{old:,} that the base has too" if said else alone)
    if unknown := len(derivations) - new - old:
        said.append(f"not known of {unknown:,} more")
    return "; ".join(said)


def marks(derivation: DerivationReport) -> list[tuple[Mark | None, str]]:
    """The marks on a verdict, each in words, and whether the base has it too."""
    found = [(mark, _mark(derivation, mark)) for mark in _MARKS if mark in derivation.marks]
    return [*found, (None, said)] if (said := beside(derivation)) else [*found]


def how_often(derivation: DerivationReport) -> str:
    """Of something intermittent, in how many rebuilds it differed, or how many builds failed; empty when that is not
    known."""
    ended = [build.status for build in derivation.builds if build.status in ("built", "failed")]
    if derivation.verdict == "rebuild-failed" and ended:
        return f"{ended.count('failed')} of {plural(len(ended), 'build')} failed"
    rebuilds = plural(derivation.rebuilds, "rebuild")
    return f"differed in {derivation.differed} of {rebuilds}" if derivation.rebuilds else ""


def _mark(derivation: DerivationReport, mark: Mark) -> str:
    often = how_often(derivation) if mark == "intermittent" else ""
    return f"{_MARKS[mark]}: {often}" if often else _MARKS[mark]
