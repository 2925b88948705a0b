"""Each rule finds its cause, and keeps quiet where something only looks like it."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nix_repro.explain.causes.randomness import is_noise
from nix_repro.explain.context import Context, Input, Side
from sides import BUILDS, STARTED, UNKNOWN, A, B, Tree, explain

if TYPE_CHECKING:
    from nix_repro.report import Finding

WORDS = b"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()
SHUFFLED = random.Random(3).sample(WORDS, len(WORDS))  # noqa: S311
NOISE_A, NOISE_B = (random.Random(seed).randbytes(256) for seed in (1, 2))  # noqa: S311
UUID_A, UUID_B = b"9b2d7a54-8f2f-4d2c-9e0a-0a2b6f6a7c11", b"3f1c2e90-1d7b-4a55-8c1d-77aa10b2c3d4"


def causes(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.cause for finding in findings}


def sure(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.cause for finding in findings if finding.confidence == "high"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"\n".join(WORDS), b"\n".join(SHUFFLED)),
        (b"names = ['" + b"', '".join(WORDS) + b"']", b"names = ['" + b"', '".join(SHUFFLED) + b"']"),
        (b"\x7fBIN" + b"\0".join(WORDS) + b"\0", b"\x7fBIN" + b"\0".join(SHUFFLED) + b"\0"),
        (
            b"\xffB\0" + b"".join(bytes([len(w), 0]) + w for w in WORDS),
            b"\xffB\0" + b"".join(bytes([len(w), 0]) + w for w in SHUFFLED),
        ),
        (b"\0\xff".join(w.ljust(16, b"\1") for w in WORDS), b"\0\xff".join(w.ljust(16, b"\1") for w in SHUFFLED)),
    ],
)
def test_ordering(tmp_path: Path, a: bytes, b: bytes) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("ordering", "high")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"\n".join(WORDS), b"\n".join([*SHUFFLED[:-1], b"other"])),  # one element is another
        (b"size 10 20", b"size 20 10"),  # two small numbers that changed places
        (b"word", b"drow"),  # an anagram
        (b"\0\1\2\3abc\xff", b"\0\1\2\3cba\xff"),
    ],
)
def test_ordering_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    findings = explain(tmp_path, a, b)
    assert findings
    assert not any(item.cause == "ordering" and len(causes(findings)) == 1 for item in findings)


def test_a_race_is_told_from_a_shuffle_but_never_surely(tmp_path: Path) -> None:
    lines = [b"[%d/20] CC obj/file%d.o" % (n, n) for n in range(20)]
    swapped = [*lines[:7], lines[8], lines[7], *lines[9:]]
    (finding,) = explain(tmp_path, b"\n".join(lines), b"\n".join(swapped))
    assert (finding.cause, finding.confidence) == ("parallelism", "low")


@pytest.mark.parametrize(
    ("a", "b", "confidence"),
    [
        (b"id=" + UUID_A, b"id=" + UUID_B, "high"),
        (b"dir=/tmp/tmp.A8sKq2ZxPw", b"dir=/tmp/tmp.b71LmNrT0c", "high"),
        (b"token: 8f14e45fceea167a", b"token: c9f0f895fb98ab91", "low"),
        (b"key = dGhlIHF1aWNrIGJyb3duIGZveA==", b"key = anVtcHMgb3ZlciB0aGUgbGF6eQ==", "low"),
        (NOISE_A, NOISE_B, "high"),
        (b"HEAD\0" + NOISE_A, b"HEAD\0" + NOISE_B[:-3], "low"),
        (b"HEAD" + bytes(40) + NOISE_A[:32] + bytes(40), b"HEAD" + bytes(40) + NOISE_B[:32] + bytes(40), "low"),
    ],
)
def test_randomness(tmp_path: Path, a: bytes, b: bytes, confidence: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("randomness", confidence)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"version 1.2.3", b"version 1.2.4"),
        (b"libfoo.so.1", b"libfoo.so.2"),
        (b"the cat sat", b"the dog sat"),
        (b"rev 41", b"rev 42"),
        (b"value=true", b"value=false"),
        (b"HEAD\0\0\1\2\xff", b"HEAD\0\0\3\2\xff"),
        (b"id 00000000-0000-4000-8000-000000000001", b"id 00000000-0000-4000-8000-000000000002"),
    ],
)
def test_small_differences_are_unknown(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert causes(explain(tmp_path, a, b)) == {"unknown"}


@pytest.mark.parametrize(
    ("a", "b", "cause", "confidence"),
    [
        (b"src=/build/x.c", b"src=/build2/x.c", "build-path", "high"),
        (b"cwd /tmp/nix-build-foo.drv-0/x", b"cwd /tmp/nix-build-foo.drv-11/x", "build-path", "high"),
        (b"kernel 6.1.0-18-amd64", b"kernel 2.6.61-18-amd64", "host", "high"),
        (b"built on alpha by me", b"built on beta by me", "host", "high"),
        (b"make -j3 all", b"make -j7 all", "parallelism", "high"),
        (b"x = 3", b"x = 7", "parallelism", "low"),
        (b"at 2001-02-03 04:05:06 UTC", b"at 2001-02-03 13:05:06 JST", "locale", "high"),
        (b"<object at 0x7f31c2a4d0f0>", b"<object at 0x7fa8009c60f0>", "address-layout", "high"),
        (b"pid: 4711", b"pid: 4822", "address-layout", "low"),
        (b"id 140245118382832", b"id 139871623009136", "address-layout", "low"),
        (b"Ran 3 tests in 0.012s", b"Ran 3 tests in 0.015s", "timestamp", "low"),
        (b"cpu MHz : 2594.1", b"cpu MHz : 3100.9", "cpu", "low"),
    ],
)
def test_machine(tmp_path: Path, a: bytes, b: bytes, cause: str, confidence: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b"releases/build41", b"releases/build42", "build-path"),
        (b"src=/builder/x.c", b"src=/builder2/x.c", "build-path"),
        (b"kernel 6.1.0-19-amd64", b"kernel 6.1.0-20-amd64", "host"),
        (b"alphabet", b"betatron", "host"),
        (b"make -j4 all", b"make -j8 all", "parallelism"),
        (b"make -j7 all", b"make -j3 all", "parallelism"),
        (b"at 2001-02-03 04:05:06", b"at 2001-02-03 04:07:06", "locale"),
        (b"mask 0x7f31", b"mask 0x7fa8", "address-layout"),
        (b"offset 0x00000010", b"offset 0x00000020", "address-layout"),
        (b"speed 0.012", b"speed 0.015", "timestamp"),
    ],
)
def test_machine_near_misses(tmp_path: Path, a: bytes, b: bytes, cause: str) -> None:
    assert cause not in causes(explain(tmp_path, a, b))


def test_environment_values(tmp_path: Path) -> None:
    context = Context(a=Side(environment={"FLAVOUR": "vanilla"}), b=Side(environment={"FLAVOUR": "chocolate"}))
    (finding,) = explain(tmp_path, b"taste: vanilla", b"taste: chocolate", context)
    assert (finding.cause, finding.confidence) == ("environment", "high")
    assert "environment" not in causes(explain(tmp_path, b"taste: chocolate", b"taste: vanilla", context))


def test_processor_model(tmp_path: Path) -> None:
    context = Context(a=Side(cpu="EPYC 7763"), b=Side(cpu="Xeon 8370C"))
    assert causes(explain(tmp_path, b"tuned for EPYC 7763", b"tuned for Xeon 8370C", context)) == {"cpu"}


def test_only_the_executable_bit_and_link_targets_count(tmp_path: Path) -> None:
    from nix_repro.explain.engine import explain_output

    for side, mode, target in (("a", 0o755, "one"), ("b", 0o644, "two")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "tool").write_bytes(b"x")
        (tmp_path / side / "tool").chmod(mode)
        (tmp_path / side / "quiet").write_bytes(b"x")
        (tmp_path / side / "quiet").chmod(0o600 if side == "a" else 0o644)
        (tmp_path / side / "link").symlink_to(target)
    findings = explain_output("out", tmp_path / "a", tmp_path / "b", BUILDS)
    assert [(item.path, item.cause) for item in findings] == [("link", "permissions"), ("tool", "permissions")]


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


def test_checksums_derive_from_what_they_digest(tmp_path: Path) -> None:
    def side(at: int) -> Tree:
        data = b"built %d\n" % at
        digest = hashlib.sha256(data)
        return {
            "data": data,
            "sums": digest.hexdigest().encode() + b"  data\n",
            "sri": b"sha256-" + base64.b64encode(digest.digest()),
        }

    findings = explain(tmp_path, side(STARTED + 1), side(STARTED + 1201))
    assert [(item.path, item.cause, item.derived_from) for item in findings] == [
        ("data", "timestamp", None),
        ("sri", "timestamp", "data"),
        ("sums", "timestamp", "data"),
    ]


def test_a_digest_of_something_else_derives_from_nothing(tmp_path: Path) -> None:
    def side(at: int) -> Tree:
        return {"data": b"built %d\n" % at, "sums": hashlib.sha256(b"no such file %d" % at).hexdigest().encode()}

    findings = explain(tmp_path, side(STARTED + 1), side(STARTED + 1201))
    assert [(item.path, item.cause, item.derived_from) for item in findings] == [
        ("data", "timestamp", None),
        ("sums", "randomness", None),
    ]
    assert findings[1].confidence == "low"


def test_nothing_known_of_the_builds_makes_no_confident_claim_about_them(tmp_path: Path) -> None:
    for a, b in ((b"-j3", b"-j7"), (b"on alpha", b"on beta"), (b"t=%d" % STARTED, b"t=%d" % (STARTED + 1200))):
        assert sure(explain(tmp_path, a, b, UNKNOWN)) == set()


def test_members_below_a_directory_whose_name_differs(tmp_path: Path) -> None:
    def packed(at: int) -> Tree:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in ("README", "src/main.c", "src/util.c"):
                archive.addfile(tarfile.TarInfo(f"demo-{time.strftime('%Y%m%d%H%M%S', time.gmtime(at))}/{name}"))
        return {"demo.tar": out.getvalue()}

    (finding,) = explain(tmp_path, packed(STARTED + 1), packed(STARTED + 1201))
    assert (finding.path, finding.cause) == ("demo.tar!demo-20240506070801/README", "timestamp")


def test_code_and_tables_are_no_noise() -> None:
    assert is_noise(NOISE_A)
    assert not is_noise(Path("/bin/true").read_bytes()[0x2000:0x2400])
    assert not is_noise(bytes(range(64)) * 4)
    assert not is_noise(b"a sentence of words that is long enough to be looked at, and yet no noise at all")
