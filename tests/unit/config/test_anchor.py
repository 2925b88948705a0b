"""Relative paths are made absolute where they enter."""

from __future__ import annotations

from pathlib import Path

import pytest

from nix_repro.cli.options import configuration
from nix_repro.config import layer
from nix_repro.config.anchor import anchored
from nix_repro.config.source import choose

HERE = Path("/checkout/flake")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("history", "h.json", Path("/checkout/flake/h.json")),
        ("ledger", "l.db", Path("/checkout/flake/l.db")),
        ("verified_cache", "kept", Path("/checkout/flake/kept")),
        ("history", Path("/var/h.json"), Path("/var/h.json")),
        ("base_report", "../old/report.json", Path("/checkout/old/report.json")),
        ("diffoscope", "tools/diffoscope", "/checkout/flake/tools/diffoscope"),
        ("diffoscope", "./diffoscope", "/checkout/flake/diffoscope"),
        ("diffoscope", "diffoscope", "diffoscope"),
        ("diffoscope", "auto", "auto"),
        ("rebuilder", "local?root=other", "local?root=/checkout/flake/other"),
        ("rebuilder", "local?real=/x&root=./o&trusted=1", "local?real=/x&root=/checkout/flake/o&trusted=1"),
        ("rebuilder", "local?root=/other", "local?root=/other"),
        ("rebuilder", "ssh-ng://host?root=x", "ssh-ng://host?root=x"),
        ("scope", "./own", "./own"),
        ("history", "", ""),
        ("history", 3, 3),
        ("rounds", 3, 3),
    ],
)
def test_what_is_a_path_is_taken_from_where_it_was_given(key: str, value: object, expected: object) -> None:
    (setting,) = anchored(layer({key: value}, "--{}"), HERE).values()
    assert (setting.value, setting.where) == (expected, f"--{key.replace('_', '-')}")


def test_a_files_paths_are_taken_from_the_flake_wherever_the_process_is(tmp_path: Path) -> None:
    """What is judged to be inside of the checkout is what is read: the base-report was looked for in the directory of
    the process, and judged in that of the flake."""
    (tmp_path / "flake").mkdir()
    (tmp_path / "flake/.nix-repro.yml").write_text("base-report: old.json\nhistory: runs/h.json\n")
    config = choose(tmp_path / "flake", None, {}).config([])
    assert config.base_report == tmp_path / "flake/old.json"
    assert config.history == tmp_path / "flake/runs/h.json"


def test_flags_are_taken_from_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tool").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    config = configuration((), {"config_file": None, "diffoscope": "./tool", "rebuilder": "local?root=o"})
    assert (config.diffoscope, config.rebuilder) == (f"{tmp_path}/tool", f"local?root={tmp_path}/o")
