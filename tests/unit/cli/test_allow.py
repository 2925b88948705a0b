"""`nix-repro allow`: what it writes, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

import reports
from nix_repro.cli.allow import diverging
from nix_repro.cli.app import main
from nix_repro.config import load, read_file
from nix_repro.report import Report


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def allow(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr("sys.argv", ["nix-repro", "allow", *args])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_rule_is_written_and_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--until", "2099-01-31", "--output", "doc", "--cause", "host"]
    assert allow(monkeypatch, "foo", "--reason", "why: so", *options) == 0
    lines = 'allow:\n  - name: foo\n    reason: "why: so"\n    until: 2099-01-31\n    output: doc\n    cause: host\n'
    assert (here / ".nix-repro.yml").read_text() == lines
    assert capsys.readouterr().out == f"1 rule added to .nix-repro.yml:\n{lines}"
    assert allow(monkeypatch, "foo", "--reason", "again", "--output", "doc", "--cause", "host") == 2
    assert capsys.readouterr().err == "nix-repro: .nix-repro.yml:2 has a rule for foo already: change that one\n"
    assert allow(monkeypatch, "foo", "--reason", "all of it") == 0
    assert len(load([read_file(here / ".nix-repro.yml")]).allow) == 2


def test_rights_and_links_stay(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "real").mkdir()
    real = here / "real/settings.yml"
    real.write_text("rounds: 3\n")
    real.chmod(0o640)
    (here / ".nix-repro.yml").symlink_to("real/settings.yml")
    assert allow(monkeypatch, "foo", "--reason", "x") == 0
    assert (here / ".nix-repro.yml").is_symlink()
    assert real.read_text().startswith("rounds: 3\nallow:\n")
    assert real.stat().st_mode & 0o777 == 0o640
    assert os.listdir(here / "real") == ["settings.yml"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "Missing option '--reason'"),
        (("foo",), "Missing option '--reason'"),
        (("--reason", "x"), "either NAME or --all-current says what is allowed"),
        (("foo", "--all-current", "--reason", "x"), "either NAME or --all-current"),
        (("foo", "--reason", " "), "--reason: ' ' is not a reason"),
        (("foo", "--reason", "x\x1b[2J"), "--reason: "),
        (("", "--reason", "x"), "NAME: '' is not the name"),
        (("fo\no", "--reason", "x"), "NAME: "),
        (("foo", "--reason", "x", "--until", "tomorrow"), "--until: 'tomorrow' is not a day such as 2027-01-31"),
        (("foo", "--reason", "x", "--until", "2020-01-31"), "--until: 2020-01-31 is over"),
        (("foo", "--reason", "x", "--cause", "time"), "--cause: 'time' is not one of timestamp"),
        (("foo", "--reason", "x", "--report", "r"), "--report: only with --all-current"),
        (("--all-current", "--reason", "x", "--output", "doc"), "--output and --cause: only with a NAME"),
        (("--all-current", "--reason", "x", "--report", "missing"), "missing: No such file"),
    ],
)
def test_what_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], says: str
) -> None:
    assert allow(monkeypatch, *args) == 2
    assert says in capsys.readouterr().err
    assert not os.listdir(here)


def test_a_file_that_is_wrong_or_cannot_be_changed_stays(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / ".nix-repro.yml"
    for text, says in (
        ("rounds: 3\nallow:\n- name: x\n", ".nix-repro.yml:3: allow: a rule without a reason"),
        ("upstream-caches: &a []\nallow: *a\n", "cannot be added without changing something else of it. By hand:"),
    ):
        file.write_text(text)
        assert allow(monkeypatch, "foo", "--reason", "x") == 2
        assert says in capsys.readouterr().err
        assert file.read_text() == text


def report_of(here: Path, *derivations: object) -> Report:
    report = reports.bare(*derivations)  # type: ignore[arg-type]
    (here / "report.json").write_bytes(msgspec.json.encode(report))
    return report


ATTR = "packages.x86_64-linux"
FOO = reports.derivation("foo-1.0", verdict="divergent", attrs=(f"{ATTR}.default", f"{ATTR}.foo"))


def test_everything_that_diverges_gets_the_name_that_lasts(here: Path) -> None:
    lib = reports.derivation("lib-1.0", verdict="divergent")
    both = [
        reports.derivation(f"both{n}", verdict="divergent", attrs=(f"{kind}.x86_64-linux.both",))
        for n, kind in enumerate(("packages", "checks"))
    ]
    only = reports.derivation("only-3", verdict="divergent", attrs=(f"{ATTR}.default",))
    known = reports.derivation("known", verdict="divergent", marks=("known",))
    stored = reports.derivation("stored", verdict="divergent", attrs=("/nix/store/x-stored.drv",))
    odd = reports.derivation("odd", verdict="divergent", attrs=(f'{ATTR}."*"',))
    others = (reports.derivation("fine"), reports.derivation("top", marks=("propagated",)))
    report = report_of(here, FOO, lib, *both, only, known, stored, odd, *others)
    assert diverging(report) == ["[*]", "both0", "both1", "foo", "lib-1.0", "only-3", "stored"]


def test_a_repository_is_adopted_from_a_report(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report_of(here, FOO, reports.derivation("fine"))
    (here / ".nix-repro.yml").write_text("# ours\nrounds: 3\n")
    args = ("--all-current", "--reason", "from the start", "--until", "2099-01-31", "--report")
    for place in (".", "report.json"):
        code = allow(monkeypatch, *args, place)
        assert code == (0 if place == "." else 2)
    said = capsys.readouterr()
    assert "1 rule added to .nix-repro.yml" in said.out
    assert ".nix-repro.yml:4 has a rule for foo already" in said.err
    rule = "allow:\n  - name: foo\n    reason: from the start\n    until: 2099-01-31\n"
    assert (here / ".nix-repro.yml").read_text() == f"# ours\nrounds: 3\n{rule}"
    report_of(here, reports.derivation("fine"))
    assert allow(monkeypatch, *args, ".") == 0
    assert "no rule was written" in capsys.readouterr().out


def test_of_an_interrupted_run_nothing_is_taken(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = msgspec.structs.replace(report_of(here, FOO), exit_code=130)
    (here / "report.json").write_bytes(msgspec.json.encode(report))
    assert allow(monkeypatch, "--all-current", "--reason", "x", "--report", ".") == 2
    assert "was interrupted" in capsys.readouterr().err
    assert not (here / ".nix-repro.yml").exists()


def test_a_file_has_room_for_a_thousand_rules(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for count, reason, says in ((1001, "x", "more than 1,000 rules"), (999, "long " * 12, "more than 65,536 bytes")):
        report_of(here, *(reports.derivation(f"d{n}", verdict="divergent") for n in range(count)))
        assert allow(monkeypatch, "--all-current", "--reason", reason, "--report", ".") == 2
        assert f"would have {says}; patterns allow several at once" in capsys.readouterr().err
        assert not (here / ".nix-repro.yml").exists()
