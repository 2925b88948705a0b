"""A cache that is complained about is looked at: real servers on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from loopback import listening
from nix_repro.nix.caches import witness
from nix_repro.nix.caches.incidents import Trouble, TroubleKind
from nix_repro.nix.caches.witness import Witness

DIGEST = "0123456789abcdfghijklmnpqrsvwxyz"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@contextmanager
def server(
    status: int = 200, *, size: int = 10, sent: int = 10, wait: float = 0.0, content: bytes = b""
) -> Iterator[tuple[str, list[str]]]:
    """A cache that answers everything in the same way. Yields its URL and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            time.sleep(wait)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) or size))
            self.end_headers()
            self.wfile.write(content or b"x" * sent)

        def log_message(self, *_: object) -> None: ...

    with listening(Handler) as url:
        yield url, asked


def never() -> bool:
    return False


def looked(
    url: str, name: str = f"{DIGEST}.narinfo", kind: TroubleKind = "rate-limited", path: str | None = None
) -> bool:
    return Witness(never, lambda: {"trusted-1"}).bears_out(
        url, Trouble(kind, f"{url}/{name}" if path is None else url, "said", path=path)
    )


@pytest.mark.parametrize(
    ("status", "so"), [(200, False), (404, False), (403, False), (429, True), (418, True), (500, True), (507, True)]
)
def test_who_answers_as_it_should_has_no_trouble(status: int, so: bool) -> None:
    with server(status) as (url, asked):
        assert looked(url) == so
        assert asked == [f"/{DIGEST}.narinfo"]


def test_an_archive_that_breaks_off() -> None:
    with server(size=100, sent=50) as (url, _):
        assert looked(url, "nar/x.nar", "corrupt")
    with server(size=100, sent=100) as (url, _):
        assert not looked(url, "nar/x.nar", "corrupt")


@pytest.mark.parametrize(("status", "so"), [(200, True), (404, False)])
def test_what_only_nix_can_judge_is_believed_of_what_the_cache_has(status: int, so: bool) -> None:
    with server(status) as (url, asked):
        assert looked(url, kind="corrupt", path=f"/nix/store/{DIGEST}-x") == so
        assert asked == [f"/{DIGEST}.narinfo"]


@pytest.mark.parametrize(("name", "so"), [("trusted-1", False), ("other-1", True)])
def test_whose_signature_a_path_has_is_seen(name: str, so: bool) -> None:
    with server(content=f"StorePath: x\nSig: {name}:AAAA\n".encode()) as (url, _):
        assert looked(url, kind="untrusted", path=f"/nix/store/{DIGEST}-x") == so


def test_a_dead_port_and_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as (url, _):
        pass
    assert looked(url, kind="dead")
    monkeypatch.setattr(witness, "LOOK", 0.3)
    with server(wait=2.0) as (url, _):
        began = time.monotonic()
        assert looked(url, kind="slow")
        assert time.monotonic() - began < 1.5


def test_a_directory_that_is_there_and_what_cannot_be_looked_at(tmp_path: Path) -> None:
    assert not looked(f"file://{tmp_path}")
    assert looked(f"file://{tmp_path}/gone")
    assert not looked("s3://bucket")


def test_a_look_speaks_for_a_moment() -> None:
    now = 0.0
    with server(429) as (url, asked):
        asking = Witness(never, set, clock=lambda: now)
        for _ in range(5):
            assert asking.bears_out(url, Trouble("rate-limited", f"{url}/{DIGEST}.narinfo", "said"))
        assert len(asked) == 1
        now = 60.0
        assert asking.bears_out(url, Trouble("rate-limited", f"{url}/{DIGEST}.narinfo", "said"))
        assert len(asked) == 2
