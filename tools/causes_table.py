#!/usr/bin/env python3
"""Keeps the table of causes in docs/explaining.md in step with the code.

PYTHONPATH=src python3 tools/causes_table.py          writes it between its markers
PYTHONPATH=src python3 tools/causes_table.py --check  exits 1 when it is not what the code says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from nix_repro.explain.causes.fixes import FIXES
from nix_repro.explain.experiments.inquiry import HOLDS, VARIES
from nix_repro.report import Cause

DOCUMENT = Path(__file__).parents[1] / "docs/explaining.md"
START, END = "<!-- causes -->", "<!-- /causes -->"
#: What makes a rule name the cause. The rest of the table is the code's.
SEEN: dict[Cause, str] = {
    "timestamp": "both sides decode, in one format, to times within their own build's start and end",
    "randomness": (
        "both sides have tokens that look random (UUID, hex, base64, `mktemp` names, keys, noise) and agree in few "
        "places"
    ),
    "ordering": "both sides have the same units (lines, words, strings, records, members), and several changed places",
    "build-path": "each side contains its own build directory",
    "parallelism": (
        "numbers equal the cores of each side, there is one part per core, most of an order is unchanged, sums differ "
        "in their last digits, or more than two builds disagree about a text"
    ),
    "host": "each side contains its own kernel release or host name, or a value that is called one",
    "locale": "one instant is written in two time zones, or each side contains its own zone or locale",
    "cpu": "each side contains its own processor model or name of one, or only one side has vector instructions",
    "archive-metadata": "owner, mode, level or extra fields of an archive differ, and its contents do not",
    "address-layout": "numbers look like addresses in a process, or like process IDs",
    "environment": "each side contains its own value of an environment variable",
    "permissions": "an executable bit or the target of a link differs",
    "propagated": "the same bytes differ in an input, or the path of an input differs",
    "stale-hash": "a source that is fetched again has another hash than its derivation says",
    "unknown": "no rule is sure. Better no answer than a wrong one",
}


def table() -> str:
    """The Markdown table: each cause with what shows it, what proves it, and the fix that holds where no closer one
    does."""
    rows = ["| Cause | It is named when | Proved with | Fix |", "|---|---|---|---|"]
    for cause in get_args(Cause):
        proofs = "; ".join(e.what for e in (*HOLDS, *VARIES) if e.cause == cause) or "–"
        rows.append(f"| `{cause}` | {SEEN[cause]} | {proofs} | {FIXES[cause, ''].advice} |")
    return "\n".join(rows)


def updated(document: str) -> str:
    """The document with a fresh table. Raises `ValueError` when a marker is missing."""
    before, found_start, rest = document.partition(START)
    _, found_end, after = rest.partition(END)
    if not (found_start and found_end):
        raise ValueError(f"{DOCUMENT.name} lacks {START} … {END}")
    return f"{before}{START}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """The command."""
    old = DOCUMENT.read_text("utf-8")
    new = updated(old)
    if "--check" in arguments:
        return int(old != new)
    DOCUMENT.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
