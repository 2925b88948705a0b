"""Allow rules as people are told of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from nix_repro.parts import RuleState, RuleUse
from nix_repro.text import plural, some
from nix_repro.verdict.allow import narrowing
from nix_repro.verdict.policy import stale

#: Characters of a reason where other things are said as well.
_BRIEF = 120
#: The states that somebody should look at, worst first, and what they are called where they are counted.
_OUTDATED: dict[RuleState, str] = {
    "expired": "expired",
    "now reproducible": "no longer needed",
    "matches nothing": "matching nothing",
}
_COUNTED = {"in use": "in use", **_OUTDATED, "not compared": "about nothing that was compared"}
SYMBOLS: dict[RuleState, str] = {
    "in use": "🟡",
    "expired": "⌛",
    "now reproducible": "✅",
    "matches nothing": "❔",
    "not compared": "➖",
}


def outdated(rules: Iterable[RuleUse]) -> list[RuleUse]:
    """The rules that somebody should look at, worst first."""
    order = [*_OUTDATED]
    return sorted((rule for rule in rules if rule.state in order), key=lambda rule: order.index(rule.state))


def urgent_first(rules: Sequence[RuleUse]) -> list[RuleUse]:
    """All rules, those that somebody should look at first."""
    return [*outdated(rules), *(rule for rule in rules if rule.state not in _OUTDATED)]


def counted(rules: Sequence[RuleUse]) -> str:
    """How many rules there are, and in which states."""
    states = Counter(rule.state for rule in rules)
    return f"{plural(len(rules), 'allow rule')}: " + ", ".join(
        f"{states[state]:,} {words}" for state, words in _COUNTED.items() if states[state]
    )


def failing(rules: Iterable[RuleUse], fail_on: Collection[str]) -> list[str]:
    """The rules that fail the run, counted."""
    states = Counter(rule.state for rule in rules if stale(rule, fail_on) is not None)
    return [f"{plural(states[state], 'allow rule')} {words}" for state, words in _OUTDATED.items() if states[state]]


def divergences(count: int, total: int, rules: Iterable[RuleUse], *, others: bool) -> str:
    """That so many of all diverge and are known, why, and until when; `others` diverge too, or are wrong otherwise."""
    if others:
        said = plural(count, "known divergence")
    elif total == 1:
        said = "the one derivation in scope diverges, known"
    else:
        said = f"{count:,} of {plural(total, 'derivation')} {'diverges' if count == 1 else 'diverge'}, known"
    why = some([*dict.fromkeys(_because(rule) for rule in rules if rule.state == "in use")], 2)
    return f"{said}: {why}" if why else said


def _because(rule: RuleUse) -> str:
    brief = rule.reason if len(rule.reason) <= _BRIEF else f"{rule.reason[: _BRIEF - 1]}…"
    return f"{brief} until {rule.until}" if rule.until is not None else brief


def place(rule: RuleUse) -> str:
    """Where it stands."""
    return f"{rule.file}:{rule.line}"


def about(rule: RuleUse) -> str:
    """What it is for."""
    only = narrowing(rule)
    return f"{rule.name} ({only})" if only else rule.name


def state(rule: RuleUse) -> str:
    """What this run says of it."""
    match rule.state:
        case "in use":
            return f"allows {plural(rule.allowed, 'divergence')}"
        case "expired":
            still = "what it allowed still differs" if rule.allowed else "nothing was found that it would allow"
            return f"expired on {rule.until}, and {still}"
        case "now reproducible":
            return "not needed this time, as no difference was found"
        case "matches nothing":
            return "allows nothing that was found to differ" if rule.matched else "matches nothing"
        case "not compared":
            return "nothing that it is about was compared"


def advice(rule: RuleUse) -> str:
    """What to do about it; empty where it is fine."""
    match rule.state:
        case "expired" if rule.allowed:
            return "mend what diverges, or give the rule another day"
        case "now reproducible":
            return "remove the rule, unless it differs only now and then, which more rounds would show (rounds: 5)"
        case "expired":
            return "remove the rule"
        case "matches nothing":
            return f"mend its {'output or cause' if rule.matched else 'name'}, or remove the rule"
        case _:
            return ""
