"""The sticky comment on a pull request: the summary, shorter, behind a marker by which the next run finds it again."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from nix_repro.output.render import escape
from nix_repro.output.render.summary import render_summary

if TYPE_CHECKING:
    from nix_repro.report import Report

#: GitHub refuses comments with more characters. Bytes are counted here, which are never fewer.
COMMENT_LIMIT = 65_536
_MARKER = re.compile(r"\A<!-- nix-repro id=(?P<id>[^ ]*) outcome=(?P<outcome>[0-9a-f]{16}) -->\n")


def outcome(report: Report) -> str:
    """A short hash of what the run found, equal for two runs with the same verdicts."""
    found = [
        report.conclusion,
        *sorted(
            f"{d.verdict} {' '.join(d.marks)} {d.name} {' '.join(d.attrs)}"
            for d in report.derivations
            if d.verdict != "reproducible"
        ),
    ]
    return hashlib.sha256("\0".join(found).encode("utf-8", "replace")).hexdigest()[:16]


def read_marker(body: str) -> tuple[str, str] | None:
    """The encoded id and the outcome that a comment starts with; null when it is no comment of ours."""
    found = _MARKER.match(body.replace("\r\n", "\n"))
    return (found["id"], found["outcome"]) if found else None


def marker_id(run_id: str) -> str:
    """An id (of a matrix leg, say) as the marker carries it."""
    return escape.comment_value(run_id)


def render_comment(report: Report, *, run_id: str, run_url: str | None = None, note: str = "") -> str:
    """The comment's body, of at most 65,536 characters. `run_url` is linked when it is a web address, and `note` stands
    before everything else."""
    marker = f"<!-- nix-repro id={marker_id(run_id)} outcome={outcome(report)} -->\n"
    said = f"<sub>{escape.code(run_id, 100)}"
    if run_url and re.fullmatch(r"https?://[A-Za-z0-9.:/_-]+", run_url):
        said += f' · <a href="{run_url}">this run</a>'
    tail = f"\n{said} · edited in place by every run</sub>\n"
    head = f"{marker}> {escape.text(note)}\n\n" if note else marker
    return head + render_summary(report, limit_bytes=COMMENT_LIMIT - len((head + tail).encode())) + tail
