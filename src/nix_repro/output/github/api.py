"""GitHub's API: commit statuses and the sticky comment.

Reporting never changes the verdict. Nothing here raises, everything together takes at most `TOTAL_SECONDS`, and
whatever goes wrong becomes one sentence for each kind of thing that could not be sent.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from nix_repro.output.github.event import Destination
from nix_repro.output.github.trouble import Enough, explain, pause_before
from nix_repro.output.render.comment import marker_id, outcome, read_marker, render_comment
from nix_repro.output.render.statuses import commit_statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from github.Commit import Commit
    from github.IssueComment import IssueComment
    from github.NamedUser import NamedUser
    from github.Organization import Organization
    from github.PullRequest import PullRequest
    from github.Repository import Repository

    from nix_repro.report import Report

#: Seconds for all of it, waiting included: a job must not hang on its reporting.
TOTAL_SECONDS = 60.0
#: Seconds for the server's answer to one request.
REQUEST_SECONDS = 10
#: How often a request that failed for a passing reason is sent.
ATTEMPTS = 3

CommentMode = Literal["off", "failures", "changes", "always"]
StatusesMode = Literal["overall", "all"]
#: States of a status.
_WORST = ("failure", "error", "pending", "success")
_INSIDERS = {"OWNER", "MEMBER", "COLLABORATOR"}
_T = TypeVar("_T")


def publish(
    report: Report,
    to: Destination,
    *,
    statuses: StatusesMode | None = "overall",
    comment: CommentMode = "off",
    note: str = "",
    most: int | None = None,
    total_seconds: float = TOTAL_SECONDS,
) -> list[str]:
    """Send statuses (none at all when that is null) and, when asked for, the comment, with a `note` before it: but no
    new one where there are `most` of ours. Returns warnings: one for each reason."""
    sender = _Sender(to, time.monotonic() + total_seconds)
    tasks: list[tuple[str, Callable[[], None]]] = []
    if statuses is not None:
        tasks.append(("commit statuses", lambda: sender.statuses(report, per_installable=statuses == "all")))
    if comment != "off":
        tasks.append(("pull request comment", lambda: sender.comment(report, comment, note, most)))
    failed: dict[str, list[str]] = {}

    def work() -> None:
        for what, task in tasks:
            try:
                task()
            except Exception as error:  # noqa: BLE001  # PyGithub, requests, urllib3 and json each have their own
                failed.setdefault(explain(error), []).append(what)

    # A timeout of requests is one between two bytes, so a server that trickles could hold the job for ever: the work
    # is done in a thread that nobody waits for any longer than the limit.
    worker = threading.Thread(target=work, daemon=True, name="github")
    worker.start()
    worker.join(total_seconds)
    warnings = [f"{' and '.join(what)} not sent: {reason}" for reason, what in list(failed.items())]
    if sender.shared:
        warnings.append(
            f"another job of this run has sent its {' and '.join(sender.shared)} under the id {to.run_id} too: give "
            "each its own (input `id`). Until then the worse of two results stays"
        )
    if worker.is_alive():
        warnings.append(f"reporting to GitHub was given up after {total_seconds:.0f} s")
    return warnings


class _Sender:
    def __init__(self, to: Destination, deadline: float) -> None:
        self._to = to
        self._deadline = deadline
        self._opened: Repository | None = None
        self._found: PullRequest | None = None
        self._looked = False
        #: What another job of this very run has sent under the same id.
        self.shared: list[str] = []

    def _repository(self) -> Repository:
        """PyGithub takes a quarter of a second to import: only when something is really sent. Its own retrying is off,
        since it sleeps until a rate limit is reset."""
        if self._opened is None:
            from github import Auth, Github

            client = Github(
                base_url=self._to.api_url.rstrip("/"),
                auth=Auth.Token(self._to.token),
                timeout=REQUEST_SECONDS,
                per_page=100,
                retry=None,
                lazy=True,
                seconds_between_requests=None,
                seconds_between_writes=None,
            )
            self._opened = client.get_repo(self._to.repository)
        return self._opened

    def _try(self, request: Callable[[], _T]) -> _T:
        """Send, and send again what failed for a passing reason, inside the time that is left."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except Exception as error:
                pause = pause_before(error, attempt)
                if pause is None or attempt == ATTEMPTS or time.monotonic() + pause >= self._deadline:
                    raise
                time.sleep(pause)
        raise AssertionError("unreachable")

    def statuses(self, report: Report, *, per_installable: bool) -> None:
        repository = self._repository()
        sha = self._to.subject.sha
        with suppress(Exception):  # it says why when the comment cannot be sent; the commit has its status all the same
            found = self._candidate()
            sha = found.head.sha if found is not None else sha
        commit = repository.get_commit(sha)
        taken = self._taken(commit)
        for status in commit_statuses(
            report, run_id=self._to.run_id, run_url=self._to.run_url, per_installable=per_installable
        ):
            if status.context in taken:
                self._note_shared("status")
                if _WORST.index(taken[status.context]) < _WORST.index(status.state):
                    continue
            optional = {"target_url": status.target_url} if status.target_url else {}
            self._try(
                partial(
                    commit.create_status,
                    status.state,
                    description=status.description,
                    context=status.context,
                    **optional,
                )
            )

    def _taken(self, commit: Commit) -> dict[str, str]:
        """The states of the commit's statuses that this attempt of this run has set, by context: another job's, as this
        one has set none yet. What cannot be asked for is not known."""
        if not self._attempt_known():
            return {}
        try:
            _, said = commit.requester.requestJsonAndCheck("GET", f"{commit.url}/status", parameters={"per_page": 100})
            return {
                str(one["context"]): str(one["state"])
                for one in said["statuses"]
                if one.get("target_url") == self._to.run_url and one["state"] in _WORST
            }
        except Exception:  # noqa: BLE001  # whatever it is, sending the status says it
            return {}

    def _attempt_known(self) -> bool:
        return self._to.run_url is not None and "/attempts/" in self._to.run_url

    def _note_shared(self, what: str) -> None:
        if what not in self.shared:
            self.shared.append(what)

    def comment(self, report: Report, mode: CommentMode, note: str, most: int | None) -> None:
        number = self._to.subject.pull_request
        if number is None:
            found = self._candidate()
            if found is None:
                return
            number = found.number
        issue = self._repository().get_issue(number)
        begun = False

        def send() -> None:
            # The search is repeated with every attempt: an attempt that seemed to fail may have made the comment.
            nonlocal begun
            made = [comment for comment in issue.get_comments() if _is_ours(comment)]
            ours = next((comment for comment in made if _marked(comment) == marker_id(self._to.run_id)), None)
            if ours is not None and not begun and self._attempt_known() and f'"{self._to.run_url}"' in ours.body:
                self._note_shared("comment")
                if report.conclusion == "pass":
                    return
            begun = True
            if not _wanted(mode, report, ours):
                return
            if ours is None and most is not None and len(made) >= most:
                raise Enough(f"there are {len(made)} comments of nix-repro already")
            body = render_comment(report, run_id=self._to.run_id, run_url=self._to.run_url, note=note)
            if ours is not None:
                ours.edit(body)
            else:
                issue.create_comment(body)

        self._try(send)

    def _candidate(self) -> PullRequest | None:
        """The open pull request that may be meant, if what was checked is its head, or GitHub's merge commit of it."""
        to = self._to.subject
        if not self._looked and to.candidate is not None:
            repository, candidate = self._repository(), to.candidate

            def look() -> list[PullRequest]:
                if isinstance(candidate, int):
                    return [repository.get_pull(candidate)]
                return list(repository.get_pulls(state="open", head=candidate)[:30])

            pulls = self._try(lambda: [p for p in look() if to.sha in (p.head.sha, p.merge_commit_sha)])
            self._found = next(iter(pulls), None)
        self._looked = True
        return self._found


def _is_ours(comment: IssueComment) -> bool:
    """Whether it starts with a marker of ours, and is not a stranger's imitation of one."""
    author: NamedUser | Organization | None = comment.user  # null when the account was deleted
    trusted = author is not None and (author.type == "Bot" or comment.author_association in _INSIDERS)
    return _marked(comment) is not None and trusted


def _marked(comment: IssueComment) -> str | None:
    marker = read_marker(comment.body or "")
    return marker[0] if marker is not None else None


def _wanted(mode: CommentMode, report: Report, ours: IssueComment | None) -> bool:
    """Whether to comment at all. A comment that is there is kept true in every mode; `changes` edits it only when the
    verdicts are other ones than it says."""
    if ours is None:
        return (
            mode == "always"
            or report.conclusion != "pass"
            or (mode == "changes" and any(d.verdict == "divergent" for d in report.derivations))
        )
    marker = read_marker(ours.body or "")
    return mode != "changes" or marker is None or marker[1] != outcome(report)
