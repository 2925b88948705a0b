from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.output.render.junit import render_junit
from nix_repro.report import Build, Finding, Report

HOSTILE: list[str] = json.loads((Path(__file__).parents[4] / "fixtures" / "hostile-words.json").read_text("utf-8"))
#: The shape that Jenkins, GitLab and Azure read: which elements stand in which, and their attributes.
SHAPE = {
    "testsuites": ({"testsuite"}, {"name", "tests", "failures", "errors", "skipped", "time"}),
    "testsuite": ({"testcase"}, {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}),
    "testcase": ({"failure", "error", "skipped", "system-out"}, {"classname", "name", "time"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "skipped": (set(), {"message"}),
    "system-out": (set(), set()),
}


def read(text: str) -> ET.Element:
    root = ET.fromstring(text.partition("\n")[2])  # noqa: S314  # our own
    for element in root.iter():
        children, attributes = SHAPE[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) == attributes
        for name in ("tests", "failures", "errors", "skipped"):
            if name in attributes:
                int(element.attrib[name])
        if "time" in attributes:
            assert float(element.attrib["time"]) >= 0
    return root


def test_each_verdict_becomes_what_test_views_know(diverged: Report) -> None:
    text = render_junit(diverged)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = read(text)
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "15",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure = cases["packages.x86_64-linux.default"].find("failure")
    assert failure is not None
    assert "share/widgets/build-info.json: timestamp (proved)" in (failure.text or "")
    assert "nix-repro check" in (failure.text or "")
    assert "AssertionError: 503" in (cases["checks.x86_64-linux.e2e"].findtext("system-out") or "")
    for name, message in (
        ("packages.x86_64-linux.docs", "known divergence: allow rule"),
        ("widgets-gpu-0.3", "unverified: it is for a system"),
    ):
        skipped = cases[name].find("skipped")
        assert skipped is not None
        assert skipped.get("message", "").startswith(message)
    assert list(cases["packages.x86_64-linux.core"]) == []


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_text(diverged: Report, named: Any, word: str) -> None:
    build = Build(round=1, status="failed", log=f"{word}\x00\x08\ufffe")
    derivation = named(word, verdict="divergent", attrs=(word,), reason=word, builds=(build,), reproduce=word)
    root = read(render_junit(msgspec.structs.replace(diverged, derivations=(derivation,), system=word, started=word)))
    [case] = root.iter("testcase")
    assert [child.tag for child in case] == ["failure", "system-out"]
    case.get("name", "").encode()


def test_what_differs_under_other_conditions_only_passes_and_says_so(clean: Report, named: Any) -> None:
    finding = Finding(
        output="out", path="cores.txt", cause="parallelism", confidence="proved", because="one core", fix="a constant"
    )
    root = read(render_junit(msgspec.structs.replace(clean, derivations=(named("sensitive", findings=(finding,)),))))
    [case] = root.iter("testcase")
    assert [child.tag for child in case] == ["system-out"]
    assert "out/cores.txt: parallelism (proved): one core" in (case.findtext("system-out") or "")
