"""Why a file's content differs: as a whole, in its head, byte by byte, or in its code."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from binaries import elf
from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Side
from sides import BUILDS, STARTED, UNKNOWN, explain

T1, T2 = STARTED + 1, STARTED + 1201
SCALAR = bytes.fromhex("f30f5904873bc1f30f58c0488d4001") * 12
AVX = bytes.fromhex("c5fc100407c5fc5901c5fc58c04883c020") * 12


def test_a_time_at_the_head_of_a_binary_of_another_length(tmp_path: Path) -> None:
    """Nothing aligns behind it; the head does. What differs behind it without a cause is told as well."""
    a, b = (
        b"HEAD\0\1" + struct.pack("<I", at) + b"\0\xff" * 30 + b"".join(b"word%d\0" % n for n in range(count))
        for at, count in ((T1, 40), (T2, 43))
    )
    found = explain(tmp_path, {"x": a}, {"x": b})
    assert [(item.cause, item.confidence) for item in found] == [("timestamp", "high"), ("unknown", "low")]


def test_a_time_whose_bytes_are_all_letters(tmp_path: Path) -> None:
    """Among other letters it reads as a word; as bytes it is the time of either build."""
    words = b"888f", b"999f"
    began = [struct.unpack("<I", word)[0] for word in words]
    context = Context(a=Side(window=(began[0], began[0] + 5)), b=Side(window=(began[1], began[1] + 5)))
    a, b = (b"\0\xff\1TIME" + word + b"ENDS\0\xfe\2" for word in words)
    (finding,) = explain(tmp_path, a, b, context)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")
    assert explain(tmp_path, a, b)[0].cause == "unknown", "it is no time of other builds"


def test_code_for_the_processor_at_hand(tmp_path: Path) -> None:
    a, b = (elf({".text": code, ".rodata": b"same"}) for code in (SCALAR, AVX))
    (finding,) = explain(tmp_path, {"bin/x": a}, {"bin/x": b})
    assert (finding.path, finding.cause, finding.confidence) == ("bin/x", "cpu", "low")
    assert "only one side's code uses AVX instructions" in finding.because
    # Elsewhere than in code the same bytes say nothing.
    a, b = (elf({".rodata": code}) for code in (SCALAR, AVX))
    assert {item.cause for item in explain(tmp_path, a, b)} != {"cpu"}


@pytest.mark.parametrize(
    ("context", "cause"),
    [(BUILDS, "build-path"), (Context(a=Side(build_dir="/build"), b=Side(build_dir="/build")), "unknown")],
)
def test_a_build_id_alone_is_a_digest_of_what_was_stripped(tmp_path: Path, context: Context, cause: str) -> None:
    a, b = (elf({".text": SCALAR, ".note.gnu.build-id": b"GNU\0" + digest * 20}) for digest in (b"\1", b"\2"))
    (finding,) = explain(tmp_path, a, b, context)
    assert (finding.cause, finding.confidence) == (cause, "low")
    assert "a build-id is a digest of the file as it was linked" in finding.because


@pytest.mark.parametrize(
    ("length", "section", "cause"),
    [
        (16, ".rodata", "randomness"),  # as --build-id=uuid draws it
        (20, ".debug_info", "randomness"),  # nothing was stripped that it could be a digest of
        (20, ".symtab", "randomness"),
        (20, ".rodata", "unknown"),
    ],
)
def test_a_build_id_that_is_a_digest_of_nothing(tmp_path: Path, length: int, section: str, cause: str) -> None:
    context = Context(a=Side(build_dir="/build"), b=Side(build_dir="/build"))
    note = b"\4\0\0\0%c\0\0\0\3\0\0\0GNU\0" % length
    a, b = (elf({section: SCALAR, ".note.gnu.build-id": note + digest * length}) for digest in (b"\1", b"\2"))
    (finding,) = explain(tmp_path, a, b, context)
    assert (finding.cause, finding.confidence) == (cause, "low")


def test_a_build_id_beside_another_difference_follows_from_it(tmp_path: Path) -> None:
    a, b = (
        elf({".rodata": b"at %d\0" % at, ".note.gnu.build-id": b"GNU\0" + bytes([n]) * 20})
        for n, at in enumerate((T1, T2))
    )
    root, derived = explain(tmp_path, {"bin/x": a}, {"bin/x": b})
    assert (root.cause, root.derived_from) == ("timestamp", None)
    assert (derived.cause, derived.confidence, derived.derived_from) == ("timestamp", "low", "bin/x")


def test_of_lines_without_a_cause_the_first_is_shown_and_the_others_are_counted(tmp_path: Path) -> None:
    a, b = (b"".join(b"%s %d\n" % (word, n) for n in range(5)) + b"end\n" for word in (b"cat", b"dog"))
    (finding,) = explain(tmp_path, a, b)
    assert finding.because == "5 differing places have no cause that can be told from the two sides"
    assert (finding.a or "").startswith("cat 0")


def test_when_time_is_up_what_was_found_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000, 100_000, 2))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    a, b = (b"".join(b"%d words at %d\n" % (n, at + n % 3) for n in range(40)) for at in (T1, T2))
    findings = explain(tmp_path, a, b, budget=Budget(seconds=40, started=1000))
    assert {item.cause for item in findings} == {"timestamp", "unknown"}
    assert "stopped after 40 s" in findings[-1].because


def test_an_order_and_times_together_explain_a_file(tmp_path: Path) -> None:
    words = [f"item{chr(97 + n)}" for n in range(12)]
    shuffled = random.Random(3).sample(words, len(words))  # noqa: S311
    a, b = (f"built {at}\n{' '.join(names)}\n".encode() for at, names in ((T1, words), (T2, shuffled)))
    assert [(item.cause, item.confidence) for item in explain(tmp_path, a, b)] == [
        ("timestamp", "high"),
        ("ordering", "high"),
    ]
    assert [item.cause for item in explain(tmp_path, a, b, UNKNOWN)] == ["ordering", "timestamp"]
