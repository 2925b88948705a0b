"""Building in another store: what goes there, and what must not have been there before."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import Mock

from pytest_mock import MockerFixture

from nix_repro.build.rebuild.store import Store, copies, left_over
from nix_repro.nix.command import NixError
from nix_repro.nix.log.recorder import Recorder
from nix_repro.reasons import ALREADY_THERE
from rebuilds import Log, derivation, path, request, sri

ONE = derivation("one", outputs=("out", "doc"))
URL = "ssh-ng://builder"


def test_derivations_and_inputs_are_copied_and_nothing_is_fetched_for_it() -> None:
    (drvs, drv_paths), (inputs, paths) = copies(URL, ["/s/a.drv", "/s/b.drv"], ["/s/in"])
    assert drvs[:3] == inputs[:3] == ("copy", "--to", URL)
    assert (drvs[-1], drv_paths) == ("--derivation", ["/s/a.drv", "/s/b.drv"])
    assert paths == ["/s/in"]
    for command in (drvs, inputs):
        assert "--no-recursive" in command
        assert command[command.index("--option") :][:3] == ("--option", "substitute", "false")


def test_nothing_is_copied_for_a_build_without_inputs() -> None:
    assert len(copies(URL, ["/s/a.drv"], [])) == 1


def test_what_was_there_before_is_not_built_again() -> None:
    paths = {"/a.drv": {"out": "/s/a", "doc": "/s/a-doc"}, "/b.drv": {"out": "/s/b"}}
    assert left_over(paths, {"/s/a-doc", "/s/else"}) == {"/a.drv": ALREADY_THERE}
    assert left_over(paths, set()) == {}


def here_and_there(mocker: MockerFixture, present: set[str]) -> tuple[Mock, Mock]:
    """This Nix, and the same on the other store, where these paths are present until they are deleted."""
    here, there = mocker.Mock(), mocker.Mock()
    here.with_store.return_value = there
    there.with_options.return_value = there
    here.requisites.side_effect = list
    here.processes.shielded.return_value = mocker.MagicMock()
    here.processes.stopped.return_value = False
    there.invalid.side_effect = lambda paths: set(paths) - present
    there.valid_hashes.side_effect = lambda paths: dict.fromkeys(paths, sri("A"))

    def build(feed: object, *_: str, paths: object) -> CompletedProcess[bytes]:
        assert paths == [ONE.drv_path]
        log = Log()
        log.recorder.feed = feed  # type: ignore[method-assign, assignment]
        log.build(ONE)
        return CompletedProcess([], 0)

    there.stream.side_effect = build
    return here, there


def test_what_an_earlier_round_left_is_deleted_first(mocker: MockerFixture) -> None:
    present = {path("one")}
    here, there = here_and_there(mocker, present)
    there.delete.side_effect = lambda _: present.clear()
    (attempt,) = Store(here, URL).rebuild(request(ONE), Recorder()).attempts
    there.delete.assert_called_once_with({path("one")})
    assert (attempt.status, attempt.outputs["doc"].origin) == ("built", f"round 2, {URL}")


def test_what_cannot_be_deleted_there_is_no_evidence(mocker: MockerFixture) -> None:
    here, there = here_and_there(mocker, {path("one-doc")})
    there.delete.side_effect = NixError("alive")
    (attempt,) = Store(here, URL).rebuild(request(ONE), Recorder()).attempts
    assert (attempt.status, attempt.because) == ("not-built", ALREADY_THERE)


def test_what_differs_is_fetched_as_a_plain_tree(mocker: MockerFixture, tmp_path: Path) -> None:
    here, there = here_and_there(mocker, set())
    there.valid_hashes.side_effect = lambda _: {path("one"): sri("A"), path("one-doc"): sri("B")}
    there.run_to.side_effect = lambda file, *_, paths: file.write(b"NAR of " + paths[0].encode())
    here.run_from.side_effect = lambda file, *_: read.append(file.read())
    read: list[bytes] = []
    asked = request(ONE, keep=tmp_path)
    ((key, tree),) = Store(here, URL).rebuild(asked, Recorder()).trees.items()
    kept = tmp_path / "round-2" / Path(path("one-doc")).name
    assert (key, tree.a, tree.b) == ((ONE.drv_path, "doc"), Path(path("one-doc")), kept)
    assert read == [b"NAR of " + path("one-doc").encode()]
    assert there.run_to.call_args.args[1:] == ("nix", "store", "dump-path")
    assert here.run_from.call_args.args[1:] == ("nix-store", "--restore", str(kept))
    assert list(kept.parent.iterdir()) == [], "the packed form is not kept"
