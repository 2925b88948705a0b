"""The step summary: GitHub-flavoured Markdown that a person can read in ten seconds.

One verdict line, one table, the divergences, then everything else folded. GitHub drops a summary over 1 MiB whole, so
what does not fit is left out a section at a time, in the order of `LEFT_OUT_FIRST`, and the summary says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nix_repro import text as wording
from nix_repro.output.render import allowed, phrases
from nix_repro.output.render.markdown import render
from nix_repro.output.render.timeline import timeline
from nix_repro.reasons import recall

if TYPE_CHECKING:
    from nix_repro.report import DerivationReport, Report

#: GitHub's limit is 1 MiB for everything a step writes; the rest is a margin.
SUMMARY_LIMIT = 1_000_000
#: What goes first when not everything fits, with the words that say so.
LEFT_OUT_FIRST = {
    "others": "the table of the other derivations",
    "timeline": "the build timeline",
    "built": "why derivations were built",
    "environment": "the environment",
    "skipped": "what was not compared",
    "logs": "the logs of failed builds",
    "caches": "the cache layers",
    "messages": "warnings and cache incidents",
    "allow": "the allow rules",
    "sensitive": "what differs under other conditions",
    "divergences": "what differs in each derivation",
    "history": "the comparison with earlier runs",
    "targets": "the targets",
    "tests": "the tests and policies",
}
#: Rows of the first table when there is trouble.
_ROWS = 40
#: Rows of the first table when there is none.
_QUIET_ROWS = 10
#: Rows of the folded table.
_OTHER_ROWS = 400
#: Divergences explained at all.
_EXPLAINED = 25
#: Those of them that are not folded.
_UNFOLDED = 3
#: Logs of failed builds.
_LOGS = 15
#: Names of derivations that were built for one reason.
_NAMES = 20
#: Rows of other tables.
_ITEMS = 60
_FOLDED = {"allow", "others", "timeline", "caches", "built", "skipped", "environment"}
_DETAILS = "### Details\n"
#: Warnings and incidents.
_MESSAGES = 15


def _head(report: Report, rows: int) -> tuple[str, list[DerivationReport]]:
    """The verdict line and the first table with at most `rows` rows, and the derivations that are not in it."""
    ordered = phrases.failures_first(report.derivations, report.fail_on)
    urgent = sum(phrases.needs_attention(d, report.fail_on) for d in ordered)
    shown = min(max(urgent, _QUIET_ROWS), rows, len(ordered))
    text = render(
        "head",
        report,
        headline=phrases.headline(report),
        cost=phrases.verification_cost(report),
        rows=ordered[:shown],
        rebuilt=any(build.round > 1 for d in ordered for build in d.builds),
        hints=[
            (reason.text, reason.hint)
            for reason in dict.fromkeys(recall(d.reason) for d in ordered[:shown])
            if reason.hint is not None
        ],
        more_urgent=max(urgent - shown, 0),
    )
    return text, ordered[shown:]


def _sections(report: Report, others: list[DerivationReport]) -> dict[str, str]:
    """Every section that has something to say, in reading order."""
    ordered = phrases.failures_first(report.derivations, report.fail_on)
    divergent = [d for d in ordered if phrases.explained(d)]
    failed = [(d, b) for d in ordered for b in d.builds if b.log]
    caches = report.caches
    drawn = timeline(report)
    found: dict[str, str] = {}

    def add(name: str, wanted: object, **values: object) -> None:
        if wanted:
            found[name] = render(name, report, **values)

    for name, heading, derivations in (
        ("divergences", "What differs", divergent),
        ("sensitive", "The same, but not under every condition", [d for d in ordered if phrases.sensitive(d)]),
    ):
        if derivations:
            more = len(derivations) - _EXPLAINED
            shown = derivations[:_EXPLAINED]
            found[name] = render(
                "divergences", report, heading=heading, derivations=shown, more=more, unfolded=_UNFOLDED
            )
    add("logs", failed, logs=failed[:_LOGS], more=len(failed) - _LOGS)
    add("tests", report.test or any(policy.failed for policy in report.policies))
    add("targets", report.targets or report.scenario)
    add("history", report.history)
    add("messages", report.warnings or caches.incidents, limit=_MESSAGES)
    rules = allowed.urgent_first(report.allow)
    add("allow", rules, rules=rules[:_ITEMS], more=len(rules) - _ITEMS)
    add("others", others, rows=others[:_OTHER_ROWS], count=len(others), more=len(others) - _OTHER_ROWS)
    add("timeline", drawn, drawn=drawn)
    add("caches", caches.layers or caches.hit_rate is not None)
    groups = phrases.built_groups(caches.built)
    add("built", caches.built or caches.change, groups=groups[:_ITEMS], more=groups[_ITEMS:], names=_NAMES)
    add("skipped", report.skipped, limit=_ITEMS)
    add("environment", True)
    return found


def render_summary(report: Report, *, limit_bytes: int = SUMMARY_LIMIT) -> str:
    """The report as GitHub-flavoured Markdown of at most `limit_bytes` bytes in UTF-8.

    Raises `ValueError` for a limit under 4,000 bytes, into which no verdict line and table would fit.
    """
    if limit_bytes < 4000:
        raise ValueError(f"a summary needs at least 4,000 bytes, not {limit_bytes}")
    rows = _ROWS
    head, others = _head(report, rows)
    while len(head.encode()) > limit_bytes * 3 // 4 and rows:
        rows //= 2
        head, others = _head(report, rows)
    sections = _sections(report, others)
    left_out: list[str] = []
    for name, said in LEFT_OUT_FIRST.items():
        if _bytes(head, sections, left_out, limit_bytes) <= limit_bytes:
            break
        if sections.pop(name, None) is not None:
            left_out.append(said)
    return "\n".join(_parts(head, sections, left_out, limit_bytes))


def _parts(head: str, sections: dict[str, str], left_out: list[str], limit_bytes: int) -> list[str]:
    parts = [head]
    headed = not sections.keys() <= _FOLDED
    for name, section in sections.items():
        if headed and name in _FOLDED:
            # A reader takes folded lines under a heading for a part of it.
            parts.append(_DETAILS)
            headed = False
        parts.append(section)
    if left_out:
        parts.append(
            f"> **Left out** to stay under {wording.size(limit_bytes)}: {', '.join(left_out)}. The JSON report has "
            "everything.\n"
        )
    return parts


def _bytes(head: str, sections: dict[str, str], left_out: list[str], limit_bytes: int) -> int:
    return len("\n".join(_parts(head, sections, left_out, limit_bytes)).encode())
