#!/usr/bin/env python3
"""Keeps docs/report.schema.json and docs/plan.schema.json, the JSON Schemas of the report and of a plan, in step with
the model.

PYTHONPATH=src python3 tools/report_schema.py          writes them
PYTHONPATH=src python3 tools/report_schema.py --check  exits 1 when they are not what the model says
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.plan.planned import Planned
from nix_repro.report import Report

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENTS: dict[str, tuple[type, str]] = {
    "report.schema.json": (Report, "nix-repro report, version 1"),
    "plan.schema.json": (Planned, "nix-repro plan, version 1"),
}
_UNVERIFIED = {"properties": {"verdict": {"const": "unverified"}}}
_WITH_REASON = {"required": ["reason"], "properties": {"reason": {"type": "string", "minLength": 1}}}


def schema(model: type, title: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12).

    Unknown members are allowed, and members that came with a later release are not required: within version 1 members
    may be added, never lost or changed.
    """
    (top,), parts = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    for part in parts.values():
        part["description"] = inspect.cleandoc(part["description"])
    for name in {"DerivationReport", "Output"} & parts.keys():
        # The one promise that types cannot make: what is unverified says why.
        parts[name] |= {"if": _UNVERIFIED, "then": _WITH_REASON}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **top,
        "$defs": dict(sorted(parts.items())),
    }


def main(arguments: list[str]) -> int:
    """The command."""
    made = {
        DOCS / name: msgspec.json.format(msgspec.json.encode(schema(model, title)), indent=1) + b"\n"
        for name, (model, title) in DOCUMENTS.items()
    }
    if "--check" in arguments:
        return int(any(not path.is_file() or path.read_bytes() != new for path, new in made.items()))
    for path, new in made.items():
        path.write_bytes(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
