"""The recipe for pull requests from forks, docs/fork-pull-requests.yml, as it stands there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_api import HEAD, MERGE, PAYLOADS

ROOT = Path(__file__).parents[2]
PULL = {"number": 7, "state": "open", "head": {"label": "stranger:topic", "sha": HEAD}}


@pytest.fixture
def second_stage(act: Any, github: Any) -> Any:
    """Runs the recipe after a fork's job has stored these reports, by the name of their artifact."""

    def run(stored: dict[str, str | bytes]) -> Any:
        for name, content in stored.items():
            directory = act.record / "stored" / name
            directory.mkdir(parents=True)
            (directory / "report.json").write_bytes(content.encode() if isinstance(content, str) else content)
        (act.record / "stored").mkdir(exist_ok=True)
        recipe = yaml.safe_load((ROOT / "docs" / "fork-pull-requests.yml").read_text())
        job = recipe["jobs"]["comment"]
        assert set(job["permissions"]) == {"actions", "contents", "pull-requests"}
        [own] = [step["with"] for step in job["steps"] if "checkout" in step["uses"]]
        assert own["persist-credentials"] is False
        assert not {"ref", "repository"} & set(own), "on this event, the default branch"
        steps = [act.warm_step(), *job["steps"]]
        event = json.loads((PAYLOADS / "workflow_run_fork.json").read_text())
        return act(
            job={"if": job["if"], "steps": steps},
            on={"workflow_run": {"workflows": ["CI"]}},
            event=event,
            event_name="workflow_run",
            env={"GITHUB_API_URL": github.url},
        )

    return run


DIVERGED = (ROOT / "fixtures" / "reports" / "diverged.json").read_text()


def test_it_comments_from_the_stored_report_and_makes_no_status(github: Any, second_stage: Any) -> None:
    github.pulls = [PULL]
    done = second_stage({"nix-repro-test-0-Linux-X64": DIVERGED})
    assert done.code == 0, done.story
    [comment] = github.comments
    assert "widgets-cli-2.4.0" in comment["body"]
    assert github.statuses == []
    assert "POST /repos/acme/widgets/issues/7/comments" in github.requests
    assert done.calls()["download-artifact"] == {"pattern": "nix-repro-*", "path": "reports", "run_id": "30433642"}
    assert done.commands("warning") == []


def test_what_the_default_branch_allows_is_known(act: Any, github: Any, second_stage: Any) -> None:
    github.pulls = [PULL]
    (act.repository / ".nix-repro.yml").write_text("allow:\n  - name: '*'\n    reason: bug 7\n")
    done = second_stage({"nix-repro-a": DIVERGED})
    assert done.commands("warning") == []
    assert "allowed&#58; bug 7" in github.comments[0]["body"]


def test_each_leg_has_its_own_comment(github: Any, second_stage: Any) -> None:
    github.pulls = [PULL]
    second_stage({"nix-repro-a": DIVERGED, "nix-repro-b": DIVERGED, "something-else": DIVERGED})
    assert len(github.comments) == 2


def test_a_pull_request_that_moved_on_is_left_alone(github: Any, second_stage: Any) -> None:
    github.pulls = [{**PULL, "head": {"label": "stranger:topic", "sha": MERGE}}]
    done = second_stage({"nix-repro-a": DIVERGED})
    assert done.code == 0
    assert github.comments == []


@pytest.mark.parametrize("stored", ["", "{}", "[]", '{"version": 2}', b"\xff\xfe", "[" * 100_000])
def test_what_is_no_report_is_one_warning(github: Any, second_stage: Any, stored: str | bytes) -> None:
    github.pulls = [PULL]
    done = second_stage({"nix-repro-a": stored, "nix-repro-b": DIVERGED})
    assert done.code == 0, done.story
    assert len(done.commands("warning")) == 1
    assert len(github.comments) == 1


def test_a_link_in_an_artifact_leads_nowhere(act: Any, github: Any, second_stage: Any, tmp_path: Path) -> None:
    github.pulls = [PULL]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report.json").write_text(DIVERGED)
    (act.record / "stored" / "nix-repro-c").mkdir(parents=True)
    (act.record / "stored" / "nix-repro-c" / "report.json").symlink_to(tmp_path / "elsewhere" / "report.json")
    (act.record / "stored" / "nix-repro-d").symlink_to(tmp_path / "elsewhere")
    done = second_stage({})
    assert done.code == 0, done.story
    assert github.comments == []


def test_a_hostile_report_is_inert(github: Any, second_stage: Any) -> None:
    github.pulls = [PULL]
    report = json.loads(DIVERGED)
    for derivation in report["derivations"]:
        derivation["name"] = "@everyone <script>alert(1)</script> [x](javascript:alert(1)) ::error::no"
    done = second_stage({"nix-repro-$(id)": json.dumps(report)})
    [comment] = github.comments
    assert "<script" not in comment["body"]
    assert "@everyone" not in comment["body"]
    assert "](javascript" not in comment["body"]
    assert done.commands("error") == []


def test_without_permission_it_warns(github: Any, second_stage: Any) -> None:
    github.pulls = [PULL]
    github.permissions = set()
    done = second_stage({"nix-repro-a": DIVERGED})
    assert done.code == 0
    [warning] = done.commands("warning")
    assert "pull request comment not sent" in warning
