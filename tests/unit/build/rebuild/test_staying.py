"""What has to stay in the store while a shadow takes its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild import shadow_helper
from nix_repro.build.rebuild.shadow import COMMAND, Shadow
from nix_repro.build.rebuild.staying import staying
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.processes import Processes
from nix_repro.reasons import IN_USE
from rebuilds import derivation, path, request


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with Nix and coreutils of one program each, and a profile whose links lead there."""
    directory = tmp_path / "store"
    profile = directory / f"{'p' * 32}-profile/bin"
    profile.mkdir(parents=True)
    for name, program, names in (("n", "nix", ["nix-store"]), ("c", "coreutils", ["cp", "rm", "chmod"])):
        place = directory / f"{name * 32}-{program}/bin"
        place.mkdir(parents=True)
        (place / program).write_text("#!/bin/sh\n")
        (place / program).chmod(0o755)
        for link in names:
            (place / link).symlink_to(program)
            (profile / link).symlink_to(place / link)
    (profile / "nix").symlink_to(directory / f"{'n' * 32}-nix/bin/nix")
    (tmp_path / "default").symlink_to(profile.parent)
    return directory


@pytest.fixture
def nix(store: Path, mocker: MockerFixture) -> Mock:
    """A Nix found through the profile; a closure is the paths themselves."""
    mocker.patch("nix_repro.build.rebuild.staying._SYSTEM", ())
    profile = store.parent / "default/bin"
    nix: Mock = mocker.Mock(binary=profile / "nix", env={"PATH": str(profile)})
    nix.store_dir.return_value = str(store)
    nix.settings.return_value = {}
    nix.requisites.side_effect = list
    nix.invalid.return_value = set()
    return nix


def names(paths: tuple[str, ...]) -> list[str]:
    return [Path(path).name[33:] for path in paths]


def test_programs_are_followed_through_profiles_to_where_they_are(nix: Mock, store: Path) -> None:
    found = staying(nix, "/usr/bin/python3", ())
    assert found.programs == {
        "nix-store": str(store / f"{'n' * 32}-nix/bin/nix"),
        **dict.fromkeys(("cp", "rm", "chmod"), str(store / f"{'c' * 32}-coreutils/bin/coreutils")),
    }
    assert names(found.paths) == ["nix", "coreutils"], "the profile, with all that it has, is not needed"


def test_nothing_stays_of_what_the_system_has(nix: Mock, mocker: MockerFixture) -> None:
    nix.store_dir.return_value = "/elsewhere"
    assert (staying(nix, "/usr/bin/python3", ()).programs, staying(nix, "/usr/bin/python3", ()).paths) == ({}, ())
    nix.requisites.assert_not_called()


def test_the_python_that_runs_the_helper_stays(nix: Mock, store: Path) -> None:
    assert "python3" in names(staying(nix, f"{store}/{'y' * 32}-python3/bin/python3", ()).paths)


@pytest.mark.parametrize("shape", [str, lambda text: [text, "/usr"], lambda text: {"/bin/sh": {"source": text[8:]}}])
def test_what_every_sandbox_has_stays_whatever_the_settings_shape(nix: Mock, store: Path, shape: object) -> None:
    shell = store / f"{'b' * 32}-busybox"
    shell.mkdir()
    assert callable(shape)
    nix.settings.return_value = {"sandbox-paths": shape(f"/bin/sh={shell}/bin/busybox"), "cores": 2}
    clock = store / f"{'f' * 32}-faketime"
    clock.mkdir()
    options = [("extra-sandbox-paths", f"/x={clock}/lib"), ("cores", f"{store}/{'z' * 32}-no-path")]
    assert names(staying(nix, "/usr/bin/python3", options).paths)[2:] == ["busybox", "faketime"]


def test_what_nix_does_not_know_is_no_reason_to_rebuild_nothing(nix: Mock, store: Path) -> None:
    shell = store / f"{'b' * 32}-busybox"
    shell.mkdir()
    nix.settings.return_value = {"sandbox-paths": [f"/bin/sh={shell}"]}
    nix.invalid.return_value = {str(shell)}
    assert names(staying(nix, "/usr/bin/python3", ()).paths) == ["nix", "coreutils"]


def test_what_is_in_use_is_not_rebuilt_and_says_so(nix: Mock, tmp_path: Path, mocker: MockerFixture) -> None:
    """Its place is taken, and a rebuild that fails for that would be blamed on its builder."""
    mocker.patch("nix_repro.build.rebuild.shadow.COMMAND", (f"{path('python3')}/bin/python3",))
    nix.store_dir.return_value = "/nix/store"
    nix.requisites.side_effect = lambda paths: [*paths, path("glibc")]
    nix.processes = Mock(Processes)
    (attempt,) = Shadow(nix).rebuild(request(derivation("glibc"), keep=tmp_path), Recorder()).attempts
    assert (attempt.status, attempt.because) == ("not-built", IN_USE)
    nix.processes.lines.assert_not_called()


def test_the_helper_starts_them_by_their_own_names(store: Path, tmp_path: Path, mocker: MockerFixture) -> None:
    environ = mocker.patch.dict(os.environ, {"PATH": "/usr/bin"})
    program = str(store / f"{'n' * 32}-nix/bin/nix")
    env = {"PATH": "/bin"}
    asked = {"programs": {"nix-store": program}, "nix_store": "/gone/nix-store"}
    assert shadow_helper._linked(asked, tmp_path, env) == f"{tmp_path}/bin/nix-store"
    assert os.readlink(tmp_path / "bin/nix-store") == program
    assert (env["PATH"], environ["PATH"]) == (f"{tmp_path}/bin:/bin", f"{tmp_path}/bin:/usr/bin")


@pytest.mark.parametrize(
    "programs",
    [
        {"sh": "/nix/store/x-bash/bin/sh"},
        {"cp": "/home/user/cp"},
        {"cp": "/nix/store/../../home/user/cp"},
        {"cp": "/nix/storehouse/cp"},
    ],
)
def test_the_helper_starts_no_program_from_outside_of_the_store(tmp_path: Path, programs: dict[str, str]) -> None:
    question = {"store_dir": "/nix/store", "paths": [], "targets": {}, "base": str(tmp_path / "base")}
    done = Processes().communicate([*COMMAND], env={}, stdin=json.dumps(question | {"programs": programs}).encode())
    assert (done.returncode, done.stderr.startswith(b"shadow: not a program in the store: ")) == (1, True)
    assert not (tmp_path / "base").exists()
