"""What `--check` shows, and what it does not: silence is a pass only where Nix really compared."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.nix_check import (
    Checked,
    Kept,
    NixCheck,
    attempt_of,
    compares,
    kept_outputs,
    made_by_nix,
    rewrites_paths,
)
from nix_repro.build.rebuild.protocol import Answer
from nix_repro.build.variations import TIME_GAP
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.reasons import (
    CANCELLED,
    CONTENT_ADDRESSED,
    FIRST_OUTPUT_ONLY,
    INPUT_CHANGED,
    NO_EVENT,
    NOT_KEPT,
    PATH_REWRITING,
    STORE_CHANGED,
    Reason,
)
from rebuilds import Log, derivation, first_build, path, request, sri

ONE = derivation("one", outputs=("out", "doc"))
OUT = path("one")
FLOATING = derivation("floating", floating=True)


def came_to(log: Log, *kept: Kept, rewritten: bool = False, unsure: bool = False) -> Attempt:
    found = Checked(log.recorder, kept)
    return attempt_of(ONE, request(ONE), found, rewritten=rewritten, unsure=unsure, cancelled=unsure)


def checked() -> Log:
    log = Log()
    log.build(ONE, checking=True)
    return log


def test_a_check_that_says_nothing_saw_every_output_again() -> None:
    found = came_to(checked())
    origin = "round 2, nix --check"
    assert found.outputs == {
        "out": Seen(OUT, sri("A"), "rebuilt", origin),
        "doc": Seen(path("one-doc"), sri("A"), "rebuilt", origin),
    }
    assert (found.status, found.missing, found.seconds) == ("built", {}, 1.0)


def test_a_check_that_nobody_saw_is_none() -> None:
    found = came_to(Log())
    assert (found.status, found.because, found.outputs) == ("not-built", NO_EVENT, {})


@pytest.mark.parametrize("unsure", [False, True])
def test_a_check_that_was_not_finished_or_is_in_doubt_is_no_pass(unsure: bool) -> None:
    log = checked() if unsure else Log()
    if not unsure:
        log.start(ONE, checking=True)
    found = came_to(log, unsure=unsure)
    assert found.outputs == {}
    assert found.because is not None
    assert (found.because == CANCELLED) == unsure


def test_a_builder_that_failed_in_the_check_has_failed() -> None:
    log = checked()
    log.failed(ONE)
    found = came_to(log)
    assert (found.status, found.because, found.seconds) == (
        "failed",
        Reason("the builder failed with exit code 1"),
        1.0,
    )


def test_a_failed_check_is_of_the_request_that_it_was_made_for() -> None:
    log = checked()
    log.failed(ONE)
    asked = request(ONE, isolated=True)
    found = attempt_of(ONE, asked, Checked(log.recorder), rewritten=False, unsure=False, cancelled=False)
    assert (found.status, found.isolated) == ("failed", True)


def test_of_several_outputs_nix_names_the_first_that_differs() -> None:
    log = checked()
    log.differs(ONE, OUT, f"{OUT}.check")
    kept = Kept("out", Seen(OUT, sri("B"), "rebuilt", "here"), Tree(Path(OUT), Path("/kept"), 2))
    found = came_to(log, kept)
    assert (found.status, found.outputs, found.missing) == ("built", {"out": kept.seen}, {"doc": FIRST_OUTPUT_ONLY})


def test_a_difference_without_its_other_side_is_no_evidence() -> None:
    log = checked()
    log.differs(ONE, OUT, None)
    found = came_to(log)
    assert (found.outputs, found.missing) == ({}, {"out": NOT_KEPT, "doc": NOT_KEPT})


def test_what_was_built_at_another_path_may_differ_by_that() -> None:
    log = checked()
    log.differs(ONE, OUT, f"{OUT}.check")
    found = came_to(log, rewritten=True)
    assert (found.status, found.because, found.outputs) == ("not-built", PATH_REWRITING, {})
    assert came_to(checked(), rewritten=True).status == "built", "equal all the same"


def test_nix_compares_nothing_that_is_content_addressed() -> None:
    log = Log()
    log.build(FLOATING, checking=True)
    found = attempt_of(
        FLOATING, request(FLOATING), Checked(log.recorder), rewritten=False, unsure=False, cancelled=False
    )
    assert (found.status, found.because) == ("not-built", CONTENT_ADDRESSED)
    assert compares(ONE, first_build(ONE))
    assert not compares(ONE, first_build(derivation("one"))), "an output is not known to the first build"


@pytest.mark.parametrize(
    ("system", "sandbox", "leaves", "rewritten"),
    [
        ("x86_64-linux", "true", True, False),
        ("x86_64-linux", "relaxed", False, False),
        ("x86_64-linux", "relaxed", True, True),
        ("x86_64-linux", "false", False, True),
        ("aarch64-darwin", "true", False, True),
    ],
)
def test_where_the_check_is_at_another_path(system: str, sandbox: str, leaves: bool, rewritten: bool) -> None:
    drv = derivation("one", env={"__noChroot": "1"} if leaves else {})
    assert rewrites_paths(drv, system, sandbox) == rewritten


@pytest.mark.parametrize(
    ("output", "other", "found"),
    [
        (OUT, f"{OUT}.check", ["out"]),
        (path("one-doc"), f"{path('one-doc')}.check", ["doc"]),
        (OUT, None, []),
        (OUT, "/etc.check", []),
        (OUT, f"{OUT}.check/../../etc", []),
        ("/etc", "/etc.check", []),
        (path("two"), f"{path('two')}.check", []),
    ],
)
def test_a_builder_does_not_choose_what_is_read_and_removed(output: str, other: str | None, found: list[str]) -> None:
    log = checked()
    log.differs(ONE, output, other)
    assert kept_outputs(ONE, request(ONE), log.recorder) == found
    claimed = checked()
    claimed.differs(ONE, output, other, own=False)
    assert kept_outputs(ONE, request(ONE), claimed.recorder) == []


def test_nothing_is_kept_where_nothing_differs_or_is_compared() -> None:
    assert kept_outputs(ONE, request(ONE), checked().recorder) == []
    log = Log()
    log.differs(FLOATING, path("floating"), f"{path('floating')}.check")
    assert kept_outputs(FLOATING, request(FLOATING), log.recorder) == []


def test_what_lies_beside_an_output_is_nix_s_when_the_store_s_owner_made_it_during_the_check(tmp_path: Path) -> None:
    other = tmp_path / "one.check"
    assert not made_by_nix(other, 0.0)
    other.write_text("other")
    made = other.lstat().st_ctime
    assert made_by_nix(other, made)
    assert not made_by_nix(other, made + 60)
    if os.getuid() == 0:
        os.chown(other, 1234, 1234)
        assert not made_by_nix(other, made)


def test_what_is_claimed_of_a_check_in_nix_s_name_is_nothing() -> None:
    log = checked()
    log.differs(ONE, OUT, f"{OUT}.check", own=False)
    log.failed(ONE, own=False)
    found = came_to(log)
    assert (found.status, set(found.outputs), found.missing) == ("built", {"out", "doc"}, {})


def test_lix_keeps_every_output_that_differs() -> None:
    log = checked()
    lines = "\n".join(f"  output differs: output '{p}' differs from '{p}.check'" for p in (OUT, path("one-doc")))
    said = f"derivation '{ONE.drv_path.rpartition('/')[2]}' may not be deterministic: outputs differ\n{lines}"
    log.error(said)
    assert kept_outputs(ONE, request(ONE), log.recorder) == ["out", "doc"]
    kept = [
        Kept(name, Seen(p, sri("B"), "rebuilt", "here"), Tree(Path(p), Path("/kept"), 2))
        for name, p in (("out", OUT), ("doc", path("one-doc")))
    ]
    found = came_to(log, *kept)
    assert (found.status, set(found.outputs), found.missing) == ("built", {"out", "doc"}, {})


class Checking:
    """A Nix on which `--check` says this. The store is as the first builds left it."""

    def __init__(self, mocker: MockerFixture, log: Log, *, sandbox: str = "true", code: int = 0) -> None:
        self.nix: Mock = mocker.Mock(options=())
        self.nix.with_options.return_value = self.nix
        self.nix.settings.return_value = {"system": "x86_64-linux", "sandbox": sandbox}
        self.nix.processes.shielded.return_value = mocker.MagicMock()
        self.nix.processes.stopped.return_value = False
        self.nix.stream.return_value.returncode = code
        self.nix.stream.return_value.stdout = b""
        self.nix.requisites.side_effect = list
        self.nix.valid_hashes.side_effect = lambda paths: dict.fromkeys(paths, sri("A"))
        self.recorder: Recorder = log.recorder

    @property
    def checks(self) -> list[list[str]]:
        """What each command has checked."""
        calls = self.nix.stream.call_args_list
        return [list(call.kwargs["paths"]) for call in calls if "--check" in call.args]


def test_a_level_at_a_time(mocker: MockerFixture) -> None:
    top, checking = derivation("top", {"one": ("out",)}), Checking(mocker, Log())
    NixCheck(checking.nix).rebuild(request(top, ONE, FLOATING), checking.recorder)
    assert checking.checks == [[ONE.drv_path], [top.drv_path]]


def test_an_error_without_a_name_puts_its_level_in_doubt(mocker: MockerFixture) -> None:
    log = checked()
    log.error("something else is wrong")
    checking = Checking(mocker, log, code=1)
    (attempt,) = NixCheck(checking.nix).rebuild(request(ONE), checking.recorder).attempts
    assert (attempt.status, attempt.outputs) == ("not-built", {})


class Box:
    """`one` in a store that can be written to. A check makes the next of `contents`, where that is not the first
    build's."""

    def __init__(self, mocker: MockerFixture, tmp_path: Path, *contents: str, sandbox: str) -> None:
        self.store, self.contents = tmp_path / "store", list(contents)
        self.store.mkdir()
        self.path = str(self.store / "one")
        asked, drv = request(derivation("one"), keep=tmp_path), ONE.drv_path
        first = Attempt(drv, 1, "built", {"out": Seen(self.path, sri("A"), "built", "round 1")})
        self.request = replace(asked, first={drv: first})
        self.checking = Checking(mocker, Log(), sandbox=sandbox)
        self.checking.nix.stream.side_effect = self.check

    def check(self, feed: Any, _: str, *args: str, **__: object) -> CompletedProcess[bytes]:
        if "--check" in args and self.contents:
            other = self.store / "one.check"
            other.write_text(self.contents.pop(0))
            log = checked()
            log.recorder.feed = feed  # type: ignore[method-assign]
            log.build(ONE, checking=True)
            log.differs(ONE, self.path, str(other))
        return CompletedProcess([], 1, b"")

    def rebuild(self) -> Answer:
        return NixCheck(self.checking.nix).rebuild(self.request, self.checking.recorder)


def test_the_other_side_is_taken_out_of_the_store(mocker: MockerFixture, tmp_path: Path) -> None:
    box = Box(mocker, tmp_path, "other", sandbox="true")
    answer = box.rebuild()
    assert list(box.store.iterdir()) == []
    (attempt,) = answer.attempts
    ((key, tree),) = answer.trees.items()
    assert (key, str(tree.a), tree.b.read_text()) == ((ONE.drv_path, "out"), box.path, "other")
    assert attempt.outputs["out"].nar_hash == nar_hash(tree.b)
    assert (attempt.same_inputs, attempt.isolated, attempt.against) == (True, False, None)
    assert len(box.checking.checks) == 1


def test_what_is_built_at_another_path_says_nothing_where_it_is_the_same_there(
    mocker: MockerFixture, tmp_path: Path
) -> None:
    box = Box(mocker, tmp_path, "rewritten", "rewritten", sandbox="false")
    answer = box.rebuild()
    assert list(box.store.iterdir()) == []
    (attempt,) = answer.attempts
    assert (attempt.because, answer.trees) == (PATH_REWRITING, {})
    box.checking.nix.processes.pause.assert_called_once_with(TIME_GAP)


def test_what_differs_between_two_checks_differs_by_itself(mocker: MockerFixture, tmp_path: Path) -> None:
    """Both are at the same path, whichever it is."""
    box = Box(mocker, tmp_path, "one", "two", sandbox="false")
    (attempt,) = (answer := box.rebuild()).attempts
    (tree,) = answer.trees.values()
    assert (tree.a.read_text(), tree.b.read_text()) == ("one", "two")
    assert attempt.against is not None
    assert attempt.against.outputs["out"].nar_hash == nar_hash(tree.a)
    assert attempt.differs("out", box.request.first[ONE.drv_path])
    assert list(box.store.iterdir()) == []


def test_a_check_that_is_equal_the_second_time_leaves_it_open(mocker: MockerFixture, tmp_path: Path) -> None:
    box = Box(mocker, tmp_path, "one", sandbox="false")
    assert box.rebuild().attempts[0].because == PATH_REWRITING


def test_where_no_sandbox_is_to_be_had_the_first_build_had_none_either(mocker: MockerFixture, tmp_path: Path) -> None:
    box = Box(mocker, tmp_path, "one", "two", sandbox="true")
    check, said = box.check, iter([True, False, False])

    def refused_first(feed: Any, *args: Any, **paths: Any) -> CompletedProcess[bytes]:
        if "--check" in args and next(said):
            log = Log()
            log.recorder.feed = feed  # type: ignore[method-assign]
            log.error("this system does not support the kernel namespaces that are required for sandboxing; use")
            return CompletedProcess([], 1, b"")
        return check(feed, *args, **paths)

    box.checking.nix.stream.side_effect = refused_first
    assert box.rebuild().attempts[0].against is not None, "and so it is built at another path"
    strict, lax = (call.args[0] for call in box.checking.nix.with_options.call_args_list)
    assert ("sandbox-fallback", "false") in strict
    assert "sandbox-fallback" not in dict(lax)


def test_settings_that_a_daemon_ignores_do_not_tell_whether_there_is_a_sandbox(
    mocker: MockerFixture, tmp_path: Path
) -> None:
    box = Box(mocker, tmp_path, "rewritten", "rewritten", sandbox="true")
    box.checking.nix.trusted.return_value = False
    box.checking.nix.system_settings.return_value = {"sandbox": False}
    assert box.rebuild().attempts[0].because == PATH_REWRITING


@pytest.mark.parametrize(("name", "because"), [("one", STORE_CHANGED), ("below", INPUT_CHANGED)])
def test_nothing_is_compared_with_what_is_no_first_build(mocker: MockerFixture, name: str, because: Reason) -> None:
    """Another run has replaced it, or this one could not put it back: to Nix it is what it is."""
    below = derivation("below")
    one = derivation("one", {"below": ("out",)})
    checking = Checking(mocker, checked())
    checking.nix.valid_hashes.side_effect = lambda paths: {p: sri("B" if p == path(name) else "A") for p in paths}
    (attempt,) = NixCheck(checking.nix).rebuild(request(one, others=[below]), checking.recorder).attempts
    assert (attempt.status, attempt.because, attempt.outputs) == ("not-built", because, {})
    assert checking.checks == []


@pytest.mark.parametrize(
    ("uid", "owner", "trusted", "hook"),
    [(0, True, True, True), (1, False, True, True), (1, False, False, False), (1, True, True, False)],
)
def test_who_may_not_set_a_hook_or_have_it_run_has_failed_builds_kept(
    mocker: MockerFixture, uid: int, owner: bool, trusted: bool, hook: bool
) -> None:
    mocker.patch("shutil.which", return_value="/bin/true")
    mocker.patch("os.getuid", return_value=uid)
    mocker.patch("os.access", return_value=owner)
    checking = Checking(mocker, Log())
    checking.nix.trusted.return_value = trusted
    NixCheck(checking.nix).rebuild(request(ONE), checking.recorder)
    args = checking.nix.stream.call_args.args
    assert ("diff-hook" in args, "--keep-failed" in args) == (hook, not hook)
