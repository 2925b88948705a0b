#!/usr/bin/env python3
"""Keeps docs/report.schema.json, the JSON Schema of the report, in step with the model.

PYTHONPATH=src python3 tools/report_schema.py          writes it
PYTHONPATH=src python3 tools/report_schema.py --check  exits 1 when it is not what the model says
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.report import Report

DOCUMENT = Path(__file__).parents[1] / "docs/report.schema.json"
_UNVERIFIED = {"properties": {"verdict": {"const": "unverified"}}}
_WITH_REASON = {"required": ["reason"], "properties": {"reason": {"type": "string", "minLength": 1}}}


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12).

    Unknown members are allowed, and members that came with a later release are not required: within version 1 members
    may be added, never lost or changed.
    """
    (top,), parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for part in parts.values():
        part["description"] = inspect.cleandoc(part["description"])
    for name in ("DerivationReport", "Output"):
        # The one promise that types cannot make: what is unverified says why.
        parts[name] |= {"if": _UNVERIFIED, "then": _WITH_REASON}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nix-repro report, version 1",
        **top,
        "$defs": dict(sorted(parts.items())),
    }


def main(arguments: list[str]) -> int:
    """The command."""
    new = msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n"
    if "--check" in arguments:
        return int(DOCUMENT.read_bytes() != new)
    DOCUMENT.write_bytes(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
