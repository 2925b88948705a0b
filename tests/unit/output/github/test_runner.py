"""Annotations, folded logs and outputs, as the runner reads them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.output.github import outputs, places, runner
from nix_repro.report import Build, Caches, DerivationReport, Report, Target

ROOT = Path(__file__).parents[4]
HOSTILE: list[str] = json.loads((ROOT / "fixtures" / "hostile-words.json").read_text("utf-8"))
replace = msgspec.structs.replace


@pytest.fixture
def diverged() -> Report:
    return msgspec.json.decode((ROOT / "fixtures" / "reports" / "diverged.json").read_bytes(), type=Report)


def nowhere(_: DerivationReport) -> None:
    return None


def obeyed(printed: str) -> list[tuple[str, str]]:
    """What a runner makes of a log: commands and their arguments, none while it was told to stop."""
    found: list[tuple[str, str]] = []
    token: str | None = None
    for line in printed.splitlines():
        match = re.match(r"\s*::([^ :]+)[^:]*(?:::(.*))?$", line)
        if token is not None:
            if line.strip() == f"::{token}::":
                token = None
        elif match and match[1] == "stop-commands":
            token = match[2]
        elif match:
            found.append((match[1], match[2] or ""))
        elif "##[" in line:
            found.append(("old form", line))
    assert token is None, "commands were never resumed"
    return found


def test_levels_follow_the_policy(diverged: Report) -> None:
    found = {a.title: a.level for a in runner.annotate(diverged, nowhere)}
    assert found["divergent: widgets-cli-2.4.0 (new)"] == "error"
    assert found["divergent: widgets-docs-2.4.0"] == "notice"  # known
    assert found["build-failed: widgets-e2e"] == "error"
    assert found["unverified: widgets-gpu-0.3"] == "warning"
    assert found["over target: total"] == "error"
    softer = {a.title: a.level for a in runner.annotate(replace(diverged, fail_on=()), nowhere)}
    assert set(softer.values()) == {"warning", "notice"}
    assert not any("widgets-core" in title for title in found)


def test_where_and_what_to_do(diverged: Report) -> None:
    first = diverged.derivations[0]
    whole = replace(first.findings[0], output="dev", path="", cause="randomness", because="a UUID", fix="")
    rewritten = replace(first, verdict="unverified", reason="path rewriting", findings=(), reproduce=None, on_base=None)
    report = replace(
        diverged, derivations=(replace(first, findings=(whole,), reason=None, reproduce=None), rewritten), fail_on=()
    )
    messages = [a.message for a in runner.annotate(report, nowhere)]
    told = (
        "The base does not have it: what stands there, widgets-cli-2.3.9, was built 2 times before, and always the same"
    )
    assert messages[1] == f"{told} (ledger)\ndev: randomness: a UUID"
    assert messages[0].startswith("path rewriting: "), "what fails the run comes first"
    assert "Use the rebuilder shadow or replace" in messages[0]


def test_ten_of_a_level_and_how_many_are_left_out(diverged: Report) -> None:
    many = tuple(replace(diverged.derivations[0], name=f"p{n}", marks=()) for n in range(14))
    for count, shown in ((10, 10), (11, 10), (14, 10)):
        report = replace(diverged, derivations=many[:count], targets=(), warnings=(), caches=Caches())
        found = runner.annotate(report, nowhere)
        assert len(found) == shown
        if count > 10:
            assert found[-1].message.startswith(f"{count - 9} more of this level")
    warnings = tuple(f"warning {n}" for n in range(30))
    both = runner.annotate(replace(diverged, derivations=many, warnings=warnings), nowhere)
    assert [a.level for a in both].count("error") == [a.level for a in both].count("warning") == 10


def test_only_known_properties_are_sent(diverged: Report, capsys: pytest.CaptureFixture[str]) -> None:
    known = iter([places.Location("flake.nix", 3), places.Location("flake.nix", None), None, None, None, None])
    runner.print_annotations(
        runner.annotate(replace(diverged, targets=(), warnings=(), caches=Caches()), lambda _: next(known))
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error title=divergent%3A widgets-cli-2.4.0 (new),file=flake.nix,line=3::")
    assert sum(",line=" in line for line in lines) == 1
    assert not any(
        "=," in line or "=::" in line or "None" in line.partition("::")[2].partition("::")[0] for line in lines
    )


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_neither_commands_nor_properties(
    diverged: Report, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = f"{word}\n::error::no\n  ::set-output name=x::y\n##[error]no\n::endgroup::"
    derivation = replace(
        diverged.derivations[0],
        name=word,
        reason=word,
        reproduce=word,
        builds=(Build(round=1, status="failed", log=log),),
        findings=(),
    )
    target = Target(name=word, limit=1, actual=2, ok=False)
    report = replace(diverged, derivations=(derivation,), targets=(target,), warnings=(word,), caches=Caches())
    runner.print_logs(report)
    runner.print_annotations(runner.annotate(report, lambda _: places.Location(word, 1)))
    runner.warn(word)
    printed = capsys.readouterr().out
    assert [name for name, _ in obeyed(printed)] == ["group", "endgroup", "error", "error", "warning", "warning"]
    printed.encode()


def test_every_log_is_folded_on_its_own(diverged: Report, capsys: pytest.CaptureFixture[str]) -> None:
    build = Build(round=1, status="failed", log="one\ntwo\n")
    report = replace(
        diverged,
        derivations=tuple(replace(diverged.derivations[2], name=f"d{n}", builds=(build, build)) for n in range(2)),
    )
    runner.print_logs(report)
    printed = capsys.readouterr().out
    assert [name for name, _ in obeyed(printed)] == ["group", "endgroup"] * 4
    tokens = re.findall(r"::stop-commands::(\S+)", printed)
    assert len(set(tokens)) == 4
    assert all(len(token) >= 32 for token in tokens)


FLAKE = """{
  outputs = { self }: {
    packages.x86_64-linux = rec {
      default = widget;
      widget = derivation { name = "widget-1.0"; };
      "odd.name" = 1;
      test = assert widget == widget; 2;
      inherit (import ./nix/more.nix) gadget;
    };
    checks.x86_64-linux.unit = 3;
  };
}
"""


@pytest.mark.parametrize(
    ("name", "attrs", "place"),
    [
        ("widget-1.0", ("packages.x86_64-linux.widget",), ("flake.nix", 5)),
        ("widget-1.0", ("packages.x86_64-linux.default",), ("flake.nix", 4)),
        ("unit-2", ("checks.x86_64-linux.unit",), ("flake.nix", 10)),
        ("test", ("packages.x86_64-linux.test",), ("flake.nix", 7)),
        ("gadget", ("packages.x86_64-linux.gadget",), ("nix/more.nix", 2)),
        ("sprocket-3.1", (), ("nix/more.nix", 3)),
        ("widget-1.0", (), ("flake.nix", 5)),
        ("nowhere", ("packages.x86_64-linux.nowhere",), ("flake.nix", None)),
        (".*", ("packages.x86_64-linux.(",), ("flake.nix", None)),
    ],
)
def test_where_an_attribute_is(
    diverged: Report, name: str, attrs: tuple[str, ...], place: tuple[str, int | None]
) -> None:
    files = {"flake.nix": FLAKE, "nix/more.nix": '{\n  gadget = 1;\n  s = { pname = "sprocket"; };\n}\n'}
    derivation = replace(diverged.derivations[0], name=name, attrs=attrs)
    assert places.locator(files)(derivation) == place
    assert places.locator(files, "sub/")(derivation) == ("sub/" + place[0], place[1])


def test_without_a_flake_there_is_no_place(diverged: Report) -> None:
    assert places.locator({})(diverged.derivations[0]) is None


def test_only_tracked_files_inside_the_checkout_are_read(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "secret.nix").write_text("secret")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    for name, text in {
        "flake.nix": "1",
        "a.nix": "2",
        "untracked.nix": "3",
        "large.nix": "x" * 600_000,
        "other.txt": "4",
    }.items():
        (repository / name).write_text(text)
    (repository / "link.nix").symlink_to("../secret.nix")
    subprocess.run(
        ["git", "add", "flake.nix", "a.nix", "large.nix", "link.nix", "other.txt"], cwd=repository, check=True
    )
    assert list(places.nix_files(repository).items()) == [("flake.nix", "1"), ("a.nix", "2")]
    assert places.nix_files(tmp_path) == {}  # no repository, and no flake either


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    path = tmp_path / "output"
    path.write_text("")
    monkeypatch.setenv("GITHUB_OUTPUT", str(path))

    def read() -> dict[str, str]:
        """As the runner reads it: name<<delimiter, lines, delimiter."""
        found: dict[str, str] = {}
        lines = iter(path.read_text("utf-8").split("\n"))
        for line in lines:
            if line:
                name, mark, delimiter = line.partition("<<")
                assert mark
                assert len(delimiter) > 30
                value = []
                while (line := next(lines)) != delimiter:
                    value.append(line)
                found[name] = "\n".join(value)
        return found

    return read


def test_outputs_say_what_was_found(diverged: Report, output: Callable[[], dict[str, str]]) -> None:
    outputs.write_outputs(
        outputs.outputs(diverged, report_json=Path("/r/report.json"), summary_file=Path("/r/summary.md"))
    )
    found = output()
    assert found["conclusion"] == "fail"
    assert found["reproducible"] == "false"
    assert json.loads(found["divergent"]) == ["packages.x86_64-linux.default", "packages.x86_64-linux.docs"]
    assert json.loads(found["counts"]) == {
        "reproducible": 11,
        "unverified": 1,
        "rebuild-failed": 0,
        "build-failed": 1,
        "divergent": 2,
    }
    assert found["report-json"] == "/r/report.json"


@pytest.mark.parametrize("word", HOSTILE)
def test_no_name_adds_an_output(diverged: Report, output: Callable[[], dict[str, str]], word: str) -> None:
    derivation = replace(diverged.derivations[0], attrs=(f"{word}\nconclusion<<x\npass\nx",))
    report = replace(diverged, derivations=(derivation,))
    values: dict[str, Any] = outputs.outputs(report, report_json=Path("r"), summary_file=Path("s"))
    outputs.write_outputs(values)
    assert set(output()) == set(values)
    assert output()["conclusion"] == "fail"
    assert len(json.loads(output()["divergent"])) == 1


def test_outputs_stay_far_below_githubs_limit(diverged: Report) -> None:
    many = tuple(replace(diverged.derivations[0], attrs=("packages." + "x" * 200 + str(n),)) for n in range(5000))
    values = outputs.outputs(replace(diverged, derivations=many), report_json=Path("r"), summary_file=Path("s"))
    assert sum(len(value) * 2 for value in values.values()) < 500_000
    assert json.loads(values["counts"])["divergent"] == 5000


def test_nothing_verified_is_not_reproducible(diverged: Report) -> None:
    values = outputs.outputs(replace(diverged, derivations=()), report_json=Path("r"), summary_file=Path("s"))
    assert values["reproducible"] == "false"


def test_the_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    runner.write_summary("after \udc80\n", {"GITHUB_STEP_SUMMARY": str(path)})
    runner.write_summary("nowhere", {})
    assert path.read_text() == "before\nafter ?\n"
