"""Whose configuration file counts.

On a push it is the one in the checkout: whoever can push can change the workflow too. A proposed change is checked by
its base's file, or it could excuse itself, and run programs of its own with the rights of the job. On somebody's own
machine nobody knows who has written a clone's file, so that it weakens nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from nix_repro import settings
from nix_repro.config import Config, ConfigLayer, ProposedConfig, load, read_file, read_settings, value, written
from nix_repro.config.anchor import anchored
from nix_repro.config.confine import confine, refuse_weakening
from nix_repro.config.document import BYTES, without_lines
from nix_repro.errors import UsageError
from nix_repro.files import read_regular
from nix_repro.nix.checkout import CONFIGURATION_FILE, file_at, git, has_commit
from nix_repro.output.github.event import proposal
from nix_repro.plan.base import FETCH_DEPTH
from nix_repro.report import Configuration
from nix_repro.settings import Setting, installables
from nix_repro.verdict.allow import AllowRule
from nix_repro.verdict.fail_when import Expression

ConfigFrom = Literal["base", "head"]
#: What runs programs, or says how Nix runs them: never from the change itself.
RUNS = frozenset({"diffoscope", "options", "rebuilder", "test"})
#: What excuses nothing and runs nothing: from the change itself when its base is not known.
EXCUSES_NOTHING = frozenset({"explain", "explain_budget", "jobs", "rounds"})
#: Where something stands, which says nothing of what it is.
_PLACES = frozenset({"where", "file", "line"})


@dataclass(frozen=True)
class Chosen:
    """The file's settings that count, and what a proposed change's run has to say about them."""

    layer: ConfigLayer
    configuration: Configuration | None = None
    notes: tuple[str, ...] = ()

    def config(self, above: Iterable[ConfigLayer], below: Iterable[ConfigLayer] = ()) -> Config:
        """The whole configuration, with the layers that win over the file, and those that it wins over. Raises
        `UsageError` that names the place of what is wrong."""
        merged = load([*below, self.layer, *above])
        if self.configuration is None:
            return merged
        return ProposedConfig(**vars(merged), configuration=self.configuration, notes=self.notes)


def config_from(value: str | None, where: str) -> ConfigFrom:
    """`base` or `head`, `base` when it is not given. Raises `UsageError`."""
    found: ConfigFrom = settings.one_of(get_args(ConfigFrom))(Setting(value or "base", where))
    return found


def choose(
    cwd: Path,
    named: Path | None,
    environ: Mapping[str, str],
    config_from: ConfigFrom = "base",
    overridden: Container[str] = (),
) -> Chosen:
    """The settings of the file that is `named`, or of the `.nix-repro.yml` in `cwd`, where the flake is. Those that are
    `overridden` by inputs or flags may be what a file may not say. Raises `UsageError` with file and line."""
    path, change = cwd / (named or CONFIGURATION_FILE), proposal(environ)
    if change is None and named is None and not os.path.lexists(path):
        return Chosen({})
    top = _workspace(cwd, environ)

    def checked(layer: ConfigLayer) -> ConfigLayer:
        confine(_only(layer, lambda key: key not in overridden), cwd, top)
        return anchored(layer, cwd)

    ours = Path(os.path.abspath(path)).is_relative_to(top)
    if change is None or not ours:
        layer = checked(read_file(path) if named is not None else _here(path, top))
        if ours and environ.get("GITHUB_ACTIONS") != "true":
            refuse_weakening(_only(layer, lambda key: key not in overridden))
        return Chosen(layer)
    head = checked(_here(path, top)) if os.path.lexists(path) else None
    # What would break the base once it is merged is an error now.
    load([head or {}])
    name = os.path.relpath(path, top)
    if change.base is None or not has_commit(cwd, change.base):
        base, found = None, _without_base(head or {}, name, config_from, overridden)
    else:
        content = file_at(cwd, change.base, os.path.relpath(path, cwd), BYTES)
        base = checked(read_settings(content, f"base {change.base[:7]}, {name}")) if content is not None else None
        found = _with_base(base or {}, head or {}, Configuration(file=name, source=config_from, base=change.base))
    if named is not None and head is None and base is None:
        raise UsageError(f"{path}: No such file or directory")
    return found


def _workspace(cwd: Path, environ: Mapping[str, str]) -> Path:
    """What nothing in a configuration file may lead out of: the job's workspace, else the repository, else `cwd`."""
    here = Path(os.path.abspath(cwd))
    for top in (environ.get("GITHUB_WORKSPACE"), git(cwd, "rev-parse", "--show-toplevel")):
        if top and here.is_relative_to(os.path.abspath(top)):
            return Path(os.path.abspath(top))
    return here


def _here(path: Path, top: Path) -> ConfigLayer:
    return read_settings(read_regular(path, BYTES, inside=top), str(path))


def _with_base(base: ConfigLayer, head: ConfigLayer, configuration: Configuration) -> Chosen:
    layer = base
    if configuration.source == "head":
        layer = _only(head, lambda key: key not in RUNS) | _only(base, lambda key: key in RUNS)
    return Chosen(layer, msgspec.structs.replace(configuration, edited=edits(base, head)))


def _without_base(head: ConfigLayer, name: str, config_from: ConfigFrom, overridden: Container[str]) -> Chosen:
    layer = _only(head, lambda key: key not in RUNS if config_from == "head" else key in EXCUSES_NOTHING)
    left_out = sorted(key for key in head if key not in layer and key not in overridden)
    source: Literal["head", "neither"] = "head" if config_from == "head" else "neither"
    configuration = Configuration(file=name, source=source, base=None, edited=edits({}, head))
    if not left_out:
        return Chosen(layer, configuration)
    note = (
        f"the base of this change is not in the clone, and so neither is its {name}: {FETCH_DEPTH}, or give the "
        f"settings as inputs. Of the change's own {name}, this does not count: {', '.join(map(written, left_out))}"
    )
    if "installables" in left_out:
        # What it breaks must not be left out by it.
        where = head["installables"].where
        layer |= {"installables": Setting(["all", *installables(head["installables"])], where)}
        note += ". `all` is checked besides what it names"
    return Chosen(layer, configuration, (note,))


def edits(base: ConfigLayer, head: ConfigLayer) -> tuple[str, ...]:
    """The keys that come to something else in one file than in the other, however it is written."""
    keys = sorted({*base, *head})
    return tuple(written(key) for key in keys if _said(key, base.get(key)) != _said(key, head.get(key)))


def _said(key: str, setting: Setting | None) -> object:
    try:
        return _without_places(value(key, setting))
    except UsageError:
        # Whoever goes by it is told.
        return setting and without_lines(setting.value)


def _without_places(said: object) -> object:
    if isinstance(said, tuple):
        return [_without_places(part) for part in said]
    if isinstance(said, Expression | AllowRule):
        return {name: part for name, part in vars(said).items() if name not in _PLACES}
    return said


def _only(layer: ConfigLayer, wanted: Callable[[str], bool]) -> dict[str, Setting]:
    return {key: setting for key, setting in layer.items() if wanted(key)}
