"""What Nix's error messages say, and of which derivation. Pure. Wordings differ between versions; paths do not.

A message may quote what others have chosen: a derivation's system, the names of files in an output, the last lines of
a builder's log. So every pattern is held to where Nix itself speaks, at the beginning of a message for nearly all, and
nothing that is quoted can put another path in its place.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nix_repro.nix.store_path import DIGEST, NAME
from nix_repro.text import some

_DRV = r"(/[^\s'\"!^]+\.drv)(?=['!^])"
_PLURAL = r"dependenc(?:y|ies)"
_FAILURES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (status, re.compile(pattern))
    for status, pattern in (
        ("timed-out", rf"building of '{_DRV}[^'\n]*' from \.drv file timed out after \d"),
        ("timed-out", rf"[Cc]annot build '{_DRV}'\.\s+Reason: timed out"),
        ("dependency-failed", rf"\d+ {_PLURAL} of derivation '{_DRV}' failed"),
        ("dependency-failed", rf"[Cc]annot build '{_DRV}'\.\s+Reason: \d+ {_PLURAL} failed"),
        ("unsupported", rf"[Cc]annot build '{_DRV}'\.\s+Reason: (?:missing|required|platform) "),
        ("failed", rf"[Cc]annot build '{_DRV}'\.\s+Reason: builder failed"),
        ("failed", rf"builder for '{_DRV}' failed"),
        ("failed", rf"hash mismatch in fixed-output derivation '{_DRV}'"),
        ("failed", rf"building (?:of|derivation) '{_DRV}[^'\n]*'(?: from \.drv file)? killed after writing more than "),
        # The last resort: what kept Nix from building it is in its words.
        ("not-built", rf"[Cc]annot build '{_DRV}'"),
    )
)
#: Before it stand the derivation's system and features, which may be any text; behind it are the machine's own.
_REQUIRED = " is required to build "
_BUT = re.compile(rf"'{_DRV}', but I am a '[^'\n]*' with features \{{[^\n]*\}}\s*")
_REASON = re.compile(r"\s+Reason: ([^\n]+)")
_MISMATCH = re.compile(r"derivation '([^'\s]+\.drv)' may not be deterministic: outputs? ")
_DIFFERS = re.compile(r"output ['\"]([^'\"\n]+)['\"] differs(?: from ['\"]([^'\"\n]+)['\"])?")
_BUILDERS_WORDS = re.compile(r"[Ll]ast \d+ log lines:")
_SUMMARY = re.compile(rf"build of (?:resolved derivation )?(?:'{_DRV}[^'\n]*'(?:, )?)+ failed\s*")
_NAMELESS_TIMEOUT = re.compile(r"timed out after (\d{1,9}) seconds")
_SUBJECT = re.compile(rf"/({DIGEST}-{NAME})")
_PATH = re.compile(r"/\S+")
#: Paths that are repeated of an error that lists any number.
PATHS = 4
_FULL = r"No space left on device|Disk quota exceeded|database or disk is full"
_DISK_FULL = re.compile(rf"{_FULL}|unable to write to file.*ENOSPC")
#: At the end of what failed, where no file's name can stand.
_OWN_DISK_FULL = re.compile(rf"(?:^|: |\()(?:{_FULL})\)?(?: \(in '[^']*'\))?\s*$")


class Mismatch(NamedTuple):
    """An output that a check found different, and where the other side was kept, if it was."""

    output: str
    other: str | None


def own_words(message: str) -> str:
    """An error message without "error:" before it and the builder's last lines behind it: a builder may say
    anything."""
    return _BUILDERS_WORDS.split(message, maxsplit=1)[0].removeprefix("error:").lstrip()


def subject(message: str) -> str | None:
    """What a message is about, a derivation or an output: the first store path that it names, without its
    directory."""
    found = _SUBJECT.search(own_words(message))
    return found[1].removesuffix(".chroot") if found else None


def failure(message: str) -> tuple[str, str] | None:
    """What an error message says happened, and to which .drv: ("failed" | "timed-out" | "dependency-failed" |
    "unsupported" | "not-built", path)."""
    words = own_words(message)
    _, required, but = words.rpartition(_REQUIRED)
    if required and words.startswith("a '") and (found := _BUT.fullmatch(but)):
        return "unsupported", found[1]
    for status, pattern in _FAILURES:
        if found := pattern.match(words):
            return status, found[1]
    return None


def reason(message: str) -> str:
    """Why something was not built, in one line."""
    words = own_words(message)
    found = _REASON.search(words)
    return (found[1] if found else words.partition("\n")[0]).strip()


def one_line(message: str) -> str:
    """What an error says, in one line: of a long one with a trace the last line says most, and of one that ends with
    the paths that it is about, some of these belong to it."""
    lines = [line.strip().removeprefix("error:").strip() for line in message.splitlines()]
    first, *others = [line for line in lines if line] or [""]
    if lines and not lines[0]:
        return (others[-1] if others and first.startswith("…") else first).rstrip(":")
    if first.endswith(":") and others and all(map(_PATH.fullmatch, others)):
        return f"{first} {some(others, PATHS)}"
    return first.rstrip(":")


def mismatch(message: str) -> tuple[str, tuple[Mismatch, ...]] | None:
    """A failed `--check`: the .drv, and what differs. Lix names every differing output, and the .drv without its
    directory."""
    words = own_words(message)
    if (found := _MISMATCH.match(words)) is None:
        return None
    return found[1], tuple(Mismatch(*row.groups()) for row in _DIFFERS.finditer(words))


def summary(message: str) -> list[str]:
    """The .drvs in the last word on a command of which several failed, without saying how."""
    words = own_words(message)
    return re.findall(_DRV, words) if _SUMMARY.fullmatch(words) else []


def nameless_timeout(message: str) -> int | None:
    """The limit in seconds, when some build exceeded it and the message does not say which (Nix 2.34)."""
    found = _NAMELESS_TIMEOUT.match(own_words(message))
    return int(found[1]) if found else None


def no_builder(message: str) -> bool:
    """Did Nix have nobody who builds anything (before 2.34; then it says so of each derivation)?"""
    return own_words(message).lower().startswith("unable to start any build")


def disk_full(text: str) -> bool:
    """Does a builder's log speak of a full disk? That is to be measured, not believed."""
    return _DISK_FULL.search(text) is not None


def own_disk_full(message: str) -> bool:
    """Did Nix itself fail to write because a disk is full?"""
    return _OWN_DISK_FULL.search(own_words(message)) is not None
