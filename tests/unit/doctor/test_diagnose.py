"""Which checks are made when, and which of them a run repeats."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from pytest_mock import MockerFixture

from nix_repro.doctor.diagnose import diagnose, urgent
from nix_repro.nix.command import Nix
from nix_repro.nix.series import release


@pytest.fixture
def nix(mocker: MockerFixture, tmp_path: Path) -> Any:
    """An installation with everything against it: no features, no daemon, no jobs."""
    found = mocker.create_autospec(Nix, instance=True)
    found.binary = Path("/usr/bin/nix")
    found.env = {"NIX_STATE_DIR": str(tmp_path)}
    found.processes = mocker.Mock()
    found.processes.communicate.return_value = CompletedProcess([], 0, b"experimental-features =\n", b"")
    found.release.return_value = release("nix (Nix) 2.26.3")
    found.store_dir.return_value = "/nowhere/store"
    found.settings.return_value = {"max-jobs": 0, "sandbox": False, "build-dir": "/nowhere"}
    found.trusted.return_value = False
    found.path_info.return_value = {}
    return found


def test_a_run_repeats_the_problems_that_are_not_its_own(nix: Any, tmp_path: Path) -> None:
    """It switches features on for itself, and says by itself when nothing can be built; notes are for who asks."""
    problems = {row.check for row in diagnose(nix, {}, tmp_path, ["."]) if row.state == "problem"}
    assert {"features", "daemon", "jobs"} <= problems
    (line,) = urgent(nix, {}, tmp_path)
    assert line.startswith("jobs: max-jobs 0, ")
    assert line.endswith(". To do: max-jobs = auto: with 0 nothing is built here")


def test_magic_nix_cache_is_asked_after_in_ci_only(nix: Any, tmp_path: Path) -> None:
    def checks(environ: dict[str, str]) -> set[str]:
        return {row.check for row in diagnose(nix, environ, tmp_path, ["."])}

    assert checks({"CI": "true"}) - checks({}) == {"Magic Nix Cache"}
    assert {"nix", "substituters", "store size", "installables"} <= checks({})
