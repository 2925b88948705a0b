"""The ledger from run to run, as action.yml's steps take and give it: a cache that hands out the newest entry."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nix_repro.cli import keep
from nix_repro.cli.keep import gather, outlasting, take_over
from nix_repro.ledger.file import opened
from nix_repro.observations import Place
from nix_repro.verdict.evidence import Built
from rebuilds import sri


def build(name: str, content: str = "A", at: float | None = None) -> Built:
    at = time.time() if at is None else at
    return Built(f"/nix/store/{name}.drv", "none", {"out": sri(content)}, "built", at, Place("m", {}))


def names(file: Path) -> list[str]:
    with opened(file) as found:
        return sorted({one.name for one in found.every()})


@dataclass
class Cache:
    """Entries that never change, and of which the newest is handed out."""

    room: Path
    entries: list[Path] = field(default_factory=list)

    def restore(self, job: dict[str, str]) -> None:
        if self.entries:
            shutil.copytree(self.entries[-1], outlasting(job, "ledger"), dirs_exist_ok=True)

    def save(self, job: dict[str, str]) -> None:
        self.entries.append(self.room / str(len(self.entries)))
        shutil.copytree(outlasting(job, "ledger"), self.entries[-1])

    def known(self) -> list[str]:
        return names(self.entries[-1] / "ledger.db")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@dataclass
class Job:
    """One use of the action, step by step."""

    cache: Cache
    temp: Path
    run_id: str = "id"

    def __post_init__(self) -> None:
        self.temp.mkdir(exist_ok=True)
        self.environ = {"RUNNER_TEMP": str(self.temp)}

    def start(self) -> Path:
        self.cache.restore(self.environ)
        self.ledger = take_over(self.environ, self.run_id)
        return self.ledger

    def check(self, *builds: Built) -> None:
        with opened(self.ledger) as found:
            found.add(builds)

    def end(self) -> None:
        self.cache.restore(self.environ)
        gather(self.environ, self.run_id)
        self.cache.save(self.environ)


def once(cache: Cache, temp: Path, *builds: Built) -> None:
    job = Job(cache, temp)
    job.start()
    job.check(*builds)
    job.end()


def test_the_next_run_knows_what_all_jobs_of_this_one_have_built(cache: Cache, tmp_path: Path) -> None:
    """Whichever ends last, and also where they share an id."""
    once(cache, tmp_path / "0", build("before"))
    jobs = [Job(cache, tmp_path / name) for name in ("x", "y", "z")]
    for job in jobs:
        job.start()
        job.check(build(job.temp.name))
    for job in (jobs[1], jobs[0], jobs[2]):
        job.end()
    assert cache.known() == ["before", *"xyz"]
    assert names(Job(cache, tmp_path / "next").start()) == cache.known()


def test_two_uses_in_one_job(cache: Cache, tmp_path: Path) -> None:
    """The second restores into the same place as the first, and takes nothing of it away."""
    for name in ("one", "two"):
        job = Job(cache, tmp_path / "job", name)
        job.start()
        job.check(build(name))
        job.end()
    assert cache.known() == ["one", "two"]


def test_the_first_run_of_all_begins_a_ledger(cache: Cache, tmp_path: Path) -> None:
    once(cache, tmp_path / "0")
    assert cache.known() == []
    assert [path.name for path in cache.entries[-1].iterdir()] == ["ledger.db"]


def change(cache: Cache, statement: str) -> None:
    with closing(sqlite3.connect(cache.entries[-1] / "ledger.db", isolation_level=None)) as other:
        other.execute(statement)


@pytest.mark.parametrize("damage", [b"no ledger at all" * 100, b"SQLite format 3\0" + bytes(3000)])
def test_a_damaged_entry_is_followed_by_a_good_one(
    cache: Cache, tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    once(cache, tmp_path / "0", build("lost"))
    (cache.entries[-1] / "ledger.db").write_bytes(damage)
    once(cache, tmp_path / "1", build("new"))
    assert cache.known() == ["new"]
    assert capsys.readouterr().out.count("::warning") == 1


def test_what_another_job_has_damaged_is_left_out(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once(cache, tmp_path / "0", build("known"))
    job = Job(cache, tmp_path / "1")
    job.start()
    job.check(build("new"))
    (cache.entries[-1] / "ledger.db").write_bytes(b"no ledger" * 999)
    job.end()
    assert cache.known() == ["known", "new"]
    assert "a ledger that was restored is left out: file is not a database" in capsys.readouterr().out


def test_what_is_damaged_inside_is_left_out_too(cache: Cache, tmp_path: Path) -> None:
    once(cache, tmp_path / "0", build("odd"))
    change(cache, "UPDATE build SET hashes = 'out=<script>'")
    once(cache, tmp_path / "1")
    assert cache.known() == []


def test_what_a_later_version_has_made_stays_as_it_is(cache: Cache, tmp_path: Path) -> None:
    once(cache, tmp_path / "0", build("x"))
    change(cache, "PRAGMA user_version = 9")
    before = (cache.entries[-1] / "ledger.db").read_bytes()
    job = Job(cache, tmp_path / "1")
    job.start()
    job.end()
    assert (cache.entries[-1] / "ledger.db").read_bytes() == before


def test_what_is_old_goes_and_what_diverges_stays(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = time.time() - 100 * 86400
    odd = [build("odd", "A", long_ago), build("odd", "B", long_ago + 1)]
    once(cache, tmp_path / "0", build("old", at=long_ago), *odd, build("new"))
    assert cache.known() == ["new", "odd"]
    monkeypatch.setattr(keep, "MOST", 3)
    once(cache, tmp_path / "1", *(build(f"n{number}", at=time.time() + number) for number in range(3)))
    with opened(cache.entries[-1] / "ledger.db") as found:
        assert len(list(found.every())) <= 3


def test_a_place_that_cannot_be_written_costs_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"RUNNER_TEMP": str(tmp_path)}
    outlasting(environ, "ledger").write_text("a file")
    take_over(environ, "id")
    gather(environ, "id")
    assert "the ledger is not saved" in capsys.readouterr().out
