"""What a process of the same user can read of ours: the kernel shows the environment that it was started with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nix_repro.nix.credentials import CREDENTIAL

SECRETS = {
    "GITHUB_TOKEN": "s3cret-1",
    "GH_TOKEN": "s3cret-2",
    "INPUT_GITHUB_TOKEN": "s3cret-3",
    "INPUT_NIX_OPTIONS": "access-tokens = github.com=s3cret-4",
    "ACTIONS_RUNTIME_TOKEN": "s3cret-5",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "s3cret-6",
    "NIX_REPRO_TOKEN": "s3cret-7",
}
#: A program that is started like ours, and then shows what there is to see of it.
LOOK = """
import json, os, sys
from nix_repro.cli.anew import start_anew
start_anew({"action"})
print(json.dumps({
    "first": open("/proc/self/environ", "rb").read().decode(),
    "arguments": open("/proc/self/cmdline", "rb").read().decode(),
    "environ": dict(os.environ),
    "open": len(os.listdir("/proc/self/fd")),
    "pid": os.getpid(),
    "argv": sys.argv[1:],
}))
"""


def look(*args: str, more: dict[str, str]) -> dict[str, object]:
    env = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], **more}
    started = subprocess.Popen([sys.executable, "-c", LOOK, *args], env=env, stdout=subprocess.PIPE, text=True)
    said, _ = started.communicate(timeout=60)
    assert started.returncode == 0
    found: dict[str, object] = json.loads(said)
    assert found["pid"] == started.pid, "signals go to the process that was started"
    assert found["argv"] == list(args)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("command", ["action", "check", ""])
def test_nothing_of_the_credentials_is_left_to_be_read(command: str) -> None:
    settings = {"NIX_CONFIG": "access-tokens = github.com=s3cret-8"}
    found = look(*([command] if command else []), more={**SECRETS, **settings, "HARMLESS": "kept"})
    assert "s3cret" not in str(found["first"])
    assert "s3cret" not in str(found["arguments"])
    assert "kept" in str(found["first"])
    assert found["open"] == look("check", more={})["open"], "no descriptor leads to them either"
    environ = found["environ"]
    assert isinstance(environ, dict)
    held = {name: value for name, value in environ.items() if CREDENTIAL.match(name)}
    assert held == (SECRETS if command == "action" else {})
    assert environ["NIX_CONFIG"] == settings["NIX_CONFIG"], "Nix is to have it, in whatever command"
    assert "NIX_REPRO_HANDED_OVER" not in environ


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_inputs_of_any_size_are_handed_over() -> None:
    large = {"INPUT_FAIL_WHEN": "é\n" * 30_000, "INPUT_A": "x" * 100_000}
    environ = look("action", more=large)["environ"]
    assert isinstance(environ, dict)
    assert large.items() <= environ.items()


def test_without_credentials_nothing_is_started_twice(tmp_path: Path) -> None:
    code = "import os; os.execve = None\nfrom nix_repro.cli.anew import start_anew\nstart_anew(set())"
    env = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True)
