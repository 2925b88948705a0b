"""What every program that is started may be given: our own words as options, and everything else where no option can
stand."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nix_repro.build.rebuild.shadow import COMMAND
from nix_repro.nix.store_path import is_operand
from nix_repro.plan.installables import _WHAT, _WHAT_EACH
from nix_repro.verdict.fail_when import _COMPILE, _RUN

_NIX_WORDS = """
config show show-config --json --version eval --no-write-lock-file derivation show-derivation --recursive path-info
--closure-size --all --check-validity --print-invalid --query --hash --requisites --dump-db --delete --export --import
--restore --outputs --force-realise --realise --keep-going --keep-failed --check --fallback --indirect --deriver
--referrers-closure --dump store info ping dump-path hash path --sri copy --no-check-sigs --no-recursive --derivation
"""
_GIT_WORDS = """
--no-optional-locks --no-pager rev-parse --show-toplevel --git-dir --abbrev-ref HEAD origin/HEAD origin remote get-url
status --porcelain --untracked-files=no --untracked-files=all -z cat-file -e -s blob ls-files ls-tree --error-unmatch
--is-shallow-repository --verify --quiet diff --name-only --no-renames --no-ext-diff --no-textconv show
"""
_NIX = frozenset(_NIX_WORDS.split())
_GIT = frozenset(_GIT_WORDS.split())
_GIT_SETTINGS = ("safe.bareRepository=explicit", "core.fsmonitor=", "core.hooksPath=/dev/null")
_DIFFOSCOPE = re.compile(r"--html|/.*\.html|--max-report-size|--timeout|[0-9]+|--exclude-directory-metadata=recursive")
_NUMBER = re.compile(r"[0-9]{1,9}|auto")
#: A directory or file of ours, whose name nobody else has chosen.
_OURS = re.compile(r"/(?:[^/\0]+/)*[^/\0]+")
_STORE = re.compile(r"(?!-)(?!.*://-)[^\s\0]+")

#: What may follow an option.
_VALUES: dict[str, tuple[Callable[[str], object], ...]] = {
    "--max-jobs": (_NUMBER.fullmatch,),
    "--cores": (_NUMBER.fullmatch,),
    "--timeout": (_NUMBER.fullmatch,),
    "--store": (_STORE.fullmatch,),
    "--to": (_STORE.fullmatch,),
    "--from": (_STORE.fullmatch,),
    "--add-root": (_OURS.fullmatch,),
    "--apply": (lambda word: word in (_WHAT, _WHAT_EACH),),
    "--log-format": (lambda word: word == "internal-json",),
    "--option": (
        lambda word: word in ("substitute", "builders", "run-diff-hook", "diff-hook"),
        lambda word: word in ("false", "true", "") or _OURS.fullmatch(word),
    ),
}


def wrong(argv: Sequence[str], test: Sequence[str] = ()) -> str | None:
    """What of a command line is no word of ours and stands where an option could; None when it is as it should be.
    `test` is the command that the configuration names, which is its author's."""
    program, words = Path(argv[0]).name, iter(argv[1:])
    if tuple(argv) == tuple(test) or tuple(argv) in (COMMAND, (*COMMAND, "--probe")):
        return None
    match program:
        case "nix" | "nix-store" | "nix-instantiate":
            return _nix(program, words)
        case "git":
            return _git(words)
        case "diffoscope":
            return next((word for word in _before_dashes(words) if not _DIFFOSCOPE.fullmatch(word)), None)
        case _ if argv[0] == sys.executable and list(argv[1:3]) == ["-I", "-c"] and argv[3] in (_COMPILE, _RUN):
            # What follows a program in Python's arguments is the program's.
            return None
        case _:
            return argv[0]


def _before_dashes(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word == "--":
            return
        yield word


def _nix(program: str, words: Iterator[str]) -> str | None:
    seen: list[str] = []
    for word in _before_dashes(words):
        for fits in _VALUES.get(word, ()):
            if not fits(value := next(words, "")):
                return value
        mine = word in _NIX or word in _VALUES
        # Its own file, or where it restores to.
        if (not mine and not (seen[-1:] == ["--restore"] or program == "nix-instantiate")) or word == "":
            return word
        if not mine and not _OURS.fullmatch(word):
            return word
        seen.append(word)
    if seen[:1] == ["eval"]:
        return next((word for word in words if word.startswith("-")), None)
    return next((word for word in words if not is_operand(word, "/nix/store")), None)


def _git(words: Iterator[str]) -> str | None:
    revision = re.compile(r"[A-Za-z0-9_][\w./@{}~^+-]*\^\{commit\}|[0-9a-f]{40}(:[^\0]+)?")
    for word in _before_dashes(words):
        if word == "-c":
            if (value := next(words, "")) not in _GIT_SETTINGS:
                return value
        elif word not in _GIT and not revision.fullmatch(word):
            return word
    return next((word for word in words if not word.startswith(":(literal)")), None)
