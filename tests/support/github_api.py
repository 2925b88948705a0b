"""GitHub over real HTTP: a server with state that enforces GitHub's limits and checks every request against GitHub's
own schemas."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

PAYLOADS = Path(__file__).parents[1] / "github" / "payloads"
DESCRIPTION = json.loads((Path(__file__).parents[1] / "github" / "openapi.json").read_text())
TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ012345"
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
MERGE = "77cc7a9e0a1e5d2b3c4d5e6f708192a3b4c5d6e7"


def _json_schema(value: Any) -> Any:
    """OpenAPI 3.0 writes `nullable` where JSON Schema has a list of types."""
    if isinstance(value, dict):
        converted = {key: _json_schema(inner) for key, inner in value.items() if key != "nullable"}
        if value.get("nullable") is True and isinstance(converted.get("type"), str):
            converted["type"] = [converted["type"], "null"]
        return converted
    return [_json_schema(inner) for inner in value] if isinstance(value, list) else value


@dataclass
class Answer:
    """What the server says instead of doing what it was asked for; `after` means that it is done all the same."""

    status: int
    body: dict[str, Any] = field(default_factory=lambda: {"message": "Server Error"})
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    delay: float = 0.0
    trickle: float = 0.0


@dataclass
class GitHub:
    """The server's state. `faults` are (method, part of the path, answer), each used once."""

    permissions: set[str] = field(default_factory=lambda: {"statuses", "pull-requests"})
    commits: set[str] = field(default_factory=lambda: {HEAD, MERGE})
    statuses: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, str, Answer]] = field(default_factory=list)
    allowance: int = 5000
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    url: str = ""
    prefix: str = ""

    def add_comment(
        self, body: str, login: str = "github-actions[bot]", kind: str = "Bot", association: str = "NONE"
    ) -> dict[str, Any]:
        number = len(self.comments) + 1000
        user = {"login": login, "id": 41898282, "type": kind, "url": f"{self.url}/users/x"}
        comment = {"id": number, "body": body, "user": user, "author_association": association, "issue": 7}
        comment["url"] = f"{self.url}/repos/acme/widgets/issues/comments/{number}"
        self.comments.append(comment)
        return comment

    def validate(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> str | None:
        """The path's template; a request that GitHub's description does not know is a violation."""
        for template, methods in DESCRIPTION["paths"].items():
            if not re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
                continue
            operation = methods.get(method.lower())
            if operation is None:
                break
            known = {p["name"]: p for p in operation["parameters"] if p["in"] == "query"}
            for name, values in query.items():
                value: Any = int(values[0]) if values[0].isdecimal() else values[0]
                try:
                    jsonschema.validate(value, _json_schema(known[name]["schema"]))
                except (KeyError, jsonschema.ValidationError) as error:
                    self.violations.append(f"{method} {path}: query {name}: {error}")
            if operation["body"] is not None:
                schema = _json_schema(operation["body"]) | {"additionalProperties": False}
                try:
                    jsonschema.validate(body, schema)
                except jsonschema.ValidationError as error:
                    self.violations.append(f"{method} {path}: {error.message}")
            return str(template)
        self.violations.append(f"{method} {path}: not in GitHub's description")
        return None

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if self.validate(method, path, query, body) is None:
            return Answer(404, {"message": "Not Found"})
        if self.allowance <= 0:
            headers = {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-limit": "1000",
                "x-ratelimit-reset": str(int(time.time()) + 3600),
            }
            return Answer(403, {"message": "API rate limit exceeded for installation."}, headers)
        self.allowance -= 1
        if "/statuses/" in path:
            return self._status(path, body)
        if path.endswith("/status"):
            return self._combined(path.split("/")[-2])
        if "/pulls/" in path:
            found = next((p for p in self.pulls if str(p["number"]) == path.rpartition("/")[2]), None)
            return Answer(404, {"message": "Not Found"}) if found is None else Answer(200, self._whole(found))
        if path.endswith("/pulls"):
            asked = [p for p in self.pulls if query.get("head", [p["head"]["label"]])[0] == p["head"]["label"]]
            return self._list(path, query, [self._whole(p) for p in asked])
        if method == "GET":
            return self._list(path, query, self.comments)
        return self._comment(method, path, body)

    def _forbidden(self) -> Answer:
        return Answer(
            403,
            {
                "message": "Resource not accessible by integration",
                "documentation_url": "https://docs.github.com/rest",
                "status": "403",
            },
        )

    def _refused(self, message: str) -> Answer:
        return Answer(422, {"message": "Validation Failed", "errors": [{"message": message}]})

    def _whole(self, pull: dict[str, Any]) -> dict[str, Any]:
        return {"merge_commit_sha": None, "url": f"{self.url}/repos/acme/widgets/pulls/{pull['number']}", **pull}

    def _combined(self, sha: str) -> Answer:
        if "statuses" not in self.permissions:
            return self._forbidden()
        latest = {status["context"]: status for status in self.statuses if status["sha"] == sha}
        return Answer(200, {"state": "pending", "sha": sha, "statuses": list(latest.values())})

    def _status(self, path: str, body: Any) -> Answer:
        sha = path.rpartition("/")[2]
        if "statuses" not in self.permissions:
            return self._forbidden()
        if sha not in self.commits:
            return Answer(422, {"message": f"No commit found for SHA: {sha}"})
        if len(body.get("description") or "") > 140:
            return self._refused("description is too long (maximum is 140 characters)")
        if len(body["context"]) > 255:
            return self._refused("context is too long (maximum is 255 characters)")
        if sum(s["sha"] == sha and s["context"] == body["context"] for s in self.statuses) >= 1000:
            return self._refused("This SHA and context has reached the maximum number of statuses.")
        self.statuses.append({"sha": sha, **body})
        return Answer(201, {"id": len(self.statuses), "url": f"{self.url}{path}", **body})

    def _comment(self, method: str, path: str, body: Any) -> Answer:
        if "pull-requests" not in self.permissions:
            return self._forbidden()
        if not body["body"].strip() or len(body["body"]) > 65_536:
            return self._refused("Body is too long (maximum is 65536 characters)")
        if method == "POST":
            return Answer(201, self.add_comment(body["body"]))
        found = next((c for c in self.comments if str(c["id"]) == path.rpartition("/")[2]), None)
        if found is None:
            return Answer(404, {"message": "Not Found"})
        found["body"] = body["body"]
        return Answer(200, found)

    def _list(self, path: str, query: dict[str, list[str]], items: list[dict[str, Any]]) -> Answer:
        size, page = min(int(query.get("per_page", ["30"])[0]), 100), int(query.get("page", ["1"])[0])
        headers = {}
        if page * size < len(items):
            following = f"{self.url}{path}?per_page={size}&page={page + 1}"
            headers["link"] = f'<{following}>; rel="next"'
        return Answer(200, items[(page - 1) * size : page * size], headers)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        body = json.loads(raw) if raw else None
        address = urlsplit(self.path)
        path = address.path.removeprefix(self.github.prefix)
        self.github.requests.append(f"{self.command} {path}")
        if self.headers.get("authorization") not in {f"Bearer {TOKEN}", f"token {TOKEN}"}:
            self._send(Answer(401, {"message": "Bad credentials"}))
            return
        fault = next((f for f in self.github.faults if f[0] == self.command and f[1] in path), None)
        if fault is not None:
            self.github.faults.remove(fault)
            if fault[2].after:
                self.github.answer(self.command, path, parse_qs(address.query), body)
            self._send(fault[2])
            return
        self._send(self.github.answer(self.command, path, parse_qs(address.query), body))

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815  # the names that http.server calls

    def _send(self, answer: Answer) -> None:
        time.sleep(answer.delay)
        content = json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            for name, value in {
                "content-type": "application/json; charset=utf-8",
                "content-length": str(len(content)),
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            for byte in content:
                self.wfile.write(bytes([byte]))
                if answer.trickle:
                    self.wfile.flush()
                    time.sleep(answer.trickle)
        except OSError:
            self.close_connection = True  # the client has had enough, as some of these tests want it to

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        pass


@contextmanager
def serve() -> Iterator[GitHub]:
    """The server, running. In the end every request must have been one that GitHub's description allows."""
    state = GitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"github": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()
    assert state.violations == []
