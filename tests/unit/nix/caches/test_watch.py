"""When a cache is left out of evaluation: by what Nix says, and not by what the flake says."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from nix_repro.nix.caches.incidents import Complaint
from nix_repro.nix.caches.watch import EVALUATION_STALLED, SILENCE, EvaluationWatch, TooLong
from nix_repro.nix.log.recorder import Recorder

CACHE = "https://cache.example"
INFO = f"{CACHE}/{'a' * 32}.narinfo"
TRANSFER, BUILD = 101, 105


class Hand:
    """A clock that the test sets, and a witness that says what the test says."""

    def __init__(self, *, bears_out: bool = True, hurried: bool = False) -> None:
        self.now = 1000.0
        self.bears = bears_out
        self.complaints: deque[Complaint] = deque()
        witness: Any = self
        self.watch = EvaluationWatch(Recorder(), [CACHE], lambda: self.now, self.complaints, witness, hurried=hurried)

    def bears_out(self, _cache: str, _trouble: object) -> bool:
        return self.bears

    def say(self, text: str, level: int = 1, **more: object) -> None:
        self.line(action="msg", level=level, msg=text, **more)

    def line(self, **content: object) -> None:
        self.watch.feed(b"@nix " + json.dumps(content).encode())

    def start(self, number: int, kind: int, *fields: object) -> None:
        self.line(action="start", id=number, type=kind, fields=list(fields), text="", level=4)


def test_a_long_wait_that_nix_announces_ends_it_at_once() -> None:
    hand = Hand()
    with pytest.raises(TooLong):
        hand.say(f"warning: unable to download '{INFO}': HTTP error 429; retrying in 84702 ms (attempt 1/5)")
    assert hand.watch.blocked == {CACHE}


def test_short_waits_until_they_add_up() -> None:
    hand = Hand()
    for delay in (300, 600, 1200, 2400):
        hand.say(f"warning: error: unable to download '{INFO}': HTTP error 503; retrying in {delay} ms")
        hand.now += delay / 1000
    assert hand.watch.spent(CACHE) == pytest.approx(4.5)
    with pytest.raises(TooLong):
        hand.say(f"warning: error: unable to download '{INFO}': HTTP error 503; retrying in 600 ms")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (f"trace: warning: unable to download '{INFO}': HTTP error 429; retrying in 99999 ms", 0),
        (f"evaluation warning: unable to download '{INFO}': HTTP error 429; retrying in 99999 ms", 1),
        (f"trace: x\nwarning: unable to download '{INFO}': Timeout was reached", 0),
        (f"unable to download '{INFO}': HTTP error 429; retrying in 99999 ms", 1),
        (f"remote: warning: unable to download '{INFO}': HTTP error 429; retrying in 99999 ms", 1),
    ],
)
def test_what_the_flake_prints_is_no_complaint(text: str, level: int) -> None:
    hand = Hand()
    hand.say(text, level, raw_msg=text)
    assert not hand.complaints


@pytest.mark.parametrize("bears_out", [True, False])
def test_what_ends_the_evaluation_is_looked_into(bears_out: bool) -> None:
    hand = Hand(bears_out=bears_out)
    said = f"error:\n … while calling the 'import' builtin\n\n error: unable to download '{INFO}': HTTP error 418"
    hand.say(said, 0, raw_msg=said)
    assert hand.watch.fatal == ({CACHE} if bears_out else set())


def test_the_source_that_an_error_shows_is_not_its_last_word() -> None:
    hand = Hand()
    said = f"error:\n  1| throw \"unable to download '{INFO}': HTTP error 418\"\n\n error: undefined variable 'x'"
    hand.say(said, 0, raw_msg=said)
    assert not hand.watch.fatal


def test_what_the_server_said_does_not_hide_the_fault() -> None:
    hand = Hand()
    said = f"error: unable to download '{INFO}': HTTP error 500\n\n response body:\n\n error: out of tea"
    hand.say(said, 0, raw_msg=said)
    assert hand.watch.fatal == {CACHE}


def test_silence_ends_it_although_nix_goes_on_saying_how_far_it_is() -> None:
    hand = Hand()
    hand.start(1, TRANSFER, INFO)
    hand.now += SILENCE - 1
    hand.line(action="result", id=1, type=105, fields=[3, 200, 0, 0])
    hand.now += 2
    with pytest.raises(TooLong):
        hand.line(action="result", id=1, type=105, fields=[4, 200, 0, 0])
    assert hand.complaints[0].waited == pytest.approx(SILENCE + 1)


def test_and_where_nothing_is_said_at_all() -> None:
    hand = Hand()
    hand.start(1, TRANSFER, f"{CACHE}/nix-cache-info")
    hand.watch.idle()
    hand.now += SILENCE + 0.1
    with pytest.raises(TooLong):
        hand.watch.idle()


def test_an_archive_may_take_its_time_and_so_may_what_is_answered_meanwhile() -> None:
    hand = Hand()
    hand.start(1, TRANSFER, f"{CACHE}/nar/{'b' * 52}.nar.xz")
    hand.now += 60
    hand.watch.idle()
    hand.line(action="stop", id=1)
    for number in range(2, 20):
        hand.start(number, TRANSFER, INFO)
        hand.now += SILENCE - 1
        hand.watch.idle()
        hand.line(action="stop", id=number)
    hand.start(30, TRANSFER, "https://elsewhere.example/source.tar.gz")
    hand.now += 600
    hand.watch.idle()
    assert not hand.complaints


def test_a_builder_cannot_pretend_that_something_is_fetched() -> None:
    hand = Hand()
    hand.start(1, BUILD, f"/nix/store/{'c' * 32}-generated.drv", "", 1, 1)
    hand.start(2, TRANSFER, INFO)
    hand.now += 600
    hand.watch.idle()
    assert not hand.complaints


def test_a_cache_that_the_flake_brings_along_is_watched_too() -> None:
    theirs = "http://theirs.example"
    hand = Hand()
    hand.start(1, TRANSFER, f"{theirs}/nix-cache-info")
    hand.now += SILENCE + 0.1
    with pytest.raises(TooLong):
        hand.watch.idle()
    assert hand.watch.blocked == {theirs}
    with pytest.raises(TooLong):
        hand.say(f"warning: unable to download '{theirs}/{'d' * 32}.narinfo': HTTP error 429; retrying in 99999 ms")
    # Where it has to be put up with, it is no cache of ours.
    hand = Hand()
    hand.watch.others = False
    hand.say(f"warning: unable to download '{theirs}/{'d' * 32}.narinfo': HTTP error 429; retrying in 99999 ms")
    assert not hand.complaints


def test_once_one_has_cost_its_share_the_others_have_less() -> None:
    hand = Hand(hurried=True)
    assert hand.watch.stalled < EVALUATION_STALLED
    hand.start(1, TRANSFER, INFO)
    hand.now += SILENCE * 0.6
    with pytest.raises(TooLong):
        hand.watch.idle()
