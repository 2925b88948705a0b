"""The step's outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.output.render import escape, phrases
from nix_repro.verdict.policy import standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nix_repro.report import Report


#: What `outputs` gives; beside it the command sets what later steps of the action go by, and `exit-code`.
NAMES = ("conclusion", "reproducible", "divergent", "counts", "verified-paths", "report-json", "summary-file")
#: Outputs of a job may have 1 MB together, counted as UTF-16, and what reaches a program in one variable 128 KiB.
_OUTPUT_CHARS = 100_000


def outputs(report: Report, *, report_json: Path, summary_file: Path) -> dict[str, str]:
    """The step's outputs. `divergent` lists installables, or names where nothing names a derivation, known ones too."""
    divergent = [
        d.attrs[0] if d.attrs else d.name
        for d in phrases.failures_first(report.derivations, report.fail_on)
        if d.verdict == "divergent"
    ]
    counts = phrases.counts(report)
    meanings = {standing(d, report.fail_on).meaning for d in report.derivations}
    same = counts["reproducible"] and meanings <= {"passes", "inherited", "settled"}
    values = (
        report.conclusion,
        "true" if same else "false",
        json.dumps(_fitting([escape.visible(name) for name in divergent])),
        json.dumps(counts),
        json.dumps(_fitting(report.verified_paths)),
        str(report_json),
        str(summary_file),
    )
    return dict(zip(NAMES, values, strict=True))


def _fitting(names: Sequence[str]) -> Sequence[str]:
    while len(json.dumps(names)) > _OUTPUT_CHARS:
        names = names[: len(names) // 2]
    return names


def left_out(report: Report) -> str | None:
    """What is to be said when not every verified path has room in the output."""
    fit, paths = len(_fitting(report.verified_paths)), len(report.verified_paths)
    if fit == paths:
        return None
    return f"output verified-paths: it has room for {fit} of {paths} paths; all are in the report: .verified_paths"


def write_outputs(values: Mapping[str, str]) -> bool:
    """Append to GITHUB_OUTPUT, between random delimiters. False outside a runner, where nothing is written."""
    import os

    from actions_toolkit.file_command import issue_file_command, prepare_key_value_message

    if not os.environ.get("GITHUB_OUTPUT"):
        return False
    for name, value in values.items():
        issue_file_command("OUTPUT", prepare_key_value_message(name, escape.visible_lines(value)))
    return True
