"""The real action.yml under act, with real Nix; the actions it nests are stubs of ours that record their inputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_api import TOKEN, GitHub, serve

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# A store of its own for each test, but the machine's lock on build users: who thinks one free kills what runs as it.
_ENTER = """
for pool in userpool userpool2; do
  mkdir -p "/nix/var/nix/$pool" "$0/var/nix/$pool"
  mount --bind "/nix/var/nix/$pool" "$0/var/nix/$pool"
done
mkdir -p "$0/store"
mount --rbind "$0" /nix
exec "$@"
"""


@dataclass
class ActResult:
    """What act said: `lines` are its JSON objects, `record` is where the stubs wrote."""

    code: int
    lines: list[dict[str, Any]]
    record: Path
    text: str

    @property
    def story(self) -> str:
        """What the job printed, for the message of a test that fails."""
        return f"exit code {self.code}, outputs {self.outputs()}\n{self.log[-6000:]}\n{self.commands('error')}"

    def commands(self, name: str) -> list[str]:
        """The arguments of each workflow command of that name, as the runner obeyed them."""
        return [str(line.get("arg", "")) for line in self.lines if line.get("command") == name]

    @property
    def summary(self) -> str:
        return "\n".join(str(line["content"]) for line in self.lines if line.get("command") == "summary")

    @property
    def log(self) -> str:
        return "\n".join(str(line.get("msg", "")) for line in self.lines if line.get("raw_output"))

    def outputs(self) -> dict[str, str]:
        """The step outputs that were set, the last one of each name."""
        return {
            str(line["name"]): str(line.get("arg", "")) for line in self.lines if line.get("command") == "set-output"
        }

    def calls(self) -> dict[str, dict[str, str]]:
        """Which stubs ran, with the inputs they were given."""
        found: dict[str, dict[str, str]] = {}
        text = (self.record / "calls").read_text() if (self.record / "calls").exists() else ""
        for block in text.strip().split("\n\n"):
            pairs = dict(line.partition("=")[::2] for line in block.splitlines())
            name_of_stub = pairs.pop("stub", None)
            if name_of_stub is not None:
                found[name_of_stub] = {name.removeprefix("INPUT_"): value for name, value in pairs.items()}
        return found


@dataclass
class Act:
    """A consumer's repository with the test flake, in which workflows run."""

    repository: Path
    record: Path
    warm: Path
    checkout: Path
    path: str = field(default_factory=lambda: os.environ["PATH"])

    def hide_nix(self) -> None:
        """From now on PATH has every program of the machine but Nix."""
        directory = self.record.parent / "programs"
        directory.mkdir()
        for folder in reversed(self.path.split(os.pathsep)):
            for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
                if not program.name.startswith("nix"):
                    (directory / program.name).unlink(missing_ok=True)
                    (directory / program.name).symlink_to(program)
        self.path = str(directory)

    def warm_step(self) -> dict[str, str]:
        """Puts the launcher's Python environment where it looks for it."""
        return {"run": f'ln -s "{self.warm}" "$RUNNER_TEMP/nix-repro"'}

    def in_a_store(self) -> list[str]:
        """To be put before a command: a store of its own, and the same process for the command."""
        return ["unshare", "--mount", "sh", "-euc", _ENTER, str(self.record.parent / "nix")]

    def commit(self, workflow: dict[str, Any], **called: dict[str, Any]) -> None:
        """Commit the workflow, and others that it calls."""
        folder = self.repository / ".github" / "workflows"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {"test": workflow, **called}.items():
            (folder / f"{name}.yml").write_text(yaml.safe_dump(content))
        for command in (
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "test", "--allow-empty"],
        ):
            subprocess.run(["git", *command], cwd=self.repository, check=True)

    def __call__(
        self,
        with_: dict[str, str] | None = None,
        *,
        job: dict[str, Any] | None = None,
        on: Any = ("push", "pull_request"),
        event: dict[str, Any] | None = None,
        event_name: str = "push",
        env: dict[str, str] | None = None,
    ) -> ActResult:
        """Run one job that uses the action with these inputs; `job` is merged over it."""
        uses = {
            "id": "repro",
            "uses": "org/nix-repro-action@v1",
            "with": {"cache": "none", "github-token": "", "scope": "closure", **(with_ or {})},
        }
        self.commit(
            {
                "name": "test",
                "on": on if isinstance(on, dict) else list(on),
                "jobs": {
                    "test": {
                        "runs-on": "ubuntu-latest",
                        "steps": [{"uses": "actions/checkout@v4"}, self.warm_step(), uses],
                        **(job or {}),
                    }
                },
            }
        )
        return self.start(event, event_name, env, *self.in_a_store())

    def start(
        self, event: dict[str, Any] | None, event_name: str, env: dict[str, str] | None, *before: str
    ) -> ActResult:
        """Run what was committed, for an event; `before` is put before the command."""
        for artifact in self.record.glob("nix-repro-*"):
            shutil.rmtree(artifact)  # of an earlier run
        command = [
            str(Path(sysconfig.get_path("scripts")) / "act"),
            event_name,
            "--json",
            "-P",
            "ubuntu-latest=-self-hosted",
        ]
        command += [
            "--no-cache-server",
            "--action-cache-path",
            str(self.record / "actions"),
            "-s",
            f"GITHUB_TOKEN={TOKEN}",
        ]
        for reference in nested_actions():
            repository, _, revision = reference.partition("@")
            owner, name = repository.split("/")[:2]
            command += ["--local-repository", f"{owner}/{name}@{revision}={HERE / 'stubs' / name}"]
        command += ["--local-repository", f"org/nix-repro-action@v1={self.checkout}"]
        if event is not None:
            payload = self.record / "event.json"
            payload.write_text(json.dumps(event))
            command += ["-e", str(payload)]
        nix = "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false"
        for name, value in {"STUB_RECORD": str(self.record), "NIX_CONFIG": nix, **(env or {})}.items():
            command += ["--env", f"{name}={value}"]
        clean = {"PATH": self.path, "HOME": str(self.record), "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*before, *command],
            cwd=self.repository,
            env=clean,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return ActResult(done.returncode, lines, self.record, done.stdout + done.stderr)


def nested_actions() -> list[str]:
    """`owner/name@sha` of every action that action.yml and the recipe use."""
    text = (ROOT / "action.yml").read_text() + (ROOT / "docs" / "fork-pull-requests.yml").read_text()
    return re.findall(r"uses: ([^\s#]+@[0-9a-f]{40})", text)


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher's Python environment, made once. A job keeps it under RUNNER_TEMP, and act's is new every time."""
    return make_warm(tmp_path_factory.mktemp("warm"))


def make_warm(directory: Path) -> Path:
    environ = os.environ | {"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(directory)}
    subprocess.run([str(ROOT / "bin" / "nix-repro"), "--version"], env=environ, check=True, timeout=300)
    return directory / "nix-repro"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a consumer gets of this repository, without the tests: act copies it for every job."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


def make_checkout(directory: Path) -> Path:
    for name in ("bin", "publish", "src"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("action.yml", "requirements.lock"):
        shutil.copy(ROOT / name, directory / name)
    return directory


@pytest.fixture
def act(tmp_path: Path, warm: Path, checkout: Path) -> Act:
    return make_act(tmp_path, warm, checkout)


def make_act(directory: Path, warm: Path, checkout: Path) -> Act:
    repository, record = directory / "consumer", directory / "record"
    shutil.copytree(HERE / "flake", repository)
    record.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository, check=True)
    subprocess.run(
        ["git", "remote", "add", "origin", "https://github.com/acme/widgets.git"], cwd=repository, check=True
    )
    return Act(repository, record, warm, checkout)
