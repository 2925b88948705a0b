"""Two sides made up for a test, explained."""

from __future__ import annotations

import shutil
from pathlib import Path

from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from nix_repro.report import Finding

#: Two builds, ten seconds each: from 2024-05-06 07:08:00 UTC, and from 2024-05-06 07:28:00 UTC.
STARTED = 1714979280
A = Side(window=(STARTED, STARTED + 10), cores=3, build_dir="/build", kernel="6.1.0-18-amd64", host="alpha", zone="UTC")
B = Side(
    window=(STARTED + 1200, STARTED + 1210),
    cores=7,
    build_dir="/build2",
    kernel="2.6.61-18-amd64",
    host="beta",
    zone="JST",
)
BUILDS = Context(a=A, b=B)
UNKNOWN = Context()
#: The first build was in the store already when the rebuild began.
PRESENT = Context(a=Side(before=STARTED + 600), b=B)

Tree = bytes | dict[str, bytes]


def make(path: Path, tree: Tree) -> Path:
    """A file, or a directory of files; names that start with `bin/` are executable."""
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return path
    path.mkdir()
    for name, data in tree.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
        if name.startswith("bin/"):
            (path / name).chmod(0o755)
    return path


def explain(
    where: Path, a: Tree, b: Tree, context: Context = BUILDS, budget: Budget | None = None
) -> tuple[Finding, ...]:
    for side in ("a", "b"):
        shutil.rmtree(where / side, ignore_errors=True)
        (where / side).unlink(missing_ok=True)
    return explain_output("out", make(where / "a", a), make(where / "b", b), context, budget)


def causes(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.cause for finding in findings}


def sure(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.cause for finding in findings if finding.confidence == "high"}
