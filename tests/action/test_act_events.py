"""Every event that can start the action, with its own commit checked out and with another: where status, base, comment
and history go. The check is a stand-in (stubs/check.py), the rest is the real action.yml under act."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from github_api import TOKEN

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
REPOSITORY = {"full_name": "acme/widgets", "name": "widgets", "owner": {"login": "acme"}, "default_branch": "main"}
EVENTS = (
    "issue_comment",
    "merge_group",
    "pull_request",
    "pull_request_target",
    "push",
    "release",
    "repository_dispatch",
    "schedule",
    "workflow_dispatch",
    "workflow_run",
)
USES: dict[str, Any] = {"uses": "org/nix-repro-action@v1"}
WITH = {"cache": "none", "github-token": TOKEN, "comment": "always", "install-nix": "never"}


def git(cwd: Path, *args: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *config, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def pretending(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action with the stand-in for its check."""
    copy = tmp_path_factory.mktemp("pretending") / "action"
    shutil.copytree(checkout, copy)
    shutil.copy(HERE / "stubs" / "check.py", copy / "src" / "nix_repro" / "check.py")
    return copy


@dataclass
class Sent:
    """What one event came to: `saved` are the keys of the histories that were saved, `bases` the base by commit."""

    done: Any
    statuses: list[tuple[str, str]]
    bases: dict[str, str]
    comments: list[str]
    saved: list[str]


@dataclass
class Jobs:
    """A repository with two commits: the event's own, and another one that the job checks out."""

    act: Any
    github: Any
    here: str = ""
    other: str = ""
    commits: dict[str, str] = field(default_factory=dict)

    def prepare(self, workflow: dict[str, Any], **called: dict[str, Any]) -> None:
        self.act.commit(workflow, **called)
        tree = git(self.act.repository, "rev-parse", "HEAD^{tree}")
        self.here = git(self.act.repository, "rev-parse", "HEAD")
        self.other = git(self.act.repository, "commit-tree", tree, "-p", "HEAD", "-m", "other")
        git(self.act.repository, "branch", "-f", "other", self.other)
        self.github.commits |= {self.here, self.other}

    def run(self, name: str, payload: dict[str, Any]) -> Sent:
        shutil.copy(ROOT / "fixtures" / "reports" / "clean.json", self.act.record / "canned.json")
        for record in ("calls", "bases"):
            (self.act.record / record).unlink(missing_ok=True)
        env = {"GITHUB_API_URL": self.github.url, "OTHER": self.other}
        done = self.act.start({"repository": REPOSITORY, **payload}, name, env)
        bases = dict(line.split() for line in (self.act.record / "bases").read_text().splitlines())
        keys = [block for block in (self.act.record / "calls").read_text().split("\n\n") if "stub=cache-save" in block]
        return Sent(
            done,
            [(status["context"], status["sha"]) for status in self.github.statuses],
            bases,
            [line for line in self.github.requests if line.startswith("POST") and line.endswith("/comments")],
            [line.partition("=")[2] for block in keys for line in block.splitlines() if line.startswith("INPUT_key")],
        )


@pytest.fixture
def jobs(act: Any, github: Any, pretending: Path) -> Jobs:
    act.checkout = pretending
    return Jobs(act, github)


#: By event: its payload, what the status is about with the event's commit checked out and with the other one, which of
#: the two have a base and a comment, and whether the first is remembered. The other one never is.
PULL = {"number": 7, "head": {"sha": "other", "ref": "topic"}, "base": {"sha": "here", "ref": "main"}}
ISSUE = {"number": 7, "pull_request": {"url": "…"}}
RUN = {"head_sha": "other", "head_branch": "topic", "head_repository": {"owner": {"login": "stranger"}}}
CASES: dict[str, tuple[dict[str, Any], str, str, tuple[str, ...], tuple[str, ...], bool]] = {
    "push": ({"ref": "refs/heads/main"}, "here", "other", (), (), True),
    "schedule": ({"repository": None, "schedule": "0 0 * * *"}, "here", "other", (), (), True),
    "workflow_dispatch": ({"ref": "refs/heads/main"}, "here", "other", (), (), True),
    "repository_dispatch": ({"branch": "main"}, "here", "other", (), (), True),
    "release": ({"release": {"tag_name": "v1"}}, "here", "other", (), (), False),
    # Its own commit is a merge commit, and the status its head's. "fork" is neither.
    "pull_request": (
        {"pull_request": PULL | {"head": {"sha": "f" * 40, "ref": "topic"}, "base": {"sha": "other", "ref": "main"}}},
        "f" * 40,
        "other",
        ("here",),
        ("here",),
        False,
    ),
    "pull_request_target": ({"pull_request": PULL}, "here", "other", ("other",), ("other",), False),
    "merge_group": (
        {
            "merge_group": {
                "head_sha": "here",
                "base_sha": "other",
                "head_ref": "refs/heads/gh-readonly-queue/main/pr-7",
            }
        },
        "here",
        "other",
        ("here",),
        (),
        False,
    ),
    "issue_comment": ({"action": "created", "issue": ISSUE}, "here", "other", ("other",), ("other",), False),
    "workflow_run": ({"workflow_run": RUN | {"event": "pull_request"}}, "here", "other", ("other",), ("other",), False),
}


def test_every_event_has_its_case() -> None:
    assert set(CASES) == set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_where_things_go(jobs: Jobs, name: str) -> None:
    steps = [
        {"uses": "actions/checkout@v4"},
        jobs.act.warm_step(),
        USES | {"with": WITH | {"id": "own"}},
        {"run": 'git checkout -q "$OTHER"'},
        USES | {"with": WITH | {"id": "another"}},
    ]
    on: dict[str, Any] = dict.fromkeys(EVENTS) | {"workflow_run": {"workflows": ["CI"]}}
    on["schedule"] = [{"cron": "0 0 * * *"}]
    jobs.prepare({"name": "CI", "on": on, "jobs": {"test": {"runs-on": "ubuntu-latest", "steps": steps}}})
    payload, own, another, based, commented, remembered = CASES[name]
    commits = {"here": jobs.here, "other": jobs.other}
    placed = json.loads(
        json.dumps(payload),
        object_hook=lambda d: {k: commits.get(v, v) if isinstance(v, str) else v for k, v in d.items()},
    )
    jobs.github.commits.add("f" * 40)
    jobs.github.pulls = [{"number": 7, "state": "open", "head": {"label": "stranger:topic", "sha": jobs.other}}]
    sent = jobs.run(name, placed)
    assert sent.done.code == 0, sent.done.story
    suffix = "" if name in ("pull_request", "merge_group") else f", {name}"
    assert sent.statuses == [
        (f"nix-repro (own{suffix})", commits.get(own, own)),
        (f"nix-repro (another{suffix})", commits.get(another, another)),
    ], sent.done.story
    base = {"pull_request": jobs.other, "merge_group": jobs.other}.get(name, jobs.here)
    assert sent.bases == {commit: base if which in based else "None" for which, commit in commits.items()}
    assert len(sent.comments) == len(commented)
    assert all("/issues/7/" in request for request in sent.comments)
    ids = [comment["body"].partition("id=")[2].partition(" ")[0] for comment in jobs.github.comments]
    assert [
        found.startswith("own" if which == "here" else "another") for found, which in zip(ids, commented, strict=True)
    ] == [True] * len(ids)
    saved = [_what(key) for key in sent.saved]
    assert [key for key in saved if not key.startswith("ledger")] == ["history-own"] * remembered
    # A change's builds stay in its own scope of the cache; in the default branch's are only its own.
    alone = name in ("pull_request", "merge_group")
    assert [key for key in saved if key.startswith("ledger")] == ["ledger-own"] * (remembered or alone) + [
        "ledger-another"
    ] * alone


def _what(key: str) -> str:
    """What an entry of the cache is, and of which id."""
    kind, _, rest = key.removeprefix("nix-repro-").partition("-")
    if kind == "ledger":
        return f"ledger-{re.sub('^.*?-[0-9]+-[0-9]+-|-[0-9]+-[0-9]+$', '', rest)}"
    return f"{kind}-{rest.rpartition('-Linux-')[0]}"


def test_push_and_pull_request_of_one_commit(jobs: Jobs) -> None:
    """The README's quick start, on a branch that has a pull request."""
    steps = [{"uses": "actions/checkout@v4"}, jobs.act.warm_step(), USES | {"with": WITH}]
    job = {"runs-on": "ubuntu-latest", "steps": steps}
    jobs.prepare({"name": "reproducible", "on": ["push", "pull_request"], "jobs": {"reproducible": job}})
    pull = {"number": 7, "head": {"sha": jobs.here, "ref": "topic"}, "base": {"sha": jobs.other, "ref": "main"}}
    jobs.run("push", {"ref": "refs/heads/topic"})
    sent = jobs.run("pull_request", {"pull_request": pull})
    run_id = "reproducible-reproducible-0-Linux-X64"
    assert sent.statuses == [
        (f"nix-repro ({run_id}, push)", jobs.here),
        (f"nix-repro ({run_id})", jobs.here),
    ]
    assert (jobs.act.record / f"nix-repro-{run_id}").is_dir()
    assert sent.done.commands("warning") == []


def test_a_fork_s_pull_request_reads_and_saves_nothing(jobs: Jobs) -> None:
    steps = [{"uses": "actions/checkout@v4"}, jobs.act.warm_step(), USES | {"with": WITH | {"cache": "verified"}}]
    jobs.prepare({"name": "CI", "on": "pull_request", "jobs": {"test": {"runs-on": "ubuntu-latest", "steps": steps}}})
    head = {"sha": jobs.here, "ref": "topic", "repo": {"full_name": "stranger/widgets", "fork": True}}
    pull = {"number": 7, "head": head, "base": {"sha": jobs.other, "ref": "main"}}
    sent = jobs.run("pull_request", {"pull_request": pull})
    assert sent.done.code == 0, sent.done.story
    assert sent.saved == []
    assert "INPUT_restore_keys=nix-repro-ledger-Linux-X64-" in (jobs.act.record / "calls").read_text()


def test_a_reusable_workflow_that_is_called_twice(jobs: Jobs) -> None:
    """The jobs have one name, as the runner tells them; the second to end says so, and nothing of the first is lost.
    On GitHub, the workflow's name is the caller's in both; act gives the called one's."""
    checkout = {"run": 'git checkout -q "${REF:-HEAD}"', "env": {"REF": "${{ inputs.ref }}"}}
    steps = [{"uses": "actions/checkout@v4"}, checkout, jobs.act.warm_step(), USES | {"with": WITH}]
    called = {
        "name": "CI",
        "on": {"workflow_call": {"inputs": {"ref": {"type": "string"}}}},
        "jobs": {"check": {"runs-on": "ubuntu-latest", "steps": steps}},
    }
    use = {"uses": "./.github/workflows/called.yml"}
    calls = {"one": use, "two": use | {"needs": "one"}, "three": use | {"needs": "two", "with": {"ref": "other"}}}
    jobs.prepare({"name": "CI", "on": "push", "jobs": calls}, called=called)
    sent = jobs.run("push", {"ref": "refs/heads/main"})
    assert sent.done.code == 0, sent.done.story
    context = "nix-repro (CI-check-0-Linux-X64, push)"
    assert sent.statuses == [(context, jobs.here), (context, jobs.here), (context, jobs.other)]
    said = sent.done.commands("warning")
    # The third is about another commit, but its artifact has the name of the first's.
    assert sum("status under the id CI-check-0-Linux-X64, push" in text for text in said) == 1, sent.done.story
    assert sum("another job of this run has the same id" in text for text in said) == 2
    assert len(set(sent.saved)) == 3, "a history for one id, and a ledger for each"
    assert len(sent.saved) == 4, "the third has checked what is not the default branch's"


def test_two_steps_of_one_job(jobs: Jobs) -> None:
    steps = [{"uses": "actions/checkout@v4"}, jobs.act.warm_step(), USES | {"with": WITH}, USES | {"with": WITH}]
    steps += [USES | {"with": WITH | {"id": "api"}}, USES | {"with": WITH | {"id": "api"}}]
    jobs.prepare({"name": "CI", "on": "push", "jobs": {"test": {"runs-on": "ubuntu-latest", "steps": steps}}})
    sent = jobs.run("push", {"ref": "refs/heads/main"})
    ids = ["CI-test-0-Linux-X64", "CI-test-0-Linux-X64-2", "api", "api-2"]
    assert [context for context, _ in sent.statuses] == [f"nix-repro ({found}, push)" for found in ids]
    assert all((jobs.act.record / f"nix-repro-{found}").is_dir() for found in ids)
    assert len(set(map(_what, sent.saved))) == 8, "each its history and its ledger"
    [warning] = sent.done.commands("warning")
    assert "has the id api already, so that this one is called api-2" in warning


def test_runs_are_remembered_from_the_default_branch_alone(act: Any, pretending: Path, tmp_path: Path) -> None:
    act.checkout, cache = pretending, tmp_path / "cache"
    shutil.copy(ROOT / "fixtures" / "reports" / "clean.json", act.record / "canned.json")

    def run(branch: str, **inputs: str) -> tuple[dict[str, dict[str, str]], list[dict[str, Any]]]:
        """The stubs' inputs, and the trends of the report."""
        (act.record / "calls").unlink(missing_ok=True)
        event = {"ref": f"refs/heads/{branch}", "repository": REPOSITORY}
        done = act({"install-nix": "never", "ledger": "false", **inputs}, event=event, env={"STUB_CACHE": str(cache)})
        assert done.code == 0, done.story
        (file,) = done.record.glob("nix-repro-*/report.json")
        return done.calls(), list(json.loads(file.read_text("utf-8"))["history"])

    trends: list[dict[str, Any]] = []
    for count in range(1, 5):
        calls, trends = run("main")
        assert len(json.loads(next(cache.rglob("history.json")).read_text())["runs"]) == count
        save, restore = calls["cache-save"], calls["cache-restore"]
        assert save["key"] == restore["key"]
        assert save["path"] == restore["path"]
        assert save["key"].startswith(restore["restore_keys"])
    assert {trend["name"]: trend for trend in trends}["total"]["runs"] == 3
    calls, trends = run("feature")
    assert "cache-save" not in calls
    assert trends
    assert run("main", installables=".#other")[1] == [], "nothing like it was done before"
    calls, trends = run("main", history="false")
    assert not {"cache-save", "cache-restore"} & set(calls)
    assert not trends
