"""`allow:` in a file: what a rule may have, and errors that name key, file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from nix_repro.config import load, read_settings
from nix_repro.errors import UsageError
from nix_repro.verdict.allow import AllowRule


def read(text: str) -> tuple[AllowRule, ...]:
    return load([read_settings(text.encode(), "dir/c.yml")]).allow


def test_rules_know_their_lines() -> None:
    text = """# why
rounds: 3
allow:
  # first
  - name: foo
    reason: >-
      an upstream
      bug
    until: 2027-01-31
  - {name: "b*", reason: mine, until: "2027-02-01", output: doc, cause: timestamp}
"""
    assert read(text) == (
        AllowRule("foo", "an upstream bug", date(2027, 1, 31), file="dir/c.yml", line=5),
        AllowRule("b*", "mine", date(2027, 2, 1), "doc", "timestamp", file="dir/c.yml", line=10),
    )


@pytest.mark.parametrize("text", ["allow:\n", "allow: []\n", "allow: ~\n", ""])
def test_no_rules(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("allow: foo\n", "1: allow: is no list"),
        ("allow: {name: foo, reason: x}\n", "1: allow: is no list"),
        ("allow:\n- foo\n", "2: allow: an entry is no mapping"),
        ("allow:\n- name: foo\n", "2: allow: a rule without a reason"),
        ("allow:\n- reason: foo\n", "2: allow: a rule without a name"),
        ("allow:\n- {}\n", "2: allow: a rule without a name"),
        (
            "allow:\n- name: foo\n  reason: x\n  untill: 2027-01-01\n",
            "4: allow: 'untill': unknown key; a rule has name,",
        ),
        ("allow:\n- name: foo\n  reason: ''\n", "3: allow: reason: '' is not a reason"),
        ("allow:\n- name: foo\n  reason:\n", "3: allow: reason: None is not a reason"),
        ("allow:\n- name: foo\n  reason: [x]\n", "3: allow: reason: ['x'] is not a reason"),
        (f"allow:\n- name: foo\n  reason: {'x' * 301}\n", "3: allow: reason: 301 characters; at most 300"),
        (f"allow:\n- name: {'x' * 251}\n  reason: y\n", "2: allow: name: 251 characters; at most 250"),
        ("allow:\n- name: 5\n  reason: x\n", "2: allow: name: 5 is not the name of a derivation"),
        ("allow:\n- name: foo\n  reason: x\n  until: soon\n", "4: allow: until: 'soon' is not a day such as"),
        ("allow:\n- name: foo\n  reason: x\n  until: 2027-02-30\n", "4: allow: until: '2027-02-30' is not a day"),
        ("allow:\n- name: foo\n  reason: x\n  until: 20270131\n", "4: allow: until: 20270131 is not a day"),
        (
            "allow:\n- name: foo\n  reason: x\n  until: 2027-01-31 10:00:00\n",
            "4: allow: until: '2027-01-31 10:00:00' is",
        ),
        ("allow:\n- name: foo\n  reason: x\n  until: 2027-W05-7\n", "4: allow: until: '2027-W05-7' is not a day"),
        ("allow:\n- name: foo\n  reason: x\n  cause: time\n", "4: allow: cause: 'time' is not one of timestamp,"),
        ("allow:\n- name: foo\n  reason: x\n  cause: [host]\n", "4: allow: cause: ['host'] is not one of"),
        ("allow:\n- name: foo\n  reason: x\n  output: 1\n", "4: allow: output: 1 is not the name of an output"),
        ("allow:\n- name: foo\n  name: bar\n  reason: x\n", "3: allow: name is given twice"),
        ("allow:\n- name: foo\n  ? [a]\n  : x\n", "3: allow: a list or a mapping cannot be a key"),
        ("allow:\n- &r {name: foo, reason: x}\n- *r\n", "2: allow: line 2 has a rule for 'foo' already"),
        ("allow:\n- {name: a, reason: x}\n- {name: a, reason: y}\n", "3: allow: line 2 has a rule for 'a' already"),
        ('allow:\n- {name: foo, reason: "a\\eb"}\n', "2: allow: holds the character U+001B"),
        ("allow: []\nallow: []\n", "2: allow: given twice"),
        ("allow: !x []\n", "1: allow: is no list"),
        ("allow: &a [*a]\n", "1: allow: an entry is no mapping"),
    ],
)
def test_one_error_with_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        read(text)
    assert str(error.value).startswith(f"dir/c.yml:{says}")
    assert len(str(error.value)) < 600


def test_rules_that_differ_in_output_or_cause_are_several() -> None:
    rules = ("", ", output: doc", ", cause: host", ", output: doc, cause: host")
    assert len(read("allow:\n" + "".join(f"- {{name: a, reason: x{more}}}\n" for more in rules))) == 4


def test_hundreds_of_rules(tmp_path: Path) -> None:
    """A whole repository, adopted as it is."""
    assert (
        len(read("allow:\n" + "".join(f"- name: p{n}\n  reason: r\n  until: 2027-01-01\n" for n in range(900)))) == 900
    )
