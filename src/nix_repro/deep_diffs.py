"""diffoscope's pages beside the report: one for each output that differs, as long as there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nix_repro.explain import deep
from nix_repro.observe import Tree
from nix_repro.report import DerivationReport, Report
from nix_repro.trees import tree_names

#: Seconds for all of them.
TOTAL = 300.0
DIRECTORY = "diffoscope"


def add_deep_diffs(report: Report, trees: Mapping[str, Tree], directory: Path, setting: str, stopped: Callable[[], bool]) -> Report:
    """Write `diffoscope/NAME-OUTPUT.html` into the report directory for each tree, unless `setting` or the machine has no
    diffoscope; the report says where they are, and what was cut or is missing."""
    program = deep.find_diffoscope(setting)
    if program is None or not trees:
        return report
    end = time.monotonic() + TOTAL
    pages: dict[str, str] = {}
    said: list[str] = []
    (directory / DIRECTORY).mkdir(exist_ok=True)
    for name, tree in trees.items():
        left = min(deep.SECONDS, end - time.monotonic())
        if left <= 0 or stopped():
            said.append(f"{name}: no time was left for it")
            continue
        page = f"{DIRECTORY}/{name.replace('/', '-')}.html"
        try:
            found = deep.deep_diff(program, tree.a, tree.b, directory / page, seconds=left, stopped=stopped)
        except OSError as error:
            said.append(f"{name}: {error.strerror}")
            continue
        if found.html is not None:
            pages[name] = page
        if found.reason is not None:
            said.append(f"{name}: {found.reason}")
    if said:
        said[5:] = [f"and {len(said) - 5} more"] if len(said) > 5 else []
        report = msgspec.structs.replace(
            report, warnings=(*report.warnings, f"diffoscope (for people, no verdict rests on it): {'; '.join(said)}")
        )
    names = tree_names(report)
    return msgspec.structs.replace(report, derivations=tuple(_with_pages(d, names.get(d.drv_path), pages) for d in report.derivations))


def _with_pages(derivation: DerivationReport, name: str | None, pages: Mapping[str, str]) -> DerivationReport:
    outputs = {
        output: msgspec.structs.replace(what, diffoscope=pages.get(f"{name}/{output}", what.diffoscope))
        for output, what in derivation.outputs.items()
    }
    return msgspec.structs.replace(derivation, outputs=outputs)
