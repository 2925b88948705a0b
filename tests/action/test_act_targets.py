"""Targets in the real action: within them the job passes; an overrun fails it and leaves the whole report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_an_overrun_fails_and_leaves_its_report(act: Any) -> None:
    done = act({"installables": ".#good", "targets": "verification=1s\nhit-rate=none", "fail-when": ".rounds > 9"})
    assert done.code == 1
    outputs = done.outputs()
    assert (outputs["conclusion"], outputs["exit-code"], outputs["reproducible"]) == ("fail", "3", "true")
    report = json.loads(Path(outputs["report-json"]).read_text("utf-8"))
    (late,) = [target for target in report["targets"] if target["ok"] is False]
    assert late["name"] == "verification"
    assert [policy["failed"] for policy in report["policies"]] == [False]
    assert {"install", "cache", "setup"} <= {phase["name"] for phase in report["phases"]}
    assert "Over target" in done.summary
    assert "verification" in done.summary


def test_within_its_targets_it_passes(act: Any) -> None:
    done = act({"installables": ".#good", "targets": "total=5m", "test": "test -f flake.nix"})
    assert done.code == 0, done.story
    assert done.outputs()["conclusion"] == "pass"
    assert "### Targets" in done.summary


def test_a_bad_limit_is_named(act: Any) -> None:
    done = act({"installables": ".#good", "targets": "build=soon"})
    assert done.outputs()["exit-code"] == "2"
    assert any("input targets: 'soon' is not a duration such as 90s" in text for text in done.commands("error"))


def test_a_cache_service_that_fails_is_nothing_to_a_run(act: Any) -> None:
    main = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    done = act({"installables": ".#good"}, event=main, env={"STUB_FAIL": "cache-restore cache-save"})
    assert done.code == 0, done.story
