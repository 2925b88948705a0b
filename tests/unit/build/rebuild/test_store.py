"""Building in another store: what goes there, and what must not have been there before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.store import Store, left_over
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import Derivation, PathInfo
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt
from nix_repro.reasons import ALREADY_THERE, OTHER_INPUT
from rebuilds import Log, derivation, path, request, sri

ONE = derivation("one", outputs=("out", "doc"))
URL = "ssh-ng://builder"


def test_what_was_there_before_is_not_built_again() -> None:
    paths = {"/a.drv": {"out": "/s/a", "doc": "/s/a-doc"}, "/b.drv": {"out": "/s/b"}}
    assert left_over(paths, {"/s/a-doc", "/s/else"}) == {"/a.drv": ALREADY_THERE}
    assert left_over(paths, set()) == {}


class Two:
    """This Nix, and the same on the other store: contents by path. `copied` are the copies, each with what it is about.
    A build there makes `built`."""

    def __init__(self, mocker: MockerFixture, target: Derivation = ONE) -> None:
        self.target = target
        self.valid_here: dict[str, str] = {}
        self.valid_there: dict[str, str] = {}
        self.built = {path(name): sri("A") for name in ("one", "one-doc")}
        self.references: dict[str, tuple[str, ...]] = {}
        self.copied: list[tuple[bool, list[str]]] = []
        self.here, self.there = mocker.Mock(), mocker.Mock()
        self.here.with_store.return_value = self.there
        self.there.with_options.return_value = self.there
        for nix in (self.here, self.there):
            nix.meanwhile.return_value = nix
        self.here.settings.return_value = {}
        self.here.derivations.return_value = {}
        self.here.requisites.side_effect = lambda paths: list(dict.fromkeys([*self.valid_here, *paths]))
        self.here.path_info.side_effect = lambda paths: {
            p: PathInfo(p, references=self.references.get(p, ())) for p in paths
        }
        self.here.processes.shielded.return_value = mocker.MagicMock()
        self.here.processes.stopped.return_value = False
        self.here.run.side_effect = self.copy
        self.here.stream.return_value.stdout = b""
        for nix, valid in ((self.here, "valid_here"), (self.there, "valid_there")):
            nix.valid_hashes.side_effect = lambda paths, valid=valid: {
                p: getattr(self, valid)[p] for p in paths if p in getattr(self, valid)
            }
        self.there.invalid.side_effect = lambda paths: {*paths} - self.valid_there.keys()
        self.there.requisites.side_effect = list
        self.there.run.return_value = ""
        self.there.delete.side_effect = self.delete
        self.there.stream.side_effect = self.build

    def copy(self, _: str, what: str, *args: str, paths: Iterable[str]) -> str:
        if what == "copy":
            self.copied.append(("--derivation" in args, list(paths)))
            for p in self.copied[-1][1]:
                self.valid_there.setdefault(p, self.valid_here.get(p, "drv"))
        return ""

    def delete(self, paths: Iterable[str]) -> None:
        for p in paths:
            self.valid_there.pop(p, None)

    def build(self, feed: object, *_: str, paths: object) -> CompletedProcess[bytes]:
        assert paths == [self.target.drv_path]
        log = Log()
        log.recorder.feed = feed  # type: ignore[method-assign, assignment]
        log.build(self.target)
        self.valid_there |= self.built
        return CompletedProcess([], 0)

    def rebuild(self, *others: Derivation, isolated: bool = False) -> Attempt:
        (attempt,) = (
            Store(self.here, URL, pytest.fail)
            .rebuild(request(self.target, others=others, isolated=isolated), Recorder())
            .attempts
        )
        return attempt


@pytest.fixture
def two(mocker: MockerFixture) -> Two:
    return Two(mocker)


def test_derivations_and_inputs_are_copied_and_nothing_is_fetched_for_it(two: Two) -> None:
    """To `nix copy`, a source file among derivations has no known deriver."""
    source, made = path("source"), path("in")
    two.valid_here = {source: sri("S"), made: sri("I")}
    two.references = {ONE.drv_path: (source,)}
    assert two.rebuild().status == "built"
    assert two.copied == [(False, [source, made]), (True, [ONE.drv_path])]
    for call in two.here.run.call_args_list:
        assert call.args[:4] == ("nix", "copy", "--to", URL)
        assert "--no-recursive" in call.args
        assert call.args[call.args.index("--option") :][:3] == ("--option", "substitute", "false")


def test_what_an_earlier_round_left_is_deleted_first(two: Two) -> None:
    two.valid_there = {path("one"): sri("A")}
    attempt = two.rebuild()
    assert list(two.there.delete.call_args.args[0]) == [path("one")]
    assert (attempt.status, attempt.outputs["doc"].origin) == ("built", f"round 2, {URL}")


@pytest.mark.parametrize("words", ["alive", f"Cannot delete path '{path('one-doc')}' since it is still alive"])
def test_what_cannot_be_deleted_there_is_no_evidence(two: Two, words: str) -> None:
    two.valid_there = {path("one-doc"): sri("A")}
    two.there.delete.side_effect = NixError(words)
    attempt = two.rebuild()
    assert (attempt.status, attempt.because) == ("not-built", ALREADY_THERE)


BELOW = derivation("below")


def above(two: Two) -> Attempt:
    """ONE alone, on the first build of BELOW."""
    two.target = derivation("one", {"below": ("out",)}, outputs=("out", "doc"))
    two.here.stream.return_value.stdout = path("below").encode()
    return two.rebuild(BELOW, isolated=True)


def test_the_rebuild_of_an_input_gives_way_to_the_first_build(two: Two) -> None:
    two.valid_here = {path("below"): sri("A")}
    two.valid_there = {path("below"): sri("B")}
    assert above(two).status == "built"
    assert two.valid_there[path("below")] == sri("A")


def test_a_rebuild_on_another_content_says_nothing(two: Two) -> None:
    """The other store cannot let go of it, or another run has built it there meanwhile."""
    two.valid_here = {path("below"): sri("A")}
    two.built = {**two.built, path("below"): sri("B")}
    attempt = above(two)
    assert (attempt.status, attempt.because) == ("not-built", OTHER_INPUT)


def test_what_differs_is_fetched_as_a_plain_tree(two: Two, tmp_path: Path) -> None:
    two.built = {path("one"): sri("A"), path("one-doc"): sri("B")}
    two.there.run_to.side_effect = lambda file, *_, paths: file.write(f"NAR of {paths[0]}".encode())
    two.here.run_from.side_effect = lambda file, *_: read.append(file.read())
    read: list[bytes] = []
    asked = request(ONE, keep=tmp_path)
    here, there = two.here, two.there
    ((key, tree),) = Store(here, URL, pytest.fail).rebuild(asked, Recorder()).trees.items()
    kept = tmp_path / "round-2" / Path(path("one-doc")).name
    assert (key, tree.a, tree.b) == ((ONE.drv_path, "doc"), Path(path("one-doc")), kept)
    assert read == [b"NAR of " + path("one-doc").encode()]
    assert there.run_to.call_args.args[1:] == ("nix", "store", "dump-path")
    assert here.run_from.call_args.args[1:] == ("nix-store", "--restore", str(kept))
    assert list(kept.parent.iterdir()) == [], "the packed form is not kept"
