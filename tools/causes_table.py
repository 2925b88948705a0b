#!/usr/bin/env python3
"""Keeps the table of causes in docs/explaining.md in step with the code.

PYTHONPATH=src python3 tools/causes_table.py          writes it between its markers
PYTHONPATH=src python3 tools/causes_table.py --check  exits 1 when it is not what the code says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from nix_repro.explain.experiments import HOLDS, VARIES
from nix_repro.explain.fixes import FIXES
from nix_repro.report import Cause

DOCUMENT = Path(__file__).parents[1] / "docs/explaining.md"
START, END = "<!-- causes -->", "<!-- /causes -->"
#: What makes a rule name the cause. The rest of the table is the code's.
SEEN: dict[Cause, str] = {
    "timestamp": "both sides decode, in one format, to times within their own build's start and end",
    "randomness": "tokens shaped like a generator's output (UUID, hex, base64, `mktemp` names, keys, noise) that agree in few places",
    "ordering": "the same elements (lines, words, records, members of an archive) in another order",
    "build-path": "each side holds its own build directory",
    "parallelism": "numbers that equal each side's cores, parts per core, or an order of which most is as it was",
    "host": "each side's own kernel release or host name",
    "locale": "one instant told in two zones, or each side's own zone or locale",
    "cpu": "each side's own processor model",
    "archive-metadata": "owner, mode, level or extra fields in an archive or its wrapper, the contents being the same",
    "address-layout": "numbers that read as addresses of a process, or process numbers",
    "environment": "the value of a variable that differs between the two builds",
    "permissions": "an executable bit or a link's target",
    "propagated": "the same bytes differ in an input, or an input's own path does",
    "unknown": "no rule is sure; a good answer, unlike a wrong one",
}


def table() -> str:
    """The Markdown table: each cause with what shows it, what proves it, and the fix that holds where no closer one does."""
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
