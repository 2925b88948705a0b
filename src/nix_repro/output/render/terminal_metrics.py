"""The terminal's part about time: scenario, targets, cache layers, why anything was built."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nix_repro.metrics.change import lock_line
from nix_repro.nix.store_path import store_name
from nix_repro.output.render.escape import visible
from nix_repro.output.render.phrases import margin, measure, percent
from nix_repro.report import BuiltBecause, Report
from nix_repro.text import plural, seconds, size, some

#: Derivations named below one reason.
_NAMED = 4
#: Incidents and reasons shown.
_ROWS = 12


def print_ci(console: Console, report: Report) -> None:
    """Nothing at all when the run has none of it."""
    if report.scenario is not None and report.targets:
        _print_targets(console, report)
    if report.caches.layers:
        _print_layers(console, report)
    _print_built(console, report)
    if report.test is not None:
        _print_test(console, report)
    for incident in report.caches.incidents[:_ROWS]:
        console.print(Text(f"cache: {visible(incident)}", style="yellow"), soft_wrap=True)
    for policy in report.policies:
        if policy.failed:
            console.print(Text(f"fail-when: {visible(policy.expression)}", style="bold red"), soft_wrap=True)
    for trend in report.history:
        if trend.regression:
            usual = f"median of {plural(trend.runs, 'run')} {measure(trend.median, trend.name)}"
            console.print(
                Text(f"worse than usual: {trend.name} {measure(trend.actual, trend.name)}, {usual}", style="yellow"),
                soft_wrap=True,
            )


def _print_targets(console: Console, report: Report) -> None:
    assert report.scenario is not None
    console.print(
        Text(f"\ntargets ({report.scenario.name}: {visible(report.scenario.because)})", style="bold"), soft_wrap=True
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "target", "limit", "actual", "margin"):
        table.add_column(column, justify="left" if column in ("", "target") else "right")
    for target in report.targets:
        sign, style = ("✓", "green") if target.ok else ("–", "dim") if target.ok is None else ("✗", "bold red")
        name = "total (without verification)" if target.name == "total" else target.name
        actual = "not measured" if target.actual is None else measure(target.actual, target.name)
        table.add_row(
            Text(sign, style=style), name, measure(target.limit, target.name), Text(actual, style=style), margin(target)
        )
    console.print(table)
    for target in report.targets:
        if target.advice:
            console.print(Text(f"  {target.name}: {visible(target.advice)}"), soft_wrap=True)


def _print_layers(console: Console, report: Report) -> None:
    rate = "" if report.caches.hit_rate is None else f"; hit rate {percent(report.caches.hit_rate)}"
    console.print(Text(f"\ncache layers{rate}", style="bold"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("layer", "paths", "size", "time", "throughput"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer in report.caches.layers:
        speed = f"{size(layer.bytes / layer.seconds)}/s" if layer.url and layer.bytes and layer.seconds else "–"
        table.add_row(
            Text(visible(layer.name)),
            f"{layer.paths:,}",
            "–" if layer.bytes is None else size(layer.bytes),
            "–" if layer.seconds is None else seconds(layer.seconds),
            speed,
        )
    console.print(table)


def _print_built(console: Console, report: Report) -> None:
    change = report.caches.change
    if change is not None:
        said = (
            f"against {change.base}: {plural(change.derivations, 'derivation differs', 'derivations differ')}, class "
            f"{change.change_class}"
        )
        console.print(Text(f"\n{visible(said)}", style="bold"), soft_wrap=True)
        for lock in change.lock:
            console.print(Text(f"  flake.lock: {visible(lock_line(lock))}"), soft_wrap=True)
    told = [row for row in report.caches.built if row.why != "unknown"]
    groups = Counter(map(_reason, told))
    for reason, count in groups.most_common(_ROWS):
        names = [store_name(row.drv_path) for row in told if _reason(row) == reason]
        console.print(
            Text(f"  built {count}, {visible(reason)}: {visible(some(names, _NAMED))}", style="dim"), soft_wrap=True
        )


def _reason(row: BuiltBecause) -> str:
    return row.why + (f" ({row.root_change})" if row.root_change else "")


def _print_test(console: Console, report: Report) -> None:
    test = report.test
    assert test is not None
    style = {"passed": "green", "cached": "green", "failed": "bold red", "not-run": "yellow"}[test.status]
    parts = [f"{len(test.ran)} ran"] if test.ran else []
    parts += [f"{len(test.cached)} cached, not run"] if test.cached else []
    parts += [f"failed: {some(list(map(visible, test.failed)), _NAMED)}"] if test.failed else []
    detail = f" ({'; '.join(parts)})" if parts else ""
    console.print(Text(f"\ntest {visible(test.command)}: {test.status}{detail}", style=style), soft_wrap=True)
    for line in (test.log or "").splitlines():
        console.print(Text(f"  {visible(line)}"), soft_wrap=True)
