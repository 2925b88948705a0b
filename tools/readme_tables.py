#!/usr/bin/env python3
"""Keeps the tables of inputs and outputs in README.md in step with action.yml.

python3 tools/readme_tables.py          writes them between their markers
python3 tools/readme_tables.py --check  exits 1 when they are not what action.yml says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TABLES = ("inputs", "outputs")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(action: dict[str, Any], kind: str) -> str:
    """The Markdown table of the action's inputs or outputs."""
    if kind == "outputs":
        rows = [f"| `{name}` | {_cell(entry['description'])} |" for name, entry in action["outputs"].items()]
        return "\n".join(["| Output | Meaning |", "|---|---|", *rows])
    rows = []
    for name, entry in action["inputs"].items():
        default = str(entry.get("default", ""))
        shown = "the job's token" if "github.token" in default else f"`{default}`" if default else ""
        rows.append(f"| `{name}` | {shown} | {_cell(entry['description'])} |")
    return "\n".join(["| Input | Default | Meaning |", "|---|---|---|", *rows])


def updated(readme: str, action: dict[str, Any]) -> str:
    """The README with fresh tables. Raises `ValueError` when a marker is missing."""
    for kind in TABLES:
        start, end = f"<!-- {kind} -->", f"<!-- /{kind} -->"
        before, found_start, rest = readme.partition(start)
        _, found_end, after = rest.partition(end)
        if not (found_start and found_end):
            raise ValueError(f"README.md lacks {start} … {end}")
        readme = f"{before}{start}\n{table(action, kind)}\n{end}{after}"
    return readme


def main(arguments: list[str]) -> int:
    """The command."""
    path = ROOT / "README.md"
    old = path.read_text("utf-8")
    new = updated(old, yaml.safe_load((ROOT / "action.yml").read_text("utf-8")))
    if "--check" in arguments:
        return int(old != new)
    path.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
