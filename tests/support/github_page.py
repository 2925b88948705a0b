"""Markdown as GitHub's own renderer shows it, to be read as a reader would."""

from __future__ import annotations

from html.parser import HTMLParser

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
