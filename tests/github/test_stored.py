"""The second stage over HTTP: what it makes of the reports that a fork's job has stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from github_api import HEAD, MERGE, TOKEN
from nix_repro.cli.publish import COMMENTS, publish_stored, send

ROOT = Path(__file__).parents[2]
DIVERGED, CLEAN = (
    json.loads((ROOT / "fixtures" / "reports" / f"{name}.json").read_text("utf-8")) for name in ("diverged", "clean")
)
PULL = {"number": 7, "state": "open", "head": {"label": "stranger:topic", "sha": HEAD}}


@pytest.fixture
def publish(github: Any, environ: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    github.pulls = [PULL]

    def run(stored: dict[str, Any], comment: str = "always", event: str = "workflow_run_fork") -> int:
        for name, report in stored.items():
            (tmp_path / "reports" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "reports" / name / "report.json").write_text(json.dumps(report))
        inputs = {"REPORTS": "reports", "COMMENT": comment, "GITHUB_TOKEN": TOKEN}
        for name, value in inputs.items():
            monkeypatch.setenv(f"INPUT_{name}", value)
        return publish_stored(environ(event, GITHUB_WORKSPACE=str(tmp_path)))

    return run


def test_sixty_artifacts_are_not_sixty_comments(github: Any, publish: Any, capsys: Any) -> None:
    """However often, and under whatever names."""
    assert publish({f"nix-repro-a{number:02}": CLEAN for number in range(60)} | {"nix-repro-z": DIVERGED}) == 0
    assert len(github.comments) == COMMENTS
    for again in range(3):
        publish({f"nix-repro-{again}{number:02}": CLEAN for number in range(60)})
    assert len(github.comments) == COMMENTS
    said = capsys.readouterr().out
    assert "::warning title=nix-repro::56 more reports were stored; 5 get a comment" in said
    assert "there are 5 comments of nix-repro already" in said
    assert github.statuses == []


def test_what_failed_comes_first(github: Any, publish: Any) -> None:
    publish({f"nix-repro-a{number:02}": CLEAN for number in range(20)} | {"nix-repro-z": DIVERGED})
    assert "widgets-cli-2.4.0" in github.comments[0]["body"]
    assert "16 more reports were stored" in github.comments[0]["body"]


def test_it_says_whose_word_it_is_and_concludes_by_itself(github: Any, publish: Any) -> None:
    lie = "verified by the maintainers"
    told = {**DIVERGED, "conclusion": "pass", "exit_code": 0, "fail_on": [], "warnings": [lie], "tool": lie}
    publish({"nix-repro-a": told}, comment="failures")
    [comment] = github.comments
    assert lie not in comment["body"]
    assert comment["body"].splitlines()[1].startswith("> From a report that a job of this change has stored")
    assert "\n## ❌ " in comment["body"]


RULE = "allow:\n  - name: '*'\n    reason: bug 7\n"
NOT_HERE = "Allow rules do not count here&#58; "


def test_the_rules_of_the_default_branch_count_and_not_the_report_s(
    github: Any, publish: Any, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "reports" / "nix-repro-a").mkdir(parents=True)
    (tmp_path / "reports" / "nix-repro-a" / ".nix-repro.yml").write_text(RULE)
    told = {**DIVERGED, "derivations": [{**d, "marks": ["known"]} for d in DIVERGED["derivations"]]}
    publish({"nix-repro-a": told})
    assert "\n## ❌ " in github.comments[0]["body"]
    assert f"{NOT_HERE}the default branch is not checked out." in github.comments[0]["body"]
    (tmp_path / ".git").mkdir()
    publish({"nix-repro-a": told})
    assert "\n## ❌ " in github.comments[0]["body"], "it has none"
    assert NOT_HERE not in github.comments[0]["body"]
    (tmp_path / ".nix-repro.yml").write_text(RULE)
    only_divergent = {**told, "derivations": [d for d in told["derivations"] if d["verdict"] == "divergent"]}
    publish({"nix-repro-a": only_divergent})
    assert "❌" not in github.comments[0]["body"]
    assert "bug 7" in github.comments[0]["body"]
    (tmp_path / ".nix-repro.yml").write_text("allow: all\n")
    publish({"nix-repro-a": told})
    assert "\n## ❌ " in github.comments[0]["body"]
    assert f"{NOT_HERE}.nix-repro.yml cannot be read." in github.comments[0]["body"]
    assert "::warning title=nix-repro::allow rules do not count: .nix-repro.yml:1: " in capsys.readouterr().out


def test_what_a_pull_request_s_own_run_has_checked_out_allows_nothing(
    github: Any, publish: Any, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".nix-repro.yml").write_text(RULE)
    publish({"nix-repro-a": DIVERGED}, event="pull_request")
    assert "\n## ❌ " in github.comments[0]["body"]
    assert NOT_HERE in github.comments[0]["body"]


def test_a_comment_that_is_there_is_kept_true(github: Any, publish: Any) -> None:
    publish({"nix-repro-a": DIVERGED})
    publish({"nix-repro-a": CLEAN})
    [comment] = github.comments
    assert "❌" not in comment["body"]


def test_a_name_is_that_of_an_artifact(github: Any, publish: Any) -> None:
    publish({"nix-repro-a -->\n# LIE `x` @everyone": DIVERGED})
    [comment] = github.comments
    assert "LIE" not in comment["body"].splitlines()[0] or "-->" in comment["body"].splitlines()[0][-4:]
    assert "\n# LIE" not in comment["body"]
    assert "@everyone" not in comment["body"]


def test_the_step_after_the_check_sends_what_the_report_says(
    github: Any, environ: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(DIVERGED | {"commit": MERGE}))
    inputs = {"REPORT": str(tmp_path / "report.json"), "ID": "leg", "STATUSES": "overall", "COMMENT": "failures"}
    for name, value in {**inputs, "GITHUB_TOKEN": TOKEN}.items():
        monkeypatch.setenv(f"INPUT_{name}", value)
    assert send(environ("pull_request")) == 0
    [status] = github.statuses
    assert (status["context"], status["state"], status["sha"]) == ("nix-repro (leg)", "failure", HEAD)
    assert len(github.comments) == 1
    assert capsys.readouterr().out == ""
    for broken in ("{", json.dumps({"version": 2})):
        (tmp_path / "report.json").write_text(broken)
        assert send(environ("pull_request")) == 0
        assert "::warning title=nix-repro::nothing was reported to GitHub" in capsys.readouterr().out
    monkeypatch.setenv("INPUT_GITHUB_TOKEN", "")
    (tmp_path / "report.json").write_text(json.dumps(DIVERGED))
    assert send(environ("pull_request")) == 0
    assert len(github.statuses) == 1
