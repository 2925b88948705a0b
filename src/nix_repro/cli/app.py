"""The command line: its commands, and what each way of ending says. Whatever is heavy is imported when it is needed, to
keep `--help` fast."""

from __future__ import annotations

import io
import os
import signal
import sys

import click

from nix_repro import __version__
from nix_repro.cli.allow import allow
from nix_repro.cli.anew import start_anew
from nix_repro.cli.check import check
from nix_repro.cli.demo import demo
from nix_repro.cli.doctor import doctor
from nix_repro.cli.explain import explain
from nix_repro.cli.ledger import ledger
from nix_repro.cli.plan import plan
from nix_repro.errors import INTERNAL_ERROR, INTERRUPTED, USAGE, Interrupted, UsageError
from nix_repro.nix.secrets import cut

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def main() -> None:
    """The `nix-repro` command. What the user can correct ends with one message and exit code 2."""
    start_anew({"action", "send", "publish"})
    try:
        sys.exit(cli.main(prog_name="nix-repro", standalone_mode=False))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED + signal.SIGINT)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        print(cut(shown.getvalue()), file=sys.stderr, end="")
        sys.exit(USAGE)
    except UsageError as error:
        from nix_repro.output.render.escape import terminal

        # The message may quote Nix, and Nix may quote the flake.
        print(f"nix-repro: {terminal(cut(str(error)))}", file=sys.stderr)
        sys.exit(USAGE)
    except Interrupted as stop:
        sys.exit(INTERRUPTED + stop.signum)
    except Exception:  # noqa: BLE001  # Python's own exit code for this means divergence here
        import traceback

        print(cut(traceback.format_exc()), file=sys.stderr, end="")
        print("nix-repro: an internal error, which says nothing about the builds", file=sys.stderr)
        sys.exit(INTERNAL_ERROR)


class _Commands(click.Group):
    """The commands, and what was meant where `check` was left out."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and "#" in args[0]:
            raise click.UsageError(f"No command was given. Did you mean 'nix-repro check {args[0]}'?", ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if any(error.option_name in option.opts for option in check.params):
                message = f"{error.option_name} belongs behind a command, as in 'nix-repro check {error.option_name}'."
                raise click.UsageError(message, ctx) from None
            raise


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="nix-repro")
def cli() -> None:
    """Are these Nix builds bit-for-bit reproducible, and if not, why?

    Exit codes: 0 no difference found, 1 divergence, 2 usage or configuration error, 3 target missed, 4 a build failed,
    5 something could not be verified, 70 internal error, 130/143 interrupted (the report is still written).
    """


for _command in (check, plan, doctor, demo, explain, allow, ledger):
    cli.add_command(_command)


@cli.command(hidden=True)
def action() -> None:
    """What action.yml runs: takes inputs from the environment and puts results where GitHub shows them."""
    from nix_repro.cli.action import run

    sys.exit(run(os.environ))


@cli.command(hidden=True)
def send() -> None:
    """What action.yml runs after the check: sets statuses and the comment from its report."""
    from nix_repro.cli.publish import send

    sys.exit(send(os.environ))


@cli.command(hidden=True)
@click.argument("run_id", metavar="ID")
def gather(run_id: str) -> None:
    """What action.yml runs before it saves the ledger: takes in what other jobs have saved meanwhile."""
    from nix_repro.cli.keep import gather

    gather(os.environ, run_id)


@cli.command(hidden=True)
def publish() -> None:
    """What publish/action.yml runs: comments with the stored reports of a job that had no permission to."""
    from nix_repro.cli.publish import publish_stored

    sys.exit(publish_stored(os.environ))
