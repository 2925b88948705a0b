"""What a difference by itself says, where no rule is needed."""

from __future__ import annotations

from pathlib import Path

from nix_repro.explain.context import Context
from nix_repro.explain.engine import explain_output
from sides import BUILDS, explain


def test_only_the_executable_bit_and_link_targets_count(tmp_path: Path) -> None:

    for side, mode, target in (("a", 0o755, "one"), ("b", 0o644, "two")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "tool").write_bytes(b"x")
        (tmp_path / side / "tool").chmod(mode)
        (tmp_path / side / "quiet").write_bytes(b"x")
        (tmp_path / side / "quiet").chmod(0o600 if side == "a" else 0o644)
        (tmp_path / side / "link").symlink_to(target)
    findings = explain_output("out", tmp_path / "a", tmp_path / "b", BUILDS)
    assert [(item.path, item.cause) for item in findings] == [("link", "permissions"), ("tool", "permissions")]


def test_as_many_entries_as_the_rebuild_had_cores_are_likely_the_cores(tmp_path: Path) -> None:
    a, b = ({f"part-{n}": b"same" for n in range(count)} for count in (4, 7))
    unseen = Context(b=BUILDS.b)
    assert {(item.cause, item.confidence) for item in explain(tmp_path, a, b, unseen)} == {("parallelism", "low")}
    fewer = {f"part-{n}": b"same" for n in range(6)}
    assert {item.cause for item in explain(tmp_path, a, fewer, unseen)} == {"unknown"}
