"""Allow rules: what diverges, is known to, and fails no run. Pure.

A divergence is known when rules cover every output that differs, and, where they are about a cause, everything that was
found to differ there. What differs through an input is as known as that input is; a build that failed is never excused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase, translate
from typing import Literal

import msgspec

from nix_repro.parts import RuleState, RuleUse
from nix_repro.plan.installables import attribute_name
from nix_repro.report import Cause, DerivationReport, Mark

#: Names of what a rule matches that the report has of it.
EXAMPLES = 5


@dataclass(frozen=True)
class AllowRule:
    """One rule, as the configuration has it in a line of a file. `name` is a derivation's name, an attribute's, or a
    pattern (`*`, `?`, `[…]`); it holds until the end of the day `until`, in UTC, for this `output` and `cause` only."""

    name: str
    reason: str
    until: date | None = None
    output: str | None = None
    cause: Cause | None = None
    file: str = ""
    line: int = 0

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """What it is about."""
        return self.name, self.output, self.cause

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def pattern(self) -> str:
        """What has to match: of an installable as people write it, the attribute."""
        return self.name.rpartition("#")[2]

    @property
    def exact(self) -> bool:
        """Whether it names one thing."""
        return not any(sign in self.pattern for sign in "*?[")


@dataclass(frozen=True)
class Reach:
    """What a run could have found: the `names` (derivations', attributes') of what it left out, and whether it looked
    at `everything` there is for `system`."""

    system: str
    names: Collection[str] = ()
    everything: bool = False


#: The second part of an attribute path, if that is a system or a pattern of some. A version has such dots, too.
_SYSTEM = re.compile(r"[^.]*\.([a-z0-9_*?]+-[a-z0-9*?]+)\.[^.]")
#: What a derivation says of a rule that matches it: it needs it, no difference was found where it allows one, there
#: is no such output or cause, or nobody can tell.
_Need = Literal["needed", "same", "absent", "open"]


def apply(
    rules: Sequence[AllowRule], derivations: Sequence[DerivationReport], today: date, reach: Reach
) -> tuple[list[DerivationReport], tuple[RuleUse, ...]]:
    """The derivations with `known` on what is allowed to diverge and what differs because of it, and why as their
    reasons; and what is to be said of each rule."""
    matched = _matched(rules, derivations)
    of: dict[int, list[AllowRule]] = {}
    for rule, found in zip(rules, matched, strict=True):
        for number in found:
            of.setdefault(number, []).append(rule)
    judged = [_judged(d, of.get(number, ()), today) for number, d in enumerate(derivations)]
    said = [
        _said(rule, [derivations[number] for number in found], today, reach)
        for rule, found in zip(rules, matched, strict=True)
    ]
    return _with_victims(judged), tuple(said)


def names(name: str, attrs: Iterable[str]) -> Iterator[str]:
    """What a rule can call a derivation: its name, its attribute paths, and what these lead to."""
    yield name
    for attr in attrs:
        yield attr.rpartition("#")[2]
        yield from short(attr)


def short(attr: str) -> Iterator[str]:
    """What an attribute path leads to, as people name it. A store path is none."""
    if not attr.startswith("/"):
        yield attribute_name(attr.rpartition("#")[2])


def _matched(rules: Sequence[AllowRule], derivations: Sequence[DerivationReport]) -> list[list[int]]:
    """The places of the derivations that each rule matches."""
    called: dict[str, list[int]] = {}
    for number, derivation in enumerate(derivations):
        for name in set(names(derivation.name, derivation.attrs)):
            called.setdefault(name, []).append(number)
    return [sorted({n for name in _matching(rule, called) for n in called[name]}) for rule in rules]


def _matching(rule: AllowRule, known: Collection[str]) -> Iterable[str]:
    if rule.exact:
        return [rule.pattern] if rule.pattern in known else []
    matches = re.compile(translate(rule.pattern)).match
    # A name that has such signs itself is meant as it is, too.
    return [name for name in known if name == rule.pattern or matches(name)]


def _judged(derivation: DerivationReport, rules: Sequence[AllowRule], today: date) -> DerivationReport:
    """With the mark and the reason that the rules which match it give."""
    if derivation.verdict != "divergent" or not rules:
        return derivation
    active = [rule for rule in rules if not _expired(rule, today)]
    if not active:
        reason = f"no longer allowed: {'; '.join(f'{rule.place} expired on {rule.until}' for rule in rules)}"
        return msgspec.structs.replace(derivation, reason=reason)
    left = [said for output in _differing(derivation) if (said := _uncovered(derivation, output, active)) is not None]
    if left:
        narrowed = ", ".join(dict.fromkeys(map(narrowing, active)))
        too = " too" if any(_need(rule, derivation) == "needed" for rule in active) else ""
        return msgspec.structs.replace(derivation, reason=f"allowed for {narrowed}; {', '.join(left)}{too}")
    why = dict.fromkeys(allowance(rule) for rule in active if _need(rule, derivation) == "needed")
    marks: tuple[Mark, ...] = (*derivation.marks, "known")
    return msgspec.structs.replace(derivation, marks=marks, reason="; ".join(why))


def allowance(rule: AllowRule | RuleUse) -> str:
    """Why something may diverge, and until when."""
    return f"allowed{f' until {rule.until}' if rule.until is not None else ''}: {rule.reason}"


def narrowing(rule: AllowRule | RuleUse) -> str:
    """What a rule is restricted to, "" when it is not."""
    said = [f"{what} {value}" for what, value in (("cause", rule.cause), ("output", rule.output)) if value is not None]
    return " in ".join(said)


def _differing(derivation: DerivationReport) -> list[str]:
    return [name for name, output in derivation.outputs.items() if output.verdict == "divergent"]


def _uncovered(derivation: DerivationReport, output: str, rules: Sequence[AllowRule]) -> str | None:
    """What no rule covers of an output that differs; null when they cover all of it."""
    about = [rule for rule in rules if rule.output in (None, output)]
    if any(rule.cause is None for rule in about):
        return None
    if not about:
        return f"{output} differs"
    causes = dict.fromkeys(finding.cause for finding in derivation.findings if finding.output == output)
    if not causes:
        return f"why {output} differs was not found out"
    others = [cause for cause in causes if cause not in {rule.cause for rule in about}]
    named = ["what is unknown" if cause == "unknown" else cause for cause in others]
    return f"{output} differs by {', '.join(named)}" if others else None


def _need(rule: AllowRule, derivation: DerivationReport) -> _Need:
    """What a derivation that it matches says of a rule."""
    about = {name: output for name, output in derivation.outputs.items() if rule.output in (None, name)}
    if derivation.verdict not in ("divergent", "reproducible"):
        return "open"
    if not about:
        return "absent"
    differing = [name for name, output in about.items() if output.verdict == "divergent"]
    if not differing:
        return "same" if all(output.verdict == "reproducible" for output in about.values()) else "open"
    if rule.cause is None:
        return "needed"
    causes = {finding.cause for finding in derivation.findings if finding.output in differing}
    return "needed" if rule.cause in causes else "absent" if causes else "open"


def _expired(rule: AllowRule, today: date) -> bool:
    return rule.until is not None and rule.until < today


def _said(rule: AllowRule, found: Sequence[DerivationReport], today: date, reach: Reach) -> RuleUse:
    needs = [_need(rule, derivation) for derivation in found]
    needed = [d.name for d, need in zip(found, needs, strict=True) if need == "needed"]
    others = [d.name for d, need in zip(found, needs, strict=True) if need != "needed"]
    return RuleUse(
        name=rule.name,
        reason=rule.reason,
        until=rule.until.isoformat() if rule.until is not None else None,
        output=rule.output,
        cause=rule.cause,
        file=rule.file,
        line=rule.line,
        state="expired" if _expired(rule, today) else _state(rule, needs, reach),
        matched=len(found),
        allowed=len(needed),
        examples=tuple([*needed, *others][:EXAMPLES]),
    )


def _state(rule: AllowRule, needs: Sequence[_Need], reach: Reach) -> RuleState:
    if "needed" in needs:
        return "in use"
    if "open" in needs:
        return "not compared"
    complete = reach.everything and not _of_another_system(rule, reach.system)
    if "same" in needs:
        # A pattern may be there for something that this run did not look at.
        return "now reproducible" if rule.exact or complete else "not compared"
    if needs:
        return "matches nothing"
    return "matches nothing" if complete and not _matching(rule, reach.names) else "not compared"


def _of_another_system(rule: AllowRule, system: str) -> bool:
    """Whether it names an attribute of another system."""
    found = _SYSTEM.match(rule.pattern)
    return found is not None and not fnmatchcase(system, found[1])


def _with_victims(derivations: list[DerivationReport]) -> list[DerivationReport]:
    """What differs through inputs is known if all of those are that diverge."""
    users: dict[str, list[str]] = {}
    for derivation in derivations:
        for path in derivation.inputs:
            users.setdefault(path, []).append(derivation.drv_path)
    divergent = {d.drv_path: "known" in d.marks for d in derivations if d.verdict == "divergent"}
    known, fresh = (_above(users, [p for p, known in divergent.items() if known == wanted]) for wanted in (True, False))
    victims = known - fresh

    def marked(derivation: DerivationReport) -> DerivationReport:
        if "propagated" not in derivation.marks or derivation.drv_path not in victims:
            return derivation
        marks: tuple[Mark, ...] = (*derivation.marks, "known")
        return msgspec.structs.replace(derivation, marks=marks)

    return [marked(derivation) for derivation in derivations]


def _above(users: Mapping[str, Sequence[str]], bottom: Iterable[str]) -> set[str]:
    """Everything that is built from one of `bottom`, however indirectly."""
    found: set[str] = set()
    stack = list(bottom)
    while stack:
        for path in users.get(stack.pop(), ()):
            if path not in found:
                found.add(path)
                stack.append(path)
    return found
