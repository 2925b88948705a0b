"""A job that is cancelled. A runner sends SIGINT to the step's own process and to nothing below it, 7.5 s later
SIGTERM, and 2.5 s later it kills everything (docs.github.com, "Workflow cancellation reference"); act does none of
this, so the step runs without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STEPS = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]


def test_a_cancelled_run_leaves_its_report(act: Any) -> None:
    act.commit({})
    files = {name: act.record / name for name in ("output", "summary", "script")}
    for path in files.values():
        path.touch()
    files["script"].write_text(next(step["run"] for step in STEPS if step["id"] == "check"))
    (act.record / "nix-repro").symlink_to(act.warm)
    environ = {
        "PATH": os.environ["PATH"],
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(act.checkout),
        "GITHUB_WORKSPACE": str(act.repository),
        "GITHUB_OUTPUT": str(files["output"]),
        "GITHUB_STEP_SUMMARY": str(files["summary"]),
        "HOME": str(act.record),
        "RUNNER_TEMP": str(act.record),
        "INPUT_INSTALLABLES": ".#slow",
        "INPUT_SCOPE": "closure",
        "NIX_CONFIG": "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false",
    }
    command = [*act.in_a_store(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(files["script"])]
    with subprocess.Popen(command, cwd=act.repository, env=environ, stdout=subprocess.PIPE, text=True) as step:
        assert step.stdout is not None
        said = ""
        while "building" not in said:
            line = step.stdout.readline()
            assert line, said
            said += line
        os.kill(step.pid, signal.SIGINT)
        said += step.communicate(timeout=30)[0]
    assert step.returncode == 0, said
    outputs = files["output"].read_text("utf-8")
    assert "\n130\n" in outputs, said
    assert "\ninconclusive\n" in outputs
    assert files["summary"].read_text("utf-8").startswith("## ⚠️ Interrupted")
    [report] = act.record.glob("nix-repro-*/report.json")
    assert json.loads(report.read_text("utf-8"))["derivations"][0]["reason"] == "cancelled"
