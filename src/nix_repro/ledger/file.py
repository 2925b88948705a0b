"""The ledger's file: SQLite, so that a run that is killed loses nothing that was said before, and two may write.

A row is one build of one derivation. Rows are only ever added, and each is known by what it says, so that the same
ledger merged twice is the same ledger.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from nix_repro.observations import Place
from nix_repro.verdict.evidence import Built

#: The number in an SQLite file that says whose it is (`nrep`), and the version of its tables.
APPLICATION = 0x6E726570
VERSION = 1
#: Seconds to wait for another run that writes.
PATIENCE = 5.0
_HASH = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
#: .drv paths asked for in one query.
_AT_ONCE = 500

_SCHEMA = """
CREATE TABLE machine (id INTEGER PRIMARY KEY, said TEXT NOT NULL UNIQUE);
CREATE TABLE derivation (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE build (
    derivation INTEGER NOT NULL REFERENCES derivation,
    at REAL NOT NULL,
    machine INTEGER NOT NULL REFERENCES machine,
    inputs TEXT NOT NULL,
    hashes TEXT NOT NULL,
    how TEXT NOT NULL,
    seconds REAL,
    variations TEXT NOT NULL,
    PRIMARY KEY (derivation, at, machine, inputs, hashes, how)
) WITHOUT ROWID;
"""

#: Where two say otherwise of one build, it is the same whoever says it first, and never more than both.
_ADD = """
INSERT INTO build VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (derivation, at, machine, inputs, hashes, how) DO UPDATE SET
    seconds = max(ifnull(seconds, excluded.seconds), ifnull(excluded.seconds, seconds)),
    variations = min(variations, excluded.variations)
WHERE seconds IS NOT excluded.seconds OR variations IS NOT excluded.variations
"""
#: What agrees on the same inputs may be forgotten.
_FORGET = """
DELETE FROM build WHERE at < ? AND derivation IN (
    SELECT derivation FROM build GROUP BY derivation
    HAVING count(DISTINCT inputs || ' ' || hashes) = count(DISTINCT inputs)
)
"""

_FORGET_ANYTHING = "DELETE FROM build WHERE at < ?"
#: When the build was that only so many are younger than.
_NTH = "SELECT at FROM build ORDER BY at DESC LIMIT 1 OFFSET ?"


class LedgerError(Exception):
    """The ledger cannot be used. The text says why, without its name."""


class LaterVersionError(LedgerError):
    """A later version of this program has written it."""


class Ledger:
    """An open ledger. Raises `LedgerError` for whatever is wrong with the file, at any call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, builds: Iterable[Built]) -> int:
        """Remember builds, in one transaction. Returns how many of them were not known before."""
        with _translated(), _transaction(self._connection):
            before = self._count()
            for build in builds:
                machine = self._id("machine", "said", msgspec.json.encode(build.machine, order="sorted").decode())
                derivation = self._id("derivation", "path", build.drv_path)
                row = (derivation, build.at, machine, build.inputs, _hashes(build), build.how)
                rest = (build.seconds, " ".join(build.variations))
                self._connection.execute(_ADD, (*row, *rest))
            return self._count() - before

    def about(self, drv_paths: Iterable[str]) -> dict[str, list[Built]]:
        """What is known of these derivations; of those that nothing is known of, nothing."""
        found: dict[str, list[Built]] = {}
        asked = list(drv_paths)
        with _translated():
            machines = self._machines()
            for start in range(0, len(asked), _AT_ONCE):
                some = asked[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(some))
                for build in self._builds(f"WHERE path IN ({marks})", some, machines):
                    found.setdefault(build.drv_path, []).append(build)
        return found

    def every(self) -> Iterator[Built]:
        """Everything that is known, by derivation and time."""
        with _translated():
            yield from self._builds("ORDER BY path, at", (), self._machines())

    def forget(self, before: float, *, anything: bool = False) -> int:
        """Forget builds that started before then (seconds since the epoch), but for those of derivations whose builds
        do not agree: these stay known, unless it may be `anything`. Returns how many."""
        with _translated(), _transaction(self._connection):
            gone = self._connection.execute(_FORGET if not anything else _FORGET_ANYTHING, (before,)).rowcount
            self._connection.execute("DELETE FROM derivation WHERE id NOT IN (SELECT derivation FROM build)")
            self._connection.execute("DELETE FROM machine WHERE id NOT IN (SELECT machine FROM build)")
        if gone:
            with _translated():
                self._connection.execute("VACUUM")
        return int(gone)

    def shorten(self, most: int) -> None:
        """Forget the oldest builds beyond so many; divergences, too, but only where there is nothing else."""
        for anything in (False, True):
            with _translated():
                row = self._connection.execute(_NTH, (most - 1,)).fetchone()
            if row is not None:
                self.forget(row[0], anything=anything)

    def _count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM build").fetchone()[0])

    def _id(self, table: str, column: str, value: str) -> int:
        asked = f"SELECT id FROM {table} WHERE {column} = ?"  # noqa: S608
        if (row := self._connection.execute(asked, (value,)).fetchone()) is not None:
            return int(row[0])
        made = self._connection.execute(f"INSERT INTO {table} ({column}) VALUES (?)", (value,))  # noqa: S608
        return int(made.lastrowid or 0)

    def _machines(self) -> dict[int, Place]:
        rows = self._connection.execute("SELECT id, said FROM machine")
        return {number: msgspec.json.decode(said, type=Place) for number, said in rows}

    def _builds(self, which: str, values: Sequence[object], machines: dict[int, Place]) -> Iterator[Built]:
        rows = self._connection.execute(
            "SELECT path, inputs, hashes, how, at, machine, seconds, variations "  # noqa: S608
            f"FROM build JOIN derivation ON derivation.id = derivation {which}",
            tuple(values),
        )
        for path, inputs, hashes, how, at, machine, seconds, variations in rows:
            content = dict(pair.split("=", 1) for pair in hashes.split(" "))
            if not all(map(_HASH.fullmatch, content.values())):
                raise LedgerError("it holds what is no hash")
            yield Built(path, inputs, content, how, at, machines[machine], seconds, tuple(variations.split()))


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """The ledger in this file, which is made when it is not there. Raises `LedgerError` when it cannot be used: it is
    no ledger, of a later version, damaged, locked for too long, or not to be written."""
    with _translated():
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    with closing(connection):
        with _translated():
            _prepare(connection)
        yield Ledger(connection)


def _prepare(connection: sqlite3.Connection) -> None:
    # In one look: another run may be making it.
    with _transaction(connection, "DEFERRED"):
        ours = _is_ours(connection)
    if ours:
        connection.execute("PRAGMA foreign_keys = ON")
        return
    # All at once: who is killed meanwhile leaves an empty file, and not half of a ledger.
    with _transaction(connection):
        if not _is_ours(connection):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
    # It stays so. Whoever else is at it sees to that as well: then this one cannot, and need not.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether it is a ledger already; an empty file becomes one. Raises `LedgerError` for any other."""
    whose, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if (whose, version) == (0, 0) and connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        return False
    if whose != APPLICATION:
        raise LedgerError("it is no ledger")
    if version > VERSION:
        raise LaterVersionError(f"it is of version {version}, and this program knows {VERSION}")
    return True


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError, OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(str(error)) from None


def _hashes(build: Built) -> str:
    return " ".join(f"{name}={nar_hash}" for name, nar_hash in build.content)
