"""SQLite databases: the schema and the rows as text. Only read, in memory, with no view, trigger or function of the
database's own taking part."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, StreamBlob
from nix_repro.explain.compare.containers.model import Container, Member, NotThis

MAGIC = b"SQLite format 3\0"
#: Bytes of a database that is read.
MOST = 64 << 20
#: Bytes of one value that are read.
LONGEST = 1 << 20
#: Steps of SQLite's between two looks at the clock.
STEPS = 10_000
#: What may be done with it.
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)


def open_sqlite(blob: Blob, budget: Budget) -> Container:
    if blob.size > MOST or not budget.unpack(blob.size):
        raise NotThis
    out = StreamBlob()
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            # A journal beside it is none of its content, and there is no place for one in memory.
            data = bytearray(blob.read(0, MOST))
            data[18:20] = b"\1\1"
            database.deserialize(bytes(data))
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
            database.text_factory = bytes
            database.set_progress_handler(budget.expired, STEPS)
            database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY)
            _dump(database, out, budget)
    except (sqlite3.Error, AttributeError) as error:
        raise NotThis from error
    return Container("sqlite", [Member("", out, inside="the rows of the database")])


def _dump(database: sqlite3.Connection, out: StreamBlob, budget: Budget) -> None:
    schema = database.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    for kind, name, sql in schema:
        out.append(b"%s %s: %s\n" % (kind, name, sql or b""))
    for kind, name, sql in schema:
        if kind != b"table" or (sql or b"")[:14].upper() == b"CREATE VIRTUAL":
            continue
        quoted = '"' + name.decode("utf-8", "replace").replace('"', '""') + '"'
        for row in database.execute("SELECT * FROM " + quoted):  # noqa: S608 (only reading is allowed, and it is quoted)
            line = b"%s: %s\n" % (name, b", ".join(_shown(value) for value in row))
            if not budget.unpack(len(line)) or out.size > MOST:
                budget.say("a database holds more than is read for a comparison")
                return
            out.append(line)


def _shown(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
