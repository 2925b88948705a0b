"""The options that commands share, and the configuration they make."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nix_repro.errors import UsageError
from nix_repro.output.formats import FORMATS

if TYPE_CHECKING:
    from nix_repro.config import Config


class _Absolute(click.Path):
    """A path, absolute from here on: programs that are told of it start in other directories."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(os.path.abspath(os.fsdecode(super().convert(value, param, ctx))))


class LedgerFile(click.Path):
    """A ledger's file, or a word that stands for the user's own."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from nix_repro.ledger.own import named

        return named(os.fsdecode(super().convert(value, param, ctx)), os.environ)


_PATH = _Absolute(path_type=Path)
#: What is read at once, and named in errors as it was given.
_AS_GIVEN = click.Path(path_type=Path)


class _Option(NamedTuple):
    """One option. `key` is what the configuration calls it, where that is not the option's own name; where it only has
    more letters, the option is understood by that name, too."""

    name: str
    help: str
    metavar: str | None = None
    key: str | None = None
    multiple: bool = False
    nargs: int = 1
    type: click.Path | None = None
    flag: bool = False


_SETTINGS = (
    _Option(
        "--config", "Configuration file [default: .nix-repro.yml]", key="config_file", type=click.Path(path_type=Path)
    ),
    _Option(
        "--config-from",
        "In a workflow's run of a proposed change, whose configuration file counts: base (default) | head",
        key="config_from",
    ),
    _Option(
        "--scope", "What to compare: installables | own (default: also inputs that no upstream cache has) | closure"
    ),
    _Option("--rounds", "How often to build in total [default: 2]; more rounds find intermittent differences"),
    _Option("--rebuilder", "auto (default) | shadow | replace | nix-check | a store URL"),
    _Option("--vary", "What rebuilds hold different: default (what costs nothing) | all | none | a list of variations"),
    _Option("--jobs", "How many builds run at once (Nix's max-jobs)"),
    _Option("--cores", "Cores for one build (NIX_BUILD_CORES)"),
    _Option("--timeout", "Time limit for one build, such as 90s or 7m"),
    _Option("--retries", "How often what fails is tried again [default: a rebuild once, the first build never]"),
    _Option("--option", "A Nix setting; may be repeated", "NAME VALUE", key="options", multiple=True, nargs=2),
    _Option("--explain", "off | rules (default) | experiments (prove causes) | variations (also on what is the same)"),
    _Option("--explain-budget", "Time for all experiments [default: 10m]"),
    _Option(
        "--fail-on",
        "What fails the run: divergence, overrun, build-failure (default: these three), unverified, new-divergence "
        "(what the base does not have), time-bomb (what stops building with the clock ahead), expired-rule, "
        "unexpected-pass; or none",
    ),
    _Option(
        "--target",
        "A limit, such as build=7m, total=90s or hit-rate=95%; may be repeated",
        "NAME=LIMIT",
        key="targets",
        multiple=True,
    ),
    _Option("--scenario", "Which default targets apply: auto | cold | warm | first-time | cached"),
    _Option("--fail-when", "Fail when this jq expression over the report is true", "JQ", multiple=True),
    _Option(
        "--base",
        "Git revision to compare with, to tell why something was built and what a cache should have had",
        "REF",
    ),
    _Option("--base-report", "JSON report of an earlier run to compare with, instead of --base", "FILE", type=_PATH),
    _Option("--check-base", "Where something diverges, build what the base has in its place twice, too", flag=True),
    _Option(
        "--fixed-output",
        "Which sources are fetched again, for hashes that are stale: changed (default: those that the base gets "
        "otherwise) | check (the repository's own) | all",
    ),
    _Option("--since", "Check only derivations that differ from this Git revision", "REF"),
    _Option("--test", "What to run after the build: checks (of the flake) | none (default) | a command"),
    _Option("--history", "Compare with the runs in this file, and add this run to it", "FILE", type=_PATH),
    _Option(
        "--ledger",
        "Remember every build in this file (user: your own), and build again only what no earlier runs have verified",
        "FILE",
        type=LedgerFile(),
    ),
    _Option("--no-ledger", "Use none, although NIX_REPRO_LEDGER names one", flag=True),
    _Option("--recheck", "Build again what the ledger has verified", flag=True),
    _Option("--recheck-older", "Build again what was last built longer ago than this, such as 30d", "AGE"),
    _Option("--sample", "Build again this share of what is verified, another part every day, such as 5%", "SHARE"),
    _Option(
        "--verified-cache",
        "Fetch from the binary cache in this directory, and put into it what is verified, and nothing else",
        "DIR",
        type=_PATH,
    ),
    _Option("--diffoscope", "auto (default: if it is installed) | never | its path", "PROGRAM"),
    _Option(
        "--upstream-caches",
        "Caches whose contents are not the repository's own; or none [default: https://cache.nixos.org]",
    ),
)
_DIRECTORY = _Option("--report-dir", "Write the report in every form, and what differs, to this directory", type=_PATH)
_KEEP = _Option("--keep", "Keep both sides of what differs in DIR/NAME/OUTPUT/{a,b}", type=_PATH)
_VERBOSITY = {
    ("-v", "--verbose"): "Show everything: every derivation and finding, whole logs as far as they were kept",
    ("-q", "--quiet"): "Show nothing but warnings and the verdict, in one line",
}


def _with(command: Any, options: list[_Option]) -> Any:
    for option in reversed(options):
        names = [option.name] if option.key is None else [option.name, option.key]
        if option.key is not None and f"--{option.key}" == f"{option.name}s":
            names.insert(1, f"--{option.key}")
        command = click.option(
            *names,
            help=option.help,
            metavar=option.metavar,
            multiple=option.multiple,
            nargs=option.nargs,
            type=option.type,
            is_flag=option.flag or None,
            default=None,
        )(command)
    return command


def with_settings(command: Any) -> Any:
    """The options that stand for configuration keys, for a command that takes them as keywords."""
    return _with(command, [*_SETTINGS])


def with_results(command: Any) -> Any:
    """The options that say where results go, and how much is shown, for a command that takes the former together as
    `results` and the latter as `verbosity`."""
    single = {form: _Option(form.option, form.help, type=_PATH) for form in FORMATS if form.option is not None}

    @functools.wraps(command)
    def collected(*, report_dir: Path | None, keep: Path | None, verbose: bool, quiet: bool, **others: Any) -> None:
        from nix_repro.output.directory import Results

        given = {form: others.pop(option.name[2:].replace("-", "_")) for form, option in single.items()}
        files = {form: file for form, file in given.items() if file is not None}
        if verbose and quiet:
            raise UsageError("--verbose and --quiet: one or the other")
        verbosity = "verbose" if verbose else "quiet" if quiet else "normal"
        command(results=Results(files, report_dir, keep), verbosity=verbosity, **others)

    for names, said in reversed(_VERBOSITY.items()):
        collected = click.option(*names, is_flag=True, help=said)(collected)
    return _with(collected, [*reversed(single.values()), _DIRECTORY, _KEEP])


def configuration(installables: tuple[str, ...], flags: dict[str, Any], *, defaults: bool = True) -> Config:
    """What the file and the flags say. Without `defaults`, the file of the current directory is not read. Raises
    `UsageError` that names the option, or the line."""
    from nix_repro.config import layer
    from nix_repro.config.anchor import anchored
    from nix_repro.config.source import Chosen, choose, config_from
    from nix_repro.ledger.own import VARIABLE

    file, origin = flags.pop("config_file"), flags.pop("config_from", None)
    own = _own_ledger(flags) if "no_ledger" in flags else None
    given = anchored(layer({"installables": installables, **flags}, "--{}"), Path())
    given = anchored(layer({"ledger": own}, VARIABLE), Path()) | given
    found = Chosen({})
    if file is not None or defaults:
        found = choose(Path(), file, os.environ, config_from(origin, "--config-from"), given)
    return found.config([given])


def _own_ledger(flags: dict[str, Any]) -> Path | None:
    """The ledger that the environment names, unless there is to be none. Takes `no_ledger` out of the flags."""
    from nix_repro.ledger.own import from_environment

    without = flags.pop("no_ledger")
    if without and flags["ledger"] is not None:
        raise UsageError("--ledger and --no-ledger: one or the other")
    return None if without else from_environment(os.environ)
