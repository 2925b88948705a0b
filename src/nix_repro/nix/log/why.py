"""What Nix's error messages say a derivation failed of. Pure.

Wordings of 2.8, 2.26 and 2.34, as measured. What a message quotes of a derivation (its system, its features) may be any
text, and ends up in a reason, which everybody who shows it escapes.
"""

from __future__ import annotations

import re

from nix_repro.nix.log.words import own_words

#: How messages begin: before 2.34 with what failed, since then with what cannot be built because of it.
_CANNOT = r"[Cc]annot build '[^']*'\.\s+Reason: "
_BUILDER = rf"(?:builder for '[^']*'|{_CANNOT}builder) "
_EXIT = re.compile(rf"{_BUILDER}failed with exit code (\d{{1,9}})\b")
_SIGNAL = re.compile(rf"{_BUILDER}failed due to signal (\d{{1,9}})(?: \(([^)\n]*)\))?")
_OUTPUT = re.compile(r"builder for '[^']*' failed to produce output path for output '([^'\n]*)' at ")
_HASH = re.compile(
    r"hash mismatch in fixed-output derivation '[^']*':\s+specified:\s+(\S{1,200})\s+got:\s+(\S{1,200})\s*"
)
_LOG = re.compile(r"building (?:of|derivation) '[^']*'(?: from \.drv file)? killed after writing more than (\d+) bytes")
#: Before 2.34, a system and features in one sentence; since then, each in a line.
_REQUIRED = re.compile(
    r"a '([^\n]*)' with features \{([^\n}]*)\} is required to build '[^'\n]*', but I am a '([^'\n]*)'"
)
_SYSTEM = re.compile(
    rf"{_CANNOT}[^\n]*platform mismatch[^\n]*\n\s*Required system: '([^\n]*)'[^\n]*\n\s*Current system: '([^'\n]*)'"
)
_FEATURES = re.compile(rf"{_CANNOT}[^\n]*missing system features[^\n]*\n\s*Required features: \{{([^\n}}]*)\}}")
_MISMATCH = "hash mismatch: specified {}, got {}"
#: The signal that a kernel short of memory sends, and what a shell makes of it.
_KILL = 9
_SHELL = 128
_OUT_OF_MEMORY = ": out of memory, perhaps"


def mismatch(words: str) -> tuple[str, str] | None:
    """Both hashes of what `why` says of a hash mismatch, None for anything else."""
    found = re.fullmatch(_MISMATCH.format(r"(\S+)", r"(\S+)"), words)
    return (found[1], found[2]) if found else None


def why(message: str) -> str | None:
    """What a derivation failed of, in one line; None when the message says no more than that it has."""
    words = own_words(message)
    if found := _EXIT.match(words):
        code = int(found[1])
        killed = (
            f", as when a program in it was killed by signal {_KILL}{_OUT_OF_MEMORY}" if code == _SHELL + _KILL else ""
        )
        return f"the builder failed with exit code {code}{killed}"
    if found := _SIGNAL.match(words):
        name = f" ({found[2]})" if found[2] else ""
        return f"the builder was killed by signal {found[1]}{name}{_OUT_OF_MEMORY if int(found[1]) == _KILL else ''}"
    if found := _OUTPUT.match(words):
        return f"the builder ended without an error and did not make the output {found[1]}"
    if found := _HASH.match(words):
        return _MISMATCH.format(*found.groups())
    if found := _LOG.match(words):
        return f"it was killed because it printed more than {found[1]} bytes (max-build-log-size)"
    return _unsupported(words)


def _unsupported(words: str) -> str | None:
    if found := _REQUIRED.match(words):
        system, features, here = found.groups()
        return _system(system, here) if system != here else _features(features)
    if found := _SYSTEM.match(words):
        return _system(found[1], found[2])
    if found := _FEATURES.match(words):
        return _features(found[1])
    return None


def _system(wanted: str, here: str) -> str:
    return f"it is for {wanted}, and this machine builds for {here}"


def _features(wanted: str) -> str:
    return f"it needs the system features {{{wanted}}}, not all of which this machine has"
