"""Private caches: which password goes to whom."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from loopback import listening
from nix_repro.nix.caches.http import passwords, session


@pytest.fixture(autouse=True)
def own_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's own, which Nix does not read."""
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "own").write_text("default login mine password private\n")
    (tmp_path / "own").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "own"))


@contextmanager
def server(to: str | None = None) -> Iterator[tuple[str, list[str | None]]]:
    """Answers every request, or sends it on. Yields its URL and the passwords that it got."""
    got: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.headers.get("Authorization")
            got.append(base64.b64decode(sent.removeprefix("Basic ")).decode() if sent is not None else None)
            self.send_response(302 if to else 200)
            if to is not None:
                self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with listening(Handler) as url:
        yield url, got


@pytest.mark.parametrize(
    ("text", "userinfo", "expected"),
    [
        ("machine 127.0.0.1 login me password pw", "", "me:pw"),
        ("machine 127.0.0.1\n  login me\n  password pw\nmachine other login x password y\n", "", "me:pw"),
        ("machine other login x password y", "", None),
        ("default login any password one", "", "any:one"),
        ("machine 127.0.0.1 password token", "", ":token"),
        ("machine 127.0.0.1 login me password pw", "you:yours@", "you:yours"),
        ("machine 127.0.0.1 login me password pw", "me@", "me:pw"),
        ("machine 127.0.0.1 login me password pw", "you@", "you:"),
        ("", "you:y%40urs@", "you:y@urs"),
        ("", "", None),
    ],
)
def test_the_password_of_netrc_file_or_of_the_url(
    tmp_path: Path, text: str, userinfo: str, expected: str | None
) -> None:
    file = tmp_path / "netrc"
    file.write_text(text)
    with server() as (url, got):
        cache = url.replace("://", f"://{userinfo}")
        session({"netrc-file": str(file)}, cache).get(f"{cache}/x.narinfo")
    assert got == [expected]


def test_none_without_a_file_not_even_the_users_own() -> None:
    with server() as (url, got):
        session({"netrc-file": "/etc/nix/there-is-none"}, url).get(url)
        session({}, url).get(url)
    assert got == [None, None]


def test_it_is_not_sent_on_to_another_host(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw")
    with server() as (other, heard), server(to=other.replace("127.0.0.1", "localhost")) as (url, got):
        session({"netrc-file": str(tmp_path / "netrc")}, url).get(url)
    assert got == ["me:pw"]
    assert heard == [None]


def test_a_file_that_cannot_be_used_is_said_without_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine h login me pasword s3cr3t\n")
    known, wrong = passwords({"netrc-file": str(file)})
    assert known is None
    assert wrong == f"netrc-file {file} is not understood (line 1)"
    assert passwords({"netrc-file": str(tmp_path)})[1] == f"netrc-file {tmp_path} cannot be read (Is a directory)"
    assert os.path.exists(file)
