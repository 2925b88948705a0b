"""Which files differ: in the checkout since a revision, and between two sources."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nix_repro.plan import changed
from nix_repro.plan.changed import changed_files, differing_files

DIGESTS = "0" * 32, "1" * 32


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit with three files, of which two are changed and one is removed; another is not tracked."""

    def git(*args: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *args], check=True, capture_output=True)

    git("init", "--quiet")
    for name in ("flake.nix", "sub/flake.nix", "sub/a name", "subject", "same"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    git("add", ".")
    git("commit", "-m", "one")
    for name in ("flake.nix", "sub/a name", "sub/untracked"):
        (tmp_path / name).write_text("new")
    (tmp_path / "subject").unlink()
    return tmp_path


def test_files_as_the_flake_s_directory_has_them(repository: Path) -> None:
    assert changed_files(repository, "HEAD", ".") == frozenset({"flake.nix", "sub/a name", "subject"})
    assert changed_files(repository, "HEAD", "sub") == frozenset({"a name"})


def test_of_a_revision_that_is_not_there_nothing_is_known(repository: Path) -> None:
    assert changed_files(repository, "0" * 40, ".") is None


def sources(where: Path, old: dict[str, str | None], new: dict[str, str | None]) -> tuple[str, str]:
    """Two sources in the store: by name the text of a file, or `-> TARGET` for a link; None for a program."""
    paths = []
    for digest, files in zip(DIGESTS, (old, new), strict=True):
        top = where / f"{digest}-source"
        top.mkdir()
        for name, text in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None and text.startswith("-> "):
                path.symlink_to(text.removeprefix("-> "))
            else:
                path.write_text(text or "same")
                path.chmod(0o755 if text is None else 0o644)
        paths.append(str(top))
    return paths[0], paths[1]


@pytest.mark.parametrize(
    ("old", "new", "files"),
    [
        ({"a": "1", "b/c": "2"}, {"a": "1", "b/c": "2"}, []),
        ({"a": "1", "b/c": "2"}, {"a": "1", "b/c": "3"}, ["b/c"]),
        ({"b": "1", "a": "1"}, {"c": "1", "a": "1"}, ["b", "c"]),
        ({"run": "same"}, {"run": None}, ["run"]),
        ({"link": "-> one"}, {"link": "-> two"}, ["link"]),
        ({"x": "same"}, {"x": "-> x"}, ["x"]),
        ({"d/link": "-> ../e", "e/f": "1"}, {"d/link": "-> ../e", "e/f": "2"}, ["e/f"]),
        # A link to a directory, and a directory: what is in it is there under its own name too.
        ({"d": "-> e", "e/f": "1"}, {"d/f": "1", "e/f": "1"}, ["d", "d/f"]),
        ({"gone": "-> nowhere"}, {"gone": "-> nowhere"}, []),
    ],
)
def test_files_of_two_sources(
    tmp_path: Path, old: dict[str, str | None], new: dict[str, str | None], files: list[str]
) -> None:
    assert differing_files(*sources(tmp_path, old, new)) == files


def test_a_source_that_is_a_file_differs_as_a_whole(tmp_path: Path) -> None:
    old, new = (tmp_path / f"{digest}-build.sh" for digest in DIGESTS)
    for path in (old, new):
        path.touch()
    assert differing_files(str(old), str(new)) == ["build.sh"]


def test_nobody_can_tell_when_a_source_is_gone_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = sources(tmp_path, {"a": "1", "b": "2"}, {"a": "1"})
    assert differing_files(old, None) is None
    assert differing_files(None, new) is None
    assert differing_files(old, f"{new}.gone") is None
    monkeypatch.setattr(changed, "_FILES", 1)
    assert differing_files(old, new) is None


def test_a_name_that_is_no_text_is_told_as_text(tmp_path: Path) -> None:
    old, new = sources(tmp_path, {}, {})
    with open(os.fsencode(new) + b"/caf\xe9", "wb"):
        pass
    assert differing_files(old, new) == ["caf\ufffd"]
