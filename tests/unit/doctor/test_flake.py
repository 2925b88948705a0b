"""The checkout: is the lock there and recent, does Nix see the files, and is the history there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from nix_repro.doctor import flake
from nix_repro.doctor.model import Diagnosis, State
from nix_repro.metrics import history
from nix_repro.metrics.history import HistoryEntry
from nix_repro.output.directory import read_report
from nix_repro.output.formats import JSON

ROOT = Path(__file__).resolve().parents[3]

NOW = 1_750_000_000


def git(cwd: Path, *args: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(cwd), *who, *args], check=True, capture_output=True)


def told(found: list[Diagnosis]) -> list[tuple[str, State, str]]:
    assert all((row.fix is None) == (row.state == "ok") for row in found), "what is not in order has a remedy"
    return [(row.check, row.state, row.found) for row in found]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit with a flake in it."""
    (tmp_path / "flake.nix").write_text("{ outputs = _: { }; }\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def write_lock(where: Path, **days: float | None) -> None:
    """A lock whose inputs are that many days old; None for one without a date."""
    nodes = {
        name: {"locked": {"rev": "a"} if age is None else {"lastModified": int(NOW - age * 86400)}}
        for name, age in days.items()
    }
    (where / "flake.lock").write_text(json.dumps({"nodes": {**nodes, "root": {}}}))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("{ outputs = _: { }; }", "ok"),
        ("{ # inputs = { };\n outputs = _: { }; }", "ok"),
        ("{ /* inputs.a.url = 1; */ outputs = { myinputs, ... }: { }; }", "ok"),
        ('{ inputs.nixpkgs.url = "x"; outputs = _: { }; }', "problem"),
        ('{ inputs = { a.url = "x"; }; outputs = _: { }; }', "problem"),
    ],
)
def test_without_inputs_there_is_nothing_to_lock(checkout: Path, text: str, state: State) -> None:
    (checkout / "flake.nix").write_text(text)
    words = "none, and the flake has no inputs" if state == "ok" else "it is missing"
    assert told(flake.lock(checkout)) == [("flake.lock", state, words)]


@pytest.mark.parametrize("text", ["{", "[]", '{"nodes": []}', '{"nodes": {"a": 3}}', "\xff"])
def test_a_lock_that_cannot_be_read(checkout: Path, text: str) -> None:
    (checkout / "flake.lock").write_bytes(text.encode("latin-1"))
    ((_, state, found),) = told(flake.lock(checkout))
    assert (state, found.startswith("it cannot be read: ")) == ("problem", True)


def test_a_lock_must_be_known_to_git_where_there_is_one(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    write_lock(checkout, nixpkgs=3, other=None)
    assert told(flake.lock(checkout)) == [("flake.lock", "problem", "it is not committed")]
    git(checkout, "add", "flake.lock")
    committed = [("flake.lock", "ok", "committed, newest input of 2025-06-12")]
    assert told(flake.lock(checkout)) == committed
    subprocess.run(["rm", "-rf", checkout / ".git"], check=True)
    assert told(flake.lock(checkout)) == committed


def test_old_inputs_oldest_first_and_not_more_than_three(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    write_lock(checkout, a=91, b=400, c=200, d=150, e=10)
    git(checkout, "add", "flake.lock")
    assert told(flake.lock(checkout)) == [("flake.lock", "note", "old inputs: b 400 days, c 200 days, d 150 days")]
    write_lock(checkout, a=None)
    assert told(flake.lock(checkout)) == [("flake.lock", "ok", "committed")]


def test_where_there_is_no_flake_nothing_is_said_of_its_lock(tmp_path: Path) -> None:
    assert flake.lock(tmp_path) == []


def test_files_that_nix_does_not_see(checkout: Path) -> None:
    assert told(flake.tree(checkout)) == [("work tree", "ok", "clean")]
    for name in ("new.nix", "a b.json", "notes.txt", "photo.png"):
        (checkout / name).touch()
    assert told(flake.tree(checkout)) == [
        ("untracked files", "problem", "Nix does not see a b.json, new.nix"),
    ]
    git(checkout, "add", "new.nix", "a b.json")
    assert told(flake.tree(checkout)) == [
        ("work tree", "note", "2 files differ from the commit: what is built is no commit's")
    ]
    git(checkout, "commit", "-qm", "y")
    (checkout / "flake.nix").write_text("{ }")
    assert told(flake.tree(checkout)) == [
        ("work tree", "note", "1 file differs from the commit: what is built is no commit's")
    ]


def test_what_the_program_goes_by_and_writes_is_no_part_of_a_build(checkout: Path) -> None:
    (checkout / "report").mkdir()
    (checkout / "sub").mkdir()
    (checkout / ".nix-repro.yml").touch()
    (checkout / "sub/.nix-repro.yml").touch()
    report = read_report(ROOT / "fixtures/reports/diverged.json")
    for name in ("report/report.json", "out.json"):
        (checkout / name).write_bytes(JSON.render(report))
    run = HistoryEntry(started="x", commit=None, system="s", default=True, scenario=None, values={})
    history.write(checkout / "history.json", [run])
    assert told(flake.tree(checkout)) == [("work tree", "ok", "clean")]
    assert told(flake.tree(checkout / "sub")) == [("work tree", "ok", "clean")]
    git(checkout, "add", ".nix-repro.yml")
    assert told(flake.tree(checkout)) == [("work tree", "ok", "clean")]
    (checkout / "mine.json").write_text('{"version": 1}')
    (checkout / "link.json").symlink_to("report/report.json")
    os.mkfifo(checkout / "pipe.json")
    ((_, state, found),) = told(flake.tree(checkout))
    assert (state, found) == ("problem", "Nix does not see link.json, mine.json")


def test_only_what_is_below_the_flake_counts(checkout: Path) -> None:
    (checkout / "sub").mkdir()
    (checkout / "new.nix").touch()
    assert told(flake.tree(checkout / "sub")) == [("work tree", "ok", "clean")]


def test_a_shallow_clone_matters_in_ci(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert flake.depth(checkout, {"CI": "true"}) == []
    git(checkout, "commit", "-q", "--allow-empty", "-m", "y")
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", "--depth=1", f"file://{checkout}", str(clone / "x"))
    assert told(flake.depth(clone / "x", {"CI": "true"})) == [("fetch-depth", "note", "the clone is shallow")]
    assert told(flake.depth(clone / "x", {})) == [("fetch-depth", "ok", "a shallow clone")]


def test_outside_a_repository_git_says_nothing(tmp_path: Path) -> None:
    assert flake.tree(tmp_path) == []
    assert flake.depth(tmp_path, {"CI": "true"}) == []


@pytest.mark.parametrize("name", ["flake.lock", "flake.nix"])
def test_what_a_clone_has_in_a_file_s_place_is_not_read(checkout: Path, name: str) -> None:
    """A device has no end, and a link leads to what is somebody else's."""
    (checkout / "secret").write_text("s3cret: line")
    for target in ("/dev/zero", "secret", "/etc/passwd"):
        (checkout / name).unlink(missing_ok=True)
        (checkout / name).symlink_to(target)
        found = told(flake.lock(checkout))
        assert found == [] or found[0][1] == "problem"
        assert "s3cret" not in str(found)


@pytest.mark.parametrize("date", ["1" + "0" * 400, "-1", "true", '"x"', "1e400", "[]"])
def test_a_date_that_is_none_is_nothing_to_say(checkout: Path, date: str) -> None:
    (checkout / "flake.lock").write_text(f'{{"nodes": {{"a": {{"locked": {{"lastModified": {date}}}}}}}}}')
    git(checkout, "add", ".")
    assert told(flake.lock(checkout)) == [("flake.lock", "ok", "committed")]
