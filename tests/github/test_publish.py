"""Statuses and the sticky comment through the real client, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from github_api import HEAD, MERGE, TOKEN, Answer
from nix_repro.output.github.api import publish
from nix_repro.output.github.event import Destination, Subject, destination, proposed, read_trigger, subject
from nix_repro.report import Report


def to(
    environ: dict[str, str], run_id: str = "test-0-Linux-X64", checked: str | None = None, token: str = TOKEN
) -> Destination:
    event = read_trigger(environ)
    about = subject(event, checked) if checked is not None else proposed(event)
    assert about is not None
    found = destination(environ, about, token=token, run_id=run_id)
    assert found is not None
    return found


def test_a_pull_request_gets_its_status_on_the_head_commit(github: Any, environ: Any, diverged: Report) -> None:
    assert publish(diverged, to(environ("pull_request"))) == []
    [status] = github.statuses
    assert status["sha"] == HEAD
    assert status["state"] == "failure"
    assert status["context"] == "nix-repro (test-0-Linux-X64)"
    assert status["target_url"] == "https://github.example/acme/widgets/actions/runs/30433642"
    assert github.comments == []
    assert github.requests == [f"POST /repos/acme/widgets/statuses/{HEAD}"]


def test_a_push_gets_it_on_its_own_commit_and_no_comment(github: Any, environ: Any, diverged: Report) -> None:
    assert publish(diverged, to(environ("push")), statuses="all", comment="always") == []
    assert {status["sha"] for status in github.statuses} == {MERGE}
    assert len(github.statuses) == 1 + len({attr for d in diverged.derivations for attr in d.attrs})
    assert github.comments == []


def test_no_token_or_no_github_means_nothing_to_send(environ: Any) -> None:
    assert destination(environ("push"), Subject(MERGE), token="", run_id="x") is None
    assert destination({}, Subject(MERGE), token=TOKEN, run_id="x") is None
    assert destination(environ("push"), Subject(""), token=TOKEN, run_id="x") is None


def test_enterprise_addresses_have_a_path(github: Any, environ: Any, diverged: Report) -> None:
    github.prefix = "/api/v3"
    github.url += "/api/v3"
    assert publish(diverged, to(environ("pull_request")), comment="always") == []
    assert publish(diverged, to(environ("pull_request")), comment="always") == []
    assert len(github.statuses) == 2
    assert len(github.comments) == 1


def test_the_comment_is_made_once_and_edited_in_place(
    github: Any, environ: Any, diverged: Report, clean: Report
) -> None:
    for _ in range(120):
        github.add_comment("somebody else's words", login="octocat", kind="User")
    for report, sentence in (
        (diverged, "1 new divergence"),
        (clean, "No difference found"),
        (diverged, "1 new divergence"),
    ):
        assert publish(report, to(environ("pull_request")), comment="always") == []
        ours = [comment for comment in github.comments if comment["body"].startswith("<!-- nix-repro")]
        assert len(ours) == 1
        assert sentence in ours[0]["body"]


def test_legs_of_a_matrix_keep_apart(github: Any, environ: Any, diverged: Report) -> None:
    for leg in ("a", "b", "a"):
        assert publish(diverged, to(environ("pull_request"), leg), comment="always") == []
    assert len(github.comments) == 2
    assert {status["context"] for status in github.statuses} == {"nix-repro (a)", "nix-repro (b)"}


@pytest.mark.parametrize(
    ("mode", "first", "then", "made", "edited"),
    [
        ("off", "diverged", "clean", False, False),
        ("failures", "clean", "clean", False, False),
        ("failures", "diverged", "clean", True, True),
        ("changes", "clean", "clean", False, False),
        ("changes", "diverged", "diverged", True, False),
        ("changes", "diverged", "clean", True, True),
        ("always", "clean", "clean", True, True),
    ],
)
def test_when_to_comment(
    github: Any,
    environ: Any,
    request: pytest.FixtureRequest,
    mode: Any,
    first: str,
    then: str,
    made: bool,
    edited: bool,
) -> None:
    assert publish(request.getfixturevalue(first), to(environ("pull_request")), comment=mode) == []
    assert (len(github.comments) == 1) is made
    assert publish(request.getfixturevalue(then), to(environ("pull_request")), comment=mode) == []
    assert any(line.startswith("PATCH") for line in github.requests) is edited


def test_a_strangers_imitation_is_not_edited(github: Any, environ: Any, diverged: Report, clean: Report) -> None:
    publish(diverged, to(environ("pull_request")), comment="always")
    copied = github.comments.pop()["body"]
    github.add_comment(copied, login="mallory", kind="User")
    publish(clean, to(environ("pull_request")), comment="always")
    assert github.comments[0]["body"] == copied
    assert len(github.comments) == 2
    # With a personal token the author is a person, a member of the repository.
    github.comments[:] = []
    github.add_comment(copied, login="maintainer", kind="User", association="MEMBER")
    publish(clean, to(environ("pull_request")), comment="always")
    assert len(github.comments) == 1
    assert github.comments[0]["body"] != copied


def test_a_deleted_account_is_no_obstacle(github: Any, environ: Any, diverged: Report) -> None:
    github.add_comment("x")["user"] = None
    assert publish(diverged, to(environ("pull_request")), comment="always") == []
    assert len(github.comments) == 2


def test_a_fork_costs_one_warning(github: Any, environ: Any, diverged: Report) -> None:
    github.permissions = set()
    [warning] = publish(diverged, to(environ("pull_request_fork")), statuses="all", comment="always")
    assert "Resource not accessible by integration" in warning
    assert "commit statuses and pull request comment not sent" in warning
    assert "forks" in warning
    assert github.statuses == []
    # The first refusal settles it: no request for each installable, no second try.
    assert sum("statuses" in line for line in github.requests) == 1


def test_one_missing_permission_leaves_the_other_alone(github: Any, environ: Any, diverged: Report) -> None:
    github.permissions = {"pull-requests"}
    [warning] = publish(diverged, to(environ("pull_request")), comment="always")
    assert warning.startswith("commit statuses not sent: not permitted")
    assert len(github.comments) == 1


def test_an_unknown_commit_is_one_warning(github: Any, environ: Any, diverged: Report) -> None:
    github.commits = set()
    [warning] = publish(diverged, to(environ("push")))
    assert "No commit found for SHA" in warning


def test_a_bad_token_is_one_warning_without_the_token(github: Any, environ: Any, diverged: Report) -> None:
    [warning] = publish(diverged, to(environ("pull_request"), token="wrong-token"), comment="always")
    assert "401 Bad credentials" in warning
    assert "wrong-token" not in warning


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_passing_fault_is_tried_again(github: Any, environ: Any, diverged: Report, status: int) -> None:
    github.faults = [("POST", "statuses", Answer(status)), ("GET", "comments", Answer(status))]
    assert publish(diverged, to(environ("pull_request")), comment="always") == []
    assert len(github.statuses) == len(github.comments) == 1


def test_a_comment_whose_answer_was_lost_is_not_made_twice(github: Any, environ: Any, diverged: Report) -> None:
    github.faults = [("POST", "comments", Answer(502, after=True))]
    assert publish(diverged, to(environ("pull_request")), comment="always") == []
    assert len(github.comments) == 1


def test_a_lasting_fault_is_one_warning(github: Any, environ: Any, diverged: Report) -> None:
    github.faults = [("POST", "statuses", Answer(500)) for _ in range(9)]
    [warning] = publish(diverged, to(environ("pull_request")), statuses="all")
    assert "GitHub answered 500" in warning
    assert len(github.requests) == 3


def test_a_secondary_limit_is_waited_for_when_it_is_short(github: Any, environ: Any, diverged: Report) -> None:
    body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    github.faults = [("POST", "statuses", Answer(403, body=body, headers={"retry-after": "1"}))]
    assert publish(diverged, to(environ("pull_request"))) == []
    github.faults = [("POST", "statuses", Answer(429, body=body, headers={"retry-after": "120"}))]
    before = len(github.requests)
    [warning] = publish(diverged, to(environ("pull_request")))
    assert "rate limit reached" in warning
    assert len(github.requests) == before + 1
    assert len(github.statuses) == 1


def test_a_secondary_limit_without_a_header_is_no_missing_permission(
    github: Any, environ: Any, diverged: Report
) -> None:
    body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    github.faults = [("POST", "statuses", Answer(403, body=body))]
    [warning] = publish(diverged, to(environ("pull_request")))
    assert "rate limit reached" in warning
    assert "permitted" not in warning


def test_a_commit_with_too_many_statuses_is_one_warning_that_says_so(
    github: Any, environ: Any, diverged: Report
) -> None:
    github.statuses = [{"sha": HEAD, "context": "nix-repro (test-0-Linux-X64)"} for _ in range(1000)]
    [warning] = publish(diverged, to(environ("pull_request")), statuses="all")
    assert "maximum number of statuses" in warning
    assert len(github.statuses) == 1000


def test_a_used_up_allowance_is_not_waited_for(github: Any, environ: Any, diverged: Report) -> None:
    github.allowance = 2
    [warning] = publish(diverged, to(environ("pull_request")), statuses="all", comment="always")
    assert "rate limit reached" in warning
    assert len(github.statuses) == 2
    assert len(github.requests) == 4


@pytest.mark.parametrize("fault", [{"delay": 30.0}, {"trickle": 1.0}])
def test_nothing_is_waited_for_longer_than_the_limit(github: Any, environ: Any, diverged: Report, fault: Any) -> None:
    github.faults = [("POST", "statuses", Answer(201, **fault)) for _ in range(5)]
    warnings = publish(diverged, to(environ("pull_request")), total_seconds=2)
    assert warnings == ["reporting to GitHub was given up after 2 s"]


def test_nobody_there_is_one_warning(environ: Any, diverged: Report) -> None:
    [warning] = publish(diverged, to(environ("pull_request", GITHUB_API_URL="http://127.0.0.1:9")), comment="always")
    assert "no answer from GitHub" in warning


@pytest.mark.parametrize("body", [[], "text", {"unexpected": []}])
def test_an_answer_of_another_shape_is_one_warning(github: Any, environ: Any, diverged: Report, body: Any) -> None:
    github.faults = [("GET", "comments", Answer(200, body={"not": "a list"}))]
    github.faults += [("POST", "statuses", Answer(400, body=body))]
    warnings = publish(diverged, to(environ("pull_request")), comment="always")
    assert 1 <= len(warnings) <= 2


def test_after_workflow_run_the_pull_request_is_found_by_branch_and_commit(
    github: Any, environ: Any, diverged: Report
) -> None:
    other = {"number": 6, "state": "open", "head": {"label": "stranger:topic", "sha": MERGE}}
    ours = {"number": 7, "state": "open", "head": {"label": "stranger:topic", "sha": HEAD}}
    github.pulls = [other, ours]
    assert publish(diverged, to(environ("workflow_run_fork")), comment="always") == []
    assert {status["sha"] for status in github.statuses} == {HEAD}
    assert "POST /repos/acme/widgets/issues/7/comments" in github.requests


def test_a_pull_request_that_has_moved_on_gets_no_comment(github: Any, environ: Any, diverged: Report) -> None:
    github.pulls = [{"number": 7, "state": "open", "head": {"label": "stranger:topic", "sha": MERGE}}]
    assert publish(diverged, to(environ("workflow_run_fork")), comment="always") == []
    assert github.comments == []


@pytest.mark.parametrize("checked", [HEAD, MERGE])
def test_a_comment_that_starts_a_run_gets_its_answer_where_it_was_asked(
    github: Any, environ: Any, diverged: Report, tmp_path: Path, checked: str
) -> None:
    """`ref: refs/pull/7/head` or `…/merge` after a comment on a pull request."""
    event = {"issue": {"number": 7, "pull_request": {}}, "repository": {"default_branch": "main"}}
    (tmp_path / "event").write_text(json.dumps(event))
    run = environ("issue_comment", GITHUB_SHA="f" * 40, GITHUB_EVENT_PATH=str(tmp_path / "event"))
    github.pulls = [
        {"number": 7, "state": "open", "head": {"label": "acme:topic", "sha": HEAD}, "merge_commit_sha": MERGE}
    ]
    assert publish(diverged, to(run, checked=checked), comment="always") == []
    assert {status["sha"] for status in github.statuses} == {HEAD}
    assert "POST /repos/acme/widgets/issues/7/comments" in github.requests
    # Pushed to meanwhile: the commit that was checked has its status, and the pull request no comment.
    github.comments.clear()
    github.pulls[0] |= {"head": {"label": "acme:topic", "sha": "e" * 40}, "merge_commit_sha": None}
    assert publish(diverged, to(run, checked=checked), comment="always") == []
    assert github.statuses[-1]["sha"] == checked
    assert github.comments == []


def test_without_the_right_to_read_pull_requests_the_commit_has_its_status(
    github: Any, environ: Any, diverged: Report
) -> None:
    refused = Answer(403, {"message": "Resource not accessible by integration"})
    github.faults = [("GET", "pulls", refused), ("GET", "pulls", refused)]
    [warning] = publish(diverged, to(environ("workflow_run_fork"), checked=HEAD), comment="always")
    assert warning.startswith("pull request comment not sent: not permitted")
    assert {status["sha"] for status in github.statuses} == {HEAD}


def test_two_jobs_of_one_run_with_one_id_do_not_overwrite_each_other_in_silence(
    github: Any, environ: Any, diverged: Report, clean: Report
) -> None:
    """A reusable workflow that is called twice, say: the runner tells both jobs the same names."""
    run = environ("pull_request", GITHUB_RUN_ATTEMPT="1")
    assert publish(diverged, to(run), statuses="all", comment="always") == []
    said = github.comments[0]["body"]
    [warning] = publish(clean, to(run), comment="always")
    assert "status and comment under the id test-0-Linux-X64" in warning
    assert "input `id`" in warning
    latest = {status["context"]: status["state"] for status in github.statuses}
    assert latest["nix-repro (test-0-Linux-X64)"] == "failure", "what failed is not hidden behind what passed"
    assert github.comments[0]["body"] == said
    # The other way round the failure replaces it, with the same warning.
    github.statuses.clear()
    github.comments.clear()
    assert publish(clean, to(run), comment="always") == []
    [warning] = publish(diverged, to(run), comment="always")
    assert "status and comment" in warning
    assert [status["state"] for status in github.statuses] == ["success", "failure"]
    assert "1 new divergence" in github.comments[0]["body"]


@pytest.mark.parametrize("more", [{"GITHUB_RUN_ATTEMPT": "2"}, {"GITHUB_RUN_ID": "30433643"}])
def test_a_later_run_and_a_later_attempt_replace_what_was_said(
    github: Any, environ: Any, diverged: Report, clean: Report, more: dict[str, str]
) -> None:
    run = environ("pull_request", GITHUB_RUN_ATTEMPT="1")
    assert publish(diverged, to(run), comment="always") == []
    assert publish(clean, to(run | more), comment="always") == []
    assert github.statuses[-1]["state"] == "success"
    assert github.statuses[-1]["target_url"].endswith(f"/attempts/{more.get('GITHUB_RUN_ATTEMPT', '1')}")
    assert "No difference found" in github.comments[0]["body"]


def test_an_answer_that_was_lost_is_no_other_job_s_comment(github: Any, environ: Any, clean: Report) -> None:
    github.faults = [("POST", "comments", Answer(502, after=True))]
    assert publish(clean, to(environ("pull_request", GITHUB_RUN_ATTEMPT="1")), comment="always") == []
    assert len(github.comments) == 1


@pytest.mark.parametrize("fault", [Answer(403), Answer(500), Answer(200, body={"statuses": [3]}), Answer(200, body={})])
def test_what_nobody_tells_of_other_statuses_is_no_obstacle(
    github: Any, environ: Any, diverged: Report, fault: Answer
) -> None:
    github.faults = [("GET", "/status", fault)]
    assert publish(diverged, to(environ("pull_request", GITHUB_RUN_ATTEMPT="1"))) == []
    assert len(github.statuses) == 1


def test_the_worst_report_is_accepted(github: Any, environ: Any, diverged: Report) -> None:
    names = ["x" * 400, "|" * 300, "\u202e" * 300, "\udc80" * 50, "a\nb"]
    derivations = tuple(
        msgspec.structs.replace(diverged.derivations[0], name=name, attrs=(name,), reason=name) for name in names * 50
    )
    report = msgspec.structs.replace(diverged, derivations=derivations)
    assert publish(report, to(environ("pull_request"), "\udc80" * 400), statuses="all", comment="always") == []
    assert len(github.comments) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/repos/a/b/statuses/x", {"state": "green"}),
        ("POST", "/repos/a/b/statuses/x", {"state": "success", "colour": "green"}),
        ("POST", "/repos/a/b/issues/1/comments", {}),
        ("POST", "/repos/a/b/issues/one/two/comments", {"body": "x"}),
        ("DELETE", "/repos/a/b/issues/comments/1", None),
    ],
)
def test_the_server_knows_a_wrong_request(github: Any, method: str, path: str, body: Any) -> None:
    github.validate(method, path, {}, body)
    assert len(github.violations) == 1
    github.violations.clear()
