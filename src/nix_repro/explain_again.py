"""`nix-repro explain REPORT-DIRECTORY`: the differing trees of another machine's run, explained here, without Nix."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from nix_repro import archive
from nix_repro.errors import UsageError
from nix_repro.explain import Budget, Context, Side, explain_output
from nix_repro.keeping import REPORT, read_report
from nix_repro.observe import Tree
from nix_repro.report import Build, DerivationReport, Finding, Report

#: The report's start is written to the second.
RESOLUTION = 1.0


def explain_directory(directory: Path) -> Report:
    """The report with fresh findings. Raises `UsageError` when there is no report, or there are no trees beside it."""
    report = read_report(directory / REPORT)
    file = directory / archive.NAME
    if not file.is_file():
        raise UsageError(f"{directory}: there is no {archive.NAME} beside the report: nothing differed, or nothing was kept")
    with tempfile.TemporaryDirectory(prefix="nix-repro-") as room, archive.unpacked(file, Path(room)) as trees:
        derivations = tuple(_explain(derivation, report, trees) for derivation in report.derivations)
    return msgspec.structs.replace(report, derivations=derivations)


def _explain(derivation: DerivationReport, report: Report, trees: Mapping[str, Tree]) -> DerivationReport:
    if derivation.verdict != "divergent":
        return derivation
    findings: list[Finding] = []
    for output in derivation.outputs:
        for name in (derivation.name, f"{derivation.name}-{Path(derivation.drv_path).name[:8]}"):
            if (tree := trees.get(f"{name}/{output}")) is not None:
                findings += explain_output(output, tree.a, tree.b, _context(derivation, report, output), Budget())
                break
    return msgspec.structs.replace(derivation, findings=tuple(findings) or derivation.findings)


def _context(derivation: DerivationReport, report: Report, output: str) -> Context:
    isolated = [build for build in derivation.builds if build.isolated]
    first = next((build for build in derivation.builds if build.round == 1 and build.status == "built"), None)
    again = isolated or [build for build in derivation.builds if build.round > 1]
    return Context(
        a=_side(first, report),
        b=_side(again[0] if again else None, report),
        name=derivation.name,
        system=report.system,
        store_path=derivation.outputs[output].path,
    )


def _side(build: Build | None, report: Report) -> Side:
    if build is None or build.started is None:
        return Side()
    start = datetime.fromisoformat(report.started).timestamp() + build.started
    environment = report.environment
    return Side(
        window=(start - RESOLUTION, start + (build.seconds or 0.0) + RESOLUTION),
        cpus=value if isinstance(value := environment.get("cpus"), int) else None,
        kernel=value if isinstance(value := environment.get("kernel"), str) else None,
    )
