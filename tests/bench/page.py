"""How long the HTML report takes to make and to open, 2,000 derivations of which 300 differ:
`PYTHONPATH=src:tests/support python tests/bench/page.py`. Needs chromium."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import reports
from browser import Chromium
from nix_repro.output.render.html import render_html

ROUNDS = 5
# Milliseconds from the start of the navigation to the end of loading, and to the first thing seen.
TIMES = """(() => {
    const loaded = performance.getEntriesByType('navigation')[0].loadEventEnd;
    const seen = performance.getEntriesByName('first-contentful-paint')[0];
    return [loaded, seen ? seen.startTime : null];
})()"""


def main() -> None:
    report = reports.large(2000, 300)
    began = time.perf_counter()
    html = render_html(report)
    print(f"made in {time.perf_counter() - began:.2f} s, {len(html):,} characters")
    with tempfile.TemporaryDirectory() as directory, Chromium() as chromium:
        page = Path(directory) / "report.html"
        page.write_text(html, "utf-8")
        for name, width in (("desk", 1280), ("phone", 390)):
            opened: list[float] = []
            seen: list[float] = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                chromium.open(page, width=width)
                chromium.ask("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
                opened.append(time.perf_counter() - began)
                loaded, painted = chromium.ask(TIMES)
                seen.append((painted or loaded) / 1000)
            middle, first = statistics.median(opened), statistics.median(seen)
            print(
                f"{name}: opened and drawn in {middle:.2f} s (worst {max(opened):.2f}), first seen after {first:.2f} s"
            )
            began = time.perf_counter()
            chromium.ask("document.querySelectorAll('details').forEach(d => d.open = true); document.body.offsetHeight")
            print(f"{name}: everything unfolded in {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
