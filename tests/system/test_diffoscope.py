"""diffoscope itself, as it is packaged."""

from __future__ import annotations

import os
from pathlib import Path

from nix_repro.output.diffoscope import deep_diff, find_diffoscope


def test_it_shows_what_differs_and_no_more(tmp_path: Path) -> None:
    """Both sides as they are kept: copies of another time, with names and content that want to be markup."""
    program = find_diffoscope("auto")
    assert program is not None, "diffoscope-minimal is among the packages of bin/test"
    for side, text in (("a", "one<script>alert(1)</script>\n"), ("b", "two<script>alert(2)</script>\n")):
        (tmp_path / side / "dir").mkdir(parents=True)
        (tmp_path / side / "dir/<b>name.txt").write_text(text)
        (tmp_path / side / "same").write_text("same")
    os.utime(tmp_path / "b/same", (1, 1))
    (tmp_path / "b/dir").chmod(0o700)
    found = deep_diff(program, tmp_path / "a", tmp_path / "b", tmp_path / "out.html")
    assert (found.html, found.reason) == (tmp_path / "out.html", None)
    page = (tmp_path / "out.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "same" not in page
    assert "stat {}" not in page
    cut = deep_diff(program, tmp_path / "a", tmp_path / "b", tmp_path / "out.html", output=200)
    assert cut.reason is not None
