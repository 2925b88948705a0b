"""What is looked at of a file that differs, and that everything left out is said."""

from __future__ import annotations

from pathlib import Path

from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201


def test_beyond_two_mebibytes_nothing_is_looked_at_and_that_is_said(tmp_path: Path) -> None:
    a, b = (b"at %d\n" % at + b"same\n" * 500_000 + b"id %s\n" % word for at, word in ((T1, b"one"), (T2, b"two")))
    findings = explain(tmp_path, a, b)
    assert [item.cause for item in findings] == ["timestamp", "unknown"]
    assert "the first 2 MiB from the first difference on are looked at" in findings[-1].because


def test_a_difference_deep_in_a_line_that_never_ends(tmp_path: Path) -> None:
    """Minified code, say: what stands before it in the line is not shown as a whole."""
    a, b = (b"x" * 50_000 + b" at %d " % at + b"y" * 50_000 for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")
    assert f"at {T1} y" in (finding.a or "")
    assert abs((finding.offset or 0) - 50_000) < 40


def test_one_difference_at_the_head_of_a_long_file_is_one_finding(tmp_path: Path) -> None:
    tail = b"".join(b"line %d\n" % n for n in range(2000))
    a, b = (b"at %d\n" % at + tail for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.a, finding.b) == ("timestamp", f"at {T1}", f"at {T2}")


def test_of_many_places_in_a_binary_the_first_are_looked_at_and_that_is_said(tmp_path: Path) -> None:
    a, b = (b"".join(b"\0\xff\1\2" + bytes([n % 251, side]) + b"\0" * 26 for n in range(300)) for side in (1, 2))
    findings = explain(tmp_path, a, b)
    assert "128 differing places" in findings[0].because
    assert "the first 128 places are looked at" in findings[-1].because
    few = a[: 32 * 100], b[: 32 * 100]
    (finding,) = explain(tmp_path, *few)
    assert "100 differing places" in finding.because


def test_a_string_in_a_binary_is_shown_as_a_whole(tmp_path: Path) -> None:
    a, b = (b"\0\xff\0version of " + word + b" and the rest\0\1\xfe" for word in (b"cat", b"dog"))
    (finding,) = explain(tmp_path, {"bin/x": a}, {"bin/x": b})
    assert (finding.a, finding.b) == ("version of cat and the rest", "version of dog and the rest")


def test_bytes_in_a_binary_are_shown_with_what_surrounds_them(tmp_path: Path) -> None:
    a, b = (b"\0" * 40 + b"\xff\1" + value + b"\2\xfe" + b"\0" * 40 for value in (b"\x81", b"\x92"))
    (finding,) = explain(tmp_path, a, b)
    assert "ff 01 81 02 fe" in (finding.a or "")
    assert "ff 01 92 02 fe" in (finding.b or "")
