"""What a flake, a checkout or a configuration says never becomes an option of a program, settings are nobody else's to
read, and no number of packages is too many."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, SOURCE, Said, nix_repro, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from store import NixBox

#: What is tested is ours: the oldest and the newest Nix are enough.
pytestmark = pytest.mark.series("2.8", "2.34")

SAME = """
  same = mk "same" "echo same > $out" {};
"""
REBUILDERS = ("shadow", "replace", "nix-check", "store")
TOKEN = "s3cret-t0ken"
#: Where a configuration file may name credentials.
JOB = {"GITHUB_ACTIONS": "true"}
#: As words of one command line these run a program while Nix evaluates.
OPTIONS = (
    *("--impure", "--option", "allow-unsafe-native-code-during-evaluation", "true", "--expr"),
    'builtins.exec [ "/bin/sh" "-c" "touch RAN; echo 1" ]',
)


def rebuilder_here(name: str) -> str:
    """What `--rebuilder` is to be. 2.34 takes no store in a directory that anybody may write to."""
    return "local?root=/nix/other" if name == "store" else name


@pytest.mark.parametrize("command", ["check", "plan", "doctor"])
def test_a_flake_cannot_pass_arguments_to_nix(sandbox_nix: NixBox, command: str) -> None:
    ran = sandbox_nix.directory / "tmp/ran"
    packages = [
        f'p{number} = {{ type = "derivation"; name = "x"; drvPath = {json.dumps(word)}; }};'
        for number, word in enumerate(word.replace("RAN", str(ran)) for word in OPTIONS)
    ]
    flake = write_flake(sandbox_nix, SAME + "\n".join(packages))
    done = sandbox_nix.run([*COMMAND, command, ".#all"], cwd=flake, check=False)
    assert not ran.exists(), "or the flake ran a program while it was evaluated"
    assert done.returncode == (1 if command == "doctor" else 2)
    assert "p0: it calls itself a derivation" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["--option", "-", "a b", 'a"b', "$(touch ran)", "a\\nb", "é", "a#b", "a^b", "..", "A=B"]
)
def test_attributes_may_have_any_name(sandbox_nix: NixBox, name: str) -> None:
    quoted = json.dumps(name, ensure_ascii=False).replace("$", "\\$")
    flake = write_flake(sandbox_nix, f'{quoted} = mk "same" "echo same > $out" {{}};')
    said = nix_repro(sandbox_nix, "check", "all", cwd=flake)
    assert said.verdicts() == {"same": "reproducible"}, said.err
    assert not (flake / "ran").exists()


def commit(box: NixBox, checkout: Path) -> None:
    """Make a repository of it, with all its files in a commit."""
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "-f", "."), ("commit", "-q", "-m", "first")):
        box.run([*git, *words], cwd=checkout)


def look_alike(top: Path, ran: Path) -> Path:
    """A flake whose tracked files look like a bare repository, which would have git run a program."""
    bare = top / "sub"
    for directory in ("objects/info", "refs/heads"):
        (bare / directory).mkdir(parents=True)
        (bare / directory / "keep").touch()
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    (bare / "config").write_text(
        "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = ./program\n"
    )
    (bare / "program").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (bare / "program").chmod(0o755)
    return bare


@pytest.mark.parametrize("command", ["check", "plan", "doctor"])
def test_tracked_files_that_look_like_a_repository_run_nothing(sandbox_nix: NixBox, command: str) -> None:
    ran, top = sandbox_nix.directory / "tmp/ran", sandbox_nix.work / "checkout"
    bare = look_alike(top, ran)
    shutil.copy(write_flake(sandbox_nix, SAME) / "flake.nix", bare)
    commit(sandbox_nix, top)
    ran.unlink(missing_ok=True)
    report = sandbox_nix.work / "report.json"
    options = ["--report-json", str(report), "--base", "HEAD"] if command == "check" else []
    done = sandbox_nix.run([*COMMAND, command, ".#same", *options], cwd=bare, check=False)
    assert not ran.exists(), "or the checkout ran a program"
    assert "Traceback" not in done.stderr
    if command == "check":
        head = sandbox_nix.run(["git", "rev-parse", "HEAD"], cwd=top).stdout.strip()
        assert json.loads(report.read_text())["commit"] == head


#: Counts the lines in which other processes show the token. Its own command line has it in another form.
SPY = r"""
  spy = mk "spy" ''
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr '\0' '\n' | grep -c '[s]3cret-t0ken' > $out; true
  '' {};
"""


@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_settings_are_not_in_the_process_list(sandbox_nix: NixBox, rebuilder: str) -> None:
    sandbox_nix.conf(sandbox=False)
    flake = write_flake(sandbox_nix, SPY)
    (flake / ".nix-repro.yml").write_text(f"options:\n  access-tokens: github.com={TOKEN}\n")
    where = rebuilder_here(rebuilder)
    said = nix_repro(sandbox_nix, "check", ".#spy", "--rebuilder", where, cwd=flake, env=JOB)
    assert said.derivation("spy")["verdict"] in ("reproducible", "unverified"), said.err
    out = said.derivation("spy")["outputs"]["out"]["path"]
    assert sandbox_nix.outside(out).read_text() == "0\n"
    assert TOKEN not in json.dumps(said.report) + said.out + said.err


@pytest.mark.parametrize("trusted", [False, True])
def test_settings_of_an_ordinary_user_are_not_in_the_process_list(sandbox_nix: NixBox, trusted: bool) -> None:
    """Neither sudo's helper nor the daemon's client shows them."""
    sandbox_nix.conf(sandbox=False, trusted_users="*" if trusted else "root")
    flake = write_flake(sandbox_nix, SPY)
    (flake / ".nix-repro.yml").write_text(f"options:\n  access-tokens: github.com={TOKEN}\n  cores: 3\n")
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#spy", "--rebuilder", "shadow", cwd=flake, user=True, env=JOB)
    assert said.verdicts() == {"spy": "reproducible"}, said.err
    out = said.derivation("spy")["outputs"]["out"]["path"]
    assert sandbox_nix.outside(out).read_text() == "0\n"
    assert not list((sandbox_nix.directory / "tmp").glob("nix-repro-*")), "and nothing of it is left"


def test_a_fixed_output_derivation_does_not_get_them_by_asking(sandbox_nix: NixBox) -> None:
    """`impureEnvVars` are variables of Nix's own environment, also in the sandbox, where such a build has a network."""
    flake = write_flake(
        sandbox_nix,
        """
  curious = mk "curious" "env >&2; exit 1" {
    impureEnvVars = [ "NIX_CONFIG" "NIX_USER_CONF_FILES" "HOME" ]; outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "sha256-mOpuT/+XdEPEUYPA/gOaDTXp6GLgbZV8CpHpPzZLnvQ="; };
""",
    )
    (flake / ".nix-repro.yml").write_text(f"options:\n  access-tokens: github.com={TOKEN}\n")
    env = {**JOB, "NIX_CONFIG": f"access-tokens = example.org={TOKEN}"}
    said = nix_repro(sandbox_nix, "check", ".#curious", cwd=flake, env=env)
    assert said.code == 4
    assert "NIX_CONFIG=include /" in json.dumps(said.report) + said.out, "or it did not look"
    assert TOKEN not in json.dumps(said.report) + said.out + said.err


#: By name and value, settings in an order that matters.
SETTINGS = (
    ("substituters", "https://one.example"),
    ("extra-substituters", "https://two.example"),
    ("extra-trusted-public-keys", "k:AAAA"),
    ("sandbox", "relaxed"),
    ("extra-sandbox-paths", "/one"),
    ("extra-sandbox-paths", "/two=/three"),
    ("cores", "4"),
    ("cores", "5"),
    ("keep-going", "true"),
    ("post-build-hook", ""),
    ("access-tokens", "github.com=a gitlab.com=b"),
    ("max-jobs", "auto"),
    ("unheard-of", "x"),
)


def test_settings_mean_what_they_mean_on_a_command_line(sandbox_nix: NixBox) -> None:
    (sandbox_nix.home / ".config/nix").mkdir(parents=True)
    (sandbox_nix.home / ".config/nix/nix.conf").write_text("cores = 2\nextra-substituters = https://user.example\n")
    env = {"NIX_CONFIG": "cores = 3\nextra-sandbox-paths = /environment"}
    code = f"""
import json, os, sys
sys.path.insert(0, {str(SOURCE)!r})
from nix_repro.nix.command import Nix
from nix_repro.nix.processes import Processes
print(json.dumps(Nix(Processes(), os.environ, {SETTINGS!r}).settings()))
"""
    ours = json.loads(sandbox_nix.run([sys.executable, "-I", "-c", code], env=env).stdout)
    words = [word for name, value in SETTINGS for word in ("--option", name, value)]
    features = ["--option", "extra-experimental-features", "nix-command flakes", "--option", "warn-dirty", "false"]
    said = sandbox_nix.run(["nix", "show-config", "--json", *features, *words], env=env).stdout
    assert ours == {name: row["value"] for name, row in json.loads(said).items()}


@pytest.mark.parametrize(
    ("how", "rebuilder"),
    [("root", "store"), *((how, name) for how in ("root", "untrusted", "trusted") for name in REBUILDERS[:3])],
)
def test_builds_and_rebuilds_have_the_settings(sandbox_nix: NixBox, how: str, rebuilder: str) -> None:
    sandbox_nix.conf(trusted_users="*" if how == "trusted" else "root", cores=2)
    flake = write_flake(sandbox_nix, 'cores = mk "cores" "echo $NIX_BUILD_CORES > $out" {};')
    options = ["--option", "cores", "3", "--option", "cores", "7"]
    args = ["check", ".#cores", *options, "--rebuilder", rebuilder_here(rebuilder)]
    if how == "root":
        said = nix_repro(sandbox_nix, *args, cwd=flake)
    else:
        with sandbox_nix.daemon():
            said = nix_repro(sandbox_nix, *args, cwd=flake, user=True)
    out = said.derivation("cores")["outputs"]["out"]["path"]
    assert sandbox_nix.outside(out).read_text() == "7\n"
    assert said.verdicts() == {"cores": "reproducible"}, said.err


@pytest.mark.parametrize("setting", ["include =", "include = /etc/passwd", "cores = 1 # one", "!include = x"])
def test_a_setting_that_nix_would_read_otherwise_is_refused(sandbox_nix: NixBox, setting: str) -> None:
    name, _, value = setting.partition(" = ")
    (sandbox_nix.work / "=").write_text("cores = 77\n")
    flake = write_flake(sandbox_nix, SAME)
    said = nix_repro(sandbox_nix, "check", ".#same", "--option", name.removesuffix(" ="), value, cwd=flake)
    assert (said.code, said.report) == (2, {})
    assert "etting" in said.err


def many(number: int) -> str:
    """Packages with names that are as long as names can be."""
    return "\n".join(f'p{n} = mk "{n:04d}-{"x" * 190}" "echo {n} > $out" {{}};' for n in range(number))


@pytest.mark.series("2.34")
def test_more_packages_than_one_argument_has_room_for(sandbox_nix: NixBox) -> None:
    """Nothing is to be built, because nothing has changed; all that is named is kept from the garbage collector."""
    flake = write_flake(sandbox_nix, many(540))
    commit(sandbox_nix, flake)
    said = nix_repro(sandbox_nix, "check", "all", "--since", "HEAD", cwd=flake)
    assert said.code == 0, said.err
    assert len(said.verdicts()) == 540


#: What fails is counted; what is built from it is not. A chain whose parts are in different commands.
OTHERS = """
  fails = mk "fails" "echo once >> COUNT; exit 1" {};
  needs = mk "needs" "cat ${fails} > $out" {};
  chance = mk "chance" "cat ${uuid} > $out" {};
"""


@pytest.mark.series("2.26")
@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_more_packages_than_one_command_line_has_room_for(sandbox_nix: NixBox, rebuilder: str) -> None:
    """A stack this small leaves 128 KiB for arguments."""
    sandbox_nix.conf(sandbox=False)
    count, report = sandbox_nix.directory / "tmp/count", sandbox_nix.work / "report.json"
    chain = "\n".join(
        f'c{n} = mk "{n:03d}-c{"x" * 190}" "cat ${{{f"c{n - 1}" if n else "p0"}}} > $out; echo {n} >> $out" {{}};'
        for n in range(60)
    )
    flake = write_flake(sandbox_nix, "\n".join([many(200), chain, OTHERS.replace("COUNT", str(count))]))
    args = ["check", "all", "--rebuilder", rebuilder_here(rebuilder), "--report-json", str(report)]
    done = sandbox_nix.run(["prlimit", "--stack=524288:", *COMMAND, *args], cwd=flake, check=False, timeout=500)
    assert done.returncode == 1, done.stderr
    said = Said(done.returncode, done.stdout, done.stderr, json.loads(report.read_text()))
    verdicts = said.verdicts()
    assert len(verdicts) == 263
    odd = {name: verdict for name, verdict in verdicts.items() if verdict != "reproducible"}
    assert odd == {
        "fails": "build-failed",
        "needs": "unverified: a dependency failed to build: fails",
        "chance": "divergent",
    }
    assert count.read_text() == "once\n", "each command tries again only what no other has failed at"
