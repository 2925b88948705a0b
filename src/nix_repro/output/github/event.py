"""What started the workflow, and which commit and pull request a run is about. Pure but for reading the event's
file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Destination:
    """Where a run's results go. `sha` is the commit that people look at; `run_id` keeps the legs of a matrix apart.

    `head` is `owner:branch` of the pull request's source when only that is known, as after a `workflow_run` event.
    """

    api_url: str
    token: str
    repository: str
    sha: str
    run_id: str
    run_url: str | None = None
    pull_request: int | None = None
    head: str | None = None


def destination(
    environ: Mapping[str, str], *, token: str, run_id: str, checked: str | None = None
) -> Destination | None:
    """The destination that the runner's environment and event payload name; null outside GitHub or without a token.

    On a pull request the sha is the head of the branch: GITHUB_SHA is a merge commit that nobody sees. After
    `workflow_run` it is the head of the run that was waited for. Where the job checks out the base or the default
    branch unless told otherwise (`pull_request_target`, `workflow_run`), `checked`, the commit that it did check, says
    otherwise.
    """
    repository, sha = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_SHA", "")
    if not (token and repository and sha):
        return None
    number, head = None, None
    theirs: set[object] = set()
    event = _event(environ.get("GITHUB_EVENT_PATH", ""))
    if pull := _mapping(event, "pull_request"):
        sha = str(_mapping(pull, "head").get("sha") or sha)
        number = pull.get("number")
        theirs = {sha, pull.get("merge_commit_sha")}
    elif waited := _mapping(event, "workflow_run"):
        sha = str(waited.get("head_sha") or sha)
        theirs = {sha}
        owner = _mapping(_mapping(waited, "head_repository"), "owner").get("login")
        if waited.get("event") in {"pull_request", "pull_request_target"} and owner and waited.get("head_branch"):
            head = f"{owner}:{waited['head_branch']}"
    if (
        environ.get("GITHUB_EVENT_NAME") in {"pull_request_target", "workflow_run"}
        and checked is not None
        and checked not in theirs
    ):
        # What holds for the base says nothing about the change.
        sha, number, head = checked, None, None
    server, run = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ.get("GITHUB_RUN_ID")
    return Destination(
        api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
        token=token,
        repository=repository,
        sha=sha,
        run_id=run_id,
        run_url=f"{server}/{repository}/actions/runs/{run}" if run else None,
        pull_request=number if isinstance(number, int) else None,
        head=head,
    )


@dataclass(frozen=True)
class Proposal:
    """A change that is not merged yet, which anybody may have written. `base` is the commit that it is to be merged
    into, null when the event does not say."""

    base: str | None


#: Events about a change that is not merged, or that anybody can cause, whatever their job checks out.
_PROPOSALS = {
    "issue_comment",
    "merge_group",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "workflow_run",
}


def proposal(environ: Mapping[str, str]) -> Proposal | None:
    """The proposed change that the workflow is about; null when it is about what is merged."""
    name, event = environ.get("GITHUB_EVENT_NAME", ""), _event(environ.get("GITHUB_EVENT_PATH", ""))
    if not (name in _PROPOSALS or _mapping(event, "pull_request")):
        return None
    base = _mapping(_mapping(event, "pull_request"), "base").get("sha") or _mapping(event, "merge_group").get(
        "base_sha"
    )
    if base is None and name in {"issue_comment", "workflow_run"}:
        # The workflow is the default branch's there, and so is this commit.
        base = environ.get("GITHUB_SHA")
    return Proposal(base if isinstance(base, str) and _SHA.fullmatch(base) else None)


def pull_request_base(environ: Mapping[str, str]) -> str | None:
    """The commit that a pull request is to be merged into; null for other events."""
    found = _mapping(_mapping(_event(environ.get("GITHUB_EVENT_PATH", "")), "pull_request"), "base").get("sha")
    return found if isinstance(found, str) and _SHA.fullmatch(found) else None


def _event(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
