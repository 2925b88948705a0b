"""What the action adds to a job: `PYTHONPATH=src python tests/bench/action.py`, as root, with a Nix on PATH.

The real action.yml under act, with stubs for the actions it nests and a server of ours for GitHub's API, on a flake of
a few lines. A shim before every Nix program writes down when that ran; the rest of the action's steps is the action's
own time. Run by hand; docs/performance.md says what came out and what is allowed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

from github_api import PAYLOADS, TOKEN, serve  # noqa: E402
from watched_nix import read_runs, watch  # noqa: E402

RUNS = 5
#: The steps of action.yml that are no nested action.
OWN = ("start", "installed", "check", "outcome")


def main() -> None:
    bare = statistics.median(bare_interpreter() for _ in range(15))
    with tempfile.TemporaryDirectory() as name, serve() as github:
        work = Path(name)
        given = fixtures()
        (work / "job").mkdir()
        (work / "warm").mkdir()
        act = given.make_act(work / "job", given.make_warm(work / "warm"), given.make_checkout(work / "checkout"))
        path, log = act.path, work / "log"
        act.path = f"{watch(work / 'bin', log)}:{path}"
        # What is built in a run is rebuilt two seconds later at the earliest: not in the figures.
        for package, event in (("good", "push"), ("bad", "pull_request")):
            own(act, github, log, package, event)
        print("environment warm; bar: 1.5 s without Nix")
        warm = 0.0
        for package, event in (("good", "push"), ("bad", "pull_request")):
            found = [own(act, github, log, package, event) for _ in range(RUNS)]
            warm = statistics.median(found)
            print(f"  {package}, {event}: {said(found)} without Nix = {warm / bare:.0f} × a bare interpreter")
        print("environment cold, downloads included: the same job takes longer by; bars: 2 s with uv, 6 s with pip")
        for installer in ("uv", "pip"):
            if installer == "pip":
                act.path = f"{work / 'bin'}:{without(work / 'programs', path, 'uv')}"
            found = [
                own(act, github, log, package, event, cold=work / f"{installer}-{run}") - warm for run in range(RUNS)
            ]
            print(f"  {installer}: {said(found)}")


def said(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} s ({min(found):.2f}–{max(found):.2f})"


def bare_interpreter() -> float:
    """Seconds: the yardstick for this machine, now."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def fixtures() -> Any:
    """How the tests run action.yml."""
    spec = importlib.util.spec_from_file_location("action_fixtures", HERE.parent / "action" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up what annotations mean
    spec.loader.exec_module(module)
    return module


def own(act: Any, github: Any, log: Path, package: str, event: str, *, cold: Path | None = None) -> float:
    """Seconds of one job's own steps in which no Nix ran. With `cold`, a directory, nothing is there that could be
    reused."""
    environ = {"GITHUB_API_URL": github.url}
    steps = [{"uses": "actions/checkout@v4"}, act.warm_step()]
    if cold is not None:
        environ |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_"))}
        environ |= {"UV_CACHE_DIR": str(cold / "uv"), "PIP_CACHE_DIR": str(cold / "pip")}
        steps.pop()
    inputs = {
        "installables": f".#{package}",
        "github-token": TOKEN,
        "comment": "always",
        "cache": "none",
        "scope": "closure",
    }
    payload = json.loads((PAYLOADS / f"{event}.json").read_text())
    log.write_text("")
    job = {"steps": [*steps, {"uses": "org/nix-repro-action@v1", "with": inputs}]}
    done = act(job=job, event=payload, event_name=event, env=environ)
    assert done.outputs()["exit-code"] == ("0" if package == "good" else "1"), done.story
    return sum(seconds(done.lines)) - read_runs(log)[1]


def seconds(lines: list[dict[str, Any]]) -> list[float]:
    """How long each of the action's own steps took, by act's clock."""
    ended = [
        line for line in lines if line.get("stage") == "Main" and "stepResult" in line and len(line["stepID"]) == 2
    ]
    return [line["executionTime"] / 1e9 for line in ended if line["stepID"][1] in OWN]


def without(directory: Path, path: str, name: str) -> Path:
    """Links to every program on `path` but one."""
    directory.mkdir()
    for folder in reversed(path.split(os.pathsep)):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if program.name != name:
                (directory / program.name).unlink(missing_ok=True)
                (directory / program.name).symlink_to(program)
    return directory


if __name__ == "__main__":
    main()
