"""What is locked is what is declared, for every machine, and from no place in particular."""

from __future__ import annotations

import base64
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
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source in (*wheel["force-include"], *wheel["shared-data"]):
        assert (ROOT / source).is_dir(), source
    assert (ROOT / PROJECT["project"]["readme"]).is_file()


def test_the_package_of_nix_is_made_of_what_is_declared_and_locked() -> None:
    package = (ROOT / "nix/package.nix").read_text()
    named = re.findall(r"dependencies = with python3Packages; \[(.*?)\]", package, re.DOTALL)[-1].split()
    assert set(named) == declared(PROJECT["project"]["dependencies"])
    (version,) = re.findall(r'version = "(.*?)";', package)
    (digest,) = re.findall(r'hash = "sha256-(.*?)"', package)
    assert locked("requirements.lock")["actions-toolkit"][0][0] == version
    assert f"--hash=sha256:{base64.b64decode(digest).hex()}" in (ROOT / "requirements.lock").read_text()


def test_the_package_of_nix_has_the_files_of_the_wheel() -> None:
    (files,) = re.findall(r"unions \[(.*?)\]", (ROOT / "nix/package.nix").read_text())
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {*wheel["packages"], *wheel["force-include"], *wheel["shared-data"]}
    assert {"pyproject.toml", "LICENSE", *(path.removesuffix("/nix_repro") for path in wanted)} == {
        path.removeprefix("../") for path in files.split()
    }
