"""What the text around a value says it is: a host, a user, a processor, a variable. The value itself shows nothing, so
none of this is ever sure."""

from __future__ import annotations

import re
from typing import NamedTuple

from nix_repro.explain.causes.model import Match, Pair, paired, spans
from nix_repro.explain.context import Context
from nix_repro.report import Cause

#: Stands before a value: the end of its key, in the notations of shell, C, JSON, INI and XML.
_IS = rb"[\"']?(?:[ \t]*(?:=>|[:=,])[ \t]*|[ \t]+|>)[\"'(]?"
_KEY = rb"(?i)(?<![A-Za-z0-9])"


class Named(NamedTuple):
    cause: Cause
    what: str
    pattern: re.Pattern[bytes]
    form: str = ""


#: Before tokens are called random: a host's or user's name may look drawn.
NAMES = (
    Named("environment", "one of Nix's build users", re.compile(rb"(?<![A-Za-z0-9])_?nixbld\d+(?![A-Za-z0-9])")),
    Named(
        "environment",
        "somebody's home directory",
        re.compile(rb"(?<![A-Za-z0-9/])/(?:home|Users)/[A-Za-z0-9._-]+(?![A-Za-z0-9])"),
    ),
    Named(
        "host",
        "the machine that built it",
        re.compile(rb"(?<![A-Za-z0-9.])(?:root|nixbld\d*|build(?:er|user|d)?|runner|user)@[A-Za-z0-9][A-Za-z0-9.-]*"),
        "host",
    ),
    Named(
        "host",
        "a host's name",
        re.compile(
            _KEY
            + rb"(?:(?:\w{1,64}[._-])?host[_-]?name|nodename|build[_ -]?(?:host|machine)|built (?:on|at)(?: host)?)"
            + _IS
            + rb"[A-Za-z0-9][A-Za-z0-9.-]*(?![A-Za-z0-9])"
        ),
        "host",
    ),
    Named(
        "environment",
        "a user's name",
        re.compile(
            _KEY
            + rb"(?:(?:\w{1,64}[._-])?user[_-]?name|(?:build|built)[_-]?(?:by|user)"
            + rb"|(?:build|built|compiled|packaged) by|packager|logname)"
            + _IS
            + rb"[A-Za-z_][A-Za-z0-9._-]*(?![A-Za-z0-9])"
        ),
    ),
    Named(
        "cpu",
        "a processor's model",
        re.compile(
            rb"(?:(?:Genuine )?Intel\(R\)|AMD (?:EPYC|Ryzen|Opteron|Athlon)"
            rb"|ARM Cortex|Neoverse|Apple M\d|QEMU Virtual CPU|Ampere)"
            rb"[^\n\"'<>;]*"
        ),
    ),
    Named(
        "cpu",
        "a processor's model or features",
        re.compile(
            rb"(?im)(?<![A-Za-z0-9])cpu[ _-]?(?:name|model|type|flags|features|family|info|arch)?[\"']?\s*[:=][^\n]*$"
        ),
    ),
)

#: After everything that a value can show by itself.
VARIABLES = (
    Named(
        "locale",
        "a setting of the locale",
        re.compile(rb"(?m)(?:^|(?<=[ \t\"'{,(]))(?:LANG|LANGUAGE|LC_[A-Z]+)[\"']?\]?(?:=|: ?|[ \t])[^\n]*$"),
    ),
    Named(
        "environment",
        "a variable of the environment",
        re.compile(
            rb"(?m)(?:^|(?<=[ \t\"'{,(\[]))(?:PATH|HOME|USER|LOGNAME|SHELL|SHLVL|TERM|COLUMNS|LINES|EDITOR|PAGER|MAIL"
            rb"|DISPLAY|HOSTNAME|HOSTTYPE|OLDPWD|PWD|TMPDIR|PYTHONPATH|PERL5LIB|LD_LIBRARY_PATH|PKG_CONFIG_PATH|(?:SSH|XDG|GITHUB|RUNNER|CI|NIX|SUDO|DBUS)_[A-Z0-9_]+)"
            rb"[\"']?\]?(?:=|: ?|[ \t])[^\n]*$"
        ),
    ),
)


def _named(rows: tuple[Named, ...], pair: Pair) -> Match | None:
    if not pair.text:
        return None
    for row in rows:
        if found := paired(row.pattern, pair):
            a, b = (found[0][side][0].decode("utf-8", "replace").strip()[:80] for side in (0, 1))
            return Match(row.cause, "low", f"{a} and {b} read as {row.what}", spans(found), form=row.form)
    return None


def named_surroundings(pair: Pair, _context: Context) -> Match | None:
    return _named(NAMES, pair)


def variables(pair: Pair, _context: Context) -> Match | None:
    """A variable's value as a whole, when nothing in it says what it is."""
    return _named(VARIABLES, pair)


WORD = re.compile(rb"[A-Za-z][A-Za-z0-9]*(?:[._-](?=[0-9])[0-9]+)*")
#: Instruction set extensions and microarchitectures, as compilers, kernels and libraries spell them.
PROCESSOR = re.compile(
    rb"(?i)(?:has_?|use_?|with_?|enable_?|m)?(?:"
    rb"s?sse\d?(?:[._]?[12a])?|avx(?:[_.]?\d+)?\w*|vaes|aes(?:_?ni)?|pclmul(?:qdq)?|vpclmulqdq|f16c|fma[34]?|bmi[12]?|lzcnt|popcnt|movbe|adx|sha_?ni|amx\w*"
    rb"|neon|asimd\w*|sve2?|dotprod|altivec|vsx"
    rb"|nehalem|westmere|sandy_?bridge|ivy_?bridge|haswell|broadwell|(?:skylake|cascadelake|cooperlake|icelake|sapphirerapids|tigerlake|alderlake)(?:x|sp)?"
    rb"|bulldozer|piledriver|steamroller|excavator|znver\d|zen\d?|barcelona|core2|prescott|atom|silvermont|goldmont"
    rb"|neoverse\w*|cortex\w*|thunderx\w*|armv\d\w*|x86[_-]64[_-]v[1-4]|power(?:pc)?\d+|generic|server)"
)


def instruction_sets(pair: Pair, _context: Context) -> Match | None:
    """All words that only one side has name what a processor can do, or which one it is."""
    if not pair.text:
        return None
    (start_a, end_a), (start_b, end_b) = _whole_words(pair)
    left, right = ({word.lower() for word in _words(side)} for side in (pair.a, pair.b))
    changed = left ^ right
    if not changed or not all(_names_processor(word) for word in changed) or changed <= {b"generic", b"server"}:
        return None
    if WORD.sub(b"", pair.a[start_a:end_a]).strip(b" \t,;:|+_\"'.-/") or WORD.sub(b"", pair.b[start_b:end_b]).strip(
        b" \t,;:|+_\"'.-/"
    ):
        return None
    shown = b", ".join(sorted(changed)[:6]).decode("latin-1")
    return Match(
        "cpu", "low", f"the sides differ in what names processors: {shown}", [((start_a, end_a), (start_b, end_b))]
    )


def _words(data: bytes) -> list[bytes]:
    return [word for part in WORD.findall(data) for word in ([part] if _names_processor(part) else part.split(b"_"))]


def _names_processor(word: bytes) -> bool:
    return PROCESSOR.fullmatch(word) is not None


def _whole_words(pair: Pair) -> tuple[tuple[int, int], tuple[int, int]]:
    """The changed region, widened on both sides alike to where words begin and end."""
    (start, end_a), (_, end_b) = pair.changed()
    while start > 0 and (pair.a[start - 1 : start].isalnum() or pair.a[start - 1 : start] in b"._-"):
        start -= 1
    while (
        end_a < len(pair.a)
        and end_b < len(pair.b)
        and (pair.a[end_a : end_a + 1].isalnum() or pair.a[end_a : end_a + 1] in b"._-")
    ):
        end_a, end_b = end_a + 1, end_b + 1
    return (start, end_a), (start, end_b)
