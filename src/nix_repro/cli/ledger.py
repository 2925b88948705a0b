"""`nix-repro ledger`: what earlier runs have built, to look at, to merge, to shorten and to pass on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nix_repro.cli.options import LedgerFile
from nix_repro.errors import UsageError

if TYPE_CHECKING:
    from nix_repro.ledger.file import Ledger

_FILE = LedgerFile(dir_okay=False)


@click.group()
def ledger() -> None:
    """What earlier runs have built, and how well it is known.

    A FILE is a ledger's, or `user`: your own, in your state directory.
    """


@ledger.command()
@click.argument("file", type=_FILE)
@click.argument("name", required=False)
def show(file: Path, name: str | None) -> None:
    """How well derivations are known: builds, machines, days.

    NAME is a derivation's name, or its .drv path.
    """
    from nix_repro.ledger.known import grouped
    from nix_repro.output.render.ledger import print_known

    with _open(file) as opened:
        print_known(grouped(opened.every(), name))


@ledger.command()
@click.argument("into", type=_FILE)
@click.argument("others", nargs=-1, required=True, type=_FILE)
def merge(into: Path, others: tuple[Path, ...]) -> None:
    """Add what the OTHERS know to INTO, which is made if it is not there."""
    new = 0
    for other in others:
        _must_exist(other)
    with _open(into, make=True) as target:
        for other in others:
            with _open(other) as source, _naming(into):
                new += target.add(source.every())
    click.echo(f"{new} new builds in {into}")


@ledger.command()
@click.argument("file", type=_FILE)
@click.option("--older", metavar="AGE", required=True, help="Forget builds that are older than this, such as 90d")
def prune(file: Path, older: str) -> None:
    """Forget old builds, but for those of derivations that diverge: these stay known as such."""
    from nix_repro.config.recheck import days
    from nix_repro.settings import Setting

    limit = days(Setting(older, "--older"))
    with _open(file) as opened:
        click.echo(f"{opened.forget(time.time() - limit)} builds forgotten")


@ledger.command()
@click.argument("file", type=_FILE)
def export(file: Path) -> None:
    """Print every build as one line of JSON."""
    from nix_repro.output.render.ledger import as_line

    with _open(file) as opened:
        for build in opened.every():
            click.echo(as_line(build))


@contextmanager
def _open(file: Path, *, make: bool = False) -> Iterator[Ledger]:
    """The ledger, every complaint of which names its file."""
    from nix_repro.ledger.file import opened

    if not make:
        _must_exist(file)
    with _naming(file), opened(file) as found:
        yield found


def _must_exist(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"{file}: there is no such ledger")


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    from nix_repro.ledger.file import LedgerError

    try:
        yield
    except LedgerError as error:
        raise UsageError(f"{file}: {error}") from None
