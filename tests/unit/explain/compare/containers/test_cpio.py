"""cpio archives, as initial RAM disks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxes import cpio_member
from nix_repro.explain.budget import Budget
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201


def test_cpio(tmp_path: Path) -> None:
    def archive(inode: int, at: int, text: bytes = b"x\n") -> bytes:
        return (
            cpio_member(b"init", b"same\n", inode, at)
            + cpio_member(b"etc/one", text, inode + 1, at)
            + cpio_member(b"TRAILER!!!", b"", 0, 0)
        )

    (times,) = explain(tmp_path, archive(1, STARTED + 1), archive(1, STARTED + 1201))
    assert (times.path, times.cause, times.confidence) == ("!etc/one", "timestamp", "high")
    (inodes,) = explain(tmp_path, archive(7, 1), archive(912, 1))
    assert (inodes.path, inodes.cause) == ("!etc/one", "archive-metadata")
    (text,) = explain(tmp_path, archive(1, 1, b"at %d\n" % (STARTED + 1)), archive(1, 1, b"at %d\n" % (STARTED + 1201)))
    assert (text.path, text.cause) == ("!etc/one", "timestamp")
    (cut,) = explain(tmp_path, archive(1, 1)[:60], archive(2, 1)[:60])
    assert cut.cause == "unknown"


def test_the_owner_the_mode_and_a_link_s_target_are_told_by_their_names(tmp_path: Path) -> None:
    one = cpio_member(b"x", b"", 1, 0)
    for place, digits, named in ((22, b"000003E8", "uid"), (14, b"000081B4", "mode")):
        other = one[:place] + digits + one[place + 8 :]
        (finding,) = explain(tmp_path, {"initrd": one}, {"initrd": other})
        assert (finding.path, finding.cause) == ("initrd!x", "archive-metadata")
        assert f"the cpio header's {named} differs" in finding.because
    a, b = (cpio_member(b"x", target, 1, 0).replace(b"000081A4", b"0000A1FF") for target in (b"/build/y", b"/build2/y"))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.path, finding.cause) == ("!x", "build-path")


@pytest.mark.parametrize("length", [b"00000000", b"FFFFFFFF"])
def test_what_is_no_archive_after_all_is_compared_as_it_is(tmp_path: Path, length: bytes) -> None:
    broken = cpio_member(b"y", b"", 1, 0)
    broken = broken[:94] + length + broken[102:]
    a, b = (cpio_member(b"x", b"at %d\n" % at, 1, 0) + broken for at in (T1, T2))
    (finding,) = explain(tmp_path, {"initrd": a}, {"initrd": b})
    assert (finding.path, finding.cause) == ("initrd", "timestamp")


def test_members_beyond_the_budget_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    a, b = (b"".join(cpio_member(b"%d" % n, b"at %d\n" % at, n, 0) for n in range(9)) for at in (T1, T2))
    findings = explain(tmp_path, a, b, budget=Budget(entries=3))
    assert {item.path for item in findings} == {"!0", "!1", "!2", ""}
    assert "more members than are compared" in findings[-1].because
