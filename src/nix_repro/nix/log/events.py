"""Nix's internal-json log as typed events. One line in, at most one event out; nothing is kept.

The numbers are Nix's own (libutil/logging.hh). Lines that are not events, and types that newer versions add, are
passed over: a log is hostile input and never an error.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from nix_repro.nix.command import plain

_PREFIX = b"@nix "
# Types of activities, of results, and levels of messages, as Nix numbers them (libutil/logging.hh).
_RESOLVED = 0
_COPY_PATH = 100
_BUILD = 105
_SUBSTITUTE = 108
_QUERY_PATH_INFO = 109
_BUILD_LOG_LINE = 101
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


class CopyStarted(msgspec.Struct, frozen=True):
    """A path is being copied between stores."""

    id: int
    path: str
    source: str


class Resolved(msgspec.Struct, frozen=True):
    """A derivation with content-addressed inputs is built under another .drv path, its inputs filled in."""

    drv_path: str
    resolved: str


class Stopped(msgspec.Struct, frozen=True):
    """An activity ended. Nix does not say how."""

    id: int


class LogLine(msgspec.Struct, frozen=True):
    """A line that a builder printed."""

    id: int
    text: str


class Message(msgspec.Struct, frozen=True):
    """What Nix itself says. `error` and `warning` as Nix rates it."""

    text: str
    error: bool
    warning: bool


Event = BuildStarted | SubstituteStarted | QueryStarted | CopyStarted | Resolved | Stopped | LogLine | Message


def decode(line: bytes) -> Event | None:
    """The event in one line of the log, or None."""
    if not line.startswith(_PREFIX):
        # Before the logger is up, and from the daemon's libc, messages come plain.
        text = plain(line.decode("utf-8", "replace")).strip()
        return Message(text, error=text.startswith("error:"), warning=text.startswith("warning:")) if text else None
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
        case "msg":
            text = plain(raw.msg)
            # "note: keeping build directory" comes at the level of errors.
            return Message(
                text, error=raw.level == _ERROR and not text.startswith("note:"), warning=raw.level == _WARNING
            )
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
        case (t, [str(path), str(source), *_]) if t == _COPY_PATH:
            return CopyStarted(raw.id, path, source)
        case (_, [str(drv_path), str(resolved)]) if raw.text.startswith("resolved derivation"):
            return Resolved(drv_path, resolved)
        case _:
            return None


# What Nix's error messages say about a derivation. The wording differs between versions; the path does not.
_DRV = r"(/[^\s'\"!^]+?\.drv)"
_FAILURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("timed-out", re.compile(rf"[Cc]annot build '{_DRV}'.*?timed out", re.DOTALL)),
    ("timed-out", re.compile(rf"{_DRV}[^\n]*(?:timed out|silent)", re.DOTALL)),
    ("dependency-failed", re.compile(rf"dependenc(?:y|ies) of (?:derivation )?'{_DRV}[^\n]* failed", re.DOTALL)),
    ("dependency-failed", re.compile(rf"[Cc]annot build '{_DRV}'.*?dependenc(?:y|ies) failed", re.DOTALL)),
    ("unsupported", re.compile(rf"is required to build '{_DRV}'", re.DOTALL)),
    ("unsupported", re.compile(rf"[Cc]annot build '{_DRV}'\.\s*Reason: (?:missing|required) system", re.DOTALL)),
    ("failed", re.compile(rf"builder for '{_DRV}'[^\n]* failed", re.DOTALL)),
    ("failed", re.compile(rf"[Cc]annot build '{_DRV}'", re.DOTALL)),
    ("failed", re.compile(rf"(?:hash mismatch in fixed-output derivation|output '[^']*' of) '?{_DRV}", re.DOTALL)),
)
_MISMATCH = re.compile(
    r"derivation '([^']+)' may not be deterministic: output ['\"]([^'\"]+)['\"] differs(?: from ['\"]([^'\"]+)['\"])?"
)
_BUILDERS_WORDS = re.compile(r"[Ll]ast \d+ log lines:")
_SUMMARY = re.compile(r"(?:error: )?build of '.*' failed")
_NAMELESS_TIMEOUT = re.compile(r"(?:error: )?timed out after (\d{1,9}) seconds")
_DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|unable to write to file.*ENOSPC|database or disk is full"
)


def own_words(message: str) -> str:
    """An error message without the builder's last lines that Nix quotes in it: a builder may say anything."""
    return _BUILDERS_WORDS.split(message, maxsplit=1)[0]


def failure(message: str) -> tuple[str, str] | None:
    """What an error message says happened, and to which .drv: ("failed" | "timed-out" |
    "dependency-failed" | "unsupported", path)."""
    words = own_words(message)
    for status, pattern in _FAILURES:
        if found := pattern.search(words):
            return status, found.group(1)
    return None


def mismatch(message: str) -> tuple[str, str, str | None] | None:
    """A failed `--check`: the .drv, the output's path, and where the other side was kept."""
    found = _MISMATCH.search(message)
    return (found.group(1), found.group(2), found.group(3)) if found else None


def summary(message: str) -> list[str]:
    """The .drvs in the last word on a command of which several failed, without saying how."""
    return re.findall(_DRV, message) if _SUMMARY.match(message) else []


def nameless_timeout(message: str) -> int | None:
    """The limit in seconds, when some build exceeded it and the message does not say which (Nix 2.34)."""
    found = _NAMELESS_TIMEOUT.match(message)
    return int(found.group(1)) if found else None


def disk_full(text: str) -> bool:
    """Does a message or a builder's log speak of a full disk?"""
    return _DISK_FULL.search(text) is not None
