"""`nix-repro demo` shows its divergence to everybody, with every rebuilder that `auto` may choose."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, nix_repro
from store import USER_ID

if TYPE_CHECKING:
    from store import NixBox

REPRODUCIBLE = ("greeting", "manual", "words", "numbered", "index", "index-is-complete", "release", "demo")


def demo(box: NixBox, *, user: bool, env: dict[str, str], rebuilder: str, capabilities: bool = True) -> None:
    said = nix_repro(
        box, "demo", cwd=box.user_home if user else box.work, user=user, env=env, capabilities=capabilities
    )
    assert said.report["rebuilder"] == rebuilder, said.err
    # The same by itself, where a rebuild of everything differs through its input; nix-check takes the first build's.
    verdicts = {name: verdict.removesuffix(" propagated") for name, verdict in said.verdicts().items()}
    assert verdicts == {
        **dict.fromkeys(REPRODUCIBLE, "reproducible"),
        "build-info": "divergent",
        "terms": "unverified: fixed-output",
    }, said.err
    assert said.code == 1
    assert [finding["cause"] for finding in said.derivation("build-info")["findings"]] == ["randomness"]
    assert "the demo diverges" in said.err


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize("sandbox", [True, False], ids=["sandbox", "no-sandbox"])
@pytest.mark.parametrize(("env", "rebuilder"), [({}, "nix-check"), ({"CI": "true"}, "replace")])
@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "alone"])
def test_an_ordinary_user_without_root(
    sandbox_nix: NixBox, env: dict[str, str], rebuilder: str, daemon: bool, sandbox: bool
) -> None:
    """Of a daemon that does not trust them, or with a store that is theirs."""
    sandbox_nix.conf(sandbox=sandbox)
    sudoers = sandbox_nix.directory / "etc/sudoers"
    sudoers.write_text("root ALL=(ALL:ALL) ALL\n")
    if not daemon:
        sandbox_nix.conf(build_users_group="")
        # But not what the boxes share.
        take = f"mkdir -p /nix/var/log/nix; find /nix -xdev -exec chown -h {USER_ID}:{USER_ID} {{}} +"
        sandbox_nix.run(["sh", "-c", take])
    with sandbox_nix.daemon() if daemon else contextlib.nullcontext():
        demo(sandbox_nix, user=True, env=env, rebuilder=rebuilder)


def test_an_ordinary_user_of_a_runner(sandbox_nix: NixBox) -> None:
    with sandbox_nix.daemon():
        demo(sandbox_nix, user=True, env={"CI": "true"}, rebuilder="shadow")


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize(("env", "rebuilder"), [({}, "nix-check"), ({"CI": "true"}, "replace")])
def test_root_in_a_container(sandbox_nix: NixBox, env: dict[str, str], rebuilder: str) -> None:
    demo(sandbox_nix, user=False, env=env, rebuilder=rebuilder, capabilities=False)


CHROOT = """
R=$TMPDIR/root; mkdir $R; mount --make-rshared /
for d in /*; do
  if [ -L $d ]; then cp -P $d $R$d; elif [ -d $d ]; then mkdir $R$d; mount --rbind $d $R$d; fi
done
sort /proc/self/mountinfo > $TMPDIR/before
chroot $R /usr/bin/env -C $HOME "$@"
code=$?
sort /proc/self/mountinfo | cmp $TMPDIR/before - || exit 99
exit $code
"""


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize("sandbox", [True, False], ids=["sandbox", "no-sandbox"])
@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check"])
def test_a_chroot_whose_root_is_no_mount_point(sandbox_nix: NixBox, rebuilder: str, sandbox: bool) -> None:
    """Nothing is mounted where others see it, and what has no sandbox the first time has none the second."""
    sandbox_nix.conf(sandbox=sandbox)
    file = sandbox_nix.home / "report.json"
    done = sandbox_nix.run(
        ["sh", "-c", CHROOT, "x", *COMMAND, "demo", "--rebuilder", rebuilder, "--report-json", str(file)], check=False
    )
    if sandbox and sandbox_nix.version < (2, 10):
        # It builds nothing there with the sandbox on, and that is no pass.
        assert done.returncode == 5, done.stdout + done.stderr
        return
    assert done.returncode == 1, done.stdout + done.stderr
    assert "build-info" in done.stdout
