"""`nix-repro explain REPORT-DIRECTORY`: the differing trees of another machine's run, explained here, without Nix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from nix_repro.errors import UsageError
from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Input, Side
from nix_repro.explain.engine import explain_output
from nix_repro.explain.surroundings import at, surroundings
from nix_repro.files import private_directory
from nix_repro.observations import Tree
from nix_repro.output import archive
from nix_repro.output.directory import read_report
from nix_repro.output.formats import JSON
from nix_repro.output.tree_names import tree_names
from nix_repro.report import Build, DerivationReport, Finding, Report

#: The report's start is written to the second.
RESOLUTION = 1.0
#: Epoch seconds that no build has started after, in this century or the next.
LATEST = 2.0**33

Trees = Mapping[tuple[str, str], Tree]


def explain_directory(directory: Path, keep: Callable[[Report, Trees], Report] = lambda report, _: report) -> Report:
    """The report with fresh findings, as `keep` returns it, which gets the trees (by .drv path and output) while they
    are there.

    Raises `UsageError` when there is no report, or there are no trees beside it.
    """
    report = read_report(directory / JSON.file)
    file = directory / archive.NAME
    if not file.is_file():
        raise UsageError(
            f"{directory}: there is no {archive.NAME} beside the report: nothing differed, or nothing was kept"
        )
    with private_directory() as room, archive.unpacked(file, room) as unpacked:
        names = tree_names(report)
        trees = {
            (derivation.drv_path, output): tree
            for derivation in report.derivations
            for output in derivation.outputs
            if (tree := unpacked.get(f"{names.get(derivation.drv_path)}/{output}")) is not None
        }
        derivations = tuple(_explain(derivation, report, trees) for derivation in report.derivations)
        kept = keep(msgspec.structs.replace(report, derivations=derivations), trees)
        # What it took here is nothing of that run.
        return msgspec.structs.replace(kept, phases=report.phases)


def _explain(derivation: DerivationReport, report: Report, trees: Trees) -> DerivationReport:
    if derivation.verdict != "divergent":
        return derivation
    findings: list[Finding] = []
    for output in derivation.outputs:
        known = [finding for finding in derivation.findings if finding.output == output]
        tree = trees.get((derivation.drv_path, output))
        # Nothing is rebuilt here: what experiments have proved stays as it is.
        if tree is None or any(finding.confidence == "proved" for finding in known):
            findings += known
        else:
            findings += explain_output(output, tree.a, tree.b, _context(derivation, report, output, trees), Budget())
    return msgspec.structs.replace(derivation, findings=tuple(findings))


def _context(derivation: DerivationReport, report: Report, output: str, trees: Trees) -> Context:
    isolated = [build for build in derivation.builds if build.isolated]
    first = next((build for build in derivation.builds if build.round == 1), None)
    again = isolated or [build for build in derivation.builds if build.round > 1]
    inputs = [
        Input(store_path=path, a=tree.a, b=tree.b)
        for other in report.derivations
        if other.drv_path in derivation.inputs
        for name, its in other.outputs.items()
        if (path := its.path) is not None and (tree := trees.get((other.drv_path, name))) is not None
    ]
    return Context(
        a=_side(first, report),
        b=_side(again[0] if again else None, report),
        store_path=derivation.outputs[output].path,
        inputs=tuple(inputs),
    )


def _side(build: Build | None, report: Report) -> Side:
    """What the report says of a build."""
    started = _seconds(report.started)
    if build is not None and build.status == "present":
        return Side(before=started)
    if build is None or build.status != "built" or build.started is None or started is None:
        return Side()
    start = started + build.started
    if not 0 <= start <= start + (build.seconds or 0.0) < LATEST:
        return Side()
    return at(surroundings(report.environment), start, build.seconds, resolution=RESOLUTION)


def _seconds(started: str) -> float | None:
    """The report's start in epoch seconds; None when it is no time. Another machine wrote it."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
