"""The Markdown templates and the filters that they use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from nix_repro import text as wording
from nix_repro.metrics.targets import quantity
from nix_repro.nix.store_path import store_name
from nix_repro.output.render import allowed, escape, marks, phrases
from nix_repro.output.render.savings import remembered
from nix_repro.output.render.templating import make_environment
from nix_repro.verdict.allow import narrowing
from nix_repro.verdict.policy import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

    from nix_repro.report import DerivationReport, Finding, Output, Report, Target

#: Outputs of a derivation in a table.
_OUTPUTS = 8
# Of one divergence at most twenty lines are shown: a few of each side, of the code, and the sentences.
#: Lines of a side.
_SIDE_LINES = 3
#: Lines of code.
_SNIPPET_LINES = 6
#: Last lines of a failed build's log,
_LOG_LINES = 80
#: and characters of it.
_LOG_CHARS = 12_000
# What a rebuild was compared with, where that is no build of this machine.
_AGAINST = {
    "substituted": "against a cache's copy",
    "cache": "against a cache's hash",
    "ledger": "against an earlier run",
    "runner": "against another runner",
}


def _head_lines(value: str, count: int) -> list[str]:
    lines = value.strip("\n").split("\n")
    return lines if len(lines) <= count else [*lines[: count - 1], "…"]


def _snippet(value: str) -> str:
    return escape.fence("\n".join(_head_lines(value, _SNIPPET_LINES)), "nix")


def _log_tail(log: str) -> str:
    return escape.fence(phrases.log_end(log, _LOG_LINES, _LOG_CHARS))


def _diff(finding: Finding) -> str:
    lines: list[str] = []
    for sign, side in (("-", finding.a), ("+", finding.b)):
        if side is not None:
            lines += [f"{sign} {escape.visible(line, 160)}" for line in _head_lines(side, _SIDE_LINES)]
    return escape.fence("\n".join(lines), "diff")


def _output_cell(name: str, output: Output, column: str) -> str:
    if column == "name":
        return escape.code(name, 40)
    first, again = phrases.two_hashes(output)
    if column == "first":
        return escape.code(phrases.short_hash(first)) if first else "–"
    if again is None:
        return "–"
    return phrases.alike(output) if again == first else f"<b>{escape.code(phrases.short_hash(again))}</b>"


def _outputs(derivation: DerivationReport, column: str) -> str:
    """One column of a derivation's outputs, a line each: `name`, the `first` build's hash, the hash `again`."""
    lines = [_output_cell(name, output, column) for name, output in list(derivation.outputs.items())[:_OUTPUTS]]
    if column == "name" and len(derivation.outputs) > _OUTPUTS:
        lines.append(f"and {len(derivation.outputs) - _OUTPUTS} more")
    return "<br>".join(lines)


def _note(derivation: DerivationReport) -> str:
    """What is different about this derivation, in a few phrases."""
    parts = [f"<b>{words}</b>" if mark == "new" else words for mark, words in marks.marks(derivation)]
    if derivation.findings:
        best = derivation.findings[0]
        more = len(derivation.findings) - 1
        where = f" in {escape.code(best.path, 60)}" if best.path else ""
        under = "under other conditions: " if phrases.sensitive(derivation) else ""
        parts.append(f"{under}{best.cause}{where}" + (f" and {more} more" if more else ""))
    if derivation.verdict in {"build-failed", "rebuild-failed"}:
        parts.append(derivation.verdict.replace("-", " "))
    if derivation.reason:
        parts.append(escape.text(derivation.reason, 400))
    parts += sorted(
        {
            _AGAINST[o.hashes[0].source]
            for o in derivation.outputs.values()
            if o.hashes and o.hashes[0].source in _AGAINST
        }
    )
    return " · ".join(parts)


def _took(derivation: DerivationReport, column: str) -> str:
    """Seconds of the `first` build, or of the first one `again`."""
    for build in derivation.builds:
        if build.seconds is not None and (build.round == 1) == (column == "first"):
            return _seconds(build.seconds)
    return "–"


def _seconds(value: float) -> str:
    """A duration that a narrow table cell does not break."""
    return wording.seconds(value).replace(" ", "\u00a0")


def _attr(attr: str, system: str) -> str:
    """`checks › unit` for `checks.x86_64-linux.unit` on that system, else the attribute as it is."""
    kind, _, rest = attr.partition(f".{system}.")
    return f"{kind} › {rest}" if rest else attr


def _margin(target: Target) -> str:
    said = phrases.margin(target)
    return f"**{said}**" if target.ok is False else said


def _measure(value: float, name: str) -> str:
    said = phrases.measure(value, name)
    return said.replace(" ", "\u00a0") if quantity(name).unit == "seconds" else said


def _safe(function: Callable[..., str]) -> Callable[..., Markup]:
    return lambda *args: Markup(function(*args))  # noqa: S704  # each of them escapes for the place it is used in


@cache
def _environment() -> Environment:
    environment = make_environment(_safe(escape.text))
    functions: dict[str, Callable[..., str]] = {
        "text": escape.text,
        "code": escape.code,
        "fence": escape.fence,
        "snippet": _snippet,
        "log_tail": _log_tail,
        "diff": _diff,
        "outputs": _outputs,
        "note": _note,
        "margin": _margin,
        "symbol": phrases.symbol,
        "sign": lambda headline: headline.symbol,
    }
    for name, function in functions.items():
        environment.filters[name] = _safe(function)
    environment.filters |= {
        "advice": phrases.advice,
        "defaults_advise": phrases.defaults_advise,
        "measure": _measure,
        "nix": phrases.nix,
        "on_base": marks.at_length,
        "remembered": remembered,
        "kept": phrases.kept,
        "narrowing": narrowing,
        "outdated": allowed.outdated,
        "rules_counted": allowed.counted,
        "rule_advice": allowed.advice,
        "rule_place": allowed.place,
        "rule_state": allowed.state,
        "rule_symbol": lambda rule: allowed.SYMBOLS[rule.state],
        "percent": phrases.percent,
        "plural": wording.plural,
        "seconds": _seconds,
        "size": wording.size,
        "store_name": store_name,
        "took": _took,
        "attr": _attr,
    }
    environment.tests["excused"] = lambda derivation, fail_on: standing(derivation, fail_on).meaning in phrases.EXCUSED
    return environment


def render(template: str, report: Report, **values: object) -> str:
    """`templates/<template>.md.j2` filled in, ending in one newline."""
    return _environment().get_template(f"{template}.md.j2").render(report=report, **values).strip("\n") + "\n"
