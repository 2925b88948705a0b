"""How Nix is started: with which arguments, in which environment, and what becomes of it when it cannot be."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.processes import Processes

#: Prints its arguments, one a line, and the settings that it is given.
ECHO = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\ncat "${NIX_CONFIG#include }"\n'


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Nix]:
    """A Nix whose programs are this script."""

    def write(text: str = ECHO, **env: str) -> Nix:
        for name in ("nix", "nix-store"):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        return Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin", **env})

    return write


def store_path(number: int, name: str = "x") -> str:
    return f"/nix/store/{number:032d}-{name}"


def test_secrets_do_not_reach_nix(program: Callable[..., Nix]) -> None:
    secrets = dict.fromkeys(
        ("GITHUB_TOKEN", "GH_TOKEN", "INPUT_GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "NIX_REPRO_TOKEN"), "s3cret"
    )
    nix = program('#!/bin/sh\nenv\ncat "${NIX_CONFIG#include }"\n', KEPT="yes", NIX_CONFIG="cores = 1", **secrets)
    said = nix.run("nix", "anything")
    assert "s3cret" not in said
    assert "KEPT=yes" in said
    assert "cores = 1\nextra-experimental-features = nix-command flakes" in said
    assert "s3cret" not in nix.with_store("local?root=/x").with_options([("a", "b")]).run("nix")


def test_options_are_on_no_command_line_and_in_no_environment(program: Callable[..., Nix]) -> None:
    text = '#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/cmdline\ntr "\\0" "\\n" < /proc/$$/environ\n'
    nix = program(text, NIX_CONFIG="access-tokens = github.com=t0ken").with_options([("netrc-file", "/s3cret")])
    said = nix.run("nix", "anything")
    assert "s3cret" not in said
    assert "t0ken" not in said, "a fixed-output derivation may ask for any variable of Nix's environment"


def test_every_command_has_the_store_and_the_options_the_last_of_which_counts(program: Callable[..., Nix]) -> None:
    nix = program().with_options([("cores", "1")]).with_store("ssh-ng://h").with_options([("cores", "2")])
    _, *said = nix.run("nix", "x").splitlines()
    assert said[:3] == ["x", "--store", "ssh-ng://h"]
    assert said[-2:] == ["cores = 1", "cores = 2"]


def test_paths_stand_behind_the_dashes(program: Callable[..., Nix]) -> None:
    nix = program().with_store("ssh-ng://h")
    paths = [store_path(1), f"{store_path(2)}.drv!out,dev"]
    said = nix.run("nix-store", "--query", paths=paths).splitlines()
    assert said[1:7] == ["--query", "--store", "ssh-ng://h", "--", *paths]


def test_without_paths_there_is_nothing_to_do(program: Callable[..., Nix]) -> None:
    nix = program("#!/bin/sh\nexit 1\n")
    assert nix.run("nix-store", "--query", paths=[]) == ""
    assert nix.stream(print, "nix-store", "--realise", paths=[]).returncode == 0


@pytest.mark.parametrize(
    "path",
    [
        "--option",
        "-",
        "",
        "/etc/passwd",
        "/nix/store",
        f"{store_path(1)}/bin",
        f"/nix/store/../store/{store_path(1)[11:]}",
        f"{store_path(1)} --option",
        f"{store_path(1)}\n",
        f"{store_path(1)}!out",
        f"{store_path(1)}.drv!",
        f"{store_path(1)}.drv!*",
        f"{store_path(1)}.drv!out,--option x",
        store_path(1, "é"),
        f" {store_path(1)}",
    ],
)
def test_what_is_no_store_path_starts_nothing(program: Callable[..., Nix], tmp_path: Path, path: str) -> None:
    nix = program(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    asking: list[Callable[[], object]] = [
        lambda: nix.run("nix-store", "--query", paths=[store_path(1), path]),
        lambda: nix.stream(print, "nix-store", "--realise", paths=[path]),
        lambda: nix.run_to(io.BytesIO(), "nix-store", "--export", paths=[path]),
        lambda: nix.derivations([path]),
        lambda: nix.path_info([path]),
        lambda: nix.invalid([path]),
        lambda: nix.hashes([path]),
        lambda: nix.requisites([path]),
        lambda: nix.dump_db([path]),
        lambda: nix.delete([path]),
        lambda: nix.run_to(io.BytesIO(), "nix-store", "--dump", paths=[path]),
        lambda: nix.floating_outputs(path),
    ]
    for ask in asking:
        with pytest.raises(NixError, match="is not a store path"):
            ask()
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("url", ["--option", "-x", "", "ssh://-oProxyCommand=x", "ssh-ng://-x/y", "a\n", "file:///a\0"])
def test_what_is_no_store_starts_nothing(program: Callable[..., Nix], url: str) -> None:
    with pytest.raises(NixError, match="is not the URL of a store"):
        program().with_store(url)


def test_many_paths_take_several_commands(program: Callable[..., Nix]) -> None:
    text = '#!/bin/sh\nprintf "%s\\n" "$@" | grep -v "^--"\necho "@nix {}" >&2\ncase $* in *00001-x*) exit 3;; esac\n'
    nix = program(text)
    paths = [store_path(number) for number in range(50_000)]
    lines: list[bytes] = []
    done = nix.stream(lines.append, "nix-store", "--realise", paths=paths)
    assert done.stdout.decode().split()[-1] == paths[-1]
    assert [word for word in done.stdout.decode().split() if word.startswith("/")] == paths
    assert 1 < len(lines) < 10
    assert done.returncode == 3, "one of several that failed"


#: Its store has every path, and they are in the order of their names. Writes down what it deletes, one command a block.
STORE = """#!/bin/sh
op=$1
while [ "$1" != -- ]; do shift; done; shift
case $op in
  --query) printf "%s\\n" "$@" ;;
  --export) printf "%s\\n" "$@"; printf "\\0\\0\\0\\0\\0\\0\\0\\0" ;;
  --delete) printf "%s\\n" "$@" >> DELETED; echo >> DELETED ;;
esac
"""


def test_many_paths_are_deleted_from_the_top_downwards(program: Callable[..., Nix], tmp_path: Path) -> None:
    """In one command, Nix sees to the order itself."""
    deleted = tmp_path / "deleted"
    paths = [store_path(number) for number in range(50_000)]
    program(STORE.replace("DELETED", str(deleted))).delete(paths)
    commands = [block.split() for block in deleted.read_text().split("\n\n") if block]
    assert len(commands) > 1
    assert [path for command in commands for path in command] == paths[::-1]


def test_a_derivation_is_asked_for_as_itself(program: Callable[..., Nix], tmp_path: Path) -> None:
    """To 2.8, a .drv is what it builds."""
    log = tmp_path / "log"
    text = f'#!/bin/sh\necho "$*" >> {log}\necho "[]"\n'
    program(text).path_info([store_path(1), store_path(2, "x.drv"), store_path(3)])
    outputs, drvs = log.read_text().splitlines()
    assert outputs == f"path-info --json -- {store_path(1)} {store_path(3)}"
    assert drvs == f"path-info --json --derivation -- {store_path(2, 'x.drv')}"


@pytest.mark.parametrize(
    ("version", "named"),
    [("nix (Nix) 2.8.0", ""), ("nix (Nix) 2.13.1", "^doc,out"), ("nix (Lix, like Nix) 2.92.0", "^doc,out")],
)
def test_an_old_nix_takes_all_outputs_of_a_derivation(program: Callable[..., Nix], version: str, named: str) -> None:
    drv = store_path(1, "x.drv")
    assert program(f"#!/bin/sh\necho '{version}'\n").outputs(drv, ["out", "doc"]) == f"{drv}{named}"


TRUST = """#!/bin/sh
case "$*" in
  "store info --json") INFO;;
  *config*) echo '{"trusted-users": {"value": ["root", "*"]}}';;
  *) echo "error: unrecognised flag '--json'" >&2; exit 1;;
esac
"""


@pytest.mark.parametrize(
    ("info", "trusted"),
    [
        ("""echo '{"trusted": 0}'""", False),
        ("""echo '{"trusted": true}'""", True),
        ("""echo "error: 'info' is not a recognised command" >&2; exit 1""", True),
    ],
)
def test_the_store_itself_says_whom_it_trusts_if_it_can(program: Callable[..., Nix], info: str, trusted: bool) -> None:
    """Our configuration need not be the daemon's."""
    assert program(TRUST.replace("INFO", info)).trusted() is trusted


def test_what_a_daemon_ignores_is_not_among_its_settings(program: Callable[..., Nix]) -> None:
    text = """#!/bin/sh
    value=$(cat "${NIX_CONFIG#include }" | grep '^sandbox' | tail -1)
    echo '{"sandbox": {"value": "'"$value$NIX_USER_CONF_FILES"'"}}'
    """
    nix = program(text, NIX_CONFIG="sandbox = relaxed", NIX_USER_CONF_FILES="/h/nix.conf").with_options(
        [("sandbox", "false")]
    )
    assert nix.settings() == {"sandbox": "sandbox = false/h/nix.conf"}
    assert nix.system_settings() == {"sandbox": ""}


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda file: file.unlink(),
    "not executable": lambda file: file.chmod(0o644),
    "another machine's": lambda file: file.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60)),
    "its interpreter is missing": lambda file: file.write_text("#!/nonexistent\n"),
    "a directory": lambda file: file.rename(file.with_name("was")).with_name("nix-store").mkdir(),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_nix_that_cannot_be_run_is_an_error_of_nix(program: Callable[..., Nix], tmp_path: Path, broken: str) -> None:
    nix = program()
    BROKEN[broken](tmp_path / "nix-store")
    asking: list[Callable[[], object]] = [
        lambda: nix.run("nix-store", "--version"),
        lambda: nix.stream(print, "nix-store", "--realise", paths=[store_path(1)]),
        lambda: nix.run_to(io.BytesIO(), "nix-store", "--export", paths=[store_path(1)]),
        lambda: nix.run_from(io.BytesIO(), "nix-store", "--import"),
    ]
    for ask in asking:
        with pytest.raises(NixError, match=r"^Nix cannot be run: .*nix-store: [A-Z]"):
            ask()


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_what_cannot_be_an_argument_is_an_error_of_nix(program: Callable[..., Nix], tmp_path: Path, word: str) -> None:
    with pytest.raises(NixError, match="Nix cannot be run"):
        program().evaluate(lambda _: None, lambda: None, word, cwd=tmp_path)


def test_a_program_that_is_called_nix_and_is_another(program: Callable[..., Nix]) -> None:
    for says in ("echo hello", "echo '[]'", "echo '{\"system\": 5}'", "echo '{\"system\": {}}'"):
        with pytest.raises(NixError, match="does not answer as Nix does"):
            program(f"#!/bin/sh\n{says}\n").settings()


def test_a_nix_that_may_not_be_executed_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text("")
    with pytest.raises(UsageError, match=f"{tmp_path}/nix is not executable"):
        Nix(Processes(), {"PATH": str(tmp_path), "HOME": str(tmp_path)})


def test_an_error_is_told_without_colours_and_without_what_came_before(program: Callable[..., Nix]) -> None:
    nix = program("#!/bin/sh\nprintf 'copying 1 path\\n\\033[31;1merror:\\033[0m oops\\n' >&2; exit 1\n")
    with pytest.raises(NixError) as error:
        nix.run("nix", "eval")
    assert str(error.value) == "error: oops"


def test_a_failure_without_a_word_is_told_by_its_exit_code(program: Callable[..., Nix]) -> None:
    with pytest.raises(NixError, match=r"^nix ended with 7$"):
        program("#!/bin/sh\nexit 7\n").run("nix", "eval")
