"""What `--check` shows, and what it does not: silence is a pass only where Nix really compared."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.nix_check import (
    Kept,
    NixCheck,
    attempt_of,
    compares,
    kept_outputs,
    made_by_nix,
    rewrites_paths,
)
from nix_repro.nix.command import NixError
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.reasons import (
    BUILDER_FAILED,
    CANCELLED,
    CONTENT_ADDRESSED,
    FIRST_OUTPUT_ONLY,
    NO_EVENT,
    NOT_KEPT,
    PATH_REWRITING,
)
from rebuilds import Log, derivation, first_build, path, request, sri

ONE = derivation("one", outputs=("out", "doc"))
OUT = path("one")
FLOATING = derivation("floating", floating=True)


def came_to(log: Log, *kept: Kept, rewritten: bool = False, unsure: bool = False) -> Attempt:
    return attempt_of(ONE, request(ONE), log.recorder, kept, rewritten=rewritten, unsure=unsure, cancelled=unsure)


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
    assert (found.status, found.because, found.seconds) == ("failed", BUILDER_FAILED, 1.0)


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
    found = attempt_of(FLOATING, request(FLOATING), log.recorder, (), rewritten=False, unsure=False, cancelled=False)
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
    """A Nix on which `--check` says this."""

    def __init__(self, mocker: MockerFixture, log: Log, *, sandbox: str = "true", code: int = 0) -> None:
        self.nix: Mock = mocker.Mock(options=())
        self.nix.with_options.return_value = self.nix
        self.nix.settings.return_value = {"system": "x86_64-linux", "sandbox": sandbox}
        self.nix.processes.shielded.return_value = mocker.MagicMock()
        self.nix.processes.stopped.return_value = False
        self.nix.stream.return_value.returncode = code
        self.nix.stream.return_value.stdout = b""
        self.nix.run.return_value = f"{sri('B')}\n"
        self.commands = self.nix.stream
        self.recorder: Recorder = log.recorder


def test_a_level_at_a_time(mocker: MockerFixture) -> None:
    top, checking = derivation("top", {"one": ("out",)}), Checking(mocker, Log())
    NixCheck(checking.nix).rebuild(request(top, ONE, FLOATING), checking.recorder)
    asked = [list(call.kwargs["paths"]) for call in checking.commands.call_args_list]
    assert asked == [[ONE.drv_path], [top.drv_path]]


def test_an_error_without_a_name_puts_its_level_in_doubt(mocker: MockerFixture) -> None:
    log = checked()
    log.error("something else is wrong")
    checking = Checking(mocker, log, code=1)
    (attempt,) = NixCheck(checking.nix).rebuild(request(ONE), checking.recorder).attempts
    assert (attempt.status, attempt.outputs) == ("not-built", {})


@pytest.mark.parametrize("sandbox", ["true", "false"])
def test_the_other_side_is_taken_out_of_the_store(mocker: MockerFixture, tmp_path: Path, sandbox: str) -> None:
    """Also where it says nothing."""
    store = tmp_path / "store"
    store.mkdir()
    other = store / "one.check"
    other.write_text("other")
    seen = {"out": Seen(str(store / "one"), sri("A"), "built", "round 1")}
    asked = request(derivation("one"), keep=tmp_path)
    asked = type(asked)(
        asked.targets, {ONE.drv_path: Attempt(ONE.drv_path, 1, "built", seen)}, 2, asked.limits, tmp_path
    )
    log = checked()
    log.differs(ONE, str(store / "one"), str(other))
    checking = Checking(mocker, log, sandbox=sandbox)
    answer = NixCheck(checking.nix).rebuild(asked, checking.recorder)
    assert list(store.iterdir()) == []
    (attempt,) = answer.attempts
    if sandbox == "true":
        ((key, tree),) = answer.trees.items()
        assert (key, tree.b.read_text()) == ((ONE.drv_path, "out"), "other")
        assert attempt.outputs["out"].nar_hash == sri("B")
    else:
        assert (attempt.because, answer.trees) == (PATH_REWRITING, {})


def test_a_nix_that_no_longer_has_the_option_is_asked_without(mocker: MockerFixture, tmp_path: Path) -> None:
    checking = Checking(mocker, Log())
    checking.nix.run.side_effect = [NixError("unrecognised flag '--sri'"), f"{sri('C')}\n"]
    assert NixCheck(checking.nix)._hash(tmp_path) == sri("C")


@pytest.mark.parametrize(("trusted", "hook"), [(True, True), (False, False)])
def test_who_may_not_set_a_hook_has_failed_builds_kept(mocker: MockerFixture, trusted: bool, hook: bool) -> None:
    mocker.patch("shutil.which", return_value="/bin/true")
    checking = Checking(mocker, Log())
    checking.nix.trusted.return_value = trusted
    NixCheck(checking.nix).rebuild(request(ONE), checking.recorder)
    args = checking.commands.call_args.args
    assert ("diff-hook" in args, "--keep-failed" in args) == (hook, not hook)
