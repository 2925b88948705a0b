"""One configuration from four layers: defaults < `.nix-repro.yml` < the action's inputs < flags.

Every value knows where it came from, so that a bad one gets one error that names the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from nix_repro import settings
from nix_repro.build.variations import ALL, DEFAULT
from nix_repro.config import allow, recheck
from nix_repro.config.document import BYTES, Item, read_document
from nix_repro.config.vary import vary
from nix_repro.errors import UsageError
from nix_repro.files import read_regular
from nix_repro.metrics.targets import Limit
from nix_repro.report import Configuration, ScenarioName, Scope
from nix_repro.verdict.allow import AllowRule
from nix_repro.verdict.fail_when import Expression
from nix_repro.verdict.policy import DEFAULT_FAIL_ON, FAIL_ON

#: `variations` also asks of named derivations that are the same whether they stay so under other conditions.
Explain = Literal["off", "rules", "experiments", "variations"]
#: Which sources are fetched again: those of which the base has another derivation; the repository's own; all.
FixedOutput = Literal["changed", "check", "all"]


@dataclass(frozen=True)
class Config:
    """What to check and how. `timeout` is in seconds for one build; `rebuilder` is a name or a store URL. What
    fails is tried again up to `retries` times; where nobody has set that, a rebuild once, and the first build never.

    `ledger` is the file of what earlier runs have built. What that verifies is built again all the same when `recheck`
    says so, when the youngest build is older than `recheck_older` seconds, or for a share of all, `sample` (0 to 1).

    `allow` are the rules by which a divergence is known; they stand in a file only. `vary` names what is held different
    between a build and its rebuilds.

    `verified_cache` is the directory of the cache that is filled with what is verified, and fetched from.

    `base` is the Git revision to compare the derivations with; where one of this run's diverges, `check_base` has what
    stands there built twice, too. `since` is one whose derivations are left out, `test` is
    `checks`, `none` or a command. `diffoscope` is `auto`, `never` or a program.
    """

    installables: tuple[str, ...] = (".#default",)
    scope: Scope = "own"
    rounds: int = 2
    rebuilder: str = "auto"
    vary: tuple[str, ...] = DEFAULT
    jobs: str | None = None
    cores: int | None = None
    timeout: int | None = None
    retries: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    fail_on: tuple[str, ...] = DEFAULT_FAIL_ON
    upstream_caches: tuple[str, ...] | None = None
    explain: Explain = "rules"
    explain_budget: int = 600
    targets: tuple[Limit, ...] = ()
    scenario: ScenarioName | None = None
    fail_when: tuple[Expression, ...] = ()
    allow: tuple[AllowRule, ...] = ()
    base: str | None = None
    base_report: Path | None = None
    check_base: bool = False
    fixed_output: FixedOutput = "changed"
    since: str | None = None
    test: str | tuple[str, ...] = "none"
    history: Path | None = None
    ledger: Path | None = None
    recheck: bool = False
    recheck_older: int | None = None
    sample: float = 0.0
    verified_cache: Path | None = None
    diffoscope: str = "auto"


@dataclass(frozen=True)
class ProposedConfig(Config):
    """That of a proposed change's run: whose file counted there, and what the run has to say about it."""

    configuration: Configuration | None = None
    notes: tuple[str, ...] = ()


def kept(config: Config) -> list[tuple[str, str]]:
    """What a repetition elsewhere has to be told, as options and their values: what is compared, how often, and what is
    held different, where it is not the default. The flake's own file may say it, but there is another current
    directory. A cache's address is left out where it may hold a password."""
    usual = Config()
    found = [("--rounds", str(config.rounds))] if config.rounds != usual.rounds else []
    if config.vary != usual.vary:
        found.append(("--vary", "all" if config.vary == ALL else " ".join(config.vary) or "none"))
    found += [("--scope", config.scope)] if config.scope != usual.scope else []
    urls = config.upstream_caches
    if urls is not None and config.scope == "own" and not any("@" in url or "?" in url for url in urls):
        found.append(("--upstream-caches", " ".join(urls) or "none"))
    return found


ConfigLayer = Mapping[str, settings.Setting]


def load(layers: Iterable[ConfigLayer]) -> Config:
    """The configuration, later layers winning. Raises `UsageError` that names the place of what is wrong."""
    merged: dict[str, settings.Setting] = {}
    targets: list[Limit] = []
    for layer in layers:
        merged |= layer
        # A limit in a flag replaces that one limit of the file, not all of them.
        targets += settings.targets(layer["targets"]) if "targets" in layer else ()
    return Config(**{key: _PARSERS[key](setting) for key, setting in merged.items()} | {"targets": tuple(targets)})


def value(key: str, setting: settings.Setting | None) -> Any:
    """What a setting comes to, which is its default where nobody has set it. Raises `UsageError`."""
    return getattr(Config, key) if setting is None else _PARSERS[key](setting)


def layer(values: Mapping[str, Any], where: str) -> ConfigLayer:
    """Values that were given, by field name; None means not given. `where` has `{}` for the option's name."""
    given = {key: value for key, value in values.items() if value is not None and value != ()}
    return {key: settings.Setting(value, where.format(written(key))) for key, value in given.items()}


def read_file(path: Path) -> ConfigLayer:
    """The settings in a `.nix-repro.yml`. Raises `UsageError` with file and line."""
    return read_settings(read_regular(path, BYTES), str(path))


def read_settings(content: bytes, name: str) -> ConfigLayer:
    """The settings in the text of a `.nix-repro.yml`. Raises `UsageError` with its `name`, and the line."""
    found: dict[str, settings.Setting] = {}
    for pair in read_document(content, name):
        key = pair.key.replace("-", "_")
        if key not in _PARSERS:
            raise UsageError(f"{pair.place}: unknown key; known are {', '.join(sorted(map(written, _PARSERS)))}")
        if key in _NO_KEYS:
            raise UsageError(f"{pair.place}: a flag or input only: {_NO_KEYS[key]}")
        if key in found:
            raise UsageError(f"{pair.place}: given twice")
        found[key] = settings.Setting(_value(key, pair), pair.where)
    return found


def _value(key: str, item: Item) -> Any:
    if key == "allow":
        return item.rows()
    return item.entries() if key in _LOCATED else item.value()


def written(key: str) -> str:
    """A key as the file, inputs and flags have it."""
    return key.replace("_", "-")


#: Settings whose entries are named by line when one is wrong.
_LOCATED = ("targets", "fail_when")
#: Settings that a file cannot make, and why.
_NO_KEYS = {
    "ledger": "what a checkout says of its own builds is no evidence",
    "verified_cache": "a checkout names no cache that Nix is to trust",
}


_PARSERS: Mapping[str, Callable[[settings.Setting], Any]] = {
    "installables": settings.installables,
    "scope": settings.one_of(get_args(Scope)),
    "rounds": settings.whole_number(2, 20),
    "rebuilder": settings.rebuilder,
    "vary": vary,
    "jobs": settings.jobs,
    "cores": settings.whole_number(0, 4096),
    "timeout": settings.seconds,
    "retries": settings.whole_number(0, 20),
    "options": settings.options,
    "fail_on": settings.some_of(FAIL_ON),
    "upstream_caches": settings.cache_urls,
    "explain": settings.one_of(get_args(Explain)),
    "explain_budget": settings.seconds,
    "targets": settings.targets,
    "scenario": settings.scenario,
    "fail_when": lambda setting: settings.expressions(settings.entries_of(setting)),
    "allow": allow.rules,
    "base": settings.revision,
    "base_report": settings.path,
    "check_base": recheck.yes_or_no,
    "fixed_output": settings.one_of(get_args(FixedOutput)),
    "since": settings.revision,
    "test": lambda setting: settings.command(setting.value, setting.where),
    "history": settings.path,
    "ledger": settings.path,
    "recheck": recheck.yes_or_no,
    "recheck_older": recheck.days,
    "sample": recheck.share,
    "verified_cache": settings.path,
    "diffoscope": settings.diffoscope,
}
assert set(_PARSERS) == {field.name for field in fields(Config)}
