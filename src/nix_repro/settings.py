"""Settings that are lists or mappings, entry by entry, each with the line it stands on; and what may stand there."""

from __future__ import annotations

import re
import reprlib
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nix_repro.errors import UsageError
from nix_repro.metrics.targets import NAMES, SCENARIOS, Limit, quantity
from nix_repro.nix.options import passable
from nix_repro.plan.named import split
from nix_repro.report import ScenarioName
from nix_repro.verdict.fail_when import Expression

#: Targets as they are written where a name must not have spaces.
_WORDS = {name.replace(" ", "-"): name for name in NAMES}
#: The most expressions and limits anybody needs.
_MOST = 100
_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = _BRIEFLY.maxother = 200


def shown(value: Any) -> str:
    """A value as an error shows it: whatever somebody has written, it is one line, and not long."""
    return _BRIEFLY.repr(value)


@dataclass(frozen=True)
class Entry:
    """One value, its name (`build`, `cold.build`, "" in a list), and where it stands."""

    name: str
    value: Any
    where: str


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
                raise UsageError(f"{entry.where}: {shown(entry.value)} is not NAME=LIMIT, such as build=7m")
        scenario, dot, inner = name.strip().rpartition(".")
        name = _WORDS.get(inner, inner)
        if name not in NAMES or (dot and scenario not in SCENARIOS):
            known = f"{', '.join(_WORDS)}, alone or below {', '.join(SCENARIOS)}"
            raise UsageError(
                f"{entry.where}: {scenario if name in NAMES else inner}: unknown target; known are {known}"
            )
        found.append(Limit(name, _limit(name, value, entry.where), scenario if dot else None))
    return tuple(found)


def _limit(name: str, value: Any, where: str) -> float | None:
    text = "none" if value is None else str(value).strip()
    if text == "none":
        return None
    if quantity(name).unit == "ratio":
        found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?) ?%", text)
        if found is None or float(found.group(1)) > 100:
            raise UsageError(f"{where}: {shown(value)} is not a percentage such as 95%, or none")
        return round(float(found.group(1)) / 100, 6)
    seconds = duration(value)
    if not seconds:
        raise UsageError(f"{where}: {shown(value)} is not a duration such as 90s, 7m or 1m30s, or none")
    return float(seconds)


def expressions(entries: Sequence[Entry]) -> tuple[Expression, ...]:
    """jq expressions. Raises `UsageError` for what is no text, or too long to be meant."""
    _bounded(entries)
    for entry in entries:
        if entry.name or not isinstance(entry.value, str) or not entry.value.strip() or len(entry.value) > 4000:
            raise UsageError(f"{entry.where}: {shown(entry.value)} is not a jq expression")
    return tuple(Expression(entry.value.strip(), entry.where) for entry in entries)


def _bounded(entries: Sequence[Entry]) -> None:
    if len(entries) > _MOST:
        raise UsageError(f"{entries[0].where}: {len(entries)} entries; at most {_MOST} are allowed")


def command(value: Any, where: str) -> str | tuple[str, ...]:
    """The test phase: `checks`, `none`, or a command as a list of words or in one string. Nothing goes through a shell.

    Raises `UsageError` for anything else.
    """
    if isinstance(value, Mapping) or not isinstance(value, str | Sequence):
        raise UsageError(f"{where}: {shown(value)} is not checks, none or a command")
    if value in ("checks", "none"):
        return str(value)
    try:
        words = shlex.split(value) if isinstance(value, str) else list(value)
    except ValueError as error:
        raise UsageError(f"{where}: {shown(value)} is not a command: {error}") from None
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise UsageError(f"{where}: {shown(value)} is not a command: a list of words, or one string")
    return tuple(words)


REBUILDERS = ("auto", "shadow", "replace", "nix-check")


@dataclass(frozen=True)
class Setting:
    """A raw value and where it stands: `.nix-repro.yml:3: rounds`, `--rounds`, `input rounds`."""

    value: Any
    where: str


def fail(setting: Setting, expected: str) -> UsageError:
    return UsageError(f"{setting.where}: {shown(setting.value)} is not {expected}")


def words(setting: Setting) -> tuple[str, ...]:
    """A list, or one string with words separated by commas, spaces or line ends."""
    value = setting.value
    if isinstance(value, str):
        value = [word for word in re.split(r"[,\s]+", value) if word]
    if not isinstance(value, Sequence) or not all(isinstance(word, str) and word for word in value):
        raise fail(setting, "a list of words")
    return tuple(value)


def installables(setting: Setting) -> tuple[str, ...]:
    """A list, or one string with installables separated by spaces, line ends or commas."""
    value = setting.value
    try:
        found = split(value) if isinstance(value, str) else words(setting)
    except ValueError as error:
        raise UsageError(f"{setting.where}: {error}") from None
    if not found:
        raise fail(setting, "a list with at least one installable")
    for installable in found:
        if installable.startswith("-"):
            raise UsageError(f"{setting.where}: {shown(installable)} is not an installable")
    return found


def one_of(allowed: Sequence[str]) -> Callable[[Setting], Any]:
    def parse(setting: Setting) -> Any:
        # YAML takes a bare `off` for false.
        value = "off" if setting.value is False else setting.value
        if value not in allowed:
            raise fail(setting, f"one of {', '.join(allowed)}")
        return value

    return parse


def some_of(allowed: Sequence[str]) -> Callable[[Setting], tuple[str, ...]]:
    def parse(setting: Setting) -> tuple[str, ...]:
        found = words(setting)
        if found == ("none",):
            return ()
        if not found and isinstance(setting.value, str):
            raise fail(setting, f"one of {', '.join(allowed)} (or none)")
        for word in found:
            if word not in allowed:
                raise UsageError(f"{setting.where}: {shown(word)} is not one of {', '.join(allowed)} (or none)")
        return found

    return parse


def cache_urls(setting: Setting) -> tuple[str, ...]:
    found = words(setting)
    if found == ("none",):
        return ()
    for word in found:
        if "://" not in word:
            raise UsageError(f"{setting.where}: {shown(word)} is not the URL of a cache (or none)")
    return found


def whole_number(least: int, most: int) -> Callable[[Setting], int]:
    def parse(setting: Setting) -> int:
        value = setting.value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise fail(setting, f"a whole number from {least} to {most}")
        return value

    return parse


def jobs(setting: Setting) -> str:
    return "auto" if setting.value == "auto" else str(whole_number(1, 4096)(setting))


def seconds(setting: Setting) -> int:
    seconds = duration(setting.value)
    if not seconds:
        raise fail(setting, "a duration such as 90s, 7m or 1m30s")
    return seconds


def rebuilder(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, str) and (value in REBUILDERS or "://" in value or value.startswith("local?")):
        return value
    raise fail(setting, f"one of {', '.join(REBUILDERS)}, or a store URL such as ssh-ng://HOST")


def options(setting: Setting) -> tuple[tuple[str, str], ...]:
    """A mapping in YAML, `name = value` lines as in nix.conf in an input, pairs from flags."""
    value = setting.value
    if isinstance(value, str):
        pairs: list[Any] = []
        for line in value.splitlines():
            written = re.fullmatch(r"\s*([a-z][a-z0-9-]*)\s*=(.*)", line)
            if written is not None:
                pairs.append((written[1], written[2].strip()))
            elif line.strip() and not line.lstrip().startswith("#"):
                # The rest of the line may be a token.
                first = re.split(r"[\s:=]", line.strip(), maxsplit=1)[0]
                raise UsageError(f"{setting.where}: the line that begins with {first[:40]!r} is not `name = value`")
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        pairs = list(value) if isinstance(value, Sequence) else []
    found = tuple(_option(setting, pair) for pair in pairs)
    if not found:
        raise fail(setting, "a mapping from Nix setting names to values")
    return found


def _option(setting: Setting, pair: Any) -> tuple[str, str]:
    name, content = pair if isinstance(pair, tuple) and len(pair) == 2 else ("", None)
    if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9-]*", name)) or not isinstance(
        content, str | int | bool
    ):
        raise fail(setting, "a mapping from Nix setting names to values")
    value = str(content).lower() if isinstance(content, bool) else str(content)
    # Nix reads a setting from one line. No error shows it: it may be a token.
    if not value.isprintable():
        raise UsageError(f"{setting.where}: {name}: this is not the value of a Nix setting")
    if not passable(name, value):
        raise UsageError(
            f"{setting.where}: {name}: not among the settings that are passed on to Nix, as it could run programs or "
            "undo what protects the machine. Whoever answers for the machine can set it in nix.conf"
        )
    return name, value


def entries_of(setting: Setting) -> tuple[Entry, ...]:
    value = setting.value
    return value if value and isinstance(value[0], Entry) else given(value, setting.where)


def targets(setting: Setting) -> tuple[Limit, ...]:
    return limits(entries_of(setting))


def scenario(setting: Setting) -> ScenarioName | None:
    found: ScenarioName | None = one_of(("auto", *SCENARIOS))(setting)
    return None if setting.value == "auto" else found


def revision(setting: Setting) -> str | None:
    value = setting.value
    if value == "none":
        return None
    # What Git takes for a revision, without anything it would take for an option or a path.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_][\w./@{}~^+-]{0,250}", value):
        raise fail(setting, "a Git revision")
    return value


def diffoscope(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, str) and (value in ("auto", "never") or shutil.which(value) is not None):
        return value
    raise fail(setting, "auto, never, or the path of a diffoscope")


def path(setting: Setting) -> Path:
    if not isinstance(setting.value, str | Path) or not str(setting.value):
        raise fail(setting, "a file's path")
    return Path(setting.value)
