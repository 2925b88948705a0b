"""The forms in which a report is written. A new one is a module that renders it, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nix_repro.report import Report


@dataclass(frozen=True)
class Format:
    """One form. `file` is its name in the report directory; `option`, with its `help`, writes it to a file anywhere."""

    file: str
    render: Callable[[Report], bytes]
    option: str | None = None
    help: str = ""


# The options are made from these rows, so what renders is imported when it is needed.


def _json(report: Report) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def _summary(report: Report) -> bytes:
    from nix_repro.output.render.summary import render_summary

    return render_summary(report).encode()


def _junit(report: Report) -> bytes:
    from nix_repro.output.render.junit import render_junit

    return render_junit(report).encode()


def _page(report: Report) -> bytes:
    from nix_repro.output.render.html import render_html

    return render_html(report).encode()


JSON = Format("report.json", _json, "--report-json", "Write the report to this file as JSON (docs/report.md)")
SUMMARY = Format("summary.md", _summary)
JUNIT = Format("junit.xml", _junit)
PAGE = Format("report.html", _page, "--html", "Write the report to this file as a self-contained page")
FORMATS = (JSON, SUMMARY, JUNIT, PAGE)
