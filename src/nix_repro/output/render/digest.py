"""What is wrong, why, and what to do about it, short enough to be read at a glance where the output ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nix_repro.output.render import allowed
from nix_repro.output.render.escape import visible
from nix_repro.output.render.lines import wrap, wrap_command
from nix_repro.output.render.marks import beside, how_often
from nix_repro.output.render.phrases import failures_first, kept_log, margin, measure, place, sensitive
from nix_repro.reasons import recall
from nix_repro.report import DerivationReport, Report
from nix_repro.text import last_line, plural, some
from nix_repro.verdict.policy import Meaning, stale, standing

#: Names in front of what they have in common.
_NAMED = 3
#: Characters that they may take together.
_ROOM = 60
_WRONG: tuple[Meaning, ...] = ("diverges", "failed", "unshown", "open")


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong with what `names` name. `what` says so and why, `where` in which place, `todo` is advice,
    `command` what to run. What is equal in `what` and `todo` can be said once."""

    sign: str
    names: tuple[str, ...]
    what: str
    where: str = ""
    todo: str = ""
    command: tuple[str, str] | None = None

    @property
    def said(self) -> str:
        """What is wrong in one sentence."""
        return f"{self.named()}: {self.what}{self.where}"

    def named(self, room: int = _ROOM) -> str:
        """The first of the names, short ones first, and how many more there are."""
        names = sorted(self.names, key=len)
        count = sum(len(", ".join(names[:n])) <= room for n in range(2, _NAMED + 1))
        return some(names, 1 + count)


def troubles(report: Report) -> list[Wrong]:
    """Everything that is wrong, worst first, what has the same cause and remedy together."""
    wrong = [
        (d, meaning)
        for d in failures_first(report.derivations, report.fail_on)
        if (meaning := standing(d, report.fail_on).meaning) in _WRONG
    ]
    return [*_together(_derivation(d, meaning) for d, meaning in wrong), *_others(report)]


def _derivation(derivation: DerivationReport, meaning: Meaning) -> Wrong:
    names, reason = (visible(derivation.name),), visible(derivation.reason or "")
    again = ("reproduce: ", visible(derivation.reproduce)) if derivation.reproduce else None
    if meaning == "diverges":
        often = "intermittent" in derivation.marks and derivation.rebuilds
        differs = (
            f"divergent in {derivation.differed} of {plural(derivation.rebuilds, 'rebuild')}" if often else "divergent"
        )
        # Of what is allowed, and not enough.
        told = ("new" if "new" in derivation.marks else beside(derivation), reason)
        differs += "".join(f" ({said})" for said in told if said)
        if not derivation.findings:
            return Wrong("✗", names, f"{differs}, nothing here says why", command=again)
        best = derivation.findings[0]
        more = f" and {plural(len(derivation.findings) - 1, 'more place')}" if len(derivation.findings) > 1 else ""
        where = f" in {visible(place(best))}{more}" if best.path else ""
        return Wrong("✗", names, f"{differs}, {best.cause}", where, f"fix: {visible(best.fix)}", again)
    if meaning == "failed":
        log = kept_log(derivation)
        last = visible(last_line(log)) if log else ""
        whole = ("whole log: ", f"nix log {derivation.drv_path}") if log and again is None else None
        ended = how_often(derivation) if "intermittent" in derivation.marks else ""
        said = f"{ended or derivation.verdict.replace('-', ' ')}{', ' if reason else ''}{reason}"
        fix = f"fix: {visible(derivation.findings[0].fix)}" if derivation.findings else ""
        return Wrong("✗", names, said, todo=fix or (f"it said last: {last}" if last else ""), command=again or whole)
    hint = recall(derivation.reason).hint
    return Wrong("?", names, f"unverified, {reason}", todo=hint or "")


def _together(found: Iterable[Wrong]) -> list[Wrong]:
    groups: dict[tuple[str, str, str], Wrong] = {}
    for one in found:
        key = one.sign, one.what, one.todo
        first = groups.setdefault(key, one)
        if first is not one:
            groups[key] = replace(first, names=(*first.names, *one.names), where="")
    return list(groups.values())


def _others(report: Report) -> Iterable[Wrong]:
    for target in report.targets:
        if target.ok is False and not target.advisory and target.actual is not None:
            name = visible(target.name)
            limit, actual = measure(target.limit, target.name), measure(target.actual, target.name)
            said = f"over target, {actual} where the limit is {limit} ({margin(target)})"
            yield Wrong("✗", (name,), said, todo=visible(target.advice or ""))
    if report.test is not None and report.test.status == "failed":
        failed = some([visible(name) for name in report.test.failed], _NAMED)
        last = visible(last_line(report.test.log or ""))
        said = f"failed, {failed}" if failed else "failed"
        yield Wrong("✗", (f"test {visible(report.test.command)}",), said, todo=f"it said last: {last}" if last else "")
    for policy in report.policies:
        if policy.failed:
            yield Wrong("✗", ("fail-when",), f"true, {visible(policy.expression)}")
    for rule in allowed.outdated(report.allow):
        sign = "✗" if stale(rule, report.fail_on) else "?"
        said = f"allow rule for {visible(allowed.about(rule))}: {visible(allowed.state(rule))}"
        yield Wrong(sign, (visible(allowed.place(rule)),), said, todo=allowed.advice(rule))
    names = tuple(visible(d.name) for d in report.derivations if sensitive(d))
    if names:
        yield Wrong("?", names, "the same, but not under every condition")


def digest(found: Sequence[Wrong], width: int | None, room: int) -> list[str]:
    """The troubles in at most `room` lines, in as many words as there is room for: with advice and what to run, with
    advice, or what is wrong, with advice on the worst. What there is no room for is counted."""
    forms = (
        [line for one in found for line in _lines(one, width, advice=True, command=True)],
        [line for n, one in enumerate(found) for line in _lines(one, width, advice=True, command=n == 0)],
        [line for one in found for line in _lines(one, width, advice=True, command=False)],
        [line for n, one in enumerate(found) for line in _lines(one, width, advice=n == 0, command=False)],
    )
    fitting = next((lines for lines in forms if len(lines) <= room), None)
    return _counted(found, width, room) if fitting is None else fitting


def _counted(found: Sequence[Wrong], width: int | None, room: int) -> list[str]:
    lines = _lines(found[0], width, advice=True, command=False)
    for number, one in enumerate(found[1:], 1):
        more = _lines(one, width, advice=False, command=False)
        if len(lines) + len(more) >= room:
            return [*lines, *wrap(f"and {len(found) - number} more, above", width, 2)]
        lines += more
    return lines


def _lines(one: Wrong, width: int | None, *, advice: bool, command: bool) -> list[str]:
    lines = wrap(f"{one.sign} {one.said}", width, 0, 2)
    if advice and one.todo:
        lines += wrap(one.todo, width, 4, 9 if one.todo.startswith("fix: ") else 4)
    if command and one.command is not None:
        label, what = one.command
        lines += wrap_command(label if len(one.names) == 1 else f"{label[:-2]} the first: ", what, width, 4)
    return lines
