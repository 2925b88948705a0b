"""The verified cache as a directory: what is made of one that somebody has changed."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from nix_repro.nix.caches.verified import Unusable, VerifiedCache
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.hashes import nix32
from nix_repro.nix.store_path import StorePath

DIGEST = "a" * 32
APP = f"/nix/store/{DIGEST}-app"
LIB = f"/nix/store/{'b' * 32}-lib"
FOREIGN = f"/nix/store/{'c' * 32}-glibc"
CONTENT = b"an archive"
ARCHIVE = nix32(f"sha256-{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}").removeprefix("sha256:")
KEY = f"k-1:{base64.b64encode(bytes(64)).decode()}"


class Pretend:
    """A Nix that says of every cache what it is told to. To a cache it copies paths in which there is the same, in the
    order that is kept in `copied`, and only if the cache has what they refer to."""

    says: Exception | None = None

    def __init__(self) -> None:
        self.copied: list[str] = []

    def store_dir(self) -> str:
        return "/nix/store"

    def with_options(self, options: list[tuple[str, str]]) -> Pretend:
        [(name, key)] = options
        assert (name, key[:4]) == ("trusted-public-keys", "k-1:")
        return self

    def run(self, *command: str, paths: Iterable[str] = ()) -> str:
        if command[:3] == ("nix", "key", "generate-secret"):
            return KEY
        if command[:2] == ("nix", "copy"):
            staging = Path(urlsplit(command[-1]).path)
            (staging / "nar").mkdir()
            (staging / "nar" / f"{ARCHIVE}.nar.zst").write_bytes(CONTENT)
            for path in paths:
                below = [LIB] if path == APP else [FOREIGN]
                assert all((staging / f"{StorePath.of(one).digest}.narinfo").exists() for one in below), path
                (staging / f"{StorePath.of(path).digest}.narinfo").write_text(narinfo(path, os.path.basename(below[0])))
                self.copied.append(path)
            return ""
        assert command[:3] == ("nix", "store", "verify")
        if self.says is not None:
            raise self.says
        return ""


def open_cache(directory: Path, says: Exception | None = None) -> VerifiedCache:
    nix = Pretend()
    nix.says = says
    return VerifiedCache(directory, cast("Nix", nix))


def narinfo(path: str, references: str = "") -> str:
    return (
        f"StorePath: {path}\nURL: nar/{ARCHIVE}.nar.zst\nFileSize: {len(CONTENT)}\n"
        f"NarHash: sha256:{'0' * 52}\nNarSize: 1\nReferences: {references}\n"
    )


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A cache with two paths, one of which refers to the other, with one archive."""
    cache = tmp_path / "nix-repro-verified" / "cache"
    (cache / "nar").mkdir(parents=True)
    (cache.parent / "secret-key").write_text(KEY)
    (cache / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    (cache / f"{DIGEST}.narinfo").write_text(narinfo(APP, os.path.basename(LIB)))
    (cache / f"{'b' * 32}.narinfo").write_text(narinfo(LIB))
    (cache / "nar" / f"{ARCHIVE}.nar.zst").write_bytes(CONTENT)
    return tmp_path


def test_one_that_is_as_it_was_made(kept: Path) -> None:
    cache = open_cache(kept)
    cache.load()
    assert set(cache.held) == {APP, LIB}
    assert cache.key == f"k-1:{base64.b64encode(bytes(32)).decode()}"
    assert cache.url == f"file://{kept}/nix-repro-verified/cache"


def test_what_another_run_has_put_in_meanwhile_stays(tmp_path: Path) -> None:
    ours, theirs = open_cache(tmp_path / "c"), open_cache(tmp_path / "c")
    ours.load()
    theirs.load()
    theirs.add({APP: PathInfo(APP, references=(LIB,)), LIB: PathInfo(LIB, references=(FOREIGN,))})
    ours.refresh()
    assert (set(ours.held), ours.key, ours.sound) == ({APP, LIB}, theirs.key, True)
    before = ours.held
    ours.refresh()
    assert ours.held is before, "nothing has changed since"
    theirs.remove([APP])
    ours.refresh()
    assert set(ours.held) == {LIB}
    theirs.clear()
    ours.refresh()
    assert (ours.held, ours.key, ours.sound) == ({}, "", True)


def test_none_is_empty(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "nowhere")
    cache.load()
    assert (cache.held, cache.key) == ({}, "")


def link(path: Path) -> None:
    """The same file, by way of a link to somewhere else."""
    aside = path.rename(path.with_name("aside"))
    path.symlink_to(aside)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def flipped(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:3] + b"#" + content[4:])


HOME = "nix-repro-verified"
NAR = f"{HOME}/cache/nar/{ARCHIVE}.nar.zst"
INFO = f"{HOME}/cache/{DIGEST}.narinfo"


@pytest.mark.parametrize(
    ("what", "how", "because"),
    [
        (NAR, flipped, "is damaged"),
        (NAR, lambda path: path.write_bytes(CONTENT[:4]), "not all of it"),
        (NAR, lambda path: path.write_bytes(b""), "not all of it"),
        (NAR, Path.unlink, "is not there"),
        (NAR, link, "is not there"),
        (INFO, lambda path: path.write_text(""), f"{DIGEST}.narinfo: it describes another path"),
        (INFO, lambda path: path.write_bytes(b"\xff\x00" * 50), f"{DIGEST}.narinfo: it describes another path"),
        (INFO, lambda path: path.write_text(path.read_text()[:90]), "it does not say"),
        (INFO, lambda path: path.rename(path.with_name(f"{'c' * 32}.narinfo")), "it describes another path"),
        (INFO, lambda path: path.write_bytes(bytes(5 << 20)), "more than"),
        (INFO, link, "a symbolic link is not followed"),
        (INFO, fifo, "is not a regular file"),
        (f"{HOME}/secret-key", Path.unlink, "No such file"),
        (f"{HOME}/secret-key", lambda path: path.write_text("not a key"), "key"),
        (f"{HOME}/cache/nix-cache-info", lambda path: path.write_text("StoreDir: /gnu/store\n"), "another store"),
        (f"{HOME}/cache/nix-cache-info", Path.unlink, "No such file"),
        (HOME, lambda path: (path.rename(path.with_name("x")), path.write_text("a file")), "ot a directory"),
        (f"{HOME}/cache", lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), "a symbolic link"),
    ],
)
def test_one_that_somebody_has_changed_is_believed_nothing(
    kept: Path, what: str, how: Callable[[Path], Any], because: str
) -> None:
    how(kept / what)
    cache = open_cache(kept)
    with pytest.raises(Unusable, match=because):
        cache.load()
    assert cache.held == {}
    cache.clear()
    assert list(kept.glob(HOME)) == []
    cache.load()


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ("path '/nix/store/x' is untrusted\nerror: 1 paths are untrusted", "not all of it is signed by its own key"),
        ("warning: no\nerror: something else", "something else"),
    ],
)
def test_what_nix_finds_wrong_is_said_in_one_line(kept: Path, said: str, because: str) -> None:
    with pytest.raises(Unusable) as raised:
        open_cache(kept, NixError(said)).load()
    assert str(raised.value) == because


def test_a_directory_that_no_setting_can_name(tmp_path: Path) -> None:
    for name in ("a b", "a#b", "a?b", "ä"):
        with pytest.raises(Unusable, match="no setting of Nix"):
            open_cache(tmp_path / name)


def test_a_path_goes_with_what_refers_to_it_and_an_archive_with_its_last_path(kept: Path) -> None:
    cache = open_cache(kept)
    cache.load()
    assert cache.remove({"/nix/store/not-in-it"}) == set()
    assert cache.remove({APP}) == {APP}
    assert (kept / NAR).exists(), "another path has the same content"
    assert cache.remove({LIB}) == {LIB}
    assert not (kept / NAR).exists()
    cache.load()
    assert cache.held == {}


def test_paths_are_put_in_without_what_they_refer_to(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "new")
    cache.load()
    staging = tmp_path / "new" / HOME / "staging"
    staging.mkdir(parents=True)
    (staging / "left by a run that was killed").touch()
    cache.add({APP: PathInfo(APP, references=(LIB, APP)), LIB: PathInfo(LIB, references=(FOREIGN,))})
    assert cast("Any", cache)._nix.copied == [LIB, APP], "in whatever order they are given"
    held, key = cache.held.copy(), cache.key
    assert set(held) == {APP, LIB}
    assert not staging.exists()
    assert (tmp_path / "new" / HOME / "secret-key").stat().st_mode & 0o777 == 0o600
    cache.load()
    assert (set(cache.held), cache.key, cache.sound) == (set(held), key, True), "and nothing seems to be there"
    cache.add({})


def test_what_was_of_use_is_remembered_where_the_cache_is_kept(kept: Path) -> None:
    for path in (kept / HOME / "cache").glob("*.narinfo"):
        os.utime(path, (1000, 1000))
    cache = open_cache(kept)
    cache.load()
    assert {one.needed for one in cache.held.values()} == {1000.0}
    cache.needed([LIB])
    cache.load()
    assert cache.held[APP].needed == 1000.0
    assert cache.held[LIB].needed > 1000.0
