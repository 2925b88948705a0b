"""From what the user names to attribute paths: which Nix is asked for, and in whose words it fails. Real evaluation is
in tests/nix."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix
from nix_repro.nix.processes import Processes
from nix_repro.plan.installables import evaluate

# Answers as Nix does: knows what the file `flake` beside it maps from attribute paths to output, writes down what it
# was asked.
NIX = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
args = sys.argv[1:]
if args[:2] == ["config", "show"]:
    print(json.dumps({{"system": {{"value": "x86_64-linux"}}}})); sys.exit()
flake, _, attr = next(a for a in args if "#" in a).partition("#")
with open(here / "asked", "a") as asked:
    asked.write(f"{{flake}}#{{attr}}\\n")
known = json.loads((here / "flake").read_text())
if attr not in known:
    print(f"error: flake 'git+file:///x' does not provide attribute '{{attr}}'", file=sys.stderr); sys.exit(1)
if known[attr] is None:
    print("\\x1b[31;1merror:\\x1b[0m undefined variable 'oops'\\n\\n       at /x/flake.nix:1:1", file=sys.stderr)
    sys.exit(1)
sys.stdout.write(known[attr] if "--raw" in args else json.dumps(known[attr]))
"""


@pytest.fixture
def nix(tmp_path: Path) -> Nix:
    program = tmp_path / "nix"
    program.write_text(NIX.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"})


def knows(tmp_path: Path, attrs: dict[str, object]) -> None:
    (tmp_path / "flake").write_text(json.dumps(attrs))


def asked(tmp_path: Path) -> list[str]:
    return (tmp_path / "asked").read_text().splitlines()


DRV = "/nix/store/x.drv"


@pytest.mark.parametrize(
    ("installable", "attr", "name"),
    [
        (".#default", "packages.x86_64-linux.default", "packages.x86_64-linux.default"),
        (".", "packages.x86_64-linux.default", "packages.x86_64-linux.default"),
        ("#hello", "packages.x86_64-linux.hello", "packages.x86_64-linux.hello"),
        (".#hello", "legacyPackages.x86_64-linux.hello", "legacyPackages.x86_64-linux.hello"),
        (".", "defaultPackage.x86_64-linux", "defaultPackage.x86_64-linux"),
        (".#checks.x86_64-linux.unit", "checks.x86_64-linux.unit", "checks.x86_64-linux.unit"),
        (".#some.attr", "some.attr", "some.attr"),
        (".#hello^out,dev", "packages.x86_64-linux.hello", "packages.x86_64-linux.hello"),
        ("github:o/r#hello", "packages.x86_64-linux.hello", "github:o/r#packages.x86_64-linux.hello"),
        ("./sub?dir=x#hello", "hello", "./sub?dir=x#hello"),
    ],
)
def test_what_is_asked_for(nix: Nix, tmp_path: Path, installable: str, attr: str, name: str) -> None:
    knows(tmp_path, {attr: DRV})
    assert evaluate(nix, [installable], tmp_path) == {name: DRV}


def test_in_nix_s_own_order(nix: Nix, tmp_path: Path) -> None:
    knows(tmp_path, {})
    with pytest.raises(UsageError, match=r"^\.: flake '.*' does not provide attribute 'default'$"):
        evaluate(nix, ["."], tmp_path)
    system = "x86_64-linux"
    assert asked(tmp_path) == [
        f".#packages.{system}.default",
        f".#defaultPackage.{system}",
        f".#legacyPackages.{system}.default",
        ".#default",
    ]


def test_a_complete_path_is_asked_for_as_it_is(nix: Nix, tmp_path: Path) -> None:
    knows(tmp_path, {})
    with pytest.raises(UsageError):
        evaluate(nix, [".#packages.aarch64-linux.x"], tmp_path)
    assert asked(tmp_path) == [".#packages.aarch64-linux.x"]


def test_an_evaluation_error_in_nix_s_words_and_at_once(nix: Nix, tmp_path: Path) -> None:
    knows(tmp_path, {"packages.x86_64-linux.bad": None, "bad": DRV})
    with pytest.raises(UsageError) as error:
        evaluate(nix, [".#bad"], tmp_path)
    assert (
        str(error.value) == ".#bad: evaluation failed\nerror: undefined variable 'oops'\n\n       at /x/flake.nix:1:1"
    )
    assert len(asked(tmp_path)) == 1


def test_all_is_every_package_and_check(nix: Nix, tmp_path: Path) -> None:
    knows(
        tmp_path,
        {
            "packages.x86_64-linux": {"a": "/a.drv", "b-c_d": "/b.drv", "e.f": "/e.drv"},
            "checks.x86_64-linux": {"t": "/t.drv"},
        },
    )
    assert evaluate(nix, ["all"], tmp_path) == {
        "packages.x86_64-linux.a": "/a.drv",
        "packages.x86_64-linux.b-c_d": "/b.drv",
        'packages.x86_64-linux."e.f"': "/e.drv",
        "checks.x86_64-linux.t": "/t.drv",
    }
    elsewhere = evaluate(nix, ["github:o/r#all"], tmp_path)
    assert next(iter(elsewhere)) == "github:o/r#packages.x86_64-linux.a"


def test_all_of_nothing(nix: Nix, tmp_path: Path) -> None:
    knows(tmp_path, {"packages.x86_64-linux": {"a": "/a.drv"}})
    assert evaluate(nix, ["all"], tmp_path) == {"packages.x86_64-linux.a": "/a.drv"}
    knows(tmp_path, {})
    with pytest.raises(UsageError, match="has no packages and no checks for x86_64-linux"):
        evaluate(nix, ["all"], tmp_path)


def test_derivation_files(nix: Nix, tmp_path: Path) -> None:
    drv = tmp_path / "x.drv"
    drv.touch()
    assert evaluate(nix, [str(drv)], tmp_path) == {str(drv): str(drv)}
    with pytest.raises(UsageError, match="there is no such derivation"):
        evaluate(nix, [f"{drv}.gone.drv"], tmp_path)


def test_the_same_installable_twice_is_one(nix: Nix, tmp_path: Path) -> None:
    knows(tmp_path, {"packages.x86_64-linux.default": DRV})
    assert len(evaluate(nix, [".", ".#default"], tmp_path)) == 1


def test_git_s_reason_goes_before_nix_s(nix: Nix, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    (repository / "flake.nix").write_text("{ }")
    knows(tmp_path, {"packages.x86_64-linux.default": None})
    with pytest.raises(UsageError, match=r"flake\.nix is not tracked by git"):
        evaluate(nix, ["."], repository)


def test_secrets_do_not_reach_nix(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "nix").chmod(0o755)
    secrets = dict.fromkeys(
        ("GITHUB_TOKEN", "GH_TOKEN", "INPUT_GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "NIX_REPRO_TOKEN"), "s3cret"
    )
    nix = Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin", "KEPT": "yes", "NIX_CONFIG": "cores = 1", **secrets})
    said = nix.run("nix", "anything")
    assert "s3cret" not in said
    assert "KEPT=yes" in said
    assert "cores = 1\nextra-experimental-features = nix-command flakes" in said
    assert "s3cret" not in nix.with_store("local?root=/x").with_options([("a", "b")]).run("nix")


def test_options_and_store_are_on_every_command_line(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "nix").chmod(0o755)
    nix = (
        Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"}, [("cores", "1")])
        .with_store("ssh-ng://h")
        .with_options([("cores", "2")])
    )
    assert nix.run("nix", "x").split() == [
        "x",
        "--store",
        "ssh-ng://h",
        "--option",
        "cores",
        "1",
        "--option",
        "cores",
        "2",
    ]
