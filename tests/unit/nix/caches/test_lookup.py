"""Asking caches what they have: real servers on loopback, in every mood."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from loopback import listening
from nix_repro.nix.caches import lookup as upstream
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.lookup import BinaryCaches
from nix_repro.nix.command import Nix
from nix_repro.nix.processes import Processes

PATHS = [f"/nix/store/{number:032d}-package-{number}" for number in range(60)]
HASHES = [path[11:43] for path in PATHS]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not answered is asked again without waiting."""
    monkeypatch.setattr(upstream, "PAUSES", (0.0, 0.0))


@contextmanager
def server(
    answer: Callable[[str], int],
    head: Callable[[str], int] = lambda _: 405,
    content: bytes = b"StorePath: /nix/store/x\n",
) -> Iterator[tuple[str, list[str]]]:
    """A cache that answers GET with the status that `answer` gives for the hash, and HEAD with that of `head`. Yields
    its URL and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.say(head, b"")

        def do_GET(self) -> None:
            self.say(answer, content)

        def say(self, status: Callable[[str], int], body: bytes) -> None:
            asked.append(self.path)
            self.send_response(status(self.path.strip("/").removesuffix(".narinfo")))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as url:
        yield url, asked


@pytest.fixture
def nix(tmp_path: Path) -> Nix:
    """For kinds of caches that only Nix can ask; this one has no such cache either."""
    (tmp_path / "nix").write_text('#!/bin/sh\necho "error: no credentials for $*" >&2\nexit 1\n')
    (tmp_path / "nix").chmod(0o755)
    return Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"})


def test_what_it_has(nix: Nix) -> None:
    with server(lambda asked: 200 if asked in HASHES[:40] else 404) as (url, asked):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) == set(PATHS[:40])
        assert caches.unreachable == {}
        assert sorted(asked) == sorted(f"/{digest}.narinfo" for digest in HASHES)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_nix_takes_for_absent(nix: Nix, status: int) -> None:
    with server(lambda _: status) as (url, _):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) == set()
        assert caches.unreachable == {}
        assert list(caches.locked) == ([url] if status == 401 else []), "it wants a password"


@pytest.mark.parametrize("status", [418, 429, 500, 503])
@pytest.mark.parametrize("count", [1, 60])
def test_an_error_is_no_answer(nix: Nix, status: int, count: int) -> None:
    with server(lambda _: status) as (url, asked):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS[:count]) is None
        assert caches.unreachable == {url: f"answered {status}"}
        few = len(asked)
        assert few <= 3 * upstream.PROBES, "a few questions are enough to know"
        assert caches.available(PATHS) is None
        assert len(asked) == few, "and it is not asked again"


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("bad", [[0], [30], [0, 1, 2], list(range(0, 60, 20))])
def test_one_that_fails_now_and_then_is_asked_again_and_stays(nix: Nix, status: int, bad: list[int]) -> None:
    failed: set[str] = set()

    def once(asked: str) -> int:
        if asked in [HASHES[number] for number in bad] and asked not in failed:
            failed.add(asked)
            return status
        return 200

    with server(once) as (url, _):
        caches = BinaryCaches(nix, [url])
        assert set(caches.where(PATHS)) == set(PATHS)
        assert caches.unreachable == {}
        assert caches.degraded == []


def test_what_a_living_cache_never_answers_is_counted(nix: Nix) -> None:
    with server(lambda asked: 500 if asked == HASHES[30] else 200) as (url, asked):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) == set(PATHS) - {PATHS[30]}
        assert caches.unreachable == {}
        [degraded] = caches.degraded
        assert degraded.line() == "answered 500 to 1 of 60 look-ups, each time it was asked"
        assert asked.count(f"/{HASHES[30]}.narinfo") == 3


@pytest.mark.parametrize("status", [200, 400, 403, 404, 405, 500, 501])
def test_nobody_is_asked_with_head_which_some_answer_otherwise(nix: Nix, status: int) -> None:
    with server(lambda asked: 200 if asked in HASHES[:40] else 404, head=lambda _: status) as (url, asked):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) == set(PATHS[:40])
        assert caches.degraded == []
        assert len(asked) == len(PATHS)


@pytest.mark.parametrize("content", [b"", b"<html>log in first</html>", b"{}"])
def test_what_is_no_description_of_a_path_is_no_answer(nix: Nix, content: bytes) -> None:
    with server(lambda _: 200, content=content) as (url, _):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) is None
        assert caches.unreachable == {url: "answered what is no description of a path"}


def test_a_server_that_trickles_holds_nobody(nix: Nix, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then keeps a socket's own time limit from ever being reached."""
    monkeypatch.setattr(upstream, "TIMEOUT", 0.5)
    over = threading.Event()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
                    if over.wait(0.1):
                        return
                    connection.send(bytes([byte]))

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        caches = BinaryCaches(nix, [f"http://127.0.0.1:{listening.getsockname()[1]}"])
        began = time.monotonic()
        assert caches.available(PATHS) is None
        assert time.monotonic() - began < 10
        over.set()
        thread.join()


def test_what_is_known_stays_known_when_more_caches_are_asked(nix: Nix) -> None:
    with (
        server(lambda asked: 200 if asked == HASHES[0] else 404) as (first, asked),
        server(lambda _: 200) as (second, _),
    ):
        caches = BinaryCaches(nix, [first])
        caches.where(PATHS[:1])
        assert caches.others([first, second]).where(PATHS[:2]) == {PATHS[0]: first, PATHS[1]: second}
        assert asked == [f"/{digest}.narinfo" for digest in HASHES[:2]], "what is known is not asked again"


def test_a_dead_port(nix: Nix) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) is None
        assert caches.unreachable == {url: "ConnectionError"}


def test_a_server_that_never_answers(nix: Nix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        caches = BinaryCaches(nix, [f"http://127.0.0.1:{silent.getsockname()[1]}"])
        assert caches.available(PATHS) is None
        assert set(caches.unreachable.values()) == {"ReadTimeout"}


def test_a_slow_one_is_asked_as_long_as_the_budget_lasts(nix: Nix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "BUDGET", 0.5)
    monkeypatch.setattr(upstream, "WORKERS", 2)

    def slowly(_asked: str) -> int:
        time.sleep(0.1)
        return 200

    with server(slowly) as (url, asked):
        caches = BinaryCaches(nix, [url])
        assert caches.available(PATHS) is None
        assert caches.unreachable == {url: "did not answer within its time limit"}
        assert len(asked) < len(PATHS)


def test_many_are_asked_at_once(nix: Nix) -> None:
    """The server waits until several questions are open at the same time: one after the other would never do."""
    several = threading.Barrier(8)

    def together(asked: str) -> int:
        if asked in HASHES[1:9]:
            several.wait(timeout=20)
        return 200

    with server(together) as (url, _):
        assert BinaryCaches(nix, [url]).available(PATHS[:9]) == set(PATHS[:9])


def test_the_first_cache_that_has_it(nix: Nix) -> None:
    with (
        server(lambda asked: 200 if asked == HASHES[0] else 404) as (first, _),
        server(lambda _: 200) as (second, asked),
    ):
        caches = BinaryCaches(nix, [f"{first}/?priority=10", second, f"{second}/"])
        assert caches.urls == (first, second)
        assert caches.where(PATHS[:2]) == {PATHS[0]: first, PATHS[1]: second}
        assert asked == [f"/{HASHES[1]}.narinfo"]
        caches.where(PATHS[:2])
        assert len(asked) == 1, "what is known is not asked for again"


def test_one_dead_cache_of_two_leaves_the_other(nix: Nix, tmp_path: Path) -> None:
    with server(lambda _: 200) as (url, _):
        caches = BinaryCaches(nix, [f"file://{tmp_path}/nowhere", url])
        assert caches.available(PATHS) == set(PATHS)
        assert caches.unreachable == {f"file://{tmp_path}/nowhere": "there is no such directory"}


def test_a_directory(nix: Nix, tmp_path: Path) -> None:
    directory = tmp_path / "a cache"
    directory.mkdir()
    (directory / f"{HASHES[3]}.narinfo").touch()
    caches = BinaryCaches(nix, [f"file://{tmp_path}/a%20cache?compression=none"])
    assert caches.available(PATHS) == {PATHS[3]}


def test_other_kinds_are_asked_through_nix(nix: Nix) -> None:
    caches = BinaryCaches(nix, ["s3://bucket?region=x"])
    assert caches.available(PATHS) is None
    assert list(caches.unreachable) == ["s3://bucket"]
    assert "--store s3://bucket?region=x " in caches.unreachable["s3://bucket"], "with its parameters"


def test_without_caches_there_is_nothing_and_nothing_unreachable(nix: Nix) -> None:
    assert BinaryCaches(nix, []).available(PATHS) == set()


@pytest.mark.parametrize(
    "url",
    [
        "https://cache.nixos.org",
        "https://cache.nixos.org/",
        "https://cache.nixos.org?priority=5",
        "https://cache.nixos.org/?a=b&c",
    ],
)
def test_one_cache_has_one_name(url: str) -> None:
    assert normal(url) == "https://cache.nixos.org"


def test_nobody_is_asked_any_more_when_the_run_is_told_to_stop(nix: Nix) -> None:
    def first_answer(_path: str) -> int:
        nix.processes.signum = 2
        return 200

    with server(first_answer) as (url, asked):
        BinaryCaches(nix, [url]).available(PATHS)
    assert len(asked) == 1


def test_other_kinds_have_a_limit_too(nix: Nix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "BUDGET", 0.3)
    (tmp_path / "nix").write_text("#!/bin/sh\nexec sleep 60\n")
    began = time.monotonic()
    caches = BinaryCaches(nix, ["ssh://host"])
    assert caches.available(PATHS) is None
    assert caches.unreachable == {"ssh://host": "did not answer within its time limit"}
    assert time.monotonic() - began < 30
