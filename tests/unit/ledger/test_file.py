"""The ledger's file: nothing that was said is lost, nothing is made up, and what is wrong with it is said."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nix_repro
from nix_repro.ledger import file as ledger
from nix_repro.ledger.file import LedgerError, opened
from nix_repro.observations import Place
from nix_repro.verdict.evidence import Built
from rebuilds import sri

HERE = Place("52d4e356bfd7", {"cpu": "x", "kernel": "6.1"})


def build(name: str = "a", content: str = "A", at: float = 1.5, machine: Place = HERE, inputs: str = "none") -> Built:
    return Built(f"/nix/store/{name}.drv", inputs, {"out": sri(content)}, "built", at, machine, 2.5, ("time",))


def kept(path: Path) -> list[Built]:
    with opened(path) as found:
        return list(found.every())


def test_what_is_remembered_is_found_again(tmp_path: Path) -> None:
    two = Built("/nix/store/b.drv", "1f", {"out": sri("B"), "dev": sri("C")}, "rebuilt", 7.25, HERE)
    with opened(tmp_path / "l") as found:
        assert found.add([build(), two]) == 2
    with opened(tmp_path / "l") as found:
        assert found.about(["/nix/store/b.drv", "/nix/store/c.drv"]) == {"/nix/store/b.drv": [two]}
        assert list(found.every()) == [build(), two]


def test_many_are_asked_for_at_once(tmp_path: Path) -> None:
    many = [build(f"{n:04d}") for n in range(1700)]
    with opened(tmp_path / "l") as found:
        found.add(many)
        asked = [one.drv_path for one in many]
        assert found.about(asked) == {one.drv_path: [one] for one in many}
        assert found.about([]) == {}


BUILDS = st.lists(
    st.builds(
        lambda how, seconds, variations, *of: replace(build(*of), how=how, seconds=seconds, variations=variations),
        st.sampled_from(["built", "rebuilt"]),
        st.sampled_from([None, 1.0, 2.0]),
        st.sampled_from([(), ("time",), ("kernel", "time")]),
        st.sampled_from("ab"),
        st.sampled_from("AB"),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from([HERE, Place("there", {})]),
        st.sampled_from(["none", "1f"]),
    ),
    max_size=12,
)


def same(found: Built) -> str:
    """What tells a build from others, but for what is said of it."""
    return repr(replace(found, seconds=None, variations=()))


@pytest.mark.property
@settings(max_examples=40)
@given(one=BUILDS, other=BUILDS, third=BUILDS)
def test_merging_is_a_union(
    tmp_path_factory: pytest.TempPathFactory, one: list[Built], other: list[Built], third: list[Built]
) -> None:
    """Whoever comes first, however they are put together, and however often."""
    room = tmp_path_factory.mktemp("merged")

    def merged(name: str, *parts: list[Built]) -> list[Built]:
        with opened(room / name) as into:
            for part in parts:
                into.add(part)
            return sorted(into.every(), key=same)

    whole = merged("1", one, other, third)
    assert list(map(same, whole)) == sorted({same(found) for found in [*one, *other, *third]})
    for found in whole:
        said = [each for each in [*one, *other, *third] if same(each) == same(found)]
        assert found.seconds in [each.seconds for each in said]
        assert found.variations in [each.variations for each in said]
    assert whole == merged("2", third, other, one)
    assert whole == merged("3", one, merged("4", other, third), one)


def test_what_is_known_already_is_no_news(tmp_path: Path) -> None:
    with opened(tmp_path / "l") as found:
        assert (found.add([build()]), found.add([build(), build(at=2.0)])) == (1, 1)


def test_old_builds_are_forgotten_but_no_divergence(tmp_path: Path) -> None:
    rows = [
        build("a", "A", 1.0),
        build("a", "A", 9.0),
        build("b", "A", 1.0),
        build("b", "B", 2.0),
        build("c", "A", 1.0, inputs="1"),
        build("c", "B", 9.0, inputs="2"),
    ]
    with opened(tmp_path / "l") as found:
        found.add(rows)
        assert found.forget(5.0) == 2
        assert list(found.every()) == [rows[1], rows[2], rows[3], rows[5]]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database, and longer than its header would be" * 20, "not a database"),
        (b"SQLite format 3\0" + bytes(2000), "not a database"),
    ],
)
def test_what_is_no_ledger_stays_as_it_is(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "l").write_bytes(content)
    with pytest.raises(LedgerError, match=why), opened(tmp_path / "l"):
        pass
    assert (tmp_path / "l").read_bytes() == content


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "l") as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(LedgerError, match="it is no ledger"), opened(tmp_path / "l"):
        pass
    assert sqlite3.connect(tmp_path / "l").execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "l") as found:
        found.add([build()])
    with sqlite3.connect(tmp_path / "l") as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(LedgerError, match="it is of version 2, and this program knows 1"), opened(tmp_path / "l"):
        pass


def test_a_truncated_or_damaged_file_is_an_error_or_right(tmp_path: Path) -> None:
    with opened(tmp_path / "l") as found:
        found.add(build(f"{n:04d}") for n in range(500))
    whole = (tmp_path / "l").read_bytes()
    truth = {repr(build(f"{n:04d}")) for n in range(500)}
    drawn = random.Random(0)  # noqa: S311
    for number in range(60):
        damaged = bytearray(whole[: drawn.randrange(200, len(whole))] if number % 2 else whole)
        for _ in range(8 * (1 - number % 2)):
            damaged[drawn.randrange(100, len(damaged))] = drawn.randrange(256)
        path = tmp_path / f"{number}"
        path.write_bytes(damaged)
        try:
            found_there = kept(path)
        except LedgerError:
            continue
        # A digit of a date or a hash may read another one now; what there is stays well formed.
        assert all(one.drv_path.startswith("/nix/store/") or one.drv_path for one in found_there)
        assert number % 2 == 0 or {repr(one) for one in found_there} <= truth


def test_a_content_that_is_no_hash_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "l") as found:
        found.add([build()])
    with sqlite3.connect(tmp_path / "l") as other:
        other.execute("UPDATE build SET hashes = 'out=<script>'")
    with pytest.raises(LedgerError, match="no hash"):
        kept(tmp_path / "l")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="unable to open"), opened(tmp_path / "nowhere" / "l"):
        pass
    with pytest.raises(LedgerError), opened(tmp_path):
        pass


def test_who_waits_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PATIENCE", 0.1)
    with opened(tmp_path / "l") as found:
        other = sqlite3.connect(tmp_path / "l", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            found.add([build()])
        other.execute("ROLLBACK")
        assert found.add([build()]) == 1


def _write(path: str, name: str) -> None:
    for number in range(40):
        with opened(Path(path)) as found:
            found.add([build(f"{name}{number}"), build("shared", at=float(number))])


def test_two_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(str(tmp_path / "l"), name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(kept(tmp_path / "l")) == 120


WRITER = """
import itertools, sys
from pathlib import Path
from nix_repro.ledger.file import opened
from nix_repro.observations import Place
from nix_repro.verdict.evidence import Built
def build(n):
    hashes = {"out": "sha256-" + "A" * 43 + "="}
    return Built(f"/nix/store/{n}.drv", "none", hashes, "built", float(n), Place("m", {}))
for n in itertools.count(0, 3):
    with opened(Path(sys.argv[1])) as ledger:
        ledger.add(map(build, range(n, n + 3)))
    print(n, flush=True)
"""


@pytest.mark.size
def test_who_is_killed_at_any_moment_loses_nothing_that_was_said(tmp_path: Path) -> None:
    """Of what was begun, all or nothing is there."""
    drawn, path = random.Random(3), tmp_path / "l"  # noqa: S311
    for turn in range(25):
        if turn % 5 == 0:
            for old in tmp_path.glob("l*"):
                old.unlink()
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(nix_repro.__file__).parents[1])},
        ) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(drawn.random() * 0.05)
            writer.send_signal(signal.SIGKILL)
            said = [first, *writer.stdout.read().split("\n")]
        numbers = sorted(int(one.at) for one in kept(path))
        last = max(int(line) for line in said if line.strip())
        assert set(range(last + 3)) <= set(numbers)
        assert len(numbers) % 3 == 0
