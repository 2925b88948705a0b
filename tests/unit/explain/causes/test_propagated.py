"""What came with an input was not made here: its bytes, what was packed or digested of them, and its path."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from nix_repro.explain.context import Context, Input
from sides import STARTED, A, B, causes, explain


def test_input_that_diverges(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for side, data in (("a", b"secret: 8f14e45fceea167a\n"), ("b", b"secret: c9f0f895fb98ab91\n")):
        (tmp_path / "in" / side).write_bytes(data)
    given = Input(
        store_path="/nix/store/00000000000000000000000000000000-dep", a=tmp_path / "in/a", b=tmp_path / "in/b"
    )
    context = Context(a=A, b=B, inputs=(given,))
    (finding,) = explain(tmp_path, b"x\nsecret: 8f14e45fceea167a\n", b"x\nsecret: c9f0f895fb98ab91\n", context)
    assert (finding.cause, finding.confidence) == ("propagated", "high")
    assert causes(explain(tmp_path, b"secret: aaaa5678901234ff\n", b"secret: bbbb0678905264fe\n", context)) == {
        "randomness"
    }


def test_store_path_of_an_input(tmp_path: Path) -> None:
    left, right = (b"exec /nix/store/" + bytes([char]) * 32 + b"-dep-1.0/bin/x" for char in b"ab")
    known = Context(inputs=(Input(store_path=f"/nix/store/{'a' * 32}-dep-1.0"),))
    assert [(item.cause, item.confidence) for item in explain(tmp_path, left, right, known)] == [("propagated", "high")]
    assert [(item.cause, item.confidence) for item in explain(tmp_path, left, right)] == [("propagated", "low")]
    other = right.replace(b"-dep-1.0", b"-odd-2.0")
    assert "propagated" not in causes(explain(tmp_path, left, other))


def test_what_was_copied_from_an_input_is_not_made_here(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    text = b"made %d.25\n"
    for side, at in (("a", STARTED + 1), ("b", STARTED + 1201)):
        (tmp_path / "in" / side).write_bytes(text % at)
    given = Input(
        store_path="/nix/store/00000000000000000000000000000000-dep", a=tmp_path / "in/a", b=tmp_path / "in/b"
    )
    context = Context(a=A, b=B, inputs=(given,))
    first, second = text % (STARTED + 1), text % (STARTED + 1201)
    (packed,) = explain(tmp_path, gzip.compress(first, mtime=0), gzip.compress(second, mtime=0), context)
    assert (packed.cause, packed.confidence) == ("propagated", "high")
    sums = [hashlib.sha256(side).hexdigest().encode() + b"  dep\n" for side in (first, second)]
    (digest,) = explain(tmp_path, sums[0], sums[1], context)
    assert (digest.cause, digest.confidence, digest.derived_from) == ("propagated", "high", None)
    (own,) = explain(tmp_path, b"made %d\n" % (STARTED + 2), b"made %d\n" % (STARTED + 1202), context)
    assert own.cause == "timestamp"
    (other,) = explain(tmp_path, b"0f" * 32, b"7a" * 32, context)
    assert other.cause != "propagated"
