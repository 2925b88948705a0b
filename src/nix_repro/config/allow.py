"""The rules of `allow:`, entry by entry, each with the line that it stands in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any, get_args

from nix_repro.errors import UsageError
from nix_repro.report import Cause
from nix_repro.settings import Entry, Setting, fail, shown
from nix_repro.verdict.allow import AllowRule

#: Characters of a reason: it stands in statuses and tables.
REASON = 300
#: Characters of a name.
NAME = 250
_REASON = "a reason"
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
#: The keys of a rule, in the order in which one is written.
KEYS = ("name", "reason", "until", "output", "cause")


def rules(setting: Setting) -> tuple[AllowRule, ...]:
    """The rules of the file. Raises `UsageError` with the line of what is wrong."""
    if not isinstance(setting.value, tuple) or not all(isinstance(entry, Entry) for entry in setting.value):
        raise fail(setting, "a list of rules, which only a file has")
    found: dict[tuple[str, str | None, str | None], AllowRule] = {}
    for entry in setting.value:
        rule = _rule(entry)
        if (first := found.setdefault(rule.key, rule)) is not rule:
            raise UsageError(f"{entry.where}: line {first.line} has a rule for {shown(rule.name)} already")
    return tuple(found.values())


def _rule(entry: Entry) -> AllowRule:
    given: dict[str, Entry] = {}
    for item in entry.value:
        if item.name not in KEYS:
            raise UsageError(f"{item.where}: {shown(item.name)}: unknown key; a rule has {', '.join(KEYS)}")
        given[item.name] = item
    for name in ("name", "reason"):
        if name not in given:
            raise UsageError(f"{entry.where}: a rule without a {name}")
    file, line, _ = entry.where.rsplit(":", 2)
    values = {name: item.value for name, item in given.items()}
    return rule(values, {name: f"{item.where}: {name}" for name, item in given.items()}, file, int(line))


def rule(values: dict[str, Any], places: dict[str, str], file: str = "", line: int = 0) -> AllowRule:
    """A rule of raw values, of which `places` says where each stands. Raises `UsageError` that names the place."""

    def setting(name: str) -> Setting | None:
        return Setting(values[name], places[name]) if values.get(name) is not None else None

    output, until, cause = setting("output"), setting("until"), setting("cause")
    return AllowRule(
        name=_text(Setting(values["name"], places["name"]), NAME, "the name of a derivation, or a pattern of names"),
        reason=" ".join(_text(Setting(values["reason"], places["reason"]), REASON, _REASON).split()),
        until=_day(until) if until is not None else None,
        output=_text(output, NAME, "the name of an output") if output is not None else None,
        cause=_cause(cause) if cause is not None else None,
        file=file,
        line=line,
    )


def _text(setting: Setting, most: int, what: str) -> str:
    value = setting.value.strip() if isinstance(setting.value, str) else ""
    # A reason may have several lines, which are shown as one.
    if not value or _CONTROL.search(value) or (what != _REASON and not value.isprintable()):
        raise fail(setting, what)
    if len(value) > most:
        raise UsageError(f"{setting.where}: {len(value):,} characters; at most {most} are allowed")
    return value


def _day(setting: Setting) -> date:
    if isinstance(setting.value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", setting.value):
        with suppress(ValueError):
            return date.fromisoformat(setting.value)
    raise fail(setting, "a day such as 2027-01-31")


def _cause(setting: Setting) -> Cause:
    known: Sequence[Cause] = get_args(Cause)
    for cause in known:
        if setting.value == cause:
            return cause
    raise fail(setting, f"one of {', '.join(known)}")
