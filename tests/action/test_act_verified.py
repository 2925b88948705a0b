"""What is verified is kept as one entry of the cache, which the next job fetches from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

FLAKE = """
{ outputs = { self }: let
    outputs = builtins.genList (n: if n == 0 then "out" else "part${toString n}") 500;
    many = derivation {
      name = "many";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" ''for name in $outputs; do eval "echo $name > \\$$name"; done'' ];
      inherit outputs;
    };
    random = derivation {
      name = "random";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" "read -r id < /proc/sys/kernel/random/uuid; echo $id > $out" ];
    };
  in { packages.x86_64-linux = { inherit many random; }; packages.aarch64-linux = { inherit many random; }; };
}
"""


def saves(done: Any) -> list[str]:
    """The keys of what was saved."""
    blocks = [block for block in (done.record / "calls").read_text().split("\n\n") if "stub=cache-save" in block]
    return [line.partition("=")[2] for block in blocks for line in block.splitlines() if line.startswith("INPUT_key")]


def test_500_outputs_are_one_save_and_the_next_job_builds_none_of_them(act: Any, tmp_path: Path) -> None:
    (act.repository / "flake.nix").write_text(FLAKE)
    inputs = {"installables": ".#many .#random", "cache": "verified", "scope": "own", "explain": "off"}
    event = {"ref": "refs/heads/main", "repository": {"default_branch": "main", "full_name": "acme/widgets"}}
    env = {"STUB_CACHE": str(tmp_path / "cache")}
    first = act(inputs, event=event, env=env)
    assert (first.code, first.outputs()["exit-code"]) == (1, "1"), first.story
    [key] = [key for key in saves(first) if "verified" in key]
    assert key.startswith("nix-repro-verified-test-test-0-Linux-X64-Linux-X64-")
    paths = json.loads(first.outputs()["verified-paths"])
    assert (len(paths), any("random" in path for path in paths)) == (500, False)

    shutil.rmtree(tmp_path / "nix")
    (act.record / "calls").unlink()
    second = act(inputs, event=event, env=env)
    report = json.loads((act.record / "nix-repro-test-test-0-Linux-X64" / "report.json").read_text())
    layers = {layer["name"]: layer["paths"] for layer in report["caches"]["layers"]}
    assert layers == {"verified cache": 500, "built": 1}, second.story
    assert [build["status"] for build in report["derivations"][0]["builds"]] == ["substituted"]
    assert [key for key in saves(second) if "verified" in key] == [], "there is nothing new in it"
    assert second.outputs()["verified-paths"] == first.outputs()["verified-paths"]
