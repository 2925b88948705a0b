"""The published schema is the model's, and reports keep to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from nix_repro.report import Report
from tools import tool

ROOT = Path(__file__).parents[2]
PUBLISHED = json.loads((ROOT / "docs/report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(PUBLISHED)
RECORDED = sorted((ROOT / "fixtures/reports").glob("*.json"))


def test_it_is_in_step_with_the_model() -> None:
    assert tool("report_schema").main(["--check"]) == 0, "run tools/report_schema.py"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)


@pytest.mark.parametrize("path", RECORDED, ids=[path.stem for path in RECORDED])
def test_recorded_reports_keep_to_it(path: Path) -> None:
    VALIDATOR.validate(json.loads(path.read_text()))


def test_the_example_in_the_documentation_keeps_to_it() -> None:
    text = (ROOT / "docs/report.md").read_text()
    example = json.loads(text.partition("```json\n")[2].partition("\n```")[0])
    VALIDATOR.validate(example)
    assert msgspec.convert(example, Report).exit_code == 1


def diverged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "fixtures/reports/diverged.json").read_text())
    return found


def test_unknown_members_are_allowed() -> None:
    VALIDATOR.validate({**diverged(), "from_a_later_release": 1})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("version", 2),
        ("conclusion", "maybe"),
        ("exit_code", "1"),
        ("derivations", [{}]),
        ("nix_version", None),
        ("phases", [{"name": "nap", "seconds": 1}]),
    ],
)
def test_what_breaks_the_contract_is_refused(member: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**diverged(), member: value})


@pytest.mark.parametrize("reason", [None, ""])
def test_unverified_without_a_reason_is_refused(reason: str | None) -> None:
    report = diverged()
    derivation = report["derivations"][0]
    VALIDATOR.validate(report | {"derivations": [derivation | {"verdict": "unverified", "reason": "timed out"}]})
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(report | {"derivations": [derivation | {"verdict": "unverified", "reason": reason}]})


def test_every_member_has_its_place_in_the_documentation() -> None:
    text = (ROOT / "docs/report.md").read_text()
    missing = {name for part in PUBLISHED["$defs"].values() for name in part["properties"] if f"`{name}`" not in text}
    assert not missing
