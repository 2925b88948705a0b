"""What no linter sees in action.yml: that every part of it is connected to the others."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from action_start import start
from nix_repro.cli import action
from nix_repro.config import Config
from nix_repro.metrics.phases import NOTED
from nix_repro.nix import elsewhere
from nix_repro.nix.caches.kinds import CACHE_STEPS
from nix_repro.output.github import outputs
from tools import tool

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "action.yml").read_text("utf-8")
ACTION: dict[str, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = Path(sysconfig.get_path("scripts"))


def expressions(value: Any) -> list[str]:
    """Every expression in a step: in `${{ }}`, and the whole of an `if`."""
    if isinstance(value, dict):
        return [
            found for key, inner in value.items() for found in ([str(inner)] if key == "if" else expressions(inner))
        ]
    if isinstance(value, list):
        return [found for inner in value for found in expressions(inner)]
    return re.findall(r"\$\{\{(.*?)\}\}", str(value))


def test_every_input_reaches_a_step_and_none_is_undeclared() -> None:
    used = {name for expression in expressions(STEPS) for name in re.findall(r"inputs\.([\w-]+)", expression)}
    assert used == set(ACTION["inputs"])


def test_what_the_check_reads_is_what_it_is_given() -> None:
    check = next(step for step in STEPS if step["id"] == "check")
    given = {name.removeprefix("INPUT_").lower() for name in check["env"] if name.startswith("INPUT_")}
    assert given == {*action.SETTINGS, *action.OWN}
    noted = {name for name in check["env"] if name.startswith("NIX_REPRO_")} | {"NIX_REPRO_CALLED"}
    assert noted == {*NOTED, CACHE_STEPS, elsewhere.ARTIFACT}


def test_every_input_of_the_check_is_mapped_from_its_own_name() -> None:
    check = next(step for step in STEPS if step["id"] == "check")
    for name, value in check["env"].items():
        if name.startswith("INPUT_") and name != "INPUT_ID":
            assert value == "${{ inputs." + name.removeprefix("INPUT_").lower().replace("_", "-") + " }}"


def test_the_step_with_the_token_is_given_what_it_reads_and_starts_nothing_else() -> None:
    send = next(step for step in STEPS if step["id"] == "send")
    assert {name.removeprefix("INPUT_").lower() for name in send["env"]} == {*action.SEND}
    assert [step["id"] for step in STEPS if "github-token" in str(step)] == ["send"]
    assert send["run"].endswith('/bin/nix-repro" send')
    assert send["continue-on-error"] is True, "the verdict is the check's"


def test_every_setting_of_the_file_is_an_input() -> None:
    kept = {"history", "ledger", "verified_cache"}
    inputs = {*action.SETTINGS, "options" if "nix_options" in action.OWN else "", "allow", *kept}
    assert inputs == {field.name for field in fields(Config)}


def test_the_second_stage_is_given_what_it_reads() -> None:
    second = yaml.safe_load((ROOT / "publish" / "action.yml").read_text("utf-8"))
    [step] = second["runs"]["steps"]
    assert {name.removeprefix("INPUT_").lower() for name in step["env"]} == {*action.PUBLISH}
    assert {name.replace("-", "_") for name in second["inputs"]} == {*action.PUBLISH}
    assert "${{" not in step["run"]


def test_every_step_that_is_referred_to_comes_earlier() -> None:
    seen: set[str] = set()
    for step in STEPS:
        for expression in expressions(step):
            for name in re.findall(r"steps\.([\w-]+)\.", expression):
                assert name in seen, f"{step['id']} refers to {name}"
        assert step["id"] not in seen
        seen.add(step["id"])
    for entry in ACTION["outputs"].values():
        for name in re.findall(r"steps\.([\w-]+)\.", entry["value"]):
            assert name in seen


def test_every_output_of_a_step_is_one_that_it_sets(tmp_path: Path) -> None:
    (tmp_path / "installed").touch()
    [installed] = [step for step in STEPS if step["id"] == "installed"]
    environ = {"PATH": os.environ["PATH"], "GITHUB_OUTPUT": str(tmp_path / "installed")}
    subprocess.run(["bash", "-c", installed["run"]], env=environ, check=True)
    sets = {
        "start": {*start(tmp_path)[1], *start(tmp_path, INSTALL_NIX="bad")[1]},
        "installed": {line.partition("=")[0] for line in (tmp_path / "installed").read_text().splitlines()},
        "check": {*outputs.NAMES, "report-directory", "default-branch", "verified-changed", "exit-code"},
    }
    used = [*expressions(STEPS), *(entry["value"] for entry in ACTION["outputs"].values())]
    for step, name in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", " ".join(used)):
        assert name in sets[step], f"{step} never sets {name}"


def test_no_expression_is_part_of_a_script() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")
        assert ("shell" in step) == ("run" in step)


def test_nested_actions_are_pinned_and_cannot_fail_the_job_once_nix_is_there() -> None:
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+(/[\w-]+)?@[0-9a-f]{40}", step["uses"])
            assert re.search(re.escape(step["uses"]) + r" # \S+", TEXT), "the version belongs beside the sha"
            assert step.get("continue-on-error") is (None if step["id"] in {"determinate", "upstream"} else True)


def test_nested_actions_neither_report_home_nor_write_summaries() -> None:
    given = {step["id"]: step["with"] for step in STEPS if "uses" in step}
    assert given["determinate"] == {"source-tag": "v3.17.1", "summarize": False, "diagnostic-endpoint": ""}
    revision = given["magic"].pop("source-revision")
    assert given["magic"] == {"use-flakehub": "disabled", "diagnostic-endpoint": ""}
    assert re.fullmatch("[0-9a-f]{40}", revision), "what these two run is pinned as they are"


def test_what_is_kept_is_kept_for_the_same_runs() -> None:
    """Whatever is saved, a stranger's run saves nothing where the default branch's runs find it."""
    rules = {step["id"]: step["if"].split(" && ", 3) for step in STEPS if step["id"] in ("keep", "keep-verified")}
    assert rules["keep"][0] == rules["keep-verified"][0] == "always()"
    assert rules["keep"][3:] == rules["keep-verified"][3:]
    assert "pull_request_target" in rules["keep"][3]


def test_the_outcome_is_last_and_the_artifact_is_always_kept() -> None:
    assert [step["id"] for step in STEPS][-9:] == [
        *("check", "send", "artifact", "remember", "newest", "gather", "keep", "keep-verified", "outcome")
    ]
    assert STEPS[-7]["if"].startswith("always()")


def test_every_nested_action_has_a_stub_with_its_inputs() -> None:
    for step in STEPS:
        if "uses" in step:
            name = step["uses"].partition("@")[0].partition("/")[2]
            stub = yaml.safe_load((Path(__file__).parent / "stubs" / name / "action.yml").read_text("utf-8"))
            assert set(step["with"]) <= set(stub["inputs"])


def test_the_readme_is_in_step() -> None:
    tables = tool("readme_tables")
    assert tables.main(["--check"]) == 0, "run tools/readme_tables.py"
    readme = (ROOT / "README.md").read_text("utf-8")
    fewer = {**ACTION, "inputs": dict(list(ACTION["inputs"].items())[1:])}
    assert tables.updated(readme, fewer) != readme
    with pytest.raises(ValueError, match="inputs"):
        tables.updated(readme.replace("<!-- inputs -->", ""), ACTION)


def run(*command: str) -> str:
    done = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("persona", ["regular", "pedantic"])
def test_zizmor_finds_nothing(persona: str) -> None:
    said = run(
        "zizmor", "--offline", "--no-progress", f"--persona={persona}", "action.yml", "publish/action.yml", ".github"
    )
    assert said.startswith("0\n"), said


def test_actionlint_finds_nothing() -> None:
    said = run("actionlint", *(str(path) for path in WORKFLOWS))
    assert said == "0\n"


def test_the_structure_is_what_github_describes() -> None:
    said = run("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml", "publish/action.yml")
    assert said.startswith("0\n"), said
    said = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *(str(path) for path in WORKFLOWS))
    assert said.startswith("0\n"), said


def uses(value: Any) -> list[str]:
    """Every action and workflow that is used."""
    if isinstance(value, dict):
        return [name for key, inner in value.items() for name in ([inner] if key == "uses" else uses(inner))]
    return [name for inner in value for name in uses(inner)] if isinstance(value, list) else []


def test_workflows_pin_what_they_use_and_ask_for_little() -> None:
    assert {path.stem for path in WORKFLOWS} >= {"ci", "release", "self-test"}
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert all(re.search(r"^\./|@[0-9a-f]{40}$", used) for used in uses(workflow)), path.name
        assert workflow["permissions"] == {}, path.name
