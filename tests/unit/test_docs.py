"""What the documents name is there, and what is there is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nix_repro import __version__
from nix_repro.config import load, read_file
from nix_repro.metrics.targets import DEFAULTS
from nix_repro.output.formats import FORMATS
from nix_repro.settings import duration

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/nix_repro"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
THEIRS = (".nix-repro.yml", "flake.lock", "flake.nix", *(form.file for form in FORMATS))
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_files_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|nix|json|yml|md|lock))`", document.read_text())
    places = (ROOT, SOURCE, SOURCE / "explain", ROOT / "tests", ROOT / "tests/unit/nix/recorded")
    # What is in a user's repository is not in ours, and whoever adds a file gives it its name.
    ours = [name for name in named if name not in THEIRS and not re.search(r"\b(?:NAME|test_MODULE)\.py$", name)]
    assert not [name for name in ours if not any((place / name).exists() for place in places)]


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_dependency_has_its_reason() -> None:
    table = ARCHITECTURE.partition("## Dependencies")[2]
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert f"| {name} |" in table, name


def test_the_changelog_has_this_version_and_what_comes_next() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"], "it has one place"


def test_the_configuration_in_the_documentation_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs/caching.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if b.startswith("targets:")]
    file = tmp_path / ".nix-repro.yml"
    file.write_text(block)
    config = load([read_file(file)])
    assert len(config.targets) == 3
    assert len(config.fail_when) == 2
    assert config.test == "checks"


def test_the_defaults_in_the_documentation_are_the_real_ones() -> None:
    text = (ROOT / "docs/caching.md").read_text(encoding="utf-8")
    for name, limits in DEFAULTS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*\| (\S+) \| (\S+) \| (\S+) \| [^|]+ \|$", text, re.MULTILINE)
        assert [duration(cell) for cell in row] == [limits.get(phase) for phase in ("build", "test", "total")]


def test_the_allow_rule_in_the_readme_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```yaml\n(# \.nix-repro\.yml.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    file = tmp_path / ".nix-repro.yml"
    file.write_text(block)
    [rule] = load([read_file(file)]).allow
    assert rule.key == ("hello", "doc", "timestamp")
