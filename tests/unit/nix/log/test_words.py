"""Nix's words → what happened to which derivation."""

from __future__ import annotations

import time

import pytest

from nix_repro.nix.log import words
from nix_repro.nix.log.words import Mismatch

DRV = "/nix/store/4pz270y053r7snmfjnvm75km5mdfshbs-full.drv"
GOOD = "/nix/store/0i7c8kbrr1a8ai18hdn6sr4z6kay2j42-good.drv"
OUT = "/nix/store/byfrmr06l1s7iqfcx6wb7da19y2kpnj7-full"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        # 2.8 and 2.26
        (f"error: builder for '{DRV}' failed with exit code 3", "failed"),
        (f"error: builder for '{DRV}' failed due to signal 9 (Killed)", "failed"),
        (
            (
                f"error: builder for '{DRV}' failed with exit code 1;\n       last 10 log lines:\n       > timed out "
                "after 5 seconds"
            ),
            "failed",
        ),
        (f"error: builder for '{DRV}' failed to produce output path for output 'out'", "failed"),
        (f"error: 2 dependencies of derivation '{DRV}' failed to build", "dependency-failed"),
        (f"error: building of '{DRV}!out' from .drv file timed out after 1 seconds", "timed-out"),
        (f"error: building of '{DRV}^*' from .drv file timed out after 1 seconds of silence", "timed-out"),
        (f"error: hash mismatch in fixed-output derivation '{DRV}':\n specified: …", "failed"),
        (
            f"error: a 'far' with features {{}} is required to build '{DRV}', but I am a 'x' with features {{a, b}}",
            "unsupported",
        ),
        # 2.34
        (f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 3.", "failed"),
        (f"error: Cannot build '{DRV}'.\n       Reason: 1 dependency failed.", "dependency-failed"),
        (
            f"error: Cannot build '{DRV}'.\n       Reason: platform mismatch\n       Required system: 'far'",
            "unsupported",
        ),
        (f"error: Cannot build '{DRV}'.\n       Reason: missing system features\n       Required", "unsupported"),
        (f"error: Cannot build '{DRV}'.\n       Reason: local builds are disabled (max-jobs = 0)", "not-built"),
        (f"error: Cannot build '{DRV}'.\n       Reason: something that a newer Nix says", "not-built"),
        (
            (
                f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 1.\n  Last 9 log "
                "lines:\n  > "
                "1 dependency failed"
            ),
            "failed",
        ),
        (
            f"error: building of '{DRV}!*' from .drv file killed after writing more than 20 bytes of log output",
            "failed",
        ),
        (f"error: building derivation '{DRV}' killed after writing more than 20 bytes of log output", "failed"),
        (
            (
                f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 1.\n  Last 9 log "
                "lines:\n  > "
                "read timed out"
            ),
            "failed",
        ),
    ],
)
def test_what_a_message_says_of_a_derivation(message: str, expected: str) -> None:
    assert words.failure(message) == (expected, DRV)


@pytest.mark.parametrize(
    "message",
    [
        "error: unexpected end-of-file",
        f"error: build of '{DRV}', '/nix/store/b.drv' failed",
        f"warning: not trusting '{DRV}'",
        "",
        "error: 'a.drv'",
    ],
)
def test_other_messages_say_nothing_of_one_derivation(message: str) -> None:
    assert words.failure(message) is None


def test_the_last_word_names_those_that_failed() -> None:
    other = "/nix/store/0i7c8kbrr1a8ai18hdn6sr4z6kay2j42-victim.drv"
    assert words.summary(f"error: build of '{DRV}', '{other}' failed") == [DRV, other]
    assert words.summary(f"error: build of resolved derivation '{DRV}' failed") == [DRV]
    assert words.summary(f"error: builder for '{DRV}' failed with exit code 1") == []


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_mismatch_with_and_without_the_other_side(quote: str) -> None:
    said = f"error: derivation '{DRV}' may not be deterministic: output {quote}{OUT}{quote} differs"
    assert words.mismatch(said) == (DRV, (Mismatch(OUT, None),))
    assert words.mismatch(f"{said} from {quote}{OUT}.check{quote}") == (DRV, (Mismatch(OUT, f"{OUT}.check"),))
    assert words.mismatch("error: may not be deterministic") is None


@pytest.mark.parametrize(
    "text", ["cp: error writing 'x': No space left on device", "error: database or disk is full", "Disk quota exceeded"]
)
def test_full_disk(text: str) -> None:
    assert words.disk_full(text)
    assert not words.disk_full(text[:12])


def test_lix_names_every_output_that_differs_and_the_derivation_without_its_directory() -> None:
    doc = f"{OUT}-doc"
    said = (
        f"error: derivation '{DRV.rpartition('/')[2]}' may not be deterministic: outputs differ\n"
        f"         output differs: output '{OUT}' differs from '{OUT}.check'\n         output '{doc}' differs"
    )
    expected = (Mismatch(OUT, f"{OUT}.check"), Mismatch(doc, None))
    assert words.mismatch(said) == (DRV.rpartition("/")[2], expected)


@pytest.mark.parametrize(
    "text",
    [
        "error: writing to file: No space left on device",
        "error: cannot create directory '/nix/store/x': No space left on device",
        "error: executing SQLite statement 'insert': database or disk is full (in '/nix/var/nix/db/db.sqlite')",
    ],
)
def test_a_disk_that_is_full_for_nix_itself(text: str) -> None:
    assert words.own_disk_full(text)


@pytest.mark.parametrize(
    "text",
    [
        f"error: file '{OUT}/write: No space left on device' has an unsupported type",
        f"error: builder for '{DRV}' failed with exit code 1;\n  last 1 log lines:\n  > cp: No space left on device",
        "error: file 'No space left on device/x' has an unsupported type",
    ],
)
def test_what_nix_quotes_fills_no_disk(text: str) -> None:
    assert not words.own_disk_full(text)


FORGED = (
    "builder for '{}' failed with exit code 1",
    "Cannot build '{}'.\n       Reason: builder failed with exit code 1.",
    "1 dependencies of derivation '{}' failed to build",
    "building of '{}' from .drv file timed out after 1 seconds",
    "a 'far' with features {{}} is required to build '{}', but I am a 'x' with features {{}}",
    "derivation '{}' may not be deterministic: output '/nix/store/x' differs from '/nix/store/x.check'",
    "build of '{}' failed",
    "hash mismatch in fixed-output derivation '{}'",
)
#: Where Nix quotes what somebody else has chosen: files' names, a system, features, the last lines of a log.
QUOTING = (
    f"error: file '/nix/store/4pz270y053r7snmfjnvm75km5mdfshbs-full.drv.chroot{OUT}/{{}}' has an unsupported type",
    f"error: file '{OUT}/\nerror: {{}}' has an unsupported type",
    f"error: suspicious ownership or permission on '{OUT}/{{}}' for output 'out'; rejecting this build output",
    f"error: builder for '{DRV}' failed with exit code 1;\n       last 1 log lines:\n       > error: {{}}",
    f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 1.\n   Last 1 log lines:\n   > {{}}",
    f"error: a '{{}}' with features {{{{}}}} is required to build '{DRV}', but I am a 'x' with features {{{{a}}}}",
    f"error: a 'x' with features {{{{{{}}}}}} is required to build '{DRV}', but I am a 'x' with features {{{{a}}}}",
    f"error: Cannot build '{DRV}'.\n       Reason: platform mismatch\n       Required system: '{{}}'",
)


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("quoting", QUOTING)
def test_what_nix_quotes_names_nobody(quoting: str, forged: str) -> None:
    said = quoting.format(forged.format(GOOD))
    found = words.failure(said)
    assert found is None or found[1] == DRV
    assert words.mismatch(said) is None
    assert GOOD not in words.summary(said)
    assert words.nameless_timeout(said) is None
    # A system may name any path before Nix names the derivation; but then Nix says which it is.
    assert found is not None or words.subject(said) in (DRV.rpartition("/")[2], OUT.rpartition("/")[2])


@pytest.mark.parametrize(
    "text",
    [
        "error: a '" + "' with features {" * 250,
        "error: build of '" + "/.drv" * 800,
        "error: building of '/" + ".drv" * 1000,
        "error: " + "/" * 4000,
        "error: derivation '/" + ".drv" * 1000 + "' may not be deterministic: output " + "'" * 500,
    ],
)
def test_no_message_takes_long(text: str) -> None:
    began = time.perf_counter()
    for _ in range(20):
        words.failure(text)
        words.mismatch(text)
        words.subject(text)
        words.nameless_timeout(text)
        words.own_disk_full(text)
    assert time.perf_counter() - began < 2.0


def test_why_it_was_not_built() -> None:
    said = f"error: Cannot build '{DRV}'.\n       Reason: local builds are disabled (max-jobs = 0)\n       Hint: …"
    assert words.reason(said) == "local builds are disabled (max-jobs = 0)"


REFERS = "error: output '/nix/store/x-a' is not allowed to refer to the following paths:"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("error: no such thing", "no such thing"),
        (f"{REFERS}\n         /nix/store/x-b", f"{REFERS[7:]} /nix/store/x-b"),
        (
            f"{REFERS}\n  /n/1\n  /n/2\n  /n/3\n  /n/4\n  /n/5\n  /n/6",
            f"{REFERS[7:]} /n/1, /n/2, /n/3, /n/4 and 2 more",
        ),
        # Any other list is not what the first line speaks of.
        (f"{REFERS}\n  nothing", REFERS[7:-1]),
        (f"{REFERS}\n  /n/1\n  and what a builder adds", REFERS[7:-1]),
        (REFERS, REFERS[7:-1]),
        ("error:\n       … while evaluating\n\n       error: undefined variable 'x'", "undefined variable 'x'"),
        ("error:\n       … while evaluating the attribute:", "… while evaluating the attribute"),
        ("", ""),
        ("error:", ""),
    ],
)
def test_an_error_in_one_line(message: str, line: str) -> None:
    assert words.one_line(message) == line
