from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.report import DerivationReport, Hash, Output, Report

ROOT = Path(__file__).parents[4]
VOID = {"br"}


class Page(HTMLParser):
    """The rendered summary: every element with its attributes, the text, the code blocks by language."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.blocks: list[tuple[str | None, str]] = []
        self.stack: list[str] = []
        self.comments: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "pre":
            self.blocks.append((dict(attrs).get("lang"), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self.stack:
            language, text = self.blocks[-1]
            self.blocks[-1] = (language, text + data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def render_github(markdown: str) -> Page:
    """As GitHub's own Markdown renderer shows it, raw HTML included (which GitHub sanitizes afterwards)."""
    import cmarkgfm
    from cmarkgfm.cmark import Options

    page = Page(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))
    assert not page.stack, f"left open: {page.stack}"
    return page


@pytest.fixture
def github() -> Callable[[str], Page]:
    return render_github


@cache
def _mermaid_installed() -> None:
    subprocess.run([ROOT / "tests" / "js" / "install"], check=True, timeout=300)


@pytest.fixture
def mermaid() -> Callable[[list[str]], list[dict[str, Any]]]:
    """What mermaid itself makes of each diagram."""

    def parse(diagrams: list[str]) -> list[dict[str, Any]]:
        _mermaid_installed()
        script = ROOT / "tests" / "js" / "parse-mermaid.mjs"
        done = subprocess.run(
            ["node", script], input=json.dumps(diagrams), capture_output=True, text=True, check=True, timeout=120
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return parse


def read_report(name: str) -> Report:
    return msgspec.json.decode((ROOT / "fixtures" / "reports" / f"{name}.json").read_bytes(), type=Report)


@pytest.fixture
def diverged() -> Report:
    """A run with everything in it: divergences, a failed build, overruns, caches, warnings."""
    return read_report("diverged")


@pytest.fixture
def clean() -> Report:
    """A run in which nothing differs."""
    return read_report("clean")


@pytest.fixture
def named() -> Callable[..., DerivationReport]:
    """A derivation with one output; keywords are fields of the report."""

    def make(name: str, **fields: Any) -> DerivationReport:
        a, b = ("sha256-" + char * 43 + "=" for char in "AB")
        verdict = fields.get("verdict", "reproducible")
        hashes = (
            Hash(nar_hash=a, source="built", origin="round 1"),
            Hash(nar_hash=b if verdict == "divergent" else a, source="rebuilt", origin="round 2"),
        )
        path = f"/nix/store/{'0' * 32}-{name}"
        output = Output(path=path, verdict=verdict, hashes=hashes)
        return DerivationReport(
            **{"drv_path": f"{path}.drv", "name": name, "verdict": verdict, "outputs": {"out": output}} | fields
        )

    return make
