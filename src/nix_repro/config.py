"""One configuration from four layers: defaults < `.nix-repro.yml` < the action's inputs < flags.

Every value knows where it came from, so that a bad one gets one error that names the place.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from nix_repro import entries
from nix_repro.errors import UsageError
from nix_repro.judge import DEFAULT_FAIL_ON, FAIL_ON
from nix_repro.report import Scope
from nix_repro.targets import SCENARIOS, Limit
from nix_repro.timing import ScenarioName

if TYPE_CHECKING:
    import yaml

FILE_NAME = ".nix-repro.yml"
REBUILDERS = ("auto", "shadow", "replace", "nix-check")


#: `variations` also asks of named derivations that are the same whether they stay so under other conditions.
Explain = Literal["off", "rules", "experiments", "variations"]


@dataclass(frozen=True)
class Config:
    """What to check and how. `timeout` is in seconds for one build; `rebuilder` is a name or a store URL.

    `base` is the Git revision to compare the derivations with, `since` one whose derivations are left out, `test` is
    `checks`, `none` or a command. `diffoscope` is `auto`, `never` or a program.
    """

    installables: tuple[str, ...] = (".#default",)
    scope: Scope = "own"
    rounds: int = 2
    rebuilder: str = "auto"
    jobs: str | None = None
    cores: int | None = None
    timeout: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    fail_on: tuple[str, ...] = DEFAULT_FAIL_ON
    upstream_caches: tuple[str, ...] | None = None
    explain: Explain = "rules"
    explain_budget: int = 600
    targets: tuple[Limit, ...] = ()
    scenario: ScenarioName | None = None
    fail_when: tuple[entries.Expression, ...] = ()
    base: str | None = None
    base_report: Path | None = None
    since: str | None = None
    test: str | tuple[str, ...] = "none"
    history: Path | None = None
    diffoscope: str = "auto"


@dataclass(frozen=True)
class Setting:
    """A raw value and where it stands: `.nix-repro.yml:3: rounds`, `--rounds`, `input rounds`."""

    value: Any
    where: str


Layer = Mapping[str, Setting]


def load(layers: Iterable[Layer]) -> Config:
    """The configuration, later layers winning. Raises `UsageError` that names the place of what is wrong."""
    merged: dict[str, Setting] = {}
    targets: list[Limit] = []
    for layer in layers:
        merged |= layer
        # A limit in a flag replaces that one limit of the file, not all of them.
        targets += _targets(layer["targets"]) if "targets" in layer else ()
    return Config(**{key: _PARSERS[key](setting) for key, setting in merged.items()} | {"targets": tuple(targets)})


def layer(values: Mapping[str, Any], where: str) -> Layer:
    """Values that were given, by field name; None means not given. `where` has `{}` for the option's name."""
    return {key: Setting(value, where.format(key.replace("_", "-"))) for key, value in values.items() if value is not None and value != ()}


def read_file(path: Path) -> Layer:
    """The settings in a `.nix-repro.yml`. Raises `UsageError` with file and line."""
    import yaml

    found: dict[str, Setting] = {}
    constructor = yaml.SafeLoader("")
    construct = functools.partial(constructor.construct_object, deep=True)
    for key_node, value_node in _top_level(path):
        line = key_node.start_mark.line + 1
        key = str(key_node.value)
        name = key.replace("-", "_")
        if name not in _PARSERS:
            raise UsageError(f"{path}:{line}: {key}: unknown key; known are {', '.join(sorted(k.replace('_', '-') for k in _PARSERS))}")
        if name in found:
            raise UsageError(f"{path}:{line}: {key}: given twice")
        try:
            if name in _LOCATED:
                value = entries.located(value_node, construct, functools.partial(_place, path, key))
            else:
                value = construct(value_node)
        except (yaml.YAMLError, RecursionError) as error:
            raise UsageError(f"{path}:{line}: {key}: {getattr(error, 'problem', None) or 'not a plain value'}") from None
        found[name] = Setting(value, f"{path}:{value_node.start_mark.line + 1}: {key}")
    return found


def _top_level(path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys and values of a YAML file that holds one mapping, or nothing. Raises `UsageError` with file and line."""
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path}{line}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{path}:{root.start_mark.line + 1}: expected `key: value` lines")
    return list(root.value)


def _place(path: Path, key: str, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}: {key}"


def _fail(setting: Setting, expected: str) -> UsageError:
    return UsageError(f"{setting.where}: {setting.value!r} is not {expected}")


def _words(setting: Setting) -> tuple[str, ...]:
    """A list, or one string with words separated by commas, spaces or line ends."""
    value = setting.value
    if isinstance(value, str):
        value = [word for word in re.split(r"[,\s]+", value) if word]
    if not isinstance(value, Sequence) or not all(isinstance(word, str) and word for word in value):
        raise _fail(setting, "a list of words")
    return tuple(value)


def _installables(setting: Setting) -> tuple[str, ...]:
    found = _words(setting)
    if not found:
        raise _fail(setting, "a list with at least one installable")
    for installable in found:
        if installable.startswith("-"):
            raise UsageError(f"{setting.where}: {installable!r} is not an installable")
    return found


def _one_of(allowed: Sequence[str]) -> Callable[[Setting], Any]:
    def parse(setting: Setting) -> Any:
        # YAML takes a bare `off` for false.
        value = "off" if setting.value is False else setting.value
        if value not in allowed:
            raise _fail(setting, f"one of {', '.join(allowed)}")
        return value

    return parse


def _some_of(allowed: Sequence[str]) -> Callable[[Setting], tuple[str, ...]]:
    def parse(setting: Setting) -> tuple[str, ...]:
        words = _words(setting)
        if words == ("none",):
            return ()
        if not words and isinstance(setting.value, str):
            raise _fail(setting, f"one of {', '.join(allowed)} (or none)")
        for word in words:
            if word not in allowed:
                raise UsageError(f"{setting.where}: {word!r} is not one of {', '.join(allowed)} (or none)")
        return words

    return parse


def _caches(setting: Setting) -> tuple[str, ...]:
    words = _words(setting)
    if words == ("none",):
        return ()
    for word in words:
        if "://" not in word:
            raise UsageError(f"{setting.where}: {word!r} is not the URL of a cache (or none)")
    return words


def _whole(least: int, most: int) -> Callable[[Setting], int]:
    def parse(setting: Setting) -> int:
        value = setting.value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _fail(setting, f"a whole number from {least} to {most}")
        return value

    return parse


def _jobs(setting: Setting) -> str:
    return "auto" if setting.value == "auto" else str(_whole(1, 4096)(setting))


def _duration(setting: Setting) -> int:
    seconds = entries.duration(setting.value)
    if not seconds:
        raise _fail(setting, "a duration such as 90s, 7m or 1m30s")
    return seconds


def _rebuilder(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, str) and (value in REBUILDERS or "://" in value or value.startswith("local?")):
        return value
    raise _fail(setting, f"one of {', '.join(REBUILDERS)}, or a store URL such as ssh-ng://HOST")


def _options(setting: Setting) -> tuple[tuple[str, str], ...]:
    """A mapping in YAML, `name = value` lines as in nix.conf in an input, pairs from flags."""
    value = setting.value
    if isinstance(value, str):
        pairs: list[Any] = []
        for line in value.splitlines():
            written = re.fullmatch(r"\s*([a-z][a-z0-9-]*)\s*=(.*)", line)
            if written is not None:
                pairs.append((written[1], written[2].strip()))
            elif line.strip() and not line.lstrip().startswith("#"):
                raise UsageError(f"{setting.where}: {line.strip()[:200]!r} is not `name = value`")
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        pairs = list(value) if isinstance(value, Sequence) else []
    found: list[tuple[str, str]] = []
    for pair in pairs:
        name, content = pair if isinstance(pair, tuple) and len(pair) == 2 else ("", None)
        if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9-]*", name)) or not isinstance(content, str | int | bool):
            raise _fail(setting, "a mapping from Nix setting names to values")
        found.append((name, str(content).lower() if isinstance(content, bool) else str(content)))
    if not found:
        raise _fail(setting, "a mapping from Nix setting names to values")
    return tuple(found)


#: Settings whose entries are named by line when one is wrong.
_LOCATED = ("targets", "fail_when")


def _entries(setting: Setting) -> tuple[entries.Entry, ...]:
    value = setting.value
    return value if value and isinstance(value[0], entries.Entry) else entries.given(value, setting.where)


def _targets(setting: Setting) -> tuple[Limit, ...]:
    return entries.limits(_entries(setting))


def _scenario(setting: Setting) -> ScenarioName | None:
    found: ScenarioName | None = _one_of(("auto", *SCENARIOS))(setting)
    return None if setting.value == "auto" else found


def _revision(setting: Setting) -> str | None:
    value = setting.value
    if value == "none":
        return None
    # What Git takes for a revision, without anything it would take for an option or a path.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_][\w./@{}~^+-]{0,250}", value):
        raise _fail(setting, "a Git revision")
    return value


def _diffoscope(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, str) and (value in ("auto", "never") or shutil.which(value) is not None):
        return value
    raise _fail(setting, "auto, never, or the path of a diffoscope")


def _path(setting: Setting) -> Path:
    if not isinstance(setting.value, str | Path) or not str(setting.value):
        raise _fail(setting, "a file's path")
    return Path(setting.value)


_PARSERS: Mapping[str, Callable[[Setting], Any]] = {
    "installables": _installables,
    "scope": _one_of(get_args(Scope)),
    "rounds": _whole(2, 20),
    "rebuilder": _rebuilder,
    "jobs": _jobs,
    "cores": _whole(0, 4096),
    "timeout": _duration,
    "options": _options,
    "fail_on": _some_of(FAIL_ON),
    "upstream_caches": _caches,
    "explain": _one_of(get_args(Explain)),
    "explain_budget": _duration,
    "targets": _targets,
    "scenario": _scenario,
    "fail_when": lambda setting: entries.expressions(_entries(setting)),
    "base": _revision,
    "base_report": _path,
    "since": _revision,
    "test": lambda setting: entries.command(setting.value, setting.where),
    "history": _path,
    "diffoscope": _diffoscope,
}
assert set(_PARSERS) == {field.name for field in fields(Config)}
