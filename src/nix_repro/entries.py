"""Settings that are lists or mappings, entry by entry, each with the line it stands on; and what may stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nix_repro.errors import UsageError
from nix_repro.targets import HIT_RATE, NAMES, SCENARIOS, Limit

if TYPE_CHECKING:
    import yaml

#: The most expressions and limits anybody needs.
_MOST = 100


@dataclass(frozen=True)
class Entry:
    """One value, its name (`build`, `cold.build`, "" in a list), and where it stands."""

    name: str
    value: Any
    where: str


def located(node: yaml.Node, construct: Callable[[yaml.Node], Any], place: Callable[[yaml.Node], str]) -> tuple[Entry, ...]:
    """The entries of a YAML list or of a mapping, whose own mappings are entries `outer.inner`. `place` says where a
    node stands."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        return tuple(Entry("", construct(item), place(item)) for item in node.value)
    if not isinstance(node, yaml.MappingNode):
        return (Entry("", construct(node), place(node)),)
    found: list[Entry] = []
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode):
            found += [Entry(f"{key.value}.{k.value}", construct(v), place(k)) for k, v in value.value]
        else:
            found.append(Entry(str(key.value), construct(value), place(key)))
    return tuple(found)


def given(value: Any, where: str) -> tuple[Entry, ...]:
    """The entries of an input, which is text with one a line, or of a flag that may be repeated."""
    lines = value.splitlines() if isinstance(value, str) else value
    return tuple(Entry("", str(line).strip(), where) for line in lines if str(line).strip())


def duration(value: Any) -> int | None:
    """Seconds in `90s`, `7m`, `1m30s`, `1h`, or a plain number of seconds; None when it is none of these."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    found = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s?)?", str(value).strip(), re.ASCII)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def limits(entries: Sequence[Entry]) -> tuple[Limit, ...]:
    """Targets: `build: 7m`, `hit-rate: 95%`, `cold: {total: 10m}`; `NAME=LIMIT` or `SCENARIO.NAME=LIMIT` in flags.

    Raises `UsageError` that names the line.
    """
    _bounded(entries)
    found: list[Limit] = []
    for entry in entries:
        name, value = entry.name, entry.value
        if not name:
            name, equals, value = str(value).partition("=")
            if not equals:
                raise UsageError(f"{entry.where}: {entry.value!r} is not NAME=LIMIT, such as build=7m")
        scenario, dot, inner = name.strip().rpartition(".")
        name = HIT_RATE if inner == "hit-rate" else inner
        if name not in NAMES or (dot and scenario not in SCENARIOS):
            known = f"{', '.join(n.replace(' ', '-') for n in NAMES)}, alone or below {', '.join(SCENARIOS)}"
            raise UsageError(f"{entry.where}: {scenario if name in NAMES else inner}: unknown target; known are {known}")
        found.append(Limit(name, _limit(name, value, entry.where), scenario if dot else None))
    return tuple(found)


def _limit(name: str, value: Any, where: str) -> float | None:
    text = "none" if value is None else str(value).strip()
    if text == "none":
        return None
    if name == HIT_RATE:
        found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?) ?%", text)
        if found is None or float(found.group(1)) > 100:
            raise UsageError(f"{where}: {value!r} is not a percentage such as 95%, or none")
        return round(float(found.group(1)) / 100, 6)
    seconds = duration(value)
    if not seconds:
        raise UsageError(f"{where}: {value!r} is not a duration such as 90s, 7m or 1m30s, or none")
    return float(seconds)


@dataclass(frozen=True)
class Expression:
    """A `fail-when` expression, and where it stands."""

    text: str
    where: str


def expressions(entries: Sequence[Entry]) -> tuple[Expression, ...]:
    """jq expressions. Raises `UsageError` for what is no text, or too long to be meant."""
    _bounded(entries)
    for entry in entries:
        if entry.name or not isinstance(entry.value, str) or not entry.value.strip() or len(entry.value) > 4000:
            raise UsageError(f"{entry.where}: {entry.value!r} is not a jq expression")
    return tuple(Expression(entry.value.strip(), entry.where) for entry in entries)


def _bounded(entries: Sequence[Entry]) -> None:
    if len(entries) > _MOST:
        raise UsageError(f"{entries[0].where}: {len(entries)} entries; at most {_MOST} are allowed")


def command(value: Any, where: str) -> str | tuple[str, ...]:
    """The test phase: `checks`, `none`, or a command as a list of words or in one string. Nothing goes through a shell.

    Raises `UsageError` for anything else.
    """
    if isinstance(value, Mapping) or not isinstance(value, str | Sequence):
        raise UsageError(f"{where}: {value!r} is not checks, none or a command")
    if value in ("checks", "none"):
        return str(value)
    try:
        words = shlex.split(value) if isinstance(value, str) else list(value)
    except ValueError as error:
        raise UsageError(f"{where}: {value!r} is not a command: {error}") from None
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise UsageError(f"{where}: {value!r} is not a command: a list of words, or one string")
    return tuple(words)
