"""The eight ways in which the obvious script is wrong (docs/architecture.md), each on a real build: what the script
really comes to, and what `nix-repro` says of the same flake.

The script is the one that people put into workflows, word for word. Where a way needs a shorter or longer form of it,
the test says which.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema

from command import Said, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: Without `rm result`, which changes nothing where the rebuild succeeds; where it fails, see the first way.
SCRIPT = """
nix build .#default
HASH1=$(nix path-info ./result --json | jq -r '.[].narHash')
nix build .#default --rebuild
CODE=$?
HASH2=$(nix path-info ./result --json | jq -r '.[].narHash')
echo "code=$CODE"
if [ "$HASH1" = "$HASH2" ]; then echo "says=reproducible"; else echo "says=different"; fi
"""


SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text())


@dataclass(frozen=True)
class Naive:
    """What the script came to: its verdict, the exit code of `nix build --rebuild`, and what Nix said."""

    says: str
    code: int
    err: str


def naive(box: NixBox, flake: Path, script: str = SCRIPT) -> Naive:
    done = box.run(["sh", "-c", script], cwd=flake)
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return Naive(said.get("says", ""), int(said["code"]), done.stderr)


def check(box: NixBox, *args: str, cwd: Path) -> Said:
    """Ours. Its report keeps to the published contract."""
    said = nix_repro(box, "check", *args, cwd=cwd)
    jsonschema.Draft202012Validator(SCHEMA).validate(said.report)
    return said


def test_1_both_hashes_are_the_same_row_of_a_database(sandbox_nix: NixBox) -> None:
    """False pass: `--rebuild` registers nothing, so the comparison cannot fail."""
    flake = write_flake(sandbox_nix, 'default = mk "chance" "cat ${uuid} > $out" {};')
    script = naive(sandbox_nix, flake)
    assert script.says == "reproducible"
    assert "may not be deterministic" in script.err, "Nix knew, and the script did not look"
    # With `rm result` there is no link after a failed rebuild, and the script compares with nothing: a word about no
    # hash at all.
    removed = naive(
        sandbox_nix,
        flake,
        SCRIPT.replace("--json | jq -r '.[].narHash')\nnix", "--json | jq -r '.[].narHash'); rm result\nnix"),
    )
    assert removed.says == "different"
    assert "result" in removed.err
    ours = check(sandbox_nix, cwd=flake)
    assert ours.verdicts() == {"chance": "divergent"}
    assert ours.code == 1


def test_2_only_the_top_is_rebuilt(sandbox_nix: NixBox) -> None:
    """False pass: a package that is not deterministic under one that is."""
    flake = write_flake(
        sandbox_nix,
        """hidden = mk "hidden" "cat ${uuid} > $out" {};
        default = mk "top" "test -s ${hidden} && echo deterministic > $out" {};""",
    )
    script = naive(sandbox_nix, flake)
    assert (script.says, script.code) == ("reproducible", 0)
    ours = check(sandbox_nix, cwd=flake)
    assert ours.verdicts() == {"hidden": "divergent", "top": "reproducible"}
    assert ours.code == 1


def test_3_the_first_difference_is_the_only_one(sandbox_nix: NixBox) -> None:
    """Missed output: two of three differ, one is named."""
    flake = write_flake(
        sandbox_nix,
        (
            'default = mk "several" "echo > $out; cat ${uuid} > $doc; cat ${uuid} > $dev" { outputs = [ "out" "dev" '
            '"doc" '
            "]; };"
        ),
    )
    drv_path = sandbox_nix.nix("eval", "--raw", f"{flake}#default.drvPath").stdout
    sandbox_nix.run(["nix-store", "-r", drv_path])
    checked = sandbox_nix.run(["nix-store", "-r", "--check", drv_path], check=False)
    named = {
        output
        for output in ("dev", "doc")
        if f"-several-{output}" in checked.stderr.partition("may not be deterministic")[2]
    }
    assert len(named) == 1
    assert naive(sandbox_nix, flake).says == "reproducible", "and it looks at `out` alone"
    ours = check(sandbox_nix, cwd=flake)
    assert ours.outputs("several") == {"out": "reproducible", "dev": "divergent", "doc": "divergent"}


def test_4_content_addressed_builds_always_pass(sandbox_nix: NixBox) -> None:
    """False pass: nothing is compared."""
    flake = write_flake(
        sandbox_nix,
        """default = mk "floating" "cat ${uuid} > $out" {
          __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };""",
    )
    script = naive(sandbox_nix, flake)
    assert (script.says, script.code) == ("reproducible", 0)
    assert "deterministic" not in script.err
    ours = check(sandbox_nix, cwd=flake)
    assert ours.verdicts() == {"floating": "divergent"}
    assert ours.code == 1


def test_5_what_was_never_built_cannot_be_checked(sandbox_nix: NixBox) -> None:
    """Wrong reason: on a fresh machine the short form of the script, `--rebuild` alone, fails on a reproducible
    package."""
    flake = write_flake(sandbox_nix, 'default = mk "same" "echo same > $out" {};')
    script = naive(sandbox_nix, flake, 'nix build .#default --rebuild; echo "code=$?"')
    assert script.code == 1
    assert "checking is not possible" in script.err
    ours = check(sandbox_nix, cwd=flake)
    assert ours.verdicts() == {"same": "reproducible"}
    assert ours.code == 0


def test_6_a_failed_rebuild_and_a_divergence_look_the_same(sandbox_nix: NixBox) -> None:
    """Wrong reason: both end with 1. The second build of `once` fails, as with a full disk or a flaky test."""
    sandbox_nix.conf(sandbox=False)
    once = sandbox_nix.directory / "tmp/once"
    broken = write_flake(
        sandbox_nix, f'default = mk "once" "test ! -e {once} && : > {once} && echo built > $out" {{}};', "broken"
    )
    divergent = write_flake(sandbox_nix, 'default = mk "chance" "cat ${uuid} > $out" {};', "divergent")
    scripts = naive(sandbox_nix, broken), naive(sandbox_nix, divergent)
    assert [script.code for script in scripts] == [1, 1]
    assert [script.says for script in scripts] == ["reproducible", "reproducible"]
    assert "may not be deterministic" not in scripts[0].err
    once.unlink()
    (broken / "result").unlink()
    copies = [f"/nix/store/{path.name}" for path in sandbox_nix.store_dir.glob("*-once")]
    sandbox_nix.run(["nix-store", "--delete", "--ignore-liveness", *copies])
    ours = check(sandbox_nix, cwd=broken)
    assert ours.verdicts() == {"once": "rebuild-failed"}
    assert ours.code == 4
    theirs = check(sandbox_nix, cwd=divergent)
    assert theirs.verdicts() == {"chance": "divergent"}
    assert theirs.code == 1


def test_7_without_a_sandbox_the_check_builds_at_another_path(sandbox_nix: NixBox) -> None:
    """False alarm: a package that holds its own path compressed is the same every time, at its own path."""
    sandbox_nix.conf(sandbox=False)
    flake = write_flake(sandbox_nix, 'default = mk "self" "echo $out | gzip -n > $out" {};')
    script = naive(sandbox_nix, flake)
    assert script.code == 1
    assert "may not be deterministic" in script.err
    ours = check(sandbox_nix, cwd=flake)
    assert ours.verdicts() == {"self": "reproducible"}
    assert ours.code == 0


def test_8_what_an_earlier_run_has_verified_is_built_again(sandbox_nix: NixBox) -> None:
    """Wasted build: nothing has changed since the last commit that was checked."""
    sandbox_nix.conf(sandbox=False)
    count = sandbox_nix.directory / "tmp/count"
    flake = write_flake(sandbox_nix, f'default = mk "counted" "echo x >> {count}; echo same > $out" {{}};')
    count.touch()
    count.chmod(0o666)
    assert naive(sandbox_nix, flake).says == "reproducible"
    before = builds(count)
    assert naive(sandbox_nix, flake).says == "reproducible"
    assert builds(count) == before + 1
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "flake.nix"], ["commit", "-q", "-m", "checked"]):
        sandbox_nix.run([*git, *command], cwd=flake)
    ours = check(sandbox_nix, "--since", "HEAD", cwd=flake)
    assert builds(count) == before + 1
    assert ours.verdicts()["counted"].startswith("unverified: unchanged since"), (
        "what was not looked at is not called reproducible"
    )
    assert ours.code == 0


def builds(count: Path) -> int:
    return count.read_text().count("x")
