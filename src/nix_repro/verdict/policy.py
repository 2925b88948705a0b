"""What each thing that was found means for the run: the one place that decides what fails. Whatever concludes from a
report or shows it asks here. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from nix_repro.parts import RuleState, RuleUse
from nix_repro.reasons import recall
from nix_repro.report import DerivationReport, Mark, Target

FailOn = Literal[
    "divergence",
    "new-divergence",
    "overrun",
    "build-failure",
    "unverified",
    "time-bomb",
    "expired-rule",
    "unexpected-pass",
]
FAIL_ON: tuple[str, ...] = get_args(FailOn)
DEFAULT_FAIL_ON: tuple[str, ...] = ("divergence", "overrun", "build-failure")
#: States of a rule that a run can be asked to fail on.
_STALE: dict[RuleState, FailOn] = {"expired": "expired-rule", "now reproducible": "unexpected-pass"}
Meaning = Literal["passes", "settled", "open", "unshown", "inherited", "excused", "old", "diverges", "failed"]


@dataclass(frozen=True)
class Standing:
    """What a derivation's verdict, marks and reason come to.

    `meaning` is `passes` when no difference was found; `settled` or `open` when it is unverified, for a reason that
    leaves nothing open or a question; `unshown` when it is unverified because the check could not show a build that
    was asked for, which fails a run whatever `fail_on` lists; `inherited` when it is the same by itself and differs
    through an input; `excused` when it diverges and a rule allows it; `old` when it diverges on the base too and only
    new ones fail; `diverges`; `failed` when it could not be built, or will not be one day and that is to fail.
    `word` is the one of `fail_on` that it falls under, None when `fail_on` lists none of them. `undecided`: only new
    divergences fail, and nobody can tell whether it is one, which is an open question.
    """

    meaning: Meaning
    word: FailOn | None = None
    undecided: bool = False

    @property
    def fails(self) -> bool:
        """Whether the run fails because of it. For what differs through an input, that input fails the run."""
        return self.word is not None and self.meaning != "inherited"


def standing(derivation: DerivationReport, fail_on: Collection[str]) -> Standing:
    """Where a derivation stands in a run that fails on the words of `fail_on`."""
    match derivation.verdict:
        case "divergent":
            return _divergent(derivation, fail_on)
        case "build-failed" | "rebuild-failed":
            return Standing("failed", _listed(fail_on, "build-failure"))
        case "unverified":
            reason = recall(derivation.reason)
            if reason.settled:
                return Standing("settled")
            if reason.failure:
                return Standing("unshown", "unverified")
            return Standing("open", _listed(fail_on, "unverified"))
        case "reproducible":
            if "time-bomb" in derivation.marks and "time-bomb" in fail_on:
                return Standing("failed", "time-bomb")
            if "propagated" in derivation.marks:
                return Standing("inherited", _listed(fail_on, *_differing(derivation.marks)))
            return Standing("passes")


def _divergent(derivation: DerivationReport, fail_on: Collection[str]) -> Standing:
    word = _listed(fail_on, *_differing(derivation.marks))
    if word is not None:
        # Whether or not it is allowed as it is: one that the base does not have can be asked to fail all the same.
        return Standing("diverges", word)
    if "known" in derivation.marks:
        return Standing("excused")
    if "new-divergence" not in fail_on:
        return Standing("diverges")
    if derivation.on_base is not None and derivation.on_base.standing == "old":
        return Standing("old")
    return Standing("diverges", _listed(fail_on, "unverified"), undecided=True)


def overrun_fails(target: Target, fail_on: Collection[str]) -> bool:
    """Whether the run fails because of this target: one that could not be measured was not exceeded, and one that
    nobody has set outside CI is advice."""
    return target.ok is False and not target.advisory and "overrun" in fail_on


def stale(rule: RuleUse, fail_on: Collection[str]) -> FailOn | None:
    """The word of `fail_on` by which an allow rule fails the run, None when it does not."""
    word = _STALE.get(rule.state)
    return word if word in fail_on else None


def _differing(marks: Collection[Mark]) -> tuple[FailOn, ...]:
    """The words that a difference falls under."""
    return (*(("divergence",) if "known" not in marks else ()), *(("new-divergence",) if "new" in marks else ()))


def _listed(fail_on: Collection[str], *words: FailOn) -> FailOn | None:
    return next((word for word in words if word in fail_on), None)
