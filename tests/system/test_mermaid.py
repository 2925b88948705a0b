"""The diagrams of the summary, as mermaid itself reads them."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

import reports
from github_page import render_github
from nix_repro.output.render import escape
from nix_repro.output.render.summary import render_summary
from nix_repro.output.render.timeline import LONGEST, timeline
from nix_repro.report import Phase

JS = Path(__file__).parents[1] / "js"


@cache
def _installed() -> None:
    subprocess.run([JS / "install"], check=True, timeout=300)


def mermaid(diagrams: list[str]) -> list[dict[str, Any]]:
    """What mermaid makes of each diagram."""
    _installed()
    done = subprocess.run(
        ["node", JS / "parse-mermaid.mjs"],
        input=json.dumps(diagrams),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def diagrams(markdown: str) -> list[str]:
    """What GitHub gives to mermaid."""
    return [text for language, text in render_github(markdown).blocks if language == "mermaid"]


def test_hostile_words_change_no_diagram() -> None:
    found = [
        diagram
        for word in reports.HOSTILE
        for diagram in diagrams(render_summary(reports.hostile(reports.read("diverged"), word)))
    ]
    answers = mermaid(found)
    assert len(answers) == len(reports.HOSTILE)
    bars = [(task["section"], task["start"], task["end"]) for task in answers[0]["tasks"]]
    assert len(bars) > 20
    for word, answer in zip(reports.HOSTILE, answers, strict=True):
        assert answer["ok"], (word, answer)
        assert [(task["section"], task["start"], task["end"]) for task in answer["tasks"]] == bars, word


def test_the_timeline_has_phases_and_builds_where_they_ran() -> None:
    drawn = timeline(reports.read("diverged"))
    assert drawn is not None
    [answer] = mermaid([drawn.diagram])
    assert answer["type"] == "gantt"
    sections = [task["section"] for task in answer["tasks"]]
    assert set(sections) == {"Phases", "First build", "Rebuild"}
    rebuild = next(task for task in answer["tasks"] if task["label"].startswith("▸ rebuild"))
    assert rebuild["end"] - rebuild["start"] == 76_100
    assert drawn.pruned is None


def test_installing_before_the_run_shifts_the_timeline() -> None:
    clean = reports.read("clean")
    install = Phase(name="install", seconds=6, started=-10)
    drawn = timeline(msgspec.structs.replace(clean, phases=(install, *clean.phases)))
    assert drawn is not None
    [answer] = mermaid([drawn.diagram])
    first, evaluate = answer["tasks"][:2]
    assert first["label"].startswith("▸ install")
    assert evaluate["start"] - first["start"] == 10_000


@pytest.mark.parametrize("verdict", ["reproducible", "divergent", "build-failed"])
def test_of_very_many_builds_the_longest_are_drawn(verdict: str) -> None:
    log = "a line of a log\n" * 5000 if verdict == "build-failed" else None
    [answer] = mermaid(diagrams(render_summary(reports.many(reports.read("diverged"), 5000, verdict, log))))
    assert answer["ok"]
    assert sum(task["section"] != "Phases" for task in answer["tasks"]) == LONGEST


def test_a_gantt_label_stays_a_label() -> None:
    values = [*reports.HOSTILE, "section x", "click", "title", "dateFormat", "a:b:c", "x;y", "a, b", "done, crit"]
    head = "gantt\n  dateFormat YYYY-MM-DD\n  section S\n"
    answers = mermaid(
        [f"{head}  ✓ {escape.mermaid(value)} 1 s :2000-01-01, 1d\n  ✓ second :2000-01-02, 1d" for value in values]
    )
    for value, answer in zip(values, answers, strict=True):
        assert answer["ok"], (value, answer)
        assert [task["section"] for task in answer["tasks"]] == ["S", "S"], value
        assert [task["label"].strip()[-3:] for task in answer["tasks"]] == ["1 s", "ond"], value
