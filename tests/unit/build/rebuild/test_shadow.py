"""What the helper with root's rights is asked, and what its answer comes to."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild import shadow_helper
from nix_repro.build.rebuild.protocol import ISOLATION, STRICT, Request
from nix_repro.build.rebuild.shadow import COMMAND, Said, Shadow, answer, expected, known_outputs, permit
from nix_repro.build.variations import (
    BUILD_PATH,
    DIRECTORY_ORDER,
    KERNEL,
    ONE_CPU,
    TABLE,
    TIME,
    Condition,
    Machine,
    on_machine,
)
from nix_repro.nix.command import NixError
from nix_repro.nix.hashes import nix32
from nix_repro.nix.hashes import sri as from_nix32
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.options import passable
from nix_repro.reasons import NO_EVENT
from rebuilds import Log, derivation, path, request, sri

ONE = derivation("one", outputs=("out", "doc"), sources=(path("source"),))
FLOATING = derivation("floating", floating=True, outputs=("out", "doc"))
A, B = nix32(sri("A")), nix32(sri("B"))


def test_the_helper_asks_nix_where_outputs_are_that_nobody_can_know() -> None:
    assert known_outputs(ONE) == [path("one"), path("one-doc")]
    assert known_outputs(FLOATING) == []


def test_what_is_expected_is_what_the_targets_first_builds_made() -> None:
    asked = request(ONE, others=[derivation("two")])
    assert expected(asked) == {path("one"): A, path("one-doc"): A}
    assert from_nix32(A) == sri("A")


def said(**hashes: str) -> Said:
    """The helper found these outputs, and kept those that are not A."""
    where = {path(name.replace("_", "-")): digest for name, digest in hashes.items()}
    kept = {output: f"/kept/{output[11:]}" for output, digest in where.items() if digest != A}
    return Said({ONE.drv_path: list(where)}, where, kept, {ONE.drv_path: 1000.25})


def test_a_difference_has_both_sides() -> None:
    log = Log()
    log.build(ONE)
    found = answer(request(ONE), said(one=A, one_doc=B), log.recorder, cancelled=False)
    (attempt,) = found.attempts
    assert {name: seen.nar_hash for name, seen in attempt.outputs.items()} == {"out": sri("A"), "doc": sri("B")}
    assert attempt.outputs["out"].origin == "round 2, shadow store"
    ((key, tree),) = found.trees.items()
    assert (key, tree.a) == ((ONE.drv_path, "doc"), Path(path("one-doc")))
    assert str(tree.b) == f"/kept/{path('one-doc')[11:]}"


def test_what_could_not_be_kept_is_a_difference_all_the_same() -> None:
    log = Log()
    log.build(ONE)
    words = said(one=B, one_doc=A)
    found = answer(request(ONE), Said(words.outputs, words.hashes, {}, {}), log.recorder, cancelled=False)
    assert found.attempts[0].outputs["out"].nar_hash == sri("B")
    assert found.trees == {}


def test_hashes_without_a_build_are_no_rebuild() -> None:
    (attempt,) = answer(request(ONE), said(one=A, one_doc=A), Recorder(), cancelled=False).attempts
    assert attempt.because == NO_EVENT


def test_content_addressed_outputs_are_told_by_their_names() -> None:
    log = Log()
    log.build(FLOATING)
    out, doc = "/nix/store/" + "q" * 32 + "-floating", "/nix/store/" + "r" * 32 + "-floating-doc"
    words = Said({FLOATING.drv_path: [doc, out]}, {out: A, doc: A}, {}, {})
    (attempt,) = answer(request(FLOATING), words, log.recorder, cancelled=False).attempts
    assert {name: seen.path for name, seen in attempt.outputs.items()} == {"out": out, "doc": doc}


@pytest.fixture
def nix(mocker: MockerFixture) -> Mock:
    """A Nix whose helper answers that nothing was built."""
    nix: Mock = mocker.Mock(options=(("cores", "2"),), binary=Path("/bin/nix"), env={"HOME": "/h"})
    nix.settings.return_value = {"store": "auto"}
    nix.store_dir.return_value = "/nix/store"
    nix.derivations.return_value = {}
    nix.valid_hashes.return_value = {}
    nix.trusted.return_value = False
    nix.dump_db.return_value = b"registration \xff"
    nix.requisites.side_effect = list
    nix.processes.lines.return_value = CompletedProcess(
        [], 0, json.dumps({"outputs": {ONE.drv_path: []}, "hashes": {}, "kept": {}, "touched": {}}).encode()
    )
    nix.processes.stopped.return_value = False
    return nix


def asked(nix: Mock, to_do: Request, *, sudo: bool = False) -> dict[str, Any]:
    """What the helper is asked."""
    Shadow(nix, sudo=sudo).rebuild(to_do, Recorder())
    line: bytes = nix.processes.lines.call_args.kwargs["stdin"]
    assert line.count(b"\n") == 1
    question: dict[str, Any] = json.loads(line)
    return question


def test_the_question_has_all_that_a_rebuild_needs(nix: Mock, tmp_path: Path) -> None:
    question = asked(nix, request(ONE, keep=tmp_path))
    assert question["targets"] == {ONE.drv_path: [path("one"), path("one-doc")]}
    assert question["paths"] == [ONE.drv_path, path("source")]
    assert question["registration"].encode("utf-8", "surrogateescape") == b"registration \xff"
    assert question["expected"] == {path("one"): A, path("one-doc"): A}
    assert (question["state_dir"], question["base"]) == ("/nix/var/nix", "/nix/var/nix-repro")
    assert question["nix_store"] == "/bin/nix-store"
    assert Path(question["keep_dir"]).is_dir()
    options = dict(question["options"])
    assert (options["cores"], options["substitute"], options["post-build-hook"]) == ("2", "false", "")
    assert question["env"] == {"HOME": "/h", "NIX_USER_CONF_FILES": ""}
    assert (question["realised"], question["realisations"]) == ([], "")
    assert nix.processes.lines.call_args.args[0] == list(COMMAND)


def test_a_trusted_users_own_settings_go_with_it(nix: Mock, tmp_path: Path) -> None:
    """The helper runs with root's home."""
    nix.trusted.return_value = True
    nix.user_files.return_value = "/h/nix.conf"
    nix.env = {"NIX_STATE_DIR": "/state"}
    question = asked(nix, request(ONE, keep=tmp_path))
    assert question["env"]["NIX_USER_CONF_FILES"] == "/h/nix.conf"
    assert question["state_dir"] == "/state"


def test_what_a_daemon_does_not_take_from_a_user_does_not_go_with_the_rebuild(nix: Mock, tmp_path: Path) -> None:
    """It went with no first build: with the sandbox off in one of two, `pwd` differs."""
    nix.env = {"HOME": "/h", "NIX_CONFIG": "sandbox = false", "NIX_CONF_DIR": "/h/nix", "NIX_SSL_CERT_FILE": "/c"}
    nix.options = (("sandbox", "false"), ("timeout", "9"), ("extra-sandbox-paths", "/given"))
    question = asked(nix, request(ONE, keep=tmp_path))
    assert question["env"] == {"HOME": "/h", "NIX_SSL_CERT_FILE": "/c", "NIX_USER_CONF_FILES": ""}
    options = dict(question["options"])
    assert options["timeout"] == "9"
    assert options.keys().isdisjoint({"sandbox", "extra-sandbox-paths"})
    nix.trusted.return_value, nix.user_files.return_value = True, "/h/nix.conf"
    question = asked(nix, request(ONE, keep=tmp_path))
    assert question["env"] == {**nix.env, "NIX_USER_CONF_FILES": "/h/nix.conf"}
    assert dict(question["options"]).items() >= {("sandbox", "false"), ("extra-sandbox-paths", "/given")}


@pytest.mark.parametrize(
    ("sudo", "remote", "store", "strict"),
    [
        (False, "", "auto", False),
        (True, "", "auto", True),
        (False, "daemon", "auto", True),
        (False, "", "daemon", True),
    ],
)
def test_a_sandbox_that_a_daemon_had_is_not_left_silently(
    nix: Mock, tmp_path: Path, mocker: MockerFixture, sudo: bool, remote: str, store: str, strict: bool
) -> None:
    """Root without a daemon has built the first time what the helper's Nix is: where that leaves the sandbox, both
    did."""
    mocker.patch("nix_repro.build.rebuild.shadow.permit", return_value=None)
    nix.env, nix.settings.return_value = {"NIX_REMOTE": remote}, {"store": store}
    question = asked(nix, request(ONE, keep=tmp_path), sudo=sudo)
    assert (["sandbox-fallback", "false"] in question["options"]) == strict


def test_where_content_addressed_inputs_are_goes_with_it(nix: Mock, tmp_path: Path) -> None:
    top = derivation("top", {"floating": ("out",)}, floating=True)
    nix.derivations.return_value = {FLOATING.drv_path: FLOATING}
    nix.stream.return_value = CompletedProcess([], 0, b"")
    nix.path_info.return_value = {}
    nix.run.return_value = ""
    nix.processes.lines.return_value = CompletedProcess(
        [], 0, json.dumps({"outputs": {top.drv_path: []}, "hashes": {}, "kept": {}, "touched": {}}).encode()
    )
    question = asked(nix, request(top, keep=tmp_path))
    assert question["realised"] == [f"{FLOATING.drv_path}!out"]
    assert question["realisations"] == f"file://{tmp_path}/realisations-1"


def test_outputs_tell_when_a_build_ended(nix: Mock, tmp_path: Path) -> None:
    """Nix says so only when the whole command is over."""
    log, words = Log(), {"outputs": {ONE.drv_path: []}, "hashes": {}, "kept": {}, "touched": {ONE.drv_path: 1000.25}}
    number = log.start(ONE)
    log.build(derivation("other"))
    log.stop(number)
    nix.processes.lines.return_value = CompletedProcess([], 0, json.dumps(words).encode())
    (attempt,) = Shadow(nix).rebuild(request(ONE, keep=tmp_path), log.recorder).attempts
    assert attempt.seconds == 0.25


@pytest.mark.parametrize("condition", [TIME, ONE_CPU, KERNEL, DIRECTORY_ORDER, BUILD_PATH], ids=lambda c: c.name)
def test_a_condition_is_passed_on_whole(nix: Mock, tmp_path: Path, condition: Condition) -> None:
    question = asked(nix, replace(request(ONE, keep=tmp_path), condition=condition))
    assert question["args"] == [*condition.args]
    assert (tuple(question["under"]), question["build_on"]) == (condition.under, condition.build_on)
    options = [tuple(option) for option in question["options"]]
    assert set(condition.options) <= set(options)
    assert options[len(options) - len(condition.options) :] == list(condition.options), "the last one counts"


def test_sudo_is_asked_first_and_may_refuse(nix: Mock, tmp_path: Path, mocker: MockerFixture) -> None:
    asking = mocker.patch("nix_repro.build.rebuild.shadow.permit", return_value=None)
    asked(nix, request(ONE, keep=tmp_path), sudo=True)
    assert nix.processes.lines.call_args.args[0][:2] == ["sudo", "--non-interactive"]
    assert nix.processes.lines.call_args.kwargs["terminal"] is True
    asking.return_value = "a password is required"
    with pytest.raises(NixError, match="shadow: a password is required"):
        asked(nix, request(ONE, keep=tmp_path), sudo=True)


def helper_says(nix: Mock, *lines: bytes, code: int, stdout: bytes = b"") -> None:
    def run(_: object, feed: Any, **__: object) -> CompletedProcess[bytes]:
        for line in lines:
            feed(line)
        return CompletedProcess([], code, stdout)

    nix.processes.lines.side_effect = run


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"error: shadow: unshare: Operation not permitted"], "Operation not permitted"),
        ([b"first", b"sudo: a terminal is required"], "^sudo: a terminal is required$"),
        ([], "the shadow helper ended with 7"),
    ],
)
def test_a_helper_that_fails_has_its_last_words_passed_on(
    nix: Mock, tmp_path: Path, lines: list[bytes], words: str
) -> None:
    helper_says(nix, *lines, code=7)
    with pytest.raises(NixError, match=words):
        asked(nix, request(ONE, keep=tmp_path))


def test_the_probe_says_in_its_last_line_why_not(mocker: MockerFixture) -> None:
    run = mocker.patch("subprocess.run", return_value=CompletedProcess([], 1, "", "sudo: hello\nno mounts here\n"))
    mocker.patch.object(sys, "stdin").isatty.return_value = False
    assert permit({}, sudo=False) == "no mounts here"
    assert run.call_args.args[0] == [*COMMAND, "--probe"]
    permit({}, sudo=True)
    assert run.call_args.args[0] == ["sudo", "--non-interactive", *COMMAND, "--probe"]
    run.return_value = CompletedProcess([], 1, "", "")
    assert permit({}, sudo=False) == "the helper could not be started"
    run.return_value = CompletedProcess([], 0, "", "")
    assert permit({}, sudo=False) is None
    run.side_effect = subprocess.TimeoutExpired("sudo", 60)
    assert permit({}, sudo=False) == "the helper did not answer"


def test_on_a_terminal_sudo_may_ask_for_the_password(mocker: MockerFixture) -> None:
    run = mocker.patch("subprocess.run", return_value=CompletedProcess([], 0, "", ""))
    mocker.patch.object(sys, "stdin").isatty.return_value = True
    permit({}, sudo=True)
    assert run.call_args.args[0] == ["sudo", *COMMAND, "--probe"]


def test_the_helper_takes_no_path_outside_of_the_store(tmp_path: Path) -> None:
    """It runs as root, and what it is asked may come from a user."""
    for wrong in ("/etc/passwd", "/nix/store/../../etc", f"{path('one')}/bin", "/nix/store/short"):
        question = {"store_dir": "/nix/store", "paths": [wrong], "targets": {}, "base": str(tmp_path / "base")}
        ended = subprocess.run(
            [*COMMAND], input=json.dumps(question), capture_output=True, text=True, check=False, timeout=30
        )
        assert ended.returncode == 1
        assert ended.stderr.strip() == f"shadow: not a store path: {wrong!r}"
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plugin-files", "/evil.so"),
        ("post-build-hook", "/evil"),
        ("pre-build-hook", "/evil"),
        ("build-hook", "/evil"),
        ("diff-hook", "/evil"),
        ("build-users-group", ""),
        ("include", "/etc/shadow"),
        ("allow-unsafe-native-code-during-evaluation", "true"),
        ("cores", "1\nplugin-files = /evil.so"),
    ],
)
def test_the_helper_passes_no_setting_on_that_runs_a_program(tmp_path: Path, name: str, value: str) -> None:
    options = [*ISOLATION, ("sandbox", "false"), (name, value)]
    base = str(tmp_path / "base")
    question = {"store_dir": "/nix/store", "paths": [], "targets": {}, "args": [], "base": base, "options": options}
    ended = subprocess.run(
        [*COMMAND], input=json.dumps(question), capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (1, f"shadow: not a setting to pass on: {name!r}\n")
    assert not (tmp_path / "base").exists()


def test_every_setting_of_ours_passes_the_helper(tmp_path: Path) -> None:
    machine = Machine(cores=4, libfaketime=Path("/lib/libfaketime.so.1"))
    ours = [
        *ISOLATION,
        *STRICT,
        ("substituters", ""),
        *(option for row in TABLE for option in on_machine(row, machine, tmp_path).options),
    ]
    assert all(passable(name, value) for name, value in ours if name != "post-build-hook")


@pytest.mark.parametrize("operand", ["--option", "/etc/x.drv!out", f"{path('one')}.drv", f"{path('one')}.drv!a b"])
def test_the_helper_takes_no_option_for_an_input(tmp_path: Path, operand: str) -> None:
    question = {"store_dir": "/nix/store", "paths": [], "targets": {}, "args": [], "base": str(tmp_path / "base")}
    words = json.dumps(question | {"realised": [operand]})
    ended = subprocess.run([*COMMAND], input=words, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr.startswith("shadow: not ")
    assert not (tmp_path / "base").exists()


def test_the_helper_leaves_no_files_beside_it(tmp_path: Path) -> None:
    """Root's would stay when the user removes the clone."""
    package = Path(shadow_helper.__file__).parents[2]
    copy = tmp_path / "nix_repro"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    helper = str(copy / "build/rebuild/shadow_helper.py")
    subprocess.run([*COMMAND[:-1], helper, "--probe"], capture_output=True, check=False, timeout=30)
    assert not list(copy.rglob("__pycache__"))


ANYTHING: dict[str, Any] = {"store_dir": "/nix/store", "paths": [], "targets": {}, "args": [], "options": []}


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"targets": {f"{path('one')}.drv": ["--option"]}}, "not a store path: '--option'"),
        ({"targets": {"--option": []}}, "not a store path: '--option'"),
        ({"args": ["--cores", "1", "--option"]}, "not an argument: '--option'"),
        ({"args": ["--cores=1"]}, "not an argument: '--cores=1'"),
        ({"args": ["1\n"]}, "not an argument: '1\\n'"),
    ],
)
def test_the_helper_takes_no_arguments_but_limits(tmp_path: Path, question: dict[str, Any], words: str) -> None:
    asked = json.dumps({**ANYTHING, "base": str(tmp_path / "base"), **question})
    ended = subprocess.run([*COMMAND], input=asked, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stderr.strip()) == (1, f"shadow: {words}")
    assert not (tmp_path / "base").exists()


def test_the_helper_hands_on_only_what_nix_needs_to_know(tmp_path: Path) -> None:
    env = {"LD_PRELOAD": "/evil.so", "PATH": "/evil", "HOME": "/h", "NIX_CONFIG": "cores = 2", "NIX_STATE_DIR": "/s"}
    made = shadow_helper._environment({"env": env}, tmp_path)
    assert made.keys() == {"PATH", "HOME", "USER", "NIX_CONFIG", "NIX_STATE_DIR", "NIX_LOG_DIR"}
    assert "/evil" not in made["PATH"]
    assert (made["NIX_CONFIG"], made["NIX_STATE_DIR"]) == ("cores = 2", str(tmp_path / "state"))


def test_the_helper_keeps_settings_where_only_root_reads_them(tmp_path: Path) -> None:
    said = shadow_helper._private("cores = 2", [("access-tokens", "github.com=s3cret"), ("builders", "")], tmp_path)
    assert said == f"include {tmp_path}/nix.conf"
    assert (tmp_path / "nix.conf").read_text() == "cores = 2\naccess-tokens = github.com=s3cret\nbuilders = \n"
    assert stat.S_IMODE((tmp_path / "nix.conf").stat().st_mode) == 0o600


def test_the_helper_asks_for_hashes_one_by_one_when_one_of_them_is_not_registered() -> None:
    known = {"/s/a": f"sha256:{'a' * 52}", "/s/b": f"sha256:{'b' * 52}"}

    def ask(_: str, dashes: str, *paths: str) -> list[str]:
        assert dashes == "--"
        return [known[path] for path in paths] if known.keys() >= set(paths) else []

    assert shadow_helper._digests(ask, ["/s/a", "/s/b"]) == known
    assert shadow_helper._digests(ask, ["/s/a", "/s/broken"]) == {"/s/a": known["/s/a"]}
    assert shadow_helper._digests(ask, []) == {}
