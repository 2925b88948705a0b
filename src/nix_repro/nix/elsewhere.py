"""Lines to copy that repeat on another machine what a run did, or show there what it found. Pure."""

from __future__ import annotations

import re
import shlex
import urllib.parse
from collections.abc import Mapping, Sequence

from nix_repro.report import Elsewhere

#: The name of the artifact that action.yml uploads.
ARTIFACT = "NIX_REPRO_ARTIFACT"
_GITHUB = "https://github.com"
# Where a runner unpacks an action: OWNER/NAME/REF. On GitHub, a composite action's steps are not told otherwise.
_UNPACKED = re.compile(r".*/_actions/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)/(.+)")
_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


def elsewhere(environ: Mapping[str, str]) -> Elsewhere | None:
    """How the program and what this run found are to be had elsewhere; None outside of GitHub's jobs, where nobody
    knows where the program came from."""
    source = _source(environ)
    if source is None:
        return None
    repository, ref = source
    flake = f"github:{repository}/{ref}" if "/" not in ref else f"github:{repository}?ref={urllib.parse.quote(ref, '')}"
    nix = f"nix run {shlex.quote(flake)} --"
    uv = f"uvx --from {shlex.quote(f'git+{_GITHUB}/{repository}@{ref}')} nix-repro"
    artifact, run, where = (environ.get(name, "") for name in (ARTIFACT, "GITHUB_RUN_ID", "GITHUB_REPOSITORY"))
    if not (artifact and run and where):
        return Elsewhere(nix=nix, uv=uv)
    named = shlex.quote(artifact)
    download = f"gh run download {shlex.quote(run)} --repo {shlex.quote(where)} --name {named} --dir {named}"
    return Elsewhere(nix=nix, uv=uv, artifact=artifact, explain=f"{download} && {nix} explain {named}")


def _source(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The repository and the ref that this action is of."""
    if environ.get("GITHUB_SERVER_URL", _GITHUB) != _GITHUB or not environ.get("GITHUB_ACTION_PATH"):
        return None
    if found := _UNPACKED.fullmatch(environ["GITHUB_ACTION_PATH"].rstrip("/")):
        return f"{found[1]}/{found[2]}", found[3]
    repository, ref = environ.get("GITHUB_ACTION_REPOSITORY", ""), environ.get("GITHUB_ACTION_REF", "")
    return (repository, ref) if _REPOSITORY.fullmatch(repository) and ref else None


def reproduce_line(ref: str, attr: str, kept: Sequence[tuple[str, str]] = (), tool: Elsewhere | None = None) -> str:
    """One line for a shell that repeats the check of one installable, with the options `kept`, by name and value."""
    installable = attr if "#" in attr or attr.startswith("/") else f"{ref}#{attr}"
    options = [word for option in kept for word in option]
    return f"{tool.nix if tool is not None else 'nix-repro'} check {shlex.join([*options, installable])}"
