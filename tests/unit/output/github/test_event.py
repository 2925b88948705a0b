"""Which commit, pull request, base and branch a run is about: every event, whatever its job has checked out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nix_repro.output.github.event import (
    Subject,
    Trigger,
    named,
    on_default_branch,
    proposal,
    proposed,
    read_trigger,
    subject,
)

#: Commits: the one that the runner names, a change's head, what it is to be merged into, any other.
HERE, HEAD, BASE, OTHER = "a" * 40, "b" * 40, "c" * 40, "d" * 40
REPOSITORY = {"full_name": "acme/widgets", "default_branch": "trunk"}
TRUNK = "refs/heads/trunk"
PULL = {"number": 7, "head": {"sha": HEAD}, "base": {"sha": BASE}, "merge_commit_sha": None}


def event(name: str, ref: str = TRUNK, **payload: Any) -> Trigger:
    return Trigger(name, HERE, ref, {"repository": REPOSITORY, **payload})


def waited(by: str, **more: Any) -> Trigger:
    run = {
        "event": by,
        "head_sha": HEAD,
        "head_branch": "topic",
        "head_repository": {"full_name": "stranger/widgets", "owner": {"login": "stranger"}},
        "pull_requests": [],
        **more,
    }
    return event("workflow_run", workflow_run=run)


#: Events about a commit that is merged, or that nobody has proposed, by what the job checks out by itself.
OWN = {
    "push": event("push"),
    "schedule": Trigger("schedule", HERE, TRUNK, {"schedule": "0 0 * * *"}),
    "workflow_dispatch": event("workflow_dispatch", inputs={"ref": OTHER}),
    "repository_dispatch": event("repository_dispatch", client_payload={"pull_request": PULL}),
    "push of a branch": event("push", "refs/heads/topic"),
    "push of a tag with the branch's name": event("push", "refs/tags/trunk"),
    "workflow_dispatch of a branch": event("workflow_dispatch", "refs/heads/topic"),
    "release": event("release", "refs/tags/v1", release={"target_commitish": "trunk"}),
    "delete": event("delete"),
    "deployment_status": event("deployment_status", "refs/heads/topic"),
    "check_suite": event("check_suite", check_suite={"head_sha": HEAD, "pull_requests": [PULL]}),
    "an issue's comment": event("issue_comment", issue={"number": 7}),
    "issues": event("issues", issue={"number": 7}),
}
#: Those whose runs are the default branch's own.
DEFAULT = {"push", "schedule", "workflow_dispatch", "repository_dispatch", "delete", "check_suite", "issues"}


@pytest.mark.parametrize("name", OWN)
def test_what_nobody_has_proposed(name: str) -> None:
    assert subject(OWN[name], HERE) == Subject(HERE, default=name in DEFAULT)
    assert subject(OWN[name], OTHER) == Subject(OTHER), "another commit: not the branch's, whatever the event says"


@pytest.mark.parametrize("name", ["pull_request", "pull_request_review", "pull_request_review_comment"])
def test_a_pull_request(name: str) -> None:
    asked = event(name, "refs/pull/7/merge", pull_request=PULL)
    of_it = Subject(HEAD, pull_request=7, base=BASE)
    assert subject(asked, HERE) == of_it, "GITHUB_SHA is a merge commit that nobody sees"
    assert subject(asked, HEAD) == of_it
    assert subject(asked, None) == of_it
    assert subject(asked, BASE) == Subject(BASE)
    assert subject(asked, OTHER) == Subject(OTHER)
    merged = event(name, pull_request=PULL | {"merge_commit_sha": OTHER})
    assert subject(merged, OTHER) == of_it


def test_pull_request_target_checks_out_the_base() -> None:
    asked = event("pull_request_target", pull_request=PULL | {"base": {"sha": HERE}, "merge_commit_sha": OTHER})
    assert subject(asked, HERE) == Subject(HERE), "what holds for the base says nothing about the change"
    assert subject(asked, HEAD) == subject(asked, OTHER) == Subject(HEAD, pull_request=7, base=HERE)
    assert subject(asked, BASE) == Subject(BASE)
    assert subject(asked, None) is None


def test_a_merge_group_has_a_base() -> None:
    group = {"head_sha": HERE, "base_sha": BASE, "head_ref": "refs/heads/gh-readonly-queue/trunk/pr-7"}
    asked = event("merge_group", group["head_ref"], merge_group=group)
    assert subject(asked, HERE) == subject(asked, None) == Subject(HERE, base=BASE)
    assert subject(asked, OTHER) == Subject(OTHER)


def test_a_comment_on_a_pull_request() -> None:
    asked = event("issue_comment", issue={"number": 7, "pull_request": {"url": "…/pulls/7"}})
    assert subject(asked, HERE) == Subject(HERE), "the default branch's commit, unless told otherwise"
    # Whether it is the pull request's, GitHub is asked.
    assert subject(asked, HEAD) == Subject(HEAD, candidate=7, base=HERE)
    assert subject(asked, None) is None


def test_after_the_run_of_a_pull_request() -> None:
    for by in ("pull_request", "pull_request_target"):
        assert subject(waited(by), HEAD) == Subject(HEAD, candidate="stranger:topic", base=HERE)
        assert subject(waited(by), HERE) == Subject(HERE)
        assert subject(waited(by), OTHER) == Subject(OTHER, candidate="stranger:topic", base=HERE)
        assert subject(waited(by), None) is None
    listed = waited("pull_request", pull_requests=[{"number": 7, "base": {"sha": BASE}}])
    about = subject(listed, HEAD)
    assert about is not None
    assert about.base == BASE
    assert proposed(waited("pull_request")) == Subject(HEAD, candidate="stranger:topic", base=HERE)


def test_after_another_run() -> None:
    ours = {"head_repository": {"full_name": "acme/widgets", "owner": {"login": "acme"}}, "head_branch": "trunk"}
    assert subject(waited("push", **ours), HEAD) == Subject(HEAD, default=True)
    assert subject(waited("push", **ours), HERE) == Subject(HERE, default=True)
    assert subject(waited("push", **ours), OTHER) == Subject(OTHER)
    assert subject(waited("push"), HEAD) == Subject(HEAD)
    assert subject(waited("push", **(ours | {"head_branch": "topic"})), HEAD) == Subject(HEAD)
    assert subject(waited("issue_comment", **ours), HERE) == Subject(HERE)


@pytest.mark.parametrize("checked", [HERE, HEAD, BASE, OTHER, None])
def test_no_run_that_a_stranger_can_start_is_the_default_branch_s(checked: str | None) -> None:
    # A fork's branch may be called like the default branch.
    fork = {"head_branch": "trunk", "head_sha": checked}
    for asked in (
        event("pull_request_target", pull_request=PULL | {"base": {"sha": HERE}}),
        event("pull_request", pull_request=PULL),
        event("issue_comment", issue={"number": 7, "pull_request": {}}),
        event("issue_comment", issue={"number": 7}),
        event("merge_group", merge_group={"base_sha": HERE}),
        waited("pull_request", **fork),
        waited("push", **fork),
        event("something_new", pull_request=PULL),
    ):
        about = subject(asked, checked)
        assert about is None or not about.default


@pytest.mark.parametrize("odd", ["", "HEAD", "abc", HERE[:39], HERE + "\n", "A" * 40, "../../x"])
def test_what_is_no_commit_is_not_known(odd: str) -> None:
    assert subject(OWN["push"], odd) == subject(OWN["push"], None) == Subject(HERE, default=True)
    assert subject(event("pull_request_target", pull_request=PULL), odd) is None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"pull_request": 3, "workflow_run": [], "issue": "x", "merge_group": None, "repository": 1},
        {"pull_request": {"head": [], "number": "7", "base": 3}, "repository": {"default_branch": ["x"]}},
        {"workflow_run": {"event": "pull_request", "pull_requests": [3], "head_repository": {"owner": 1}}},
        {"workflow_run": {"event": ["pull_request"], "head_sha": {}, "pull_requests": 3}, "issue": {"number": "1"}},
    ],
)
def test_an_odd_payload_breaks_nothing(payload: dict[str, Any]) -> None:
    for name in ("push", "pull_request", "pull_request_target", "merge_group", "workflow_run", "issue_comment", ""):
        found = subject(Trigger(name, HERE, TRUNK, payload), HERE)
        assert found is not None
        assert (found.sha, found.pull_request) == (HERE, None)
        proposed(Trigger(name, HERE, TRUNK, payload))


def test_without_the_repository_s_word_a_branch_is_the_default_one_by_its_name() -> None:
    for ref, default in (
        ("refs/heads/main", True),
        ("refs/heads/master", True),
        (TRUNK, False),
        ("refs/tags/main", False),
    ):
        about = subject(Trigger("push", HERE, ref), HERE)
        assert about == Subject(HERE, default=default)


def test_the_names_of_runs_that_one_commit_may_have_differ() -> None:
    names = {named("x", Trigger(name)) for name in ("push", "pull_request", "pull_request_target", "schedule")}
    assert names == {"x", "x, push", "x, pull_request_target", "x, schedule"}
    # Branch protection asks both for one name.
    assert named("x", Trigger("merge_group")) == named("x", Trigger("pull_request"))


def test_the_runner_s_word_is_read(tmp_path: Path) -> None:
    (tmp_path / "event").write_text(json.dumps({"merge_group": {"base_sha": BASE}}))
    environ = {
        "GITHUB_EVENT_NAME": "merge_group",
        "GITHUB_SHA": HERE,
        "GITHUB_REF": TRUNK,
        "GITHUB_EVENT_PATH": str(tmp_path / "event"),
    }
    assert read_trigger(environ) == Trigger("merge_group", HERE, TRUNK, {"merge_group": {"base_sha": BASE}})
    found = proposal(environ)
    assert found is not None
    assert found.base == BASE
    assert on_default_branch(environ | {"GITHUB_EVENT_NAME": "schedule"}, tmp_path, HERE)
    assert not on_default_branch(environ | {"GITHUB_EVENT_NAME": "schedule"}, tmp_path, OTHER)
    assert not on_default_branch({}, tmp_path, HERE), "no checkout, no branch"
