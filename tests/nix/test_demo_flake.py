"""fixtures/demo does what its comments promise, with Nix's own means: on every series, sandboxed or not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from store import NixBox

DEMO = Path(__file__).resolve().parents[2] / "fixtures/demo"
PACKAGES = ("default", "greeting", "manual", "terms", "build-info", "release", "words", "numbered", "index")


@pytest.mark.parametrize("sandbox", [True, False], ids=["sandbox", "no-sandbox"])
def test_one_package_diverges_and_the_others_do_not(sandbox_nix: NixBox, sandbox: bool) -> None:
    # Nothing but a shell: no /usr in the sandbox.
    sandbox_nix.conf(sandbox=sandbox, sandbox_paths="/bin/sh=/usr/bin/dash /lib /lib64? /usr/lib /usr/lib64?")
    shutil.copytree(DEMO, sandbox_nix.work / "demo")
    flake = f"path:{sandbox_nix.work / 'demo'}"
    sandbox_nix.nix("flake", "check", "--no-write-lock-file", flake)
    names = [f"{flake}#{name}" for name in PACKAGES]
    drvs = [sandbox_nix.nix("eval", "--raw", "--no-write-lock-file", f"{name}.drvPath").stdout for name in names]
    sandbox_nix.nix("build", "--no-link", "--no-write-lock-file", *names)
    sandbox_nix.run(["nix-store", "-r", *drvs])
    told = sandbox_nix.run(["nix-store", "-r", "--check", "-k", *drvs], check=False)
    differing = re.findall(
        r"derivation '/nix/store/[a-z0-9]+-([^']+)\.drv' may not be deterministic",
        re.sub(r"\x1b\[[0-9;]*m", "", told.stderr),
    )
    assert (set(differing), told.returncode) == ({"build-info"}, 104), told.stderr


def test_every_system_is_served(sandbox_nix: NixBox) -> None:
    shutil.copytree(DEMO, sandbox_nix.work / "demo")
    for system in ("x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"):
        flake = f"path:{sandbox_nix.work / 'demo'}#packages.{system}.manual"
        assert sandbox_nix.nix("eval", "--raw", "--no-write-lock-file", f"{flake}.doc").stdout.endswith("-manual-doc")
