"""The plan as a value, and its JSON form."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from graphs import plain
from nix_repro import reasons
from nix_repro.plan.planned import _CLASSES, Planned, planned_derivations
from nix_repro.plan.scope import Plan
from nix_repro.reasons import FIXED_OUTPUT, NOT_NAMED, UPSTREAM

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/plan.schema.json").read_text())
TEXT = (ROOT / "docs/report.md").read_text()


def planned() -> Planned:
    drvs = {
        d.drv_path: d for d in (plain("app", "lib", outputs=("out", "doc")), plain("lib"), plain("src", fixed=True))
    }
    skipped = {"/s/src.drv": FIXED_OUTPUT, "/s/gcc.drv": UPSTREAM, f"/s/{'q' * 32}-far.drv": NOT_NAMED}
    plan = Plan({"a": "/s/app.drv", "s": "/s/src.drv"}, drvs, ("/s/lib.drv", "/s/app.drv"), skipped)
    found = planned_derivations(plan, {"/s/lib-out", "/s/app-out"}, {"/s/app-doc": "https://c.example"})
    return Planned(
        tool="nix-repro 1",
        system="x86_64-linux",
        nix_version="2.26",
        nix_implementation="Nix",
        scope="own",
        installables=dict(plan.installables),
        derivations=found,
    )


def test_every_derivation_has_its_class_its_reason_and_its_first_build() -> None:
    rows = [(d.name, d.scope_class, d.reason, d.first_build, d.cache) for d in planned().derivations]
    assert rows == [
        ("lib", "own", None, "present", None),
        ("app", "own", None, "fetch", "https://c.example"),
        ("src", "fixed-output", "fixed-output", "build", None),
        ("gcc", "upstream", UPSTREAM.text, None, None),
        ("far", "not-named", NOT_NAMED.text, None, None),
    ]
    assert [d.attrs for d in planned().derivations[:3]] == [(), ("a",), ("s",)]


def test_what_nobody_can_know_has_to_be_built() -> None:
    drv = plain("later", floating=True)
    plan = Plan({"a": drv.drv_path}, {drv.drv_path: drv}, (drv.drv_path,), {})
    (found,) = planned_derivations(plan, set(), {})
    assert (found.first_build, found.outputs) == ("build", {"out": None})


def test_every_reason_that_keeps_something_out_of_a_plan_has_its_class() -> None:
    kept_out = {reason for reason in vars(reasons).values() if isinstance(reason, reasons.Reason) and reason.settled}
    assert kept_out <= _CLASSES.keys()


def test_the_schema_is_one_and_plans_keep_to_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    value = json.loads(msgspec.json.encode(planned()))
    jsonschema.validate(value, SCHEMA)
    jsonschema.validate({**value, "from_a_later_release": 1}, SCHEMA)
    assert msgspec.convert(value, Planned) == planned()


@pytest.mark.parametrize(("member", "value"), [("version", 2), ("scope", "all"), ("derivations", [{}]), ("tool", None)])
def test_what_breaks_the_contract_is_refused(member: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(msgspec.json.encode(planned())), member: value}, SCHEMA)


def test_every_member_has_its_place_in_the_documentation() -> None:
    section = TEXT.partition("## The plan")[2]
    assert not {name for part in SCHEMA["$defs"].values() for name in part["properties"] if f"`{name}`" not in section}
