"""bin/nix-repro from a clone: the environment is made once, whole or not at all, and nothing of the caller's directory
runs in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The launcher's own work is to be seen, not what nix-repro does: this says where it runs and what it was given.
WITNESS = """
import sys
def main() -> int:
    import click, msgspec
    print([sys.executable, sys.flags.isolated, *sys.argv[1:]], "" in sys.path)
    return 7
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    clone = tmp_path / "a clone's place"
    shutil.copytree(ROOT / "bin", clone / "bin")
    shutil.copy(ROOT / "requirements.lock", clone)
    (clone / "src/nix_repro/cli").mkdir(parents=True)
    (clone / "src/nix_repro/__init__.py").touch()
    (clone / "src/nix_repro/cli/app.py").write_text(WITNESS)
    return clone


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person's environment with nothing cached. The package caches of pip and uv stay the machine's: they are not
    what is tested."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "UV_", "SSL_")) or name in ("PATH", "LANG")
    }
    home = Path.home()
    (tmp_path / "home").mkdir()
    caches = {"UV_CACHE_DIR": str(home / ".cache/uv"), "PIP_CACHE_DIR": str(home / ".cache/pip")}
    return {**kept, **caches, "HOME": str(tmp_path / "home"), "NIX_REPRO_PYTHON": sys.executable}


def start(
    program: Path, environment: dict[str, str], *arguments: str, cwd: Path | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [program, *arguments],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(program: Path, environment: dict[str, str], *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    process = start(program, environment, *arguments, cwd=cwd)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def made(environment: dict[str, str]) -> list[Path]:
    return sorted((Path(environment["HOME"]) / ".cache/nix-repro").iterdir())


def without_uv(tmp_path: Path) -> str:
    """A PATH like the system's, on which there is no uv."""
    (tmp_path / "none").mkdir(exist_ok=True)
    return f"{tmp_path / 'none'}:/usr/bin:/bin"


def test_cold_then_warm_with_arguments_and_exit_code_passed_through(
    clone: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    code, out, err = run(clone / "bin/nix-repro", environment, "check", "a b", "*")
    assert code == 7, err
    assert "['check', 'a b', '*']"[1:-1] in out
    assert ", True, " not in out
    assert out.rstrip().endswith("False"), "the current directory is on the path"
    assert "making its Python environment" in err
    before = made(environment)
    assert [path.name.split("-")[0] for path in before] == ["env"]
    again = run(clone / "bin/nix-repro", environment)
    assert again[0] == 7
    assert again[2] == ""
    assert made(environment) == before
    link = tmp_path / "link"
    link.symlink_to(os.path.relpath(clone / "bin/nix-repro", tmp_path))
    assert run(link, environment)[0] == 7


def test_eight_first_starts_at_once(clone: Path, environment: dict[str, str]) -> None:
    running = [start(clone / "bin/nix-repro", environment) for _ in range(8)]
    ended = [(process.communicate(timeout=300), process.returncode) for process in running]
    assert [code for _, code in ended] == [7] * 8, ended
    assert len({out for (out, _), _ in ended}) == 1
    assert len(made(environment)) == 1, "the places that lost the race are left behind"


def test_pip_does_it_where_there_is_no_uv(clone: Path, environment: dict[str, str], tmp_path: Path) -> None:
    environment["PATH"] = without_uv(tmp_path)
    assert shutil.which("uv", path=environment["PATH"]) is None
    code, out, err = run(clone / "bin/nix-repro", environment)
    assert code == 7, err
    assert str(made(environment)[0] / "bin/python") in out


def test_an_interrupted_first_start_leaves_nothing_that_is_used(clone: Path, environment: dict[str, str]) -> None:
    cache = Path(environment["HOME"]) / ".cache/nix-repro"
    process = start(clone / "bin/nix-repro", environment)
    while not list(cache.glob(".making.*")) and process.poll() is None:
        pass
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode != 7
    assert not list(cache.glob("env-*"))
    assert run(clone / "bin/nix-repro", environment)[0] == 7


def test_an_environment_whose_interpreter_has_gone_is_made_again(clone: Path, environment: dict[str, str]) -> None:
    run(clone / "bin/nix-repro", environment)
    (interpreter,) = made(environment)[0].glob("bin/python")
    interpreter.unlink()
    interpreter.symlink_to("/nowhere/python3.11")
    code, _, err = run(clone / "bin/nix-repro", environment)
    assert code == 7, err
    assert "making" in err


def test_a_hostile_current_directory_runs_nothing(clone: Path, environment: dict[str, str], tmp_path: Path) -> None:
    trap = tmp_path / "checkout"
    trap.mkdir()
    for name in ("sitecustomize", "click", "msgspec", "nix_repro", "pip", "venv", "os", "encodings"):
        (trap / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    (trap / "uv.toml").write_text('index-url = "http://127.0.0.1:9/none"\n')
    (trap / "pyproject.toml").write_text('[tool.uv]\nindex-url = "http://127.0.0.1:9/none"\n')
    environment |= {"PYTHONPATH": str(trap), "PYTHONSTARTUP": str(trap / "os.py"), "PIP_USER": "1"}
    for path in (environment["PATH"], without_uv(tmp_path)):
        shutil.rmtree(Path(environment["HOME"]) / ".cache", ignore_errors=True)
        code, _, err = run(clone / "bin/nix-repro", environment | {"PATH": path}, cwd=trap)
        assert code == 7, err
    assert not (tmp_path / "sprung").exists()


def test_a_wrong_hash_is_refused(clone: Path, environment: dict[str, str], tmp_path: Path) -> None:
    lock = clone / "requirements.lock"
    head, sep, tail = lock.read_text().partition("click==")
    block, nxt, rest = tail.partition("\nidna==")
    lock.write_text(head + sep + re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, block) + nxt + rest)
    environment["PATH"] = without_uv(tmp_path)
    code, _, err = run(clone / "bin/nix-repro", environment)
    assert code == 2
    assert "could not make the Python environment from requirements.lock" in err
    assert made(environment) == []


@pytest.mark.parametrize("said", ["3.10", None], ids=["too-old", "none"])
def test_without_a_python_there_is_one_clear_message(
    clone: Path, environment: dict[str, str], tmp_path: Path, said: str | None
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sha256sum", "mkdir", "readlink", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    if said:
        (tools / "python3").write_text(f"#!/bin/sh\necho {said}\necho /usr/bin/python{said}\n")
        (tools / "python3").chmod(0o755)
    del environment["NIX_REPRO_PYTHON"]
    code, out, err = run(clone / "bin/nix-repro", environment | {"PATH": str(tools)})
    assert (code, out) == (2, "")
    assert err.startswith("nix-repro: needs Python 3.11 or newer")
    assert err.count("\n") == 1
    assert ("python3 is 3.10" in err) is bool(said)


def test_a_python_of_the_runner_s_tool_cache_is_found(clone: Path, environment: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "toolcache/Python/3.12.4/x64/bin"
    place.mkdir(parents=True)
    (place / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (place / "python3").chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sha256sum", "mkdir", "readlink", "env", "mktemp", "rm", "ls", "find", "uv"):
        (tools / name).symlink_to(
            shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or name
        )
    del environment["NIX_REPRO_PYTHON"]
    temporary = tmp_path / "runner temp"
    runner = {
        "PATH": str(tools),
        "RUNNER_TOOL_CACHE": str(tmp_path / "toolcache"),
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(temporary),
    }
    code, out, err = run(clone / "bin/nix-repro", environment | runner)
    assert code == 7, err
    assert str(temporary / "nix-repro/env-") in out


def test_home_may_be_unset_or_a_place_where_nothing_can_be_written(
    clone: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code, out, err = run(clone / "bin/nix-repro", environment | {"HOME": "/proc/none", "TMPDIR": str(temporary)})
    assert code == 7, err
    assert str(temporary / f"nix-repro-{os.getuid()}") in out
    del environment["HOME"]
    code, out, err = run(clone / "bin/nix-repro", environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert code == 7, err
    assert str(tmp_path / "cache/nix-repro") in out


def test_a_place_in_the_shared_temporary_directory_that_is_another_s_is_refused(
    clone: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    (temporary / "theirs").mkdir(parents=True)
    (temporary / f"nix-repro-{os.getuid()}").symlink_to("theirs")
    code, _, err = run(clone / "bin/nix-repro", environment | {"HOME": "/proc/none", "TMPDIR": str(temporary)})
    assert code == 2
    assert "belongs to somebody else" in err
    assert list((temporary / "theirs").iterdir()) == []
