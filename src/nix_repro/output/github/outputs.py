"""The step's outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.output.render import escape, phrases
from nix_repro.verdict.policy import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nix_repro.report import Report


#: What `outputs` gives; beside it the command sets `report-directory` and `exit-code`.
NAMES = ("conclusion", "reproducible", "divergent", "counts", "report-json", "summary-file")
#: Outputs of a job may have 1 MB together, counted as UTF-16.
_OUTPUT_CHARS = 100_000


def outputs(report: Report, *, report_json: Path, summary_file: Path) -> dict[str, str]:
    """The step's outputs. `divergent` lists installables, or names where nothing names a derivation, known ones too."""
    divergent = [
        d.attrs[0] if d.attrs else d.name
        for d in phrases.failures_first(report.derivations, report.fail_on)
        if d.verdict == "divergent"
    ]
    shown = [escape.visible(name) for name in divergent]
    while len(json.dumps(shown)) > _OUTPUT_CHARS:
        shown = shown[: len(shown) // 2]
    counts = phrases.counts(report)
    meanings = {standing(d, report.fail_on).meaning for d in report.derivations}
    same = counts["reproducible"] and meanings <= {"passes", "inherited", "settled"}
    values = (
        report.conclusion,
        "true" if same else "false",
        json.dumps(shown),
        json.dumps(counts),
        str(report_json),
        str(summary_file),
    )
    return dict(zip(NAMES, values, strict=True))


def write_outputs(values: Mapping[str, str]) -> bool:
    """Append to GITHUB_OUTPUT, between random delimiters. False outside a runner, where nothing is written."""
    import os

    from actions_toolkit.file_command import issue_file_command, prepare_key_value_message

    if not os.environ.get("GITHUB_OUTPUT"):
        return False
    for name, value in values.items():
        issue_file_command("OUTPUT", prepare_key_value_message(name, escape.visible_lines(value)))
    return True
