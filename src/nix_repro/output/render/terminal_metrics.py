"""The terminal's part about time: scenario, targets, cache layers, why anything was built."""

from __future__ import annotations

from nix_repro.metrics.change import lock_line
from nix_repro.output.render.escape import visible
from nix_repro.output.render.lines import Cell, TableRow
from nix_repro.output.render.phrases import advice, built_groups, defaults_advise, margin, measure, percent
from nix_repro.output.render.screen import Screen
from nix_repro.report import Report
from nix_repro.text import plural, seconds, size, some


def print_ci(out: Screen, report: Report, named: int) -> None:
    """Nothing at all when the run has none of it. Of what was built for the same reason, the first `named` are."""
    if report.scenario is not None and report.targets:
        _print_targets(out, report)
    if report.caches.layers:
        _print_layers(out, report)
    _print_built(out, report, named)
    if report.test is not None:
        _print_test(out, report, named)
    for incident in report.caches.incidents:
        out.say(f"cache: {visible(incident)}", "yellow", 0, 2)
    for policy in report.policies:
        if policy.failed:
            out.say(f"fail-when: {visible(policy.expression)}", "bold red", 0, 2)
    for trend in report.history:
        if trend.regression:
            usual = f"median of {plural(trend.runs, 'run')} {measure(trend.median, trend.name)}"
            out.say(f"worse than usual: {trend.name} {measure(trend.actual, trend.name)}, {usual}", "yellow", 0, 2)


def _print_targets(out: Screen, report: Report) -> None:
    assert report.scenario is not None
    out.line()
    out.say(f"targets ({report.scenario.name}: {visible(report.scenario.because)})", "bold", 0, 2)
    if said := defaults_advise(report):
        out.say(visible(said), "dim", 2, 4)
    rows = []
    for target in report.targets:
        sign, style = ("✓", "green") if target.ok else ("–", "dim") if target.ok is None else ("✗", "bold red")
        if target.ok is False and target.advisory:
            sign, style = "!", "yellow"
        name = "total (without verification)" if target.name == "total" else visible(target.name)
        actual = "not measured" if target.actual is None else measure(target.actual, target.name)
        limit: Cell = (measure(target.limit, target.name), "")
        rows.append(TableRow(((sign, style), (name, ""), limit, (actual, style), (margin(target), ""))))
    out.table(("", "target", "limit", "actual", "margin"), rows, ("limit", "actual", "margin"))
    for target in report.targets:
        if said := advice(target):
            out.say(f"{target.name}: {visible(said)}", "", 2, 4)


def _print_layers(out: Screen, report: Report) -> None:
    rate = "" if report.caches.hit_rate is None else f"; hit rate {percent(report.caches.hit_rate)}"
    out.line()
    out.say(f"cache layers{rate}", "bold")
    rows = []
    for layer in report.caches.layers:
        speed = f"{size(layer.bytes / layer.seconds)}/s" if layer.url and layer.bytes and layer.seconds else "–"
        amount = "–" if layer.bytes is None else size(layer.bytes)
        took = "–" if layer.seconds is None else seconds(layer.seconds)
        cells = ("", visible(layer.name), f"{layer.paths:,}", amount, took, speed)
        rows.append(TableRow([(text, "") for text in cells]))
    out.table(("", "layer", "paths", "size", "time", "throughput"), rows, ("paths", "size", "time", "throughput"))


def _print_built(out: Screen, report: Report, named: int) -> None:
    change = report.caches.change
    if change is not None:
        said = (
            f"against {change.base}: {plural(change.derivations, 'derivation differs', 'derivations differ')}, class "
            f"{change.change_class}"
        )
        out.line()
        out.say(visible(said), "bold", 0, 2)
        for lock in change.lock:
            out.say(f"flake.lock: {visible(lock_line(lock))}", "", 2, 4)
    for group in built_groups(report.caches.built):
        why = "unexplained" if group.why == "unknown" else group.why
        reason = why + (f" ({group.root_change})" if group.root_change else "")
        out.say(f"built {len(group.names):,}, {visible(reason)}: {visible(some(group.names, named))}", "dim", 2, 4)


def _print_test(out: Screen, report: Report, named: int) -> None:
    test = report.test
    assert test is not None
    style = {"passed": "green", "cached": "green", "failed": "bold red", "not-run": "yellow"}[test.status]
    parts = [f"{len(test.ran)} ran"] if test.ran else []
    parts += [f"{len(test.cached)} cached, not run"] if test.cached else []
    parts += [f"failed: {some(list(map(visible, test.failed)), named)}"] if test.failed else []
    detail = f" ({'; '.join(parts)})" if parts else ""
    out.line()
    out.say(f"test {visible(test.command)}: {test.status}{detail}", style, 0, 2)
    for line in (test.log or "").splitlines():
        out.say(visible(line), "", 2, 4)
