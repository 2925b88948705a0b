"""The HTML report as text: its structure, what it may refer to, what hostile names do to it, what is cut."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from nix_repro.output.render import bars, graph
from nix_repro.output.render import snippet_diff as marking
from nix_repro.output.render.escape import visible
from nix_repro.output.render.html import EXPLAINED, FINDINGS, ROWS, render_html
from nix_repro.report import Build, DerivationReport, Report

VOID = {"meta", "wbr", "br"}
SVG_EMPTY = {"path", "circle", "rect", "line", "use"}
REFERENCES = ("aria-labelledby", "aria-describedby")


class Document(HTMLParser):
    """Every element with its attributes, the text, and a complaint about anything that is not well-formed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.marked: list[str] = []
        self.headings: list[int] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()
        assert not self.stack, f"left open: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "mark":
            self.marked.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_EMPTY, f"<{tag}/> closes nothing in HTML"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" in self.stack:
            self.style += data
            return
        self.text += data
        if "mark" in self.stack:
            self.marked[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def shown(report: Report) -> Document:
    return Document(render_html(report))


@pytest.fixture(scope="module")
def full() -> Document:
    return shown(reports.everything())


@pytest.mark.parametrize(
    "make", [reports.everything, reports.empty, lambda: reports.read("clean"), lambda: reports.read("diverged")]
)
def test_every_reference_inside_the_page_leads_somewhere(make: object) -> None:
    assert callable(make)
    page = shown(make())
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    wanted = [attrs["href"] or "" for _, attrs in page.elements if "href" in attrs]
    assert all(href.startswith("#") for href in wanted), "a page that stands by itself links to nothing else"
    wanted = [href[1:] for href in wanted]
    for _, attrs in page.elements:
        wanted += [name for key in REFERENCES for name in (attrs.get(key) or "").split()]
        wanted += re.findall(r"url\(#([^)]*)\)", " ".join(value or "" for value in attrs.values()))
    assert set(wanted) <= set(ids)


def test_nothing_is_fetched_and_nothing_runs(full: Document) -> None:
    assert {name for name, _ in full.elements} & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "base",
        "form",
        "input",
        "video",
        "audio",
    } == set()
    attributes = {key for _, attrs in full.elements for key in attrs}
    assert not [
        key for key in attributes if key.startswith("on") or key in {"style", "src", "srcset", "action", "ping"}
    ]
    assert "url(" not in full.style
    assert "@import" not in full.style


def test_the_pages_policy_allows_its_own_style_sheet_and_nothing_else(full: Document) -> None:
    policy = next(m["content"] or "" for m in full.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(full.style.encode()).digest()).decode()
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    # A policy in the page itself counts from where it stands.
    names = [name for name, _ in full.elements]
    assert names.index("style") > names.index("meta")


def test_headings_come_in_order(full: Document) -> None:
    assert full.headings[0] == 1
    assert full.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(full.headings, full.headings[1:], strict=False))


def test_tables_say_what_they_are_and_what_their_cells_belong_to(full: Document) -> None:
    names = [name for name, _ in full.elements]
    assert names.count("caption") == names.count("table")
    assert {attrs.get("scope") for attrs in full.all("th")} == {"row", "col"}


def test_the_answer_is_in_the_first_screen() -> None:
    html = render_html(reports.everything())
    top = Document(html[html.index('<header class="top">') : html.index("</header>") + len("</header>")])
    assert "1 new divergence" in top.text
    assert "timestamp in share/info" in re.sub(r"\s+", " ", top.text)
    assert "2 others built from it differ too" in top.text


def test_findings_are_shown_with_what_differs_marked(full: Document) -> None:
    assert "00:01" in full.marked
    assert "07:44" in full.marked
    assert "built " not in " ".join(full.marked)
    assert "01" in full.marked, "the byte that differs in a hex dump"
    assert "00000040" in full.text, "the offset of a dump's first row"
    assert "nothing in this place" in full.text
    assert "follows from share/info" in full.text
    assert all(words in full.text for words in ("proved", "high confidence", "low confidence"))
    assert "nix-repro check '.#root'" in full.text


def test_a_clean_run_has_nothing_to_explain(clean: Report) -> None:
    page = shown(clean)
    assert "What differs" not in page.text
    assert "No difference found" in page.text
    assert "How it spreads" not in page.text


def test_a_run_that_found_nothing_yet_has_a_page_too() -> None:
    page = shown(reports.empty())
    assert "Interrupted" in page.text
    assert "nothing was rebuilt" in page.text


@pytest.mark.parametrize("word", reports.HOSTILE)
def test_hostile_words_change_no_structure_and_are_shown(word: str) -> None:
    def structure(page: Document) -> list[tuple[str, list[str]]]:
        # Where lines and paths break, and what is marked, follows from the words themselves.
        return [(name, sorted(attrs)) for name, attrs in page.elements if name not in {"wbr", "i", "mark", "span"}]

    plain = shown(reports.prefixed(reports.everything(), "word "))
    hostile = shown(reports.prefixed(reports.everything(), word))
    assert structure(hostile) == structure(plain)
    assert f"{visible(word)}root" in hostile.text
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", hostile.text
    )


def test_hidden_characters_are_shown_not_obeyed() -> None:
    page = shown(reports.prefixed(reports.read("diverged"), "\u202e\u200b\x1b[31m"))
    assert "<U+202E><U+200B>␛[31mwidgets-cli-2.4.0" in page.text


def test_long_names_are_cut_in_the_middle() -> None:
    page = render_html(reports.prefixed(reports.everything(), "x" * 100_000))
    # The end of a log is the longest text that a page shows.
    assert "x" * 24_001 not in page
    assert len(page) < 400_000


@pytest.fixture(scope="module")
def pruned() -> Document:
    return shown(reports.large(3000, 400))


def test_what_is_left_out_is_counted(pruned: Document) -> None:
    assert len([a for a in pruned.all("article") if a["class"] == "card"]) == EXPLAINED
    assert f"{3000 - ROWS:,} more derivations are left out of this page" in pruned.text
    assert f"{400 - EXPLAINED - 200} more divergent derivations are left out of this page" in pruned.text
    assert "400 of 3,000 derivations diverge" in pruned.text
    assert "boxes are left out of this page" in pruned.text
    assert len(pruned.elements) < 60_000


def test_failures_come_first_in_a_cut_table() -> None:
    last = reports.derivation("zzz-broken", verdict="build-failed")
    report = reports.large(3000, 0)
    html = render_html(msgspec.structs.replace(report, derivations=(*report.derivations, last)))
    table = html[html.index('<table class="all">') :]
    assert table.index("zzz-broken") < table.index("package-")


def test_findings_of_one_derivation_are_cut_too() -> None:
    many = reports.derivation(
        "many", verdict="divergent", findings=tuple(reports.finding(path=f"f{n}") for n in range(FINDINGS + 5))
    )
    page = shown(msgspec.structs.replace(reports.read("clean"), derivations=(many,)))
    assert "5 findings are left out of this page" in page.text
    assert len([a for a in page.all("section") if (a.get("class") or "").startswith("finding")]) == FINDINGS


@given(st.text(max_size=80), st.text(max_size=80))
def test_marking_keeps_both_texts_and_agrees_on_the_rest(a: str, b: str) -> None:
    left, right = marking.mark(a, b)
    assert "".join(piece.text for piece in left) == a
    assert "".join(piece.text for piece in right) == b
    assert "".join(p.text for p in left if not p.differs) == "".join(p.text for p in right if not p.differs)
    assert any(p.differs for p in (*left, *right)) == (a != b)


def test_marking_takes_whole_values() -> None:
    left, right = marking.mark("id=4414a502-5694-4b7d;\\nend", "id=ac6ed0a8-9cf9-436b;\\nend")
    assert [p.text for p in left if p.differs] == ["4414a502-5694-4b7d"]
    assert [p.text for p in right if p.differs] == ["ac6ed0a8-9cf9-436b"]


def test_marking_of_long_texts_looks_at_the_ends_only() -> None:
    body = "same words " * 400
    left, right = marking.mark(f"{body}one{body}", f"{body}three{body}")
    assert [p.text for p in left if p.differs] == ["on"]
    assert [p.text for p in right if p.differs] == ["thre"]


@given(st.binary(min_size=2, max_size=64), st.binary(min_size=2, max_size=64), st.integers(0, 2**31))
def test_dumps_show_every_byte_at_its_place(a: bytes, b: bytes, offset: int) -> None:
    dump = marking.dump(a.hex(" "), b.hex(" "), offset)
    assert dump is not None
    for rows, data, other in ((dump.a, a, b), (dump.b, b, a)):
        cells = [cell for row in rows for cell in row.cells]
        assert [int(cell.text, 16) for cell in cells] == list(data)
        assert [cell.differs for cell in cells] == [n >= len(other) or other[n] != byte for n, byte in enumerate(data)]
        assert [int(row.offset, 16) for row in rows] == list(range(offset, offset + len(data), marking.ROW))


@pytest.mark.parametrize("text", ["12", "", "ab cd ", "7f 4", "2026-01-01", "ab cd\n"])
def test_text_is_not_taken_for_bytes(text: str) -> None:
    assert marking.dump(text, text, 0) is None


nodes = st.integers(1, 14).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count),
)


def graph_of(inputs: list[list[int]]) -> Report:
    made: list[DerivationReport] = []
    for n, needs in enumerate(inputs):
        paths = tuple(f"/nix/store/{'0' * 32}-d{m}.drv" for m in needs)
        given = {"marks": ("propagated",)} if any(m < n for m in needs) else {"verdict": "divergent"}
        made.append(reports.derivation(f"d{n}", inputs=paths, **given))
    return msgspec.structs.replace(reports.read("clean"), derivations=tuple(made))


@given(nodes)
def test_boxes_of_the_graph_never_overlap_and_arrows_go_forward(inputs: list[list[int]]) -> None:
    """Loops included, which no store has but a hand-made report may."""
    drawing = graph.draw(graph_of(inputs))
    linked = {n for n, needs in enumerate(inputs) if any(m != n for m in needs)} | {
        m for n, needs in enumerate(inputs) for m in needs if m != n
    }
    if not linked:
        assert drawing is None
        return
    assert drawing is not None
    assert {node.label for node in drawing.nodes} == {f"d{n}" for n in linked}
    boxes = [(node.x, node.y, node.x + node.width, node.y + 34) for node in drawing.nodes]
    for place, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= drawing.width
        assert 0 <= top < bottom <= drawing.height
        assert all(right <= x or x2 <= left or bottom <= y or y2 <= top for x, y, x2, y2 in boxes[place + 1 :])
    for path in drawing.arrows:
        points = [float(x) for x in re.findall(r"(?:M|H|C(?:[-\d.]+ ){4})([-\d.]+)", path)]
        assert points == sorted(points)
        assert len(points) > 1


def test_the_graph_has_every_edge_of_what_differs() -> None:
    drawing = graph.draw(reports.everything())
    assert drawing is not None
    assert {(node.label, node.root) for node in drawing.nodes} >= {("root", True), ("near", False), ("far", False)}
    assert len(drawing.arrows) == 3


def test_a_graph_of_many_roots_is_cut_to_those_that_most_depend_on() -> None:
    lonely: list[list[int]] = [[] for _ in range(200)]
    drawing = graph.draw(graph_of([*lonely, *([n] for n in range(200)), [7], [7], [7]]))
    assert drawing is not None
    labels = [node.label for node in drawing.nodes]
    assert {"d7", "d207", "d400", "d401", "d402"} <= set(labels)
    assert len(drawing.arrows) >= len(labels) // 2
    # A chain deeper than what is drawn leaves no empty columns behind.
    deep = graph.draw(graph_of([[], *([n] for n in range(150))]))
    assert deep is not None
    assert len(deep.nodes) == graph.DRAWN


def test_a_large_graph_is_cut_and_says_so() -> None:
    drawing = graph.draw(graph_of([[], *([0] for _ in range(200))]))
    assert drawing is not None
    assert len(drawing.nodes) == graph.DRAWN
    assert drawing.left_out == 201 - graph.DRAWN
    assert any(node.root for node in drawing.nodes)


@given(st.lists(st.tuples(st.floats(-1e3, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_bars_stay_on_the_axis(times: list[tuple[float, float]]) -> None:
    builds = [
        reports.derivation(f"d{n}", builds=(Build(round=1, status="built", started=started, seconds=seconds),))
        for n, (started, seconds) in enumerate(times)
    ]
    axis = bars.timeline(msgspec.structs.replace(reports.read("clean"), derivations=tuple(builds), phases=()))
    assert axis is not None
    for line in axis.builds:
        for bar in line.bars:
            assert bar.left >= 0
            assert bar.width > 0
            assert bar.left + bar.width <= 100.02
    assert len(axis.ticks) <= 8
    assert all(0 <= at <= 100 for at, _ in axis.ticks)


def test_the_timeline_keeps_what_differs_and_counts_the_rest() -> None:
    axis = bars.timeline(reports.large(300, 5))
    assert axis is not None
    assert len(axis.builds) == bars.ROWS
    assert axis.left_out == 300 - bars.ROWS
    assert sum(line.derivation is not None and line.derivation.verdict == "divergent" for line in axis.builds) == 5


def test_what_is_the_same_but_not_under_every_condition() -> None:
    found = (reports.finding(cause="parallelism", confidence="proved", path="cores.txt"),)
    report = msgspec.structs.replace(
        reports.read("clean"), derivations=(reports.derivation("sensitive", findings=found),)
    )
    page = shown(report)
    assert "The same, but not under every condition" in page.text
    assert "cores.txt" in page.text
    assert "What differs" not in page.text
