"""What a difference by itself says, where no rule is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from sides import BUILDS, UNKNOWN, explain


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


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"97\n", b"98\n"),  # updates that were lost
        (b"written by left\n", b"written by right\n"),  # the first of two wins
        (b"one\ntwo\n", b"one\ntwo\nthree\n"),  # copied while it was written
        (b"state: open\n", b"state: closed\n"),
        (b"last=b\n", b"last=d\n"),
    ],
)
def test_a_race_without_structure_is_said_only_after_several_builds(tmp_path: Path, a: bytes, b: bytes) -> None:
    (finding,) = explain(tmp_path, a, b, UNKNOWN)
    assert (finding.cause, finding.confidence) == ("unknown", "low")
    (finding,) = explain(tmp_path, a, b, Context(builds=4))
    assert (finding.cause, finding.confidence) == ("parallelism", "low")
    assert "One core would tell" in finding.because
    # With one core on both sides there is nothing to race.
    (finding,) = explain(tmp_path, a, b, Context(a=Side(cores=1), b=Side(cores=1), builds=4))
    assert finding.cause == "unknown"


def test_what_has_a_cause_is_no_race_after_many_builds(tmp_path: Path) -> None:
    a, b = (b"id 8f14e45fceea167a\n", b"id c9f0f895fb98ab91\n")
    (finding,) = explain(tmp_path, a, b, Context(builds=9))
    assert finding.cause == "randomness"
