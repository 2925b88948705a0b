"""What a terminal of 40, 80 and 200 columns shows of runs of 1, 10, 60 and 1,000 derivations, as it was recorded by
tools/terminal_goldens.py and read."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

import goldens
from goldens import COUNTS, WIDTHS
from nix_repro.output.render.terminal import TAIL

SIZES = pytest.mark.parametrize(("count", "columns"), [(count, columns) for count in COUNTS for columns in WIDTHS])


def recorded(count: int, columns: int) -> list[str]:
    return goldens.file_of(count, columns).read_text("utf-8").splitlines()


@SIZES
def test_it_is_shown_as_recorded(count: int, columns: int) -> None:
    assert goldens.golden(count, columns).splitlines() == recorded(count, columns), "run tools/terminal_goldens.py"


@SIZES
def test_nothing_is_wider_than_the_terminal_but_one_word_to_copy(count: int, columns: int) -> None:
    wide = [line for line in recorded(count, columns) if cell_len(line) > columns]
    assert all(re.fullmatch(r"\s*'[^ ]+'", line) for line in wide), wide


@SIZES
def test_the_last_lines_say_what_is_wrong_why_and_what_to_do(count: int, columns: int) -> None:
    # At 40 columns one sentence takes three of them.
    tail = recorded(count, columns)[-TAIL if columns > 40 else -2 * TAIL :]
    told = " ".join(" ".join(tail).split())
    wrong = "The one derivation in scope diverges" if count == 1 else f"of {count:,} derivations diverge"
    assert wrong in told
    assert re.search(r"user-guide-2\.1( and 1 more)?: divergent, timestamp|and 65 more: divergent, timestamp", told)
    assert "fix: Leave the build time out, or take it from SOURCE_DATE_EPOCH instead of the clock." in told
    assert "written: report/ (junit.xml, report.html," in told or "written: report/ ✗" in told
    assert not any(line.startswith("✓") for line in tail)


@SIZES
def test_ten_rows_of_what_is_reproducible_are_enough(count: int, columns: int) -> None:
    text = goldens.golden(count, columns)
    assert len(re.findall(r"^✓ +package-", text, re.MULTILINE)) == min(count - 1, 10)
    report = goldens.run(count)
    everything = goldens.shown(report, columns, verbosity="verbose")
    assert len(re.findall(r"^✓ +package-", everything, re.MULTILINE)) == sum(
        d.verdict == "reproducible" and d.name.startswith("package-") for d in report.derivations
    )
    assert ("more reproducible (in the report" in " ".join(text.split())) == (count > 10)


@pytest.mark.parametrize("count", COUNTS)
def test_quiet_is_one_line(count: int) -> None:
    [line] = goldens.shown(goldens.run(count), 40, verbosity="quiet").splitlines()
    assert "timestamp" in line
    assert "user-guide-2.1" in line or count == 1000


def test_of_a_thousand_each_kind_of_trouble_has_its_details() -> None:
    told = "\n".join(recorded(1000, 80))
    assert "\ndaemon-0.9: build-failed: the builder failed with exit code 1\n" in told
    assert "\n  out/etc/token  randomness (high)\n" in told


def test_a_command_that_is_copied_from_several_lines_is_one() -> None:
    told = "\n".join(recorded(10, 80))
    assert "reproduce: nix-repro check \\\n    'github:acme/widgets/" in told
