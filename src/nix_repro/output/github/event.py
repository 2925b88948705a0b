"""What started the workflow, and which commit and pull request a run is about. Pure but for reading the event's
file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nix_repro.nix import checkout

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: Events of a pull request for which GitHub checks out a merge commit that is made for it, but for the one that ends in
#: `_target`.
_PULLS = {"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"}
#: Where what the workflow is about is not what its job checks out unless told to: that is the base, or the default
#: branch.
_ELSEWHERE = {"pull_request_target", "issue_comment", "workflow_run"}
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
#: Events whose status has the plain name, which branch protection can ask for: a merge queue has the same ones as a
#: pull request, and never for the same commit.
_REQUIRED = {"pull_request", "merge_group"}


@dataclass(frozen=True)
class Trigger:
    """What started the workflow: the event's `name` and `payload`, and the commit `sha` and the `ref` that the runner
    names, which are checked out unless the workflow says otherwise."""

    name: str = ""
    sha: str = ""
    ref: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


def read_trigger(environ: Mapping[str, str]) -> Trigger:
    """The event, as the runner's environment and its file tell it."""
    return Trigger(
        environ.get("GITHUB_EVENT_NAME", ""),
        environ.get("GITHUB_SHA", ""),
        environ.get("GITHUB_REF", ""),
        _event(environ.get("GITHUB_EVENT_PATH", "")),
    )


@dataclass(frozen=True)
class Subject:
    """What a run is about.

    `sha` is the commit whose status it is, `pull_request` the number of the pull request that it speaks of. `candidate`
    is one that it may speak of, a number or `owner:branch`: only if that is its head, or GitHub's merge commit of it.
    `base` is the commit that the change is to be merged into. `default` says that it is one of the default branch's own
    runs, whose times the others are compared with.
    """

    sha: str
    pull_request: int | None = None
    candidate: int | str | None = None
    base: str | None = None
    default: bool = False


def subject(event: Trigger, checked: str | None) -> Subject | None:
    """What a run that checked the commit `checked` is about; null when that is not known, and the event does not say
    either. A job may check out any other commit than the event's: what holds for that one is said of no other."""
    checked = _sha(checked)
    pull = _mapping(event.payload, "pull_request")
    if checked is None and event.name in _ELSEWHERE:
        return None
    if pull:
        return _of_pull_request(event, pull, checked)
    if event.name == "workflow_run" and checked is not None:
        return _of_workflow_run(event, checked)
    if event.name == "issue_comment" and checked is not None:
        issue = _mapping(event.payload, "issue")
        number = _number(issue) if isinstance(issue.get("pull_request"), dict) and checked != event.sha else None
        return Subject(checked, candidate=number, base=event.sha if number is not None else None)
    if event.name == "merge_group" and checked in (None, event.sha):
        return Subject(event.sha, base=_sha(_mapping(event.payload, "merge_group").get("base_sha")))
    default = event.ref == f"refs/heads/{_default_branch(event)}" and checked in (None, event.sha)
    return Subject(checked or event.sha, default=default and event.name not in _PROPOSALS)


def _of_pull_request(event: Trigger, pull: Mapping[str, Any], checked: str | None) -> Subject:
    head = _sha(_mapping(pull, "head").get("sha")) or event.sha
    # GITHUB_SHA is a merge commit that nobody sees, but for `pull_request_target`, where it is the base's.
    theirs = {head, _sha(pull.get("merge_commit_sha")), None if event.name == "pull_request_target" else event.sha}
    if checked is not None and checked not in theirs:
        return Subject(checked)
    return Subject(head, _number(pull), base=_sha(_mapping(pull, "base").get("sha")))


def _of_workflow_run(event: Trigger, checked: str) -> Subject:
    waited = _mapping(event.payload, "workflow_run")
    head, source = _sha(waited.get("head_sha")), _mapping(waited, "head_repository")
    repository = _mapping(event.payload, "repository")
    by = str(waited.get("event"))
    if by in _PULLS:
        if checked == event.sha != head:
            return Subject(checked)
        # GitHub does not list those of forks.
        listed = waited.get("pull_requests")
        only = listed[0] if isinstance(listed, list) and len(listed) == 1 else None
        base = _sha(_mapping(_mapping({"": only}, ""), "base").get("sha"))
        owner, branch = _mapping(source, "owner").get("login"), waited.get("head_branch")
        return Subject(checked, candidate=f"{owner}:{branch}" if owner and branch else None, base=base or event.sha)
    # As the run that was waited for was one of the default branch's own, and not of a fork's branch with its name.
    default = (
        waited.get("head_branch") == _default_branch(event)
        and by not in _PROPOSALS
        and source.get("full_name") == repository.get("full_name", "")
    )
    return Subject(checked, default=default and checked in (head, event.sha))


def _default_branch(event: Trigger) -> str:
    """Schedules have no repository in their payload, and are always the default branch's."""
    named = _mapping(event.payload, "repository").get("default_branch")
    if isinstance(named, str):
        return named
    here = event.ref.removeprefix("refs/heads/")
    return here if event.name == "schedule" or here in ("main", "master") else "main"


def on_default_branch(environ: Mapping[str, str], cwd: Path, checked: str | None) -> bool:
    """Is this a run of the default branch: on GitHub by the event and the commit that was checked, elsewhere by the
    branch that `cwd` has checked out?"""
    event = read_trigger(environ)
    if not event.name:
        return checkout.on_default_branch(cwd)
    about = subject(event, checked)
    return about is not None and about.default


@dataclass(frozen=True)
class Destination:
    """Where a run's results go: its `subject`, and how to get there. `run_id` keeps the legs of a matrix and the runs
    for several events apart; `run_url` names the attempt, too, where that is known."""

    api_url: str
    token: str
    repository: str
    subject: Subject
    run_id: str
    run_url: str | None = None


def destination(environ: Mapping[str, str], about: Subject, *, token: str, run_id: str) -> Destination | None:
    """How to reach GitHub, as the runner's environment names it; null outside GitHub or without a token."""
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not (token and repository and about.sha):
        return None
    server, run = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ.get("GITHUB_RUN_ID")
    attempt = environ.get("GITHUB_RUN_ATTEMPT")
    url = f"{server}/{repository}/actions/runs/{run}" if run else None
    return Destination(
        api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
        token=token,
        repository=repository,
        subject=about,
        run_id=run_id,
        run_url=f"{url}/attempts/{attempt}" if url and attempt else url,
    )


def named(run_id: str, event: Trigger) -> str:
    """The id as statuses and comments have it: two events may each start a run for one commit."""
    return run_id if event.name in _REQUIRED or not event.name else f"{run_id}, {event.name}"


def proposed(event: Trigger) -> Subject:
    """The change that a workflow is about which checks nothing itself, but goes by what another job has stored."""
    if pull := _mapping(event.payload, "pull_request"):
        return _of_pull_request(event, pull, None)
    head = _sha(_mapping(event.payload, "workflow_run").get("head_sha"))
    return _of_workflow_run(event, head) if head is not None else Subject(event.sha)


@dataclass(frozen=True)
class Proposal:
    """A change that is not merged yet, which anybody may have written. `base` is the commit that it is to be merged
    into, null when the event does not say."""

    base: str | None


def proposal(environ: Mapping[str, str]) -> Proposal | None:
    """The proposed change that the workflow is about; null when it is about what is merged."""
    event = read_trigger(environ)
    pull = _mapping(event.payload, "pull_request")
    if not (event.name in _PROPOSALS or pull):
        return None
    base = _mapping(pull, "base").get("sha") or _mapping(event.payload, "merge_group").get("base_sha")
    if base is None and event.name in {"issue_comment", "workflow_run"}:
        # The workflow is the default branch's there, and so is this commit.
        base = event.sha
    return Proposal(_sha(base))


def _event(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _sha(value: object) -> str | None:
    return value if isinstance(value, str) and _SHA.fullmatch(value) else None


def _number(value: Mapping[str, Any]) -> int | None:
    found = value.get("number")
    return found if isinstance(found, int) else None
