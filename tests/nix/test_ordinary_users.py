"""One table of verdicts: whoever asks, with whatever rebuilder, sandboxed or not, on every Nix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, take_home, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from command import Said
    from store import NixBox

#: The oldest and the newest Nix: what is between them is in test_verdicts.py.
pytestmark = pytest.mark.series("2.8", "2.34")

REBUILDERS = ("shadow", "replace", "nix-check", "store")
CA = '__contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";'
PACKAGES = """
  source = mk "source" "cat ${./text} > $out" {};
  several = mk "several" "echo > $out; cat ${uuid} > $doc; cat ${./text} > $dev" { outputs = [ "out" "dev" "doc" ]; };
  chance = mk "chance" "cat ${uuid} ${./text} > $out" {};
  above = mk "above" "cat ${chance} > $out" {};
  top = mk "top" "cat ${above} ${source} > $out; cat ${several.doc} > $man" { outputs = [ "out" "man" ]; };
  refers = mk "refers" "echo ${chance} > $out; cat ${above} >> $out" {};
  both = mk "both" "cat ${chance} ${uuid} > $out" {};
  beside = mk "beside" "test -s ${chance} && echo deterministic > $out" {};
  broken = mk "broken" "echo this is why; exit 7" {};
  on-broken = mk "on-broken" "cat ${broken} > $out" {};
  self = mk "self" "echo $out | gzip -n > $out" {};
  floating = mk "floating" "cat ${uuid} > $out" { CA };
  on-floating = mk "on-floating" "cat ${floating} > $out" {};
  ca-on-floating = mk "ca-on-floating" "cat ${floating} > $out" { CA };
  steady = mk "steady" "echo steady > $out" { CA };
  on-steady = mk "on-steady" "cat ${steady} > $out" {};
""".replace("CA", CA)
TRUE = {
    "source": "reproducible",
    "several": "divergent",
    "chance": "divergent",
    "above": "reproducible propagated",
    "top": "reproducible propagated",
    "refers": "reproducible propagated",
    "both": "divergent",
    "beside": "reproducible",
    "broken": "build-failed",
    "on-broken": "unverified: a dependency failed to build: broken",
    "self": "reproducible",
    "floating": "divergent",
    "on-floating": "reproducible propagated",
    "ca-on-floating": "reproducible propagated",
    "steady": "reproducible",
    "on-steady": "reproducible",
}
CHECKED = (
    TRUE
    | dict.fromkeys(("above", "top", "refers"), "reproducible")
    | dict.fromkeys(
        ("floating", "on-floating", "ca-on-floating", "steady", "on-steady"),
        "unverified: content-addressed: nix --check compares nothing",
    )
)


@pytest.fixture(params=["trusted", "untrusted"])
def flake(sandbox_nix: NixBox, request: pytest.FixtureRequest) -> Path:
    """The flake, which belongs to an ordinary user of a daemon."""
    flake = write_flake(sandbox_nix, PACKAGES)
    (flake / "text").write_text("source\n")
    if request.param == "trusted":
        sandbox_nix.conf(trusted_users="*")
    return take_home(sandbox_nix, flake)


def check(box: NixBox, flake: Path, rebuilder: str, *args: str, env: dict[str, str] | None = None) -> Said:
    url = f"local?root={box.user_home}/other"
    rebuilder = url if rebuilder == "store" else rebuilder
    # A daemon goes by the settings that it was started with.
    with box.daemon():
        return nix_repro(box, "check", ".#all", "--rebuilder", rebuilder, *args, cwd=flake, user=True, env=env)


#: Each user with the sandbox on one Nix, and without it on the other.
CORNERS = {
    series: pytest.mark.parametrize(("flake", "sandbox"), corners, indirect=["flake"])
    for series, corners in {
        "2.8": [("trusted", True), ("untrusted", False)],
        "2.34": [("trusted", False), ("untrusted", True)],
    }.items()
}


@pytest.mark.series("2.8")
@CORNERS["2.8"]
@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_one_table_of_verdicts_on_the_oldest(sandbox_nix: NixBox, flake: Path, rebuilder: str, sandbox: bool) -> None:
    look_up(sandbox_nix, flake, rebuilder, sandbox=sandbox)


@pytest.mark.series("2.34")
@CORNERS["2.34"]
@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_one_table_of_verdicts_on_the_newest(sandbox_nix: NixBox, flake: Path, rebuilder: str, sandbox: bool) -> None:
    look_up(sandbox_nix, flake, rebuilder, sandbox=sandbox)


def look_up(sandbox_nix: NixBox, flake: Path, rebuilder: str, *, sandbox: bool) -> None:
    sandbox_nix.conf(sandbox=sandbox)
    said = check(sandbox_nix, flake, rebuilder)
    expected = CHECKED if rebuilder == "nix-check" else TRUE
    if rebuilder == "nix-check" and not sandbox:
        # Both checks are the same, and the first build was elsewhere.
        expected = expected | {"self": "unverified: path rewriting"}
    assert said.verdicts() == expected, said.err
    assert said.code == 1
    if rebuilder != "nix-check":
        assert said.outputs("several") == {"out": "reproducible", "dev": "reproducible", "doc": "divergent"}
    assert {"chance", "several"} <= {d["name"] for d in said.derivations if d["findings"]}, "and they are explained"


@pytest.mark.series("2.34")
@pytest.mark.parametrize("flake", ["untrusted"], indirect=True)
@pytest.mark.parametrize("rebuilder", ["replace", "store"])
def test_a_third_round_and_a_second_run_come_to_the_same(sandbox_nix: NixBox, flake: Path, rebuilder: str) -> None:
    """Whatever the first one has left in the store, or in the other one."""
    assert check(sandbox_nix, flake, rebuilder, "--rounds", "3").verdicts() == TRUE
    said = check(sandbox_nix, flake, rebuilder)
    assert said.verdicts() == TRUE, said.err


def test_replace_leaves_a_store_that_is_whole(sandbox_nix: NixBox, flake: Path) -> None:
    names = [name for name in TRUE if name not in ("broken", "on-broken")]
    with sandbox_nix.daemon():
        drvs = [sandbox_nix.nix("eval", "--raw", f"path:{flake}#{name}.drvPath", user=True).stdout for name in names]
        sandbox_nix.run(["nix-store", "--realise", *drvs], user=True)
        before = outputs(sandbox_nix, drvs)
    said = check(sandbox_nix, flake, "replace")
    with sandbox_nix.daemon():
        after = outputs(sandbox_nix, drvs)
    assert len(after) == len(before) == 17, said.err
    if "*" in sandbox_nix.settings.get("trusted-users", ""):
        assert after == before, "also of what is content-addressed, and what that is known to be"
        assert said.report["warnings"] == []
    assert sandbox_nix.run(["nix-store", "--verify", "--check-contents"]).returncode == 0


def outputs(box: NixBox, drvs: list[str]) -> dict[str, str]:
    """Where the outputs are, and their narHashes."""
    asked = ["nix-store", "--query", "--outputs", "--force-realise", "--max-jobs", "0", *drvs]
    paths = sorted(box.run(asked, user=True).stdout.split())
    hashes = box.run(["nix-store", "--query", "--hash", *paths], user=True).stdout.split("sha256:")[1:]
    return dict(zip(paths, map(str.strip, hashes), strict=True))


@pytest.mark.parametrize("setting", ["sandbox = false", "extra-sandbox-paths = /given=/etc/hostname"])
def test_a_setting_that_the_daemon_ignores_is_in_neither_build(sandbox_nix: NixBox, flake: Path, setting: str) -> None:
    """`pwd` is /build in the sandbox, and another place outside of it: since Nix 2.30, another one every time."""
    where = write_flake(sandbox_nix, 'where = mk "where" "pwd > $out; ls / >> $out" {};', "where")
    sandbox_nix.run(["cp", str(where / "flake.nix"), str(flake / "flake.nix")])
    trusted = "*" in sandbox_nix.settings.get("trusted-users", "")
    moves = trusted and "false" in setting and sandbox_nix.version >= (2, 30)
    for rebuilder in ("shadow", "nix-check", "replace"):
        said = check(sandbox_nix, flake, rebuilder, env={"NIX_CONFIG": setting})
        assert said.verdicts() == {"where": "divergent" if moves else "reproducible"}, (rebuilder, said.err)


@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "store"])
def test_what_only_an_option_allows_is_allowed_in_every_command(sandbox_nix: NixBox, rebuilder: str) -> None:
    """A registration that names what is content-addressed is not taken without the feature."""
    sandbox_nix.conf(experimental_features="nix-command flakes")
    flake = write_flake(sandbox_nix, PACKAGES)
    (flake / "text").write_text("source\n")
    option = ("--option", "extra-experimental-features", "ca-derivations")
    names = (".#floating", ".#on-floating", ".#steady")
    url = "local?root=/nix/other" if rebuilder == "store" else rebuilder
    said = nix_repro(sandbox_nix, "check", *names, "--rebuilder", url, *option, cwd=flake)
    assert said.verdicts() == {name[2:]: TRUE[name[2:]] for name in names}, said.err
    assert said.code == 1
