#!/usr/bin/env python3
"""Makes docs/summary.png: a step summary as GitHub shows it, cut to what is seen without scrolling far.

nix-repro check all --report-dir DIR; python tools/picture.py DIR/summary.md docs/summary.png
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

WIDTH, HEIGHT = 1040, 1150
STYLE = """
body { font: 16px/1.5 "DejaVu Sans", sans-serif; color: #1f2328; background: #fff;
  margin: 28px 32px; max-width: 980px; }
h2, h3 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; margin: 20px 0 14px; }
table { border-collapse: collapse; font-size: 14px; margin-bottom: 14px; }
th, td { border: 1px solid #d1d9e0; padding: 5px 11px; } tr:nth-child(2n) td { background: #f6f8fa; }
code { font: 85% "DejaVu Sans Mono", monospace; background: #818b981f; padding: .15em .4em; border-radius: 6px; }
pre { background: #f6f8fa; padding: 12px; border-radius: 6px; overflow: hidden; }
pre code { background: none; padding: 0; }
sub { color: #59636e; font-size: 11px; }
"""


def main() -> None:
    """Render the Markdown with GitHub's own renderer and take the picture with Chromium."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    body = cmarkgfm.github_flavored_markdown_to_html(source.read_text("utf-8"), Options.CMARK_OPT_UNSAFE)
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory, "page.html")
        page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}", "utf-8")
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={directory}/profile",
        ]
        size = f"--window-size={WIDTH},{HEIGHT}"
        subprocess.run([*command, size, f"--screenshot={target}", page.as_uri()], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
