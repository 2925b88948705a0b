"""Lines of Nix's log → events."""

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
    assert events.decode(line(action="start", id=7, type=101, text="downloading", fields=["https://x"])) == (
        events.TransferStarted(7, "https://x")
    )
    assert events.decode(line(action="result", id=7, type=101, fields=["a line"])) == events.LogLine(7, "a line")
    assert events.decode(line(action="result", id=7, type=105, fields=[1, 2, 0, 0])) == events.Counted(7, 1, 2, 0, 0)


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
    assert found is None or found == events.Message("\x00", error=False, warning=False, own=True)


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
    assert found == events.Message("error: cannot connect to socket", error=True, warning=False, own=True)
    assert events.decode("warning: ungültig \xff".encode("latin-1")) == events.Message(
        "warning: ung\ufffdltig \ufffd", error=False, warning=True, own=True
    )


def test_a_note_is_no_error_although_nix_rates_it_as_one() -> None:
    found = events.decode(line(action="msg", level=0, msg="note: keeping build directory '/tmp/nix-build-x'"))
    assert found == events.Message("note: keeping build directory '/tmp/nix-build-x'", error=False, warning=False)


def test_a_daemon_hands_on_every_warning_as_an_error() -> None:
    said = "warning: ignoring the client-specified setting 'sandbox', because it is a restricted setting"
    assert events.decode(line(action="msg", level=0, msg=said)) == events.Message(said, error=False, warning=True)


def test_only_what_nix_raised_itself_is_certain_to_be_its_own() -> None:
    """A builder's message is handed on without the raw one, whatever the builder printed."""
    said = "error: something"
    for raw, own in (({"raw_msg": "something"}, True), ({}, False)):
        found = events.decode(line(action="msg", level=0, msg=said, **raw))
        assert found == events.Message(said, error=True, warning=False, own=own)


OTHER = DRV.replace("4pz", "0i7")


@pytest.mark.parametrize(
    ("kind", "text", "fields", "expected"),
    [
        (111, "resolved derivation: '…' -> '…'", [DRV, OTHER], events.Resolved(DRV, OTHER)),
        # What a builder can start, and what Nix starts with other fields.
        (101, "resolved derivation: '…' -> '…'", [DRV, OTHER], events.TransferStarted(7, DRV)),
        (0, "resolved derivation: '…' -> '…'", [DRV, OTHER], None),
        (111, "waiting", [DRV], None),
        (111, "resolved derivation", [DRV, OTHER.replace("full", "other")], None),
        (111, "resolved derivation", ["/nix/store/full", "/nix/store/full"], None),
    ],
)
def test_only_nix_resolves_a_derivation(kind: int, text: str, fields: list[str], expected: events.Event | None) -> None:
    assert events.decode(line(action="start", id=7, level=3, type=kind, text=text, fields=fields)) == expected
