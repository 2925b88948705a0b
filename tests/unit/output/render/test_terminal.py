"""What a person sees: on a terminal, in a job's log, and when a build tries to draw on it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import reports
from nix_repro.output.render.phrases import headline, short_hash
from nix_repro.output.render.terminal import NORMAL, print_report
from nix_repro.report import Build, DerivationReport, Finding, Hash, Output, Report, Skipped, not_evaluated

REPORTS = Path(__file__).parents[4] / "fixtures/reports"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\x9b31m[bold red]x[/] \ud800"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def divergent(name: str = "x", **changes: object) -> DerivationReport:
    hashes = (
        Hash(nar_hash=f"sha256-{'a' * 10}tail", source="built", origin="o"),
        Hash(nar_hash=f"sha256-{'b' * 10}tail", source="rebuilt", origin="o"),
    )
    again = msgspec.structs.replace(hashes[0], source="rebuilt")
    base = DerivationReport(
        drv_path="/nix/store/x.drv",
        name=name,
        verdict="divergent",
        attrs=("packages.x",),
        outputs={
            "out": Output(path="/nix/store/x", verdict="divergent", hashes=hashes),
            "dev": Output(path="/nix/store/x-dev", verdict="reproducible", hashes=(hashes[0], again)),
        },
        builds=(Build(round=1, status="built", seconds=1.25), Build(round=2, status="built", seconds=None)),
        reproduce="nix-repro check '.#x'",
    )
    return msgspec.structs.replace(base, **changes)


def shown(what: Report, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    print_report(what, stream, environ={"TERM": "xterm"})
    return stream.getvalue()


def test_a_divergence_says_what_where_and_how_to_repeat_it() -> None:
    found = Finding(
        output="out",
        path="bin/x",
        cause="timestamp",
        confidence="proved",
        because="both are dates",
        fix="set it",
        a="2020",
        b="2021",
    )
    text = shown(reports.bare(divergent(findings=(found,))))
    lines = [line.split() for line in text.splitlines()]
    assert lines[-1] == ["✗", "The", "one", "derivation", "in", "scope", "diverges"]
    assert ["✗", "x", "divergent", "out", "aaaaaaaa", "bbbbbbbb", "1.2/–"] in lines
    assert ["✓", "reproducible", "dev", "aaaaaaaa", "same"] in lines
    assert ["out/bin/x", "timestamp", "(proved)"] in lines
    assert ["-", "2020"] in lines
    assert ["+", "2021"] in lines
    assert "fix: set it" in text
    assert "reproduce: nix-repro check '.#x'" in text


def test_what_differs_under_some_condition_only_is_told_although_the_verdict_is_good() -> None:
    found = Finding(output="out", path="bin/x", cause="build-path", confidence="proved", because="b", fix="f")
    text = shown(reports.bare(divergent(verdict="reproducible", findings=(found,)), conclusion="pass"))
    assert "\nx is the same, but not under every condition\n  out/bin/x  build-path (proved)\n" in text


def test_of_many_findings_the_rest_is_counted() -> None:
    found = Finding(output="out", path="", cause="host", confidence="low", because="b", fix="f")
    text = shown(reports.bare(divergent(findings=(found,) * (NORMAL.findings + 2))))
    assert text.count("  out  host (low)") == NORMAL.findings
    assert "  and 2 more findings (in the report, and with -v here)\n" in text


def test_failures_come_last_and_roots_after_victims() -> None:
    rows = [
        divergent("fine", verdict="reproducible"),
        divergent("victim", verdict="reproducible", marks=("propagated",)),
        divergent("open", verdict="unverified", reason="timed out"),
        divergent("broken", verdict="build-failed"),
        divergent("again", verdict="rebuild-failed"),
        divergent("root"),
    ]
    text = shown(reports.bare(*rows))
    table = [line.split()[1] for line in text.splitlines() if line.startswith(("✓", "✗", "?")) and " out " in line]
    assert table == ["fine", "victim", "open", "again", "broken", "root"]
    assert "\n    timed out\n" in text
    assert "\n    differs only because an input does\n" in text


def test_the_end_of_a_failed_build_s_log() -> None:
    log = "\n".join(f"line {n}" for n in range(100))
    text = shown(reports.bare(divergent(verdict="build-failed", builds=(Build(round=1, status="failed", log=log),))))
    assert "line 99" in text
    assert "line 10\n" not in text
    assert "\n  … the end of 100 lines\n" in text
    silent = divergent(
        verdict="build-failed",
        reason="the builder was killed by signal 9",
        builds=(Build(round=1, status="failed"),),
    )
    assert "build-failed: the builder was killed by signal 9\n  the builder printed nothing" in shown(
        reports.bare(silent)
    )


def test_where_nix_has_said_more_nothing_is_said_of_silence() -> None:
    for reason in ("hash mismatch: specified sha256-a, got sha256-b", "it needs the system features {kvm}, not all of"):
        failed = (Build(round=1, status="failed"),)
        text = shown(reports.bare(divergent(verdict="build-failed", reason=reason, builds=failed)))
        assert reason in text
        assert "printed nothing" not in text


def test_where_there_was_no_builder_nothing_is_said_of_one() -> None:
    text = shown(reports.bare(not_evaluated("packages.x.throws", "throws", "evaluation failed: no such thing")))
    assert "build-failed: evaluation failed: no such thing" in text
    assert "printed nothing" not in text


def test_what_was_left_out_is_said() -> None:
    many = [divergent(f"package-{n:03}") for n in range(NORMAL.rows + 7)]
    text = shown(
        reports.bare(*many, skipped=(Skipped(reason="fixed-output", count=12, examples=("/nix/store/abc-src.drv",)),))
    )
    assert "and 7 more divergent (in the report, and with -v here)" in text
    assert f"and {NORMAL.rows + 7 - NORMAL.details} more derivations of which there are details" in text
    assert "not rebuilt: 12 fixed-output (abc-src and 11 more)" in text
    assert "rebuilder shadow, 2 builds each, varied: nothing" in text


def test_a_log_gets_no_escape_sequences_and_no_broken_lines() -> None:
    text = shown(reports.bare(divergent("a-package-with-a-rather-long-name-" + "x" * 60)))
    assert "\x1b" not in text
    assert "a-package-with-a-rather-long-name-" + "x" * 60 in text


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1;31m" in shown(reports.bare(divergent()), Terminal())


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_hostile_names_are_shown_and_not_obeyed(make: Callable[[], io.StringIO]) -> None:
    found = Finding(
        output=HOSTILE,
        path=HOSTILE,
        cause="unknown",
        confidence="low",
        because=HOSTILE,
        fix=HOSTILE,
        a=HOSTILE,
        b=HOSTILE,
    )
    bad = divergent(
        HOSTILE, outputs={HOSTILE: divergent().outputs["out"]}, findings=(found,), reproduce=HOSTILE, reason=HOSTILE
    )
    failed = divergent(HOSTILE, verdict="build-failed", builds=(Build(round=1, status="failed", log=HOSTILE),))
    vague = divergent(HOSTILE, verdict="unverified", reason=HOSTILE)
    skipped = (Skipped(reason=HOSTILE, count=1, examples=(HOSTILE,)),)
    text = shown(reports.bare(bad, failed, vague, skipped=skipped), make())
    own = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "[bold red]x[/]" in own, "markup of a library is text"
    assert not [char for char in own if not char.isprintable() and char != "\n"]
    assert "owned" in own


def test_markup_in_a_terminal_does_not_colour() -> None:
    text = shown(reports.bare(divergent("[bold green]all fine[/]")), Terminal())
    assert "[bold green]all fine[/]" in re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("name", ["clean", "diverged"])
def test_recorded_reports(name: str) -> None:
    recorded = msgspec.json.decode((REPORTS / f"{name}.json").read_bytes(), type=Report)
    text = shown(recorded)
    assert text.splitlines()[-1].endswith(headline(recorded).sentence)
    assert all(d.name in text for d in recorded.derivations if d.verdict == "divergent")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"conclusion": "pass"}, "✓ No difference found in 1 derivation (2 outputs)"),
        ({"conclusion": "inconclusive"}, "? No difference found in 1 derivation (2 outputs)"),
        ({"conclusion": "inconclusive", "derivations": ()}, "? Nothing in scope to verify"),
        (
            {"conclusion": "pass", "derivations": (divergent(verdict="unverified", reason="fixed-output"),)},
            "✓ Nothing in scope to verify",
        ),
        (
            {"conclusion": "fail", "derivations": (divergent(), divergent(verdict="reproducible"))},
            "✗ 1 of 2 derivations diverges",
        ),
    ],
)
def test_the_verdict_in_one_line(changes: dict[str, object], line: str) -> None:
    assert shown(reports.bare(divergent(verdict="reproducible"), **changes)).splitlines()[-1] == line


def test_hashes_are_short_enough_to_tell_apart() -> None:
    assert short_hash("sha256-knb9U7Sdy/YWj4gjrvFIevLuTiMEt+5kEtunmYK5CoY=") == "knb9U7Sd"
