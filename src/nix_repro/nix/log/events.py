"""Nix's internal-json log as typed events. One line in, at most one event out; nothing is kept.

The numbers are Nix's own (libutil/logging.hh). Lines that are not events, and types that newer versions add, are
passed over: a log is hostile input and never an error.

A builder can print lines of this form too. Nix hands on (measured with 2.8, 2.26 and 2.34): the start of a file
transfer (type 101) under a number that Nix gives it, results and the end of such a transfer, the phase of its own
build, and messages of any level and text. So a start of any other type is Nix's own, and so is a message that has a
`raw_msg`, which Nix adds to the errors that it raises itself and to nothing that it hands on.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from nix_repro.nix.command import plain
from nix_repro.nix.store_path import StorePath, is_derivation

_PREFIX = b"@nix "
# Types of activities, of results, and levels of messages, as Nix numbers them (libutil/logging.hh).
_COPY_PATH = 100
_FILE_TRANSFER = 101
_COPIES = 103
_BUILDS = 104
_BUILD = 105
_SUBSTITUTE = 108
_QUERY_PATH_INFO = 109
_BUILD_WAITING = 111
_BUILD_LOG_LINE = 101
_PROGRESS = 105
_ERROR = 0
_WARNING = 1


class _Raw(msgspec.Struct):
    action: str
    id: int = 0
    level: int = 3
    text: str = ""
    type: int = 0
    fields: list[Any] = []
    msg: str = ""
    raw_msg: str | None = None


_decoder = msgspec.json.Decoder(_Raw)


class BuildStarted(msgspec.Struct, frozen=True):
    """A builder starts. `machine` is "" for this one. `checking`: the outputs are compared, not registered."""

    id: int
    drv_path: str
    machine: str
    checking: bool


class SubstituteStarted(msgspec.Struct, frozen=True):
    """A path is being fetched from a cache; it may still fail, and be tried at the next."""

    id: int
    path: str
    cache: str


class QueryStarted(msgspec.Struct, frozen=True):
    """A cache is being asked for a path."""

    path: str
    cache: str


class TransferStarted(msgspec.Struct, frozen=True):
    """A URL is being fetched; a builder can say so, too."""

    id: int
    url: str


class CopyStarted(msgspec.Struct, frozen=True):
    """A path is being copied between stores."""

    id: int
    path: str
    source: str


class Resolved(msgspec.Struct, frozen=True):
    """A derivation with content-addressed inputs is built under another .drv path, its inputs filled in."""

    drv_path: str
    resolved: str


class Waiting(msgspec.Struct, frozen=True):
    """Nix waits, for another process's lock or for a machine: `text` says so."""

    id: int
    text: str


class Counting(msgspec.Struct, frozen=True):
    """From here on, `Counted` with this number are about all builds of a command, or all that it fetches."""

    id: int
    kind: Literal["build", "fetch"]


class Counted(msgspec.Struct, frozen=True):
    """How far a command is. What has failed is in neither of the first two."""

    id: int
    done: int
    expected: int
    running: int
    failed: int


class Stopped(msgspec.Struct, frozen=True):
    """An activity ended. Nix does not say how."""

    id: int


class LogLine(msgspec.Struct, frozen=True):
    """A line that a builder printed."""

    id: int
    text: str


class Message(msgspec.Struct, frozen=True):
    """What Nix says, or a builder in Nix's name. `error` and `warning` as Nix rates it; `own` when it is certain to be
    Nix's own: through a daemon that is the last error of a command only."""

    text: str
    error: bool
    warning: bool
    own: bool = False


Event = (
    BuildStarted
    | SubstituteStarted
    | QueryStarted
    | TransferStarted
    | CopyStarted
    | Resolved
    | Waiting
    | Counting
    | Counted
    | Stopped
    | LogLine
    | Message
)


def decode(line: bytes) -> Event | None:
    """The event in one line of the log, or None."""
    if not line.startswith(_PREFIX):
        # Before the logger is up, and from libc when Nix crashes, messages come plain. What builders print never does.
        text = plain(line.decode("utf-8", "replace")).strip()
        error, warning = text.startswith("error:"), text.startswith("warning:")
        return Message(text, error, warning, own=True) if text else None
    try:
        raw = _decoder.decode(line[len(_PREFIX) :])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    match raw.action:
        case "start":
            return _start(raw)
        case "stop":
            return Stopped(raw.id)
        case "result" if raw.type == _BUILD_LOG_LINE and raw.fields:
            return LogLine(raw.id, str(raw.fields[0]))
        case "result" if raw.type == _PROGRESS:
            match raw.fields:
                case [int(done), int(expected), int(running), int(failed)]:
                    return Counted(raw.id, done, expected, running, failed)
            return None
        case "msg":
            text = plain(raw.msg)
            # These come at the level of errors: "note: keeping build directory", and through a daemon every warning.
            warned = raw.level == _WARNING or (raw.level == _ERROR and text.startswith("warning:"))
            error = raw.level == _ERROR and not warned and not text.startswith("note:")
            return Message(text, error, warned, own=raw.raw_msg is not None)
        case _:
            return None


def _start(raw: _Raw) -> Event | None:
    match raw.type, raw.fields:
        case (t, [str(drv_path), str(machine), *_]) if t == _BUILD:
            return BuildStarted(raw.id, drv_path, machine, raw.text.startswith("checking outputs"))
        case (t, [str(path), str(cache), *_]) if t == _SUBSTITUTE:
            return SubstituteStarted(raw.id, path, cache)
        case (t, [str(path), str(cache), *_]) if t == _QUERY_PATH_INFO:
            return QueryStarted(path, cache)
        case (t, [str(url), *_]) if t == _FILE_TRANSFER:
            return TransferStarted(raw.id, url)
        case (t, [str(path), str(source), *_]) if t == _COPY_PATH:
            return CopyStarted(raw.id, path, source)
        case (t, [str(drv_path), str(resolved)]) if t == _BUILD_WAITING and _same_name(drv_path, resolved):
            return Resolved(drv_path, resolved)
        case (t, _) if t == _BUILD_WAITING and raw.text.startswith("waiting for"):
            return Waiting(raw.id, plain(raw.text))
        case (t, _) if t in (_BUILDS, _COPIES):
            return Counting(raw.id, "build" if t == _BUILDS else "fetch")
        case _:
            return None


def _same_name(drv_path: str, resolved: str) -> bool:
    """Whether one can be the other with its inputs filled in."""
    one, other = StorePath.of(drv_path), StorePath.of(resolved)
    return is_derivation(drv_path) and (one.directory, one.name) == (other.directory, other.name)
