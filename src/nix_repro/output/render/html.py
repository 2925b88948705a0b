"""The report as one HTML file: no scripts, nothing fetched, and nothing in it that a hostile name or log could bring to
life.

The page's own policy forbids everything but its own style sheet.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from nix_repro import text as wording
from nix_repro.nix.store_path import store_name
from nix_repro.output.render import allowed, bars, escape, graph, marks, phrases
from nix_repro.output.render import snippet_diff as marking
from nix_repro.output.render.savings import remembered
from nix_repro.output.render.templating import TEMPLATES, make_environment
from nix_repro.report import SEVERITY
from nix_repro.verdict.allow import narrowing
from nix_repro.verdict.policy import Meaning, standing

if TYPE_CHECKING:
    from jinja2 import Environment

    from nix_repro.report import DerivationReport, Finding, Report

#: Divergent derivations shown with their findings.
EXPLAINED = 40
#: Those that a table names after them.
NAMED = 200
#: Findings shown of one derivation.
FINDINGS = 30
#: Those of them that are not folded.
UNFOLDED = 3
#: Rows of the table of all derivations, failures first.
ROWS = 500
#: Rows of other tables.
ITEMS = 100
#: Logs of failed builds.
LOGS = 40
#: Lines of a log.
_LOG_LINES = 200
#: Characters of a log.
_LOG_CHARS = 24_000
#: Characters of a snippet.
_SNIPPET = 4000
#: Characters of a path.
_PATH = 600
# Icons of their own; every other derivation has its verdict's.
_ICONS: dict[Meaning, str] = {"inherited": "link", "excused": "known", "old": "known"}
# The comparison writes a line feed in a snippet as these two characters.
_LINE_END = re.compile(r"\\n(.?)", re.DOTALL)


class Shown(NamedTuple):
    """A finding as it is drawn: both sides as marked text, or as a dump of bytes."""

    finding: Finding
    text: tuple[tuple[marking.Piece, ...], tuple[marking.Piece, ...]] | None
    dump: marking.Dump | None


class Divergence(NamedTuple):
    """A divergent derivation with the findings that are shown, what differs because of it, and its place in the
    page."""

    anchor: str
    derivation: DerivationReport
    findings: tuple[Shown, ...]
    left_out: int
    victims: tuple[DerivationReport, ...]


class Segment(NamedTuple):
    """A part of the bar of verdicts, in percent."""

    verdict: str
    derivations: int
    left: float
    width: float


def render_html(report: Report) -> str:
    """The whole report as one self-contained HTML document. Tables that would be endless are cut, failures first, and
    say how much is left out."""
    ordered = phrases.failures_first(report.derivations, report.fail_on)
    divergent = [d for d in ordered if phrases.explained(d)]
    sensitive = [d for d in ordered if phrases.sensitive(d)]
    nodes = graph.differing(report)
    used_by = graph.users(nodes)
    failed = [d for d in ordered if d.verdict in {"build-failed", "rebuild-failed"}]
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704  # our own file
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            headline=phrases.headline(report),
            cost=phrases.verification_cost(report),
            total=next((p.seconds for p in report.phases if p.name == "total"), None),
            segments=_segments(report),
            divergences=[_divergence(f"d{n}", d, nodes, used_by) for n, d in enumerate(divergent[:EXPLAINED], 1)],
            sensitive=[_divergence(f"s{n}", d, nodes, used_by) for n, d in enumerate(sensitive[:EXPLAINED], 1)],
            more_sensitive=sensitive[EXPLAINED : EXPLAINED + NAMED],
            unnamed_sensitive=max(len(sensitive) - EXPLAINED - NAMED, 0),
            further=divergent[EXPLAINED : EXPLAINED + NAMED],
            unnamed=max(len(divergent) - EXPLAINED - NAMED, 0),
            failed=failed[:LOGS],
            more_failed=max(len(failed) - LOGS, 0),
            drawing=graph.draw(report),
            axis=bars.timeline(report),
            unverified=_unverified(ordered),
            rows=ordered[:ROWS],
            more_rows=len(ordered) - ROWS,
            rules=allowed.urgent_first(report.allow)[:ITEMS],
            items=ITEMS,
            unfolded=UNFOLDED,
        )
    )


def _divergence(
    anchor: str, derivation: DerivationReport, nodes: dict[str, DerivationReport], used_by: dict[str, list[str]]
) -> Divergence:
    below = graph.reached(derivation.drv_path, used_by) if derivation.drv_path in nodes else ()
    victims = tuple(nodes[path] for path in below if "propagated" in nodes[path].marks)
    findings = derivation.findings[:FINDINGS]
    return Divergence(
        anchor, derivation, tuple(_shown(f) for f in findings), len(derivation.findings) - len(findings), victims
    )


def _shown(finding: Finding) -> Shown:
    if finding.a is None and finding.b is None:
        return Shown(finding, None, None)
    a, b = finding.a or "", finding.b or ""
    if (dump := marking.dump(a, b, finding.offset or 0)) is not None:
        return Shown(finding, None, dump)
    return Shown(finding, marking.mark(a[:_SNIPPET], b[:_SNIPPET]), None)


def _segments(report: Report) -> list[Segment]:
    found = phrases.counts(report)
    total = sum(found.values())
    segments: list[Segment] = []
    left = 0.0
    for verdict in SEVERITY:
        if count := found[verdict]:
            width = 100 * count / total
            segments.append(Segment(verdict, count, round(left, 3), round(width, 3)))
            left += width
    return segments


def _unverified(ordered: list[DerivationReport]) -> list[tuple[str, list[DerivationReport]]]:
    groups: dict[str, list[DerivationReport]] = {}
    for derivation in ordered:
        if derivation.verdict == "unverified":
            groups.setdefault(derivation.reason or "no reason given", []).append(derivation)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _markup(text: str) -> Markup:
    return Markup.escape(escape.visible_lines(text))


def _short(value: str, limit: int) -> Markup:
    return Markup.escape(escape.visible(value, limit))


def _piece(text: str) -> Markup:
    """A part of a snippet; its line ends are shown and obeyed."""
    shown = str(Markup.escape(escape.visible(text)))
    return Markup(_LINE_END.sub(lambda end: f"<i>\\n</i>{chr(10) + end[1] if end[1] else ''}", shown))  # noqa: S704  # escaped above


def _log(log: str) -> Markup:
    return _markup(phrases.log_end(log, _LOG_LINES, _LOG_CHARS))


def _where(path: str) -> Markup:
    """A path inside an output, with room to break after each part; members of archives stand behind an arrow."""
    shown = escape.visible(path, _PATH)
    parts = [Markup("/<wbr>").join(member.split("/")) for member in shown.split("!")]
    return Markup(' <span class="in" aria-hidden="true">▸</span><span class="sr">inside it:</span> ').join(parts)


def _seconds(value: float) -> str:
    return wording.seconds(value).replace(" ", "\u00a0")


def _took(derivation: DerivationReport, rebuilt: bool) -> str:
    """Seconds of the first build, or of the first rebuild."""
    return next(
        (_seconds(b.seconds) for b in derivation.builds if b.seconds is not None and (b.round > 1) == rebuilt), "–"
    )


def _measure(value: float, name: str) -> str:
    return phrases.measure(value, name).replace(" ", "\u00a0")


def _percent(ratio: float) -> str:
    return phrases.percent(ratio).replace(" ", "\u00a0")


def _icon_name(derivation: DerivationReport, fail_on: tuple[str, ...]) -> str:
    return _ICONS.get(standing(derivation, fail_on).meaning, derivation.verdict)


@cache
def _style() -> str:
    return (TEMPLATES / "html" / "report.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = make_environment(lambda text: Markup.escape(escape.visible(text)))
    environment.tests["silent"] = phrases.printed_nothing
    environment.filters |= {
        "advice": phrases.advice,
        "defaults_advise": phrases.defaults_advise,
        "how_often": marks.how_often,
        "icon_name": _icon_name,
        "lines": lambda text: _markup(text[:_SNIPPET]),
        "log": _log,
        "measure": _measure,
        "nix": phrases.nix,
        "beside_base": marks.beside,
        "on_base": marks.at_length,
        "remembered": remembered,
        "kept": phrases.kept,
        "narrowing": narrowing,
        "rules_counted": allowed.counted,
        "rule_advice": allowed.advice,
        "rule_place": allowed.place,
        "rule_state": allowed.state,
        "percent": _percent,
        "piece": _piece,
        "plural": wording.plural,
        "seconds": _seconds,
        "short": _short,
        "short_hash": phrases.short_hash,
        "size": wording.size,
        "store_name": store_name,
        "took": _took,
        "two_hashes": phrases.two_hashes,
        "alike": phrases.alike,
        "where": _where,
    }
    return environment
