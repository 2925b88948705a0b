"""Lines of Nix's log → events; Nix's words → what happened to which derivation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.log import events

RECORDED = Path(__file__).parents[1] / "recorded"
DRV = "/nix/store/4pz270y053r7snmfjnvm75km5mdfshbs-full.drv"


def line(**fields: object) -> bytes:
    return b"@nix " + json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("building 'x'", events.BuildStarted(7, DRV, "", checking=False)),
        ("checking outputs of 'x'", events.BuildStarted(7, DRV, "", checking=True)),
    ],
)
def test_a_build_and_a_check_differ_in_their_text_only(text: str, event: events.Event) -> None:
    assert events.decode(line(action="start", id=7, level=3, type=105, text=text, fields=[DRV, "", 1, 1])) == event


def test_remote_build() -> None:
    found = events.decode(line(action="start", id=7, type=105, text="building", fields=[DRV, "ssh-ng://builder", 1, 1]))
    assert found == events.BuildStarted(7, DRV, "ssh-ng://builder", checking=False)


def test_the_same_number_is_an_activity_in_one_place_and_a_result_in_another() -> None:
    """101 is a file transfer that starts, and a line that a builder printed."""
    assert events.decode(line(action="start", id=7, type=101, text="downloading", fields=["https://x"])) is None
    assert events.decode(line(action="result", id=7, type=101, fields=["a line"])) == events.LogLine(7, "a line")
    assert events.decode(line(action="result", id=7, type=105, fields=[1, 2, 0, 0])) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"@nix ",
        b"@nix {",
        b"@nix []",
        b"@nix 5",
        b"@nix null",
        b'@nix {"action":5}',
        b'@nix {"action":"start"}',
        b'@nix {"action":"start","type":105}',
        b'@nix {"action":"start","type":105,"fields":[]}',
        b'@nix {"action":"start","type":105,"fields":[1,2,3]}',
        b'@nix {"action":"start","type":105,"fields":{"a":1}}',
        b'@nix {"action":"start","type":99999,"id":1,"fields":["a","b"],"text":"from a newer Nix"}',
        b'@nix {"action":"start","type":108,"fields":["only one"]}',
        b'@nix {"action":"result","type":101,"fields":[]}',
        b'@nix {"action":"result","type":104,"id":1,"fields":["buildPhase"]}',
        b'@nix {"action":"dance","id":1}',
        b'@nix {"action":"msg","msg":"\xff\xfe"}',
        b'@nix {"action":"stop","id":' + b"[" * 100_000,
        b"",
        b"\x00",
        b"   ",
    ],
)
def test_what_is_no_event_is_passed_over(hostile: bytes) -> None:
    found = events.decode(hostile)
    assert found is None or found == events.Message("\x00", error=False, warning=False)


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(content: bytes) -> None:
    events.decode(content)
    events.decode(b"@nix " + content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
KEYS = st.sampled_from(["action", "id", "type", "fields", "text", "level", "msg", "parent"])
VALUES = JSON | st.sampled_from(["start", "stop", "result", "msg", 105, 108, 100, 101])


@given(st.dictionaries(KEYS, VALUES))
def test_no_json_is_an_error(content: object) -> None:
    events.decode(b"@nix " + json.dumps(content).encode())


def test_plain_lines_are_messages_without_their_colours() -> None:
    found = events.decode(b"\x1b[31;1merror:\x1b[0m cannot connect to socket")
    assert found == events.Message("error: cannot connect to socket", error=True, warning=False)
    assert events.decode("warning: ungültig \xff".encode("latin-1")) == events.Message(
        "warning: ung\ufffdltig \ufffd", error=False, warning=True
    )


def test_a_note_is_no_error_although_nix_rates_it_as_one() -> None:
    found = events.decode(line(action="msg", level=0, msg="note: keeping build directory '/tmp/nix-build-x'"))
    assert found == events.Message("note: keeping build directory '/tmp/nix-build-x'", error=False, warning=False)


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
        # 2.34
        (f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 3.", "failed"),
        (f"error: Cannot build '{DRV}'.\n       Reason: 1 dependency failed.", "dependency-failed"),
        (
            (
                f"error: Cannot build '{DRV}'.\n       Reason: builder failed with exit code 1.\n  Last 9 log "
                "lines:\n  > "
                "1 dependency failed"
            ),
            "failed",
        ),
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
    assert events.failure(message) == (expected, DRV)


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
    assert events.failure(message) is None


def test_the_last_word_names_those_that_failed() -> None:
    other = "/nix/store/0i7c8kbrr1a8ai18hdn6sr4z6kay2j42-victim.drv"
    assert events.summary(f"error: build of '{DRV}', '{other}' failed") == [DRV, other]
    assert events.summary(f"error: builder for '{DRV}' failed with exit code 1") == []


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_mismatch_with_and_without_the_other_side(quote: str) -> None:
    out = "/nix/store/byfrmr06l1s7iqfcx6wb7da19y2kpnj7-full"
    said = f"error: derivation '{DRV}' may not be deterministic: output {quote}{out}{quote} differs"
    assert events.mismatch(said) == (DRV, out, None)
    assert events.mismatch(f"{said} from {quote}{out}.check{quote}") == (DRV, out, f"{out}.check")
    assert events.mismatch("error: may not be deterministic") is None


@pytest.mark.parametrize(
    "text", ["cp: error writing 'x': No space left on device", "error: database or disk is full", "Disk quota exceeded"]
)
def test_full_disk(text: str) -> None:
    assert events.disk_full(text)
    assert not events.disk_full(text[:12])
