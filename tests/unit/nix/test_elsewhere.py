"""Lines to copy: safe in a shell, with what the run was about, and with where the program is to be had."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from nix_repro.nix.elsewhere import ARTIFACT, elsewhere, reproduce_line
from nix_repro.report import Elsewhere

JOB = {"GITHUB_ACTION_PATH": "/home/runner/work/_actions/acme/nix-repro-action/v1", "GITHUB_REPOSITORY": "octo/flake"}
STORED = {ARTIFACT: "nix-repro-check-0-Linux-X64", "GITHUB_RUN_ID": "123"}


@pytest.mark.parametrize(
    ("ref", "attr", "argument"),
    [
        ("github:o/r/c0ffee", "packages.x86_64-linux.default", "github:o/r/c0ffee#packages.x86_64-linux.default"),
        (".", "default", ".#default"),
        ("github:o/r/c", "/nix/store/x.drv", "/nix/store/x.drv"),
        ("github:o/r/c", "github:other/flake#x", "github:other/flake#x"),
        (".", 'packages."$(touch /hacked)`id`;\'x"', '.#packages."$(touch /hacked)`id`;\'x"'),
    ],
)
def test_the_line_to_copy_is_safe_in_a_shell(ref: str, attr: str, argument: str) -> None:
    assert shlex.split(reproduce_line(ref, attr)) == ["nix-repro", "check", argument]
    said = subprocess.run(
        ["sh", "-c", reproduce_line(ref, attr).replace("nix-repro", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == ["check", argument]


@pytest.mark.parametrize(
    ("environ", "nix", "uv"),
    [
        (JOB, "github:acme/nix-repro-action/v1", "git+https://github.com/acme/nix-repro-action@v1"),
        (
            {"GITHUB_ACTION_PATH": "/w/_actions/acme/tool/release/v1/"},
            "github:acme/tool?ref=release%2Fv1",
            "git+https://github.com/acme/tool@release/v1",
        ),
        (
            {"GITHUB_ACTION_PATH": "/src", "GITHUB_ACTION_REPOSITORY": "acme/tool", "GITHUB_ACTION_REF": "c0ffee"},
            "github:acme/tool/c0ffee",
            "git+https://github.com/acme/tool@c0ffee",
        ),
    ],
)
def test_where_the_program_of_a_job_is_to_be_had(environ: dict[str, str], nix: str, uv: str) -> None:
    found = elsewhere(environ)
    assert found is not None
    assert shlex.split(found.nix) == ["nix", "run", nix, "--"]
    assert shlex.split(found.uv) == ["uvx", "--from", uv, "nix-repro"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"GITHUB_ACTION_PATH": "/home/runner/work/flake/flake/."},
        {"GITHUB_ACTION_PATH": "/src", "GITHUB_ACTION_REPOSITORY": "./", "GITHUB_ACTION_REF": "x"},
        {"GITHUB_ACTION_REPOSITORY": "other/action", "GITHUB_ACTION_REF": "v1"},
        {**JOB, "GITHUB_SERVER_URL": "https://ghe.example"},
    ],
)
def test_where_nobody_knows_it_nothing_is_made_up(environ: dict[str, str]) -> None:
    assert elsewhere(environ) is None


def test_the_artifact_is_named_with_the_command_that_explains_it() -> None:
    found = elsewhere({**JOB, **STORED})
    assert found is not None
    assert found.artifact == "nix-repro-check-0-Linux-X64"
    download, explain = (found.explain or "").split(" && ")
    assert shlex.split(download)[:6] == ["gh", "run", "download", "123", "--repo", "octo/flake"]
    assert shlex.split(download)[6:] == ["--name", found.artifact, "--dir", found.artifact]
    assert explain == "nix run github:acme/nix-repro-action/v1 -- explain nix-repro-check-0-Linux-X64"


def test_a_hostile_ref_is_a_word() -> None:
    found = elsewhere({**JOB, "GITHUB_ACTION_PATH": "/w/_actions/acme/tool/v1; touch hacked", ARTIFACT: "a b"})
    assert found is not None
    assert shlex.split(found.nix)[2] == "github:acme/tool/v1; touch hacked"
    assert len(shlex.split(found.uv)) == 4


def test_the_line_repeats_what_the_run_did() -> None:
    tool = Elsewhere(nix="nix run github:acme/tool/v1 --", uv="uvx")
    line = reproduce_line("github:o/r/c", "x", [("--rounds", "3"), ("--upstream-caches", "https://a https://b")], tool)
    assert shlex.split(line) == [
        *("nix", "run", "github:acme/tool/v1", "--", "check", "--rounds", "3"),
        *("--upstream-caches", "https://a https://b", "github:o/r/c#x"),
    ]
