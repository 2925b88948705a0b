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


def history(done: Any) -> list[dict[str, Any]]:
    (file,) = done.record.glob("nix-repro-*/report.json")
    return list(json.loads(file.read_text("utf-8"))["history"])


def test_runs_are_remembered_from_the_default_branch_alone(act: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    main = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    done = act({"installables": ".#good"}, event=main, env={"STUB_CACHE": str(cache)})
    for count in range(2, 6):  # the first one is cold, and three warm ones are compared with
        done = act({"installables": ".#good"}, event=main, env={"STUB_CACHE": str(cache)})
        assert done.code == 0, done.story
        assert len(json.loads((cache / "history.json").read_text())["runs"]) == count
        save, restore = done.calls()["cache-save"], done.calls()["cache-restore"]
        assert save["key"] == restore["key"]
        assert save["key"].startswith(restore["restore_keys"])
    trends = {trend["name"]: trend for trend in history(done)}
    assert trends["total"]["runs"] == 3
    (done.record / "calls").unlink()
    other = {"ref": "refs/heads/feature", "repository": {"default_branch": "main"}}
    done = act({"installables": ".#good"}, event=other, env={"STUB_CACHE": str(cache)})
    assert "cache-save" not in done.calls()
    assert history(done)
    (done.record / "calls").unlink()
    done = act({"installables": ".#good", "history": "false"}, event=main, env={"STUB_CACHE": str(cache)})
    assert not {"cache-save", "cache-restore"} & set(done.calls())
    assert not history(done)


def test_a_cache_service_that_fails_is_nothing_to_a_run(act: Any) -> None:
    main = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    done = act({"installables": ".#good"}, event=main, env={"STUB_FAIL": "cache-restore cache-save"})
    assert done.code == 0, done.story
