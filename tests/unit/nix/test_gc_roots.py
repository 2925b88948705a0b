"""What a garbage collection would keep: links to the store, and everything that can be reached from there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.gc_roots import live, roots

STORE = "/nix/store"


def path(name: str) -> str:
    return f"{STORE}/{name[0] * 32}-{name}"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for directory in ("gcroots/auto", "profiles/per-user/ann"):
        (tmp_path / "state" / directory).mkdir(parents=True)
    return tmp_path / "state"


def test_links_to_the_store_are_roots_wherever_they_lie(state: Path) -> None:
    (state / "gcroots/direct").symlink_to(path("app"))
    (state / "profiles/per-user/ann/profile-1-link").symlink_to(path("profile"))
    (state / "gcroots/inside").symlink_to(f"{path('tool')}/bin/tool")
    assert roots(state, STORE) == {path("app"), path("profile"), path("tool")}


def test_a_result_is_a_root_while_it_is_there(state: Path, tmp_path: Path) -> None:
    result = tmp_path / "work" / "result"
    (state / "gcroots/auto/x").symlink_to(result)
    assert roots(state, STORE) == set(), "its directory is away, as on a disk that is not mounted"
    result.parent.mkdir()
    result.symlink_to(path("app"))
    assert roots(state, STORE) == {path("app")}
    assert os.readlink(state / "gcroots/auto/x") == str(result), "looking at it has not removed it"


def test_a_profile_leads_to_its_generation(state: Path) -> None:
    (state / "profiles/default").symlink_to("default-3-link")
    (state / "profiles/default-3-link").symlink_to(path("profile"))
    assert roots(state, STORE) == {path("profile")}


def test_what_leads_elsewhere_is_no_root(state: Path, tmp_path: Path) -> None:
    (state / "gcroots/circle").symlink_to("circle")
    (state / "gcroots/home").symlink_to(tmp_path)
    (state / "gcroots/store").symlink_to(STORE)
    (state / "gcroots/like").symlink_to(f"{STORE}-old/{'0' * 32}-x")
    (state / "gcroots/file").write_text(path("app"))
    assert roots(state, STORE) == set()
    assert roots(tmp_path / "nowhere", STORE) == set()


def info(name: str, *references: str, deriver: str | None = None) -> PathInfo:
    return PathInfo(path(name), references=tuple(map(path, references)), deriver=deriver and path(deriver))


INFOS = {
    row.path: row
    for row in (
        info("app", "libc", "app", deriver="1-app.drv"),
        info("libc", deriver="2-libc.drv"),
        info("1-app.drv", "2-libc.drv", "source"),
        info("2-libc.drv"),
        info("source"),
        info("docs", deriver="1-app.drv"),
        info("junk", "libc"),
    )
}


@pytest.mark.parametrize(
    ("derivations", "outputs", "start", "kept"),
    [
        (False, False, ["app"], ["app", "libc"]),
        (True, False, ["app"], ["app", "libc", "1-app.drv", "2-libc.drv", "source"]),
        (False, True, ["1-app.drv"], ["1-app.drv", "2-libc.drv", "source", "app", "libc", "docs"]),
        (False, True, ["app"], ["app", "libc"]),
        (True, True, ["docs"], ["docs", "1-app.drv", "2-libc.drv", "source", "app", "libc"]),
        (True, True, [], []),
        (False, False, ["nowhere"], []),
    ],
)
def test_what_is_kept(derivations: bool, outputs: bool, start: list[str], kept: list[str]) -> None:
    found = live(INFOS, map(path, start), keep_derivations=derivations, keep_outputs=outputs)
    assert found == set(map(path, kept))
