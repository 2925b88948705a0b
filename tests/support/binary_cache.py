"""A signed binary cache served over HTTP on loopback, that can be told to misbehave in the ways real ones do."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from store import NixBox

#: Decides on a request's answer: None for the honest one, or (status, headers).
Fault = Callable[[str], "tuple[int, dict[str, str]] | None"]


@dataclass
class BinaryCache:
    """`directory` is what `nix copy --to file://` made. Faults may be set while it serves; `password` is what is wanted
    of everybody, as `USER:PASSWORD`."""

    directory: Path
    public_key: str
    url: str = ""
    fault: Fault = lambda _path: None
    delay: Callable[[str], float] = lambda _path: 0.0
    truncate: Callable[[str], bool] = lambda _path: False
    password: str | None = None
    drip: Callable[[str], bool] = lambda _path: False
    requests: list[str] = field(default_factory=list)

    def fetched(self) -> set[str]:
        """The NARs that were asked for, by file name."""
        return {path.rsplit("/", 1)[-1] for path in self.requests if "/nar/" in path}


def _basic(password: str) -> str:
    return f"Basic {base64.b64encode(password.encode()).decode()}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    cache: BinaryCache


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        cache = self.server.cache
        cache.requests.append(self.path)
        time.sleep(cache.delay(self.path))
        if cache.password is not None and self.headers.get("Authorization") != _basic(cache.password):
            self._send(401, {"WWW-Authenticate": 'Basic realm="cache"'}, b"", body=body)
            return
        found = cache.fault(self.path)
        if found is not None:
            self._send(found[0], found[1], b"told to fail", body=body)
            return
        if body and cache.drip(self.path):
            self._drip()
            return
        file = (cache.directory / self.path.lstrip("/").partition("?")[0]).resolve()
        if not file.is_relative_to(cache.directory.resolve()) or not file.is_file():
            self._send(404, {}, b"", body=body)
            return
        content = file.read_bytes()
        if body and cache.truncate(self.path):
            # Announce all of it and stop half-way: a connection that breaks.
            self.close_connection = True
            self._send(200, {"Content-Length": str(len(content))}, content[: len(content) // 2], body=True)
            return
        self._send(200, {}, content, body=body)

    def _drip(self) -> None:
        """Promise an answer and give a byte of it a second."""
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
            for _ in range(60):
                self.wfile.write(b"x")
                time.sleep(0.9)
        except OSError:
            pass

    def _send(self, status: int, headers: dict[str, str], content: bytes, *, body: bool) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client has gone: it may

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serve(cache: BinaryCache) -> Iterator[BinaryCache]:
    """Serve it while the block runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.cache = cache
    cache.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cache
    finally:
        server.shutdown()
        server.server_close()


def make_cache(box: NixBox, paths: list[str], name: str = "cache") -> BinaryCache:
    """A cache with these paths and their closures, signed with a key of its own."""
    directory = box.work / name
    secret, public = box.work / f"{name}.secret", box.work / f"{name}.public"
    box.run(["nix-store", "--generate-binary-cache-key", f"{name}-1", secret, public])
    box.nix("copy", "--to", f"file://{directory}?secret-key={secret}&compression=none", *paths)
    return BinaryCache(directory, public.read_text().strip())


def narinfo(cache: BinaryCache, path: str) -> Path:
    """The file that describes a store path."""
    return cache.directory / f"{Path(path).name.partition('-')[0]}.narinfo"


def spoil_nar(cache: BinaryCache, path: str) -> None:
    """Change one byte in the middle of the path's archive: neither hash in the narinfo fits any longer."""
    found = re.search(r"^URL: (.*)$", narinfo(cache, path).read_text(), re.MULTILINE)
    assert found is not None
    file = cache.directory / found[1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))
