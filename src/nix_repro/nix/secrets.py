"""Cuts credentials out of text: what stands before the host of a URL, parameters of its query, tokens and headers.

URLs come from settings, installables, lock files and Nix's own messages, and each is shown somewhere. With what is cut
here nobody can ask for the URL any more, so it is done where text leaves: in the report, a warning, an error. Pure.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T", bound=msgspec.Struct)

#: What a secret gives way to where something has to stand.
CUT = "***"
#: Also one that lacks its colon: such a URL is shown because it is wrong.
_SCHEME = r"\b([a-zA-Z][a-zA-Z0-9+.-]*:?//)"
#: As far as a URL goes, also with characters in the password that should not be there: what looks like a port is one.
_USER = re.compile(
    rf"{_SCHEME}(?:([^\s/?#\"<>@:]{{0,500}}):(?!\d*(?:[/?#\s]|$))[^\s\"<>@]{{0,500}}(?:@[^\s/?#\"<>@]{{0,500}}){{0,9}}"
    rf"|([^\s/?#\"<>]{{0,500}}))@"
)
#: Where a name before the host is no secret, as long as there is no password.
_BY_KEY = re.compile(r"(?:git\+|hg\+)?ssh(?:-ng)?://")
_PARAMETER = re.compile(r"([?&;#])([A-Za-z][\w.%-]*)=([^&;\s'\"<>#\\]+)")
_TELLING = re.compile(
    r"token|secret|passw|passphrase|pwd|auth(?!or)|credential|signature|^sig$|jwt|session|private"
    r"|(?:api|access|account|shared|subscription)[-_.]?key|^(?:key|pat|pass|pw|code|sas|k)$",
    re.IGNORECASE,
)
_CERTAIN = re.compile(r"token|secret|passw", re.IGNORECASE)
#: Parameters of flakes and stores that are long and no secrets.
_PLAIN = frozenset(
    [
        *("rev", "ref", "dir", "narHash", "host", "root", "state", "log", "real"),
        *("remote-program", "remote-store", "ssh-key", "base64-ssh-public-host-key"),
        *("endpoint", "region", "profile", "path", "file", "name", "version", "url"),
    ]
)
#: A value that nobody has thought of: long, with letters and digits.
_RANDOM = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[\w%+/=.~-]{16,}")
_TOKENS = re.compile(r"\b(?:gh[opsur]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|npm_\w{30,}|xox[a-z]-[\w-]{10,})")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|private-token)(['\"]?\s*[:=]\s*['\"]?)(?:(?:basic|bearer|token)\s+)?[^\s'\",]+"
)
_ACCESS = re.compile(r"\b(access-tokens\b\W*)([^\n'\"]*)")
_NETRC = re.compile(r"\b(login\s+\S+\s+password\s+)\S+")
#: What no secret is without, to be quick with the many texts that have none.
_SUSPECT = re.compile(
    r"[?&;#][A-Za-z][\w.%-]{0,80}=|(?i:authorization|private-token)|access-tokens|password|gh[opsur]_|github_pat_|glpat-"
    r"|npm_|xox"
)


def cut(text: str, *, known_only: bool = False) -> str:
    """The text without secrets. `known_only`: only what is known to be one; a parameter that just looks random stays,
    as where two builds differ."""
    if "@" in text and "//" in text:
        text = _USER.sub(_without_user, text)
    if _SUSPECT.search(text) is None:
        return text
    text = _PARAMETER.sub(lambda found: _parameter(found, known_only=known_only), text)
    text = _HEADER.sub(rf"\1\2{CUT}", text)
    text = _ACCESS.sub(lambda found: found[1] + re.sub(r"=\S+", f"={CUT}", found[2]), text)
    return _NETRC.sub(rf"\1{CUT}", _TOKENS.sub(CUT, text))


def _without_user(found: re.Match[str]) -> str:
    scheme, before_password, alone = found.groups()
    if not _BY_KEY.fullmatch(scheme):
        return str(scheme)
    user = before_password if before_password is not None else alone.partition(":")[0]
    return f"{scheme}{user}@"


def _parameter(found: re.Match[str], *, known_only: bool) -> str:
    sign, name, value = found.groups()
    # Behind these two there may be anything, a line of a program too.
    query = sign not in ";#"
    telling = (_TELLING if query else _CERTAIN).search(name) is not None
    random = not known_only and query and _RANDOM.fullmatch(value) is not None
    return f"{sign}{name}={CUT}" if name not in _PLAIN and (telling or random) else str(found[0])


def cut_all(value: _T, kept: frozenset[str] = frozenset()) -> _T:
    """A struct with every text in it cut; below members called one of `kept`, only of what is known to be a secret."""
    return msgspec.convert(_cut(msgspec.to_builtins(value), kept, known_only=False), type(value))


def _cut(value: Any, kept: frozenset[str], *, known_only: bool) -> Any:
    match value:
        case str():
            return cut(value, known_only=known_only)
        case list() | tuple():
            return [_cut(item, kept, known_only=known_only) for item in value]
        case dict():
            return {key: _cut(item, kept, known_only=known_only or key in kept) for key, item in value.items()}
        case _:
            return value
