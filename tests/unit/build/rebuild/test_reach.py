"""Stores that cannot be used, that keep silent, and that are gone in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nix_repro.build.rebuild import reach
from nix_repro.build.rebuild.reach import pulse, refuse_unusable, silence
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.processes import Processes
from nix_repro.nix.waiting import within, words

URL = "ssh-ng://host"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Nix]:
    """A Nix whose program is this script."""

    def write(text: str) -> Nix:
        (tmp_path / "nix").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "nix").chmod(0o755)
        return Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    return write


@pytest.mark.parametrize(
    ("before", "error", "expected"),
    [
        (
            "Store URL: ssh-ng://h\nssh: connect to host h port 9: Connection refused\n",
            "error: cannot open connection to remote store 'ssh-ng://h': error: unexpected end-of-file",
            "ssh: connect to host h port 9: Connection refused",
        ),
        (
            "warning: deprecated\nStore URL: x\nWarning: Permanently added 'h'\nme@h: Permission denied (publickey).",
            "error: failed to start SSH connection to 'h'",
            "me@h: Permission denied (publickey).",
        ),
        (
            "** WARNING: connection is not using a post-quantum key exchange algorithm.\nHost key verification failed.",
            "error: failed to start SSH connection to 'h'",
            "Host key verification failed.",
        ),
        ("", "error: don't know how to open Nix store 'foo://x'", "don't know how to open Nix store 'foo://x'"),
        ("sh: 1: nix-daemon: not found", "error: unexpected end-of-file", "sh: 1: nix-daemon: not found"),
    ],
)
def test_what_stands_in_the_way_in_the_words_of_who_knows(before: str, error: str, expected: str) -> None:
    raised = NixError(error)
    raised.before = before
    assert words(raised) == expected


def test_what_ssh_said_gets_there(program: Callable[[str], Nix]) -> None:
    nix = program("echo 'ssh: no route to host' >&2; echo 'error: unexpected end-of-file' >&2; exit 1")
    assert silence(nix, URL) == "ssh: no route to host"
    with pytest.raises(UsageError, match=r"^rebuilder ssh-ng://host cannot be used: ssh: no route to host$"):
        refuse_unusable(nix, URL)
    assert silence(program("exit 0"), URL) is None


@pytest.mark.parametrize("url", ["https://cache.nixos.org", "http://h", "s3://bucket", "file:///c"])
def test_a_cache_builds_nothing(program: Callable[[str], Nix], url: str) -> None:
    with pytest.raises(UsageError, match="a binary cache cannot build"):
        refuse_unusable(program("exit 0"), url)


def test_one_that_never_answers_has_a_limit(program: Callable[[str], Nix], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PING", 0.3)
    began = time.monotonic()
    assert silence(program("echo 'Store URL: x' >&2; exec sleep 60"), URL) == "it did not answer within 0.3 s"
    assert time.monotonic() - began < 30


def test_a_limit_counts_from_each_command(program: Callable[[str], Nix]) -> None:
    nix = program("sleep 0.3").meanwhile(lambda: within(5, "too late"))
    for _ in range(3):
        nix.run("nix", "anything")
    with pytest.raises(NixError, match="too late"):
        program("exec sleep 60").meanwhile(lambda: within(0.1, "too late")).stream(lambda _: None, "nix")


def test_as_long_as_it_is_there_it_may_take_its_time() -> None:
    now, why, looks = 0.0, None, 0

    def look() -> str | None:
        nonlocal looks
        looks += 1
        return why

    check = pulse(look, lambda: now)
    for _ in range(100):
        now += reach.PULSE / 10
        check()
    assert looks == 10
    why = "ssh: connection timed out"
    now += reach.PULSE
    with pytest.raises(NixError, match="the other store no longer answers: ssh: connection timed out"):
        check()


def test_ssh_notices_that_the_other_side_has_gone_unless_the_user_says_otherwise(
    program: Callable[[str], Nix], tmp_path: Path
) -> None:
    nix = program("echo $NIX_SSHOPTS")
    assert nix.run("nix", "x").startswith("-o ConnectTimeout=20 -o ServerAliveInterval=15")
    own = Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin", "NIX_SSHOPTS": "-p 9 -o ConnectTimeout=2"})
    assert own.run("nix", "x").startswith("-p 9 -o ConnectTimeout=2 -o ConnectTimeout=20 ")
    assert "NIX_SSHOPTS" not in nix.env
