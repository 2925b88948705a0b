"""What is locked is what is declared, for every machine, and from no place in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(match[0]) for each in requirements if (match := re.match(r"[\w.-]+", each))}


def locked(file: str) -> dict[str, list[tuple[str, int]]]:
    """Version and number of hashes by name; more than one where platforms differ."""
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text().strip())
    pinned: dict[str, list[tuple[str, int]]] = {}
    for entry in entries:
        match = re.match(r"([\w.-]+)==(\S+)", entry)
        assert match, f"not pinned: {entry.splitlines()[0]}"
        pinned.setdefault(normal(match[1]), []).append((match[2], entry.count("--hash=sha256:")))
    return pinned


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_has_a_hash_for_everything_and_no_addresses(file: str) -> None:
    assert "://" not in (ROOT / file).read_text()
    assert not re.search(r"^\s*--(?!hash=sha256:)", (ROOT / file).read_text(), re.MULTILINE)
    # One hash alone would be a single file: a wheel for one machine only, or no wheel at all for what is compiled.
    assert all(hashes >= 2 for pins in locked(file).values() for _, hashes in pins), locked(file)


def test_the_locks_cover_what_is_declared_and_agree() -> None:
    runtime, development = locked("requirements.lock"), locked("requirements-dev.lock")
    assert declared(PROJECT["project"]["dependencies"]) <= runtime.keys()
    assert declared(PROJECT["dependency-groups"]["dev"]) <= development.keys()
    assert runtime == {name: pin for name, pin in development.items() if name in runtime}


def test_what_a_wheel_takes_along_is_there() -> None:
    for source in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]:
        assert (ROOT / source).is_dir(), source
    assert (ROOT / PROJECT["project"]["readme"]).is_file()
