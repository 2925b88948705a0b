"""CONTRIBUTING.md says which files a change touches. They are there, they are few, and they hold what it says."""

from __future__ import annotations

import ast
import re
import typing
from dataclasses import fields
from pathlib import Path

import pytest

from nix_repro import settings
from nix_repro.build.rebuild.choose import Choice, decide
from nix_repro.build.variations import PLACEBOS, TABLE
from nix_repro.cli import action
from nix_repro.cli.app import cli
from nix_repro.config import Config
from nix_repro.explain.causes.fixes import FIXES
from nix_repro.explain.causes.rules import RULES
from nix_repro.explain.experiments.inquiry import HOLDS, OTHERS, VARIES
from nix_repro.metrics.targets import DEFAULTS, QUANTITIES
from nix_repro.report import Cause, ScenarioName
from nix_repro.verdict.conclusion import CODES
from nix_repro.verdict.policy import FAIL_ON

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/nix_repro"
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
CHECKLISTS = re.findall(r"^### (.+?)\n(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| (an? .+?) \| ([\d–]+) \| (.+?) \|$", TEXT, re.MULTILINE)
#: How many files each change may touch.
BARS = {"a cause rule": 3, "a rebuilder": 3, "a cache kind": 3, "an output format": 2, "a target": 2, "an option": 5}


def named(text: str) -> list[str]:
    return re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|yml)|bin/lib/[\w-]+)`", text)


@pytest.mark.parametrize(("what", "steps"), CHECKLISTS, ids=[what for what, _ in CHECKLISTS])
def test_a_checklist_names_at_most_three_files(what: str, steps: str) -> None:
    listed = re.findall(r"^\d\. .*", steps, re.MULTILINE)
    assert 1 <= len(listed) <= 3
    for file in (file for step in listed for file in named(step)):
        place = ROOT / file if (ROOT / file).exists() else SOURCE / file
        assert place.exists() or place.name == "NAME.py", file
        assert place.parent.is_dir(), file


def test_the_table_has_the_changes_that_are_made_and_none_touches_too_much() -> None:
    assert {what.lower() for what, _ in CHECKLISTS} == BARS.keys() <= {what for what, _, _ in ROWS}
    assert len(ROWS) == 12
    for what, files, where in ROWS:
        assert int(files.rpartition("–")[2]) <= BARS.get(what, 3), what
        assert len(named(where)) <= BARS.get(what, 3), what
        for file in named(where):
            assert (ROOT / file).exists() or (SOURCE / file).exists() or file.endswith("NAME.py"), file


def test_a_rule_that_is_written_is_tried() -> None:
    """What answers as a rule does is in the list, or is called by what is about the content as a whole."""
    written = {
        function.name
        for path in (SOURCE / "explain/causes").glob("*.py")
        for function in ast.parse(path.read_text("utf-8")).body
        if isinstance(function, ast.FunctionDef)
        and not function.name.startswith("_")
        and function.returns is not None
        and ast.unparse(function.returns) == "Match | None"
        and ast.unparse(function.args).startswith("pair: Pair, ")
    }
    assert written - {"line_width"} == {rule.__name__ for rule in RULES}


def test_every_cause_has_a_fix_that_holds_where_no_closer_one_does() -> None:
    assert {cause for cause, form in FIXES if not form} == set(typing.get_args(Cause))


def test_every_rebuilder_that_can_be_asked_for_can_be_chosen() -> None:
    for name in settings.REBUILDERS:
        assert isinstance(decide(name, shadow=None, hooked=False, ci=True), Choice)
    made = (SOURCE / "build/rebuild/choose.py").read_text("utf-8")
    for path in (SOURCE / "build/rebuild").glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.bases:
                rebuilds = any(isinstance(item, ast.FunctionDef) and item.name == "rebuild" for item in node.body)
                assert not rebuilds or f"return {node.name}(" in made, node.name


def test_every_target_has_its_row() -> None:
    assert {name for limits in DEFAULTS.values() for name in limits} <= QUANTITIES.keys()
    assert DEFAULTS.keys() == set(typing.get_args(ScenarioName))


@pytest.mark.parametrize("command", ["check", "plan", "demo", "explain"])
def test_every_setting_has_its_option(command: str) -> None:
    options = {param.name for param in cli.commands[command].params}
    assert {field.name for field in fields(Config)} - {"installables", "allow"} <= options
    assert set(action.SETTINGS) <= {field.name for field in fields(Config)}


def test_every_variation_is_tried_by_an_experiment_and_every_wrapper_is_known() -> None:
    assert {experiment.condition.name for experiment in (*HOLDS, *VARIES, *OTHERS)} == {row.name for row in TABLE}
    helper = ast.parse((SOURCE / "build/rebuild/shadow_helper.py").read_text("utf-8"))
    [known] = [
        {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
        for node in helper.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_UNDER" and isinstance(node.value, ast.Dict)
    ]
    assert {word for row in (*TABLE, *PLACEBOS.values()) for word in row.under} == known


def test_every_word_of_fail_on_has_an_exit_code() -> None:
    assert set(FAIL_ON) <= CODES.keys()
