"""Commit statuses: one line on the pull request's list of checks for the run, and one for each installable."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple

from nix_repro import text as wording
from nix_repro.errors import interrupted
from nix_repro.output.render import escape, phrases
from nix_repro.output.render.marks import beside
from nix_repro.verdict.policy import standing

if TYPE_CHECKING:
    from nix_repro.report import DerivationReport, Report
    from nix_repro.verdict.policy import Meaning

#: GitHub's limits, in characters.
CONTEXT_LIMIT = 255
DESCRIPTION_LIMIT = 140
#: How many installables get a status of their own. A wall of them hides the ones that matter.
INSTALLABLES = 20

StatusState = Literal["success", "failure", "error", "pending"]


class CommitStatus(NamedTuple):
    """One status as GitHub's API takes it."""

    context: str
    state: StatusState
    description: str
    target_url: str | None


def _context(run_id: str, attr: str | None = None) -> str:
    """The name of a status. It depends on the id and the attribute alone: branch protection goes by it. Names that are
    too long are cut and told apart by a hash of the whole."""
    name = f"nix-repro ({escape.visible(run_id)})" + (f": {escape.visible(attr)}" if attr else "")
    if len(name) <= CONTEXT_LIMIT:
        return name
    return f"{name[: CONTEXT_LIMIT - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _of(derivation: DerivationReport, fail_on: tuple[str, ...]) -> tuple[StatusState, str]:
    """State and description for one installable. What `fail-on` does not name never makes a status red."""
    found = standing(derivation, fail_on)
    # What differs through an input does not fail the run by itself; but it does differ, and somebody has named it.
    state: StatusState = (
        "success" if found.word is None else "error" if found.meaning in {"open", "unshown"} else "failure"
    )
    return state, _said(derivation, found.meaning)


def _said(derivation: DerivationReport, meaning: Meaning) -> str:
    reason = f": {derivation.reason}" if derivation.reason else ""
    match meaning:
        case "passes":
            return f"No difference found in {wording.plural(len(derivation.outputs), 'output')}"
        case "inherited":
            return "Differs because an input diverges"
        case "excused" | "old" | "diverges":
            best = next(iter(derivation.findings), None)
            where = f": {best.cause} in {best.path or best.output}" if best else reason
            told = "new" if "new" in derivation.marks else beside(derivation)
            against_base = f" ({told})" if told else ""
            return f"Known divergence{reason or where}" if meaning == "excused" else f"Diverges{against_base}{where}"
        case "failed":
            return ("Build failed" if derivation.verdict == "build-failed" else "Rebuild failed") + reason
        case "open" | "unshown" | "settled":
            return "Unverified" + reason


def commit_statuses(
    report: Report, *, run_id: str, run_url: str | None, per_installable: bool = True
) -> list[CommitStatus]:
    """The overall status first, then one per installable in the order of their names, `INSTALLABLES` at most."""
    said = phrases.headline(report).sentence
    cost = phrases.verification_cost(report)
    if cost is not None:
        said += f" · verification +{wording.seconds(cost)}"
    state: StatusState = "failure" if report.conclusion == "fail" else "success"
    if report.conclusion == "inconclusive":
        # Open questions that `fail-on` does not name are said, and are no failure; an interrupted run is no answer.
        said = f"Inconclusive: {said}"
        state = "error" if interrupted(report.exit_code) else "success"
    statuses = [CommitStatus(_context(run_id), state, escape.visible(said, DESCRIPTION_LIMIT), run_url)]
    if per_installable:
        named = sorted({attr: d for d in report.derivations for attr in d.attrs}.items())
        for attr, derivation in named[:INSTALLABLES]:
            state, said = _of(derivation, report.fail_on)
            statuses.append(
                CommitStatus(_context(run_id, attr), state, escape.visible(said, DESCRIPTION_LIMIT), run_url)
            )
    return statuses
