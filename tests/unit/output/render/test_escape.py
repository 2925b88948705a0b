"""Every landing place, rendered: what was there is shown, and does nothing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from actions_toolkit.command import issue_command
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.output.render import escape

#: Words that try Markdown, HTML, mermaid, workflow commands, shells and expressions.
HOSTILE: list[str] = json.loads((Path(__file__).parents[4] / "fixtures" / "hostile-words.json").read_text("utf-8"))
ANYTHING = st.text(st.characters(codec=None), max_size=60)


def shown(value: str) -> str:
    return escape.visible(value).strip(" ")


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("escaped", [escape.text, escape.code])
@pytest.mark.parametrize(
    "place",
    [
        "{}",
        "x {} y",
        "| a | b |\n|---|---|\n| {} | c |",
        "### {}",
        "- {}",
        "<details><summary>{}</summary>\n\nx\n\n</details>",
    ],
)
def test_text_and_code_are_inert_in_every_place(
    value: str, escaped: Callable[[str], str], place: str, github: Any
) -> None:
    empty = github(place.format(escape.code("x") if escaped is escape.code else "x"))
    page = github(place.format(escaped(value)))
    added = [element for element in page.elements if element not in empty.elements]
    assert [name for name, _ in added if name != "span"] == []
    assert [name for name, _ in page.elements if name != "span"] == [name for name, _ in empty.elements]
    assert set(page.comments) <= {" "}
    # Everything is still there to be read.
    assert " ".join(shown(value).split()) in " ".join(page.text.split())


@given(ANYTHING)
def test_nothing_at_all_is_markup_in_a_table_cell(value: str) -> None:
    import cmarkgfm
    from cmarkgfm.cmark import Options

    html = cmarkgfm.github_flavored_markdown_to_html(
        f"| a | b |\n|---|---|\n| {escape.code(value)} | c |", options=Options.CMARK_OPT_UNSAFE
    )
    assert html.count("<td") == 2
    assert set(re.findall(r"<([a-z0-9]+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td", "code", "span"}


def test_mentions_and_issues_are_kept_apart_for_github(github: Any) -> None:
    # GitHub links them after rendering, in text nodes: the sign and the name must not stand in one.
    html = escape.text("@octocat acme/widgets#12 GH-12 a@b.org")
    assert not re.search(r"@\w|#\d|GH-\d", re.sub(r"&#(\d+);", lambda m: chr(int(m[1])), html))
    assert github(html).text.strip() == "@octocat acme/widgets#12 GH-12 a@b.org"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_fence_cannot_be_closed_from_inside(value: str, github: Any) -> None:
    page = github("before\n\n" + escape.fence(f"first\n{value}\nlast", "diff") + "\n\nafter")
    assert [name for name, _ in page.elements] == ["p", "pre", "code", "p"]
    assert page.blocks[0][1].startswith("first\n")
    assert page.blocks[0][1].endswith("\nlast\n")


@given(ANYTHING)
def test_visible_text_is_one_line_without_control_characters(value: str) -> None:
    clear = escape.visible(value)
    assert clear.isprintable() or all(char.isprintable() or char.isspace() or ord(char) > 0x2FF for char in clear)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", clear)
    clear.encode()


def test_visible_keeps_both_ends_of_a_long_name() -> None:
    short = escape.visible("a" * 300 + "-the-end", 40)
    assert len(short) == 40
    assert short.startswith("aaaa")
    assert short.endswith("-the-end")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_workflow_command_stays_one_command(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    issue_command("error", {"title": escape.visible(value)}, escape.visible_lines(value))
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert re.fullmatch(r"::error title=[^:,\n]*::[^\n\r]*\n", printed)


@pytest.mark.parametrize("value", HOSTILE)
def test_log_lines_never_begin_with_a_command(value: str) -> None:
    for line in value.split("\n"):
        printed = escape.log_line(line)
        assert not re.match(r"\s*(::|##\[)", printed)
        assert "\n" not in printed
        assert "\r" not in printed
        assert "\x1b" not in printed


@given(ANYTHING)
def test_xml_holds_what_is_left(value: str) -> None:
    element = ET.Element("x", {"a": escape.xml(value)})
    element.text = escape.xml(value)
    ET.fromstring(ET.tostring(element, encoding="unicode"))  # noqa: S314  # our own


@given(ANYTHING)
def test_a_comment_value_cannot_end_the_comment(value: str) -> None:
    encoded = escape.comment_value(value)
    assert re.fullmatch(r"[A-Za-z0-9%._~]*", encoded)
