"""The JSON Schema of the report, from the model: `python -m nix_repro.schema > docs/report.schema.json`."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import msgspec

from nix_repro.report import Report

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


def main() -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n")


if __name__ == "__main__":
    main()
