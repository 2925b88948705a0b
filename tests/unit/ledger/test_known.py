"""How well derivations are known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from nix_repro.cli.app import cli
from nix_repro.errors import UsageError
from nix_repro.ledger.file import opened
from nix_repro.ledger.known import grouped
from nix_repro.observations import Place
from nix_repro.verdict.evidence import Built
from rebuilds import sri

DAY = 86400.0


def build(name: str, content: str, at: float, place: str, inputs: str = "none") -> Built:
    drv_path = f"/nix/store/{'a' * 32}-{name}.drv"
    return Built(drv_path, inputs, {"out": sri(content)}, "built", at, Place(place, {}), 1.0, ("time",))


BUILDS = [
    build("fine", "A", 0.0, "1"),
    build("fine", "A", DAY, "2"),
    build("fine", "B", DAY, "2", inputs="others"),
    build("odd", "A", 0.0, "1"),
    build("odd", "B", 60.0, "1"),
]


def test_builds_machines_and_days() -> None:
    fine, odd = grouped(BUILDS, None)
    assert (fine.name, fine.builds, fine.machines, fine.days, fine.contents) == ("fine", 3, 2, 2, 1)
    assert (odd.name, odd.builds, odd.machines, odd.days, odd.contents) == ("odd", 2, 1, 1, 2)
    assert [one.name for one in grouped(BUILDS, "odd")] == ["odd"]
    assert [one.name for one in grouped(BUILDS, BUILDS[0].drv_path)] == ["fine"]


def test_what_was_found_is_no_build_but_a_content() -> None:
    there = Built(BUILDS[0].drv_path, "none", {"out": sri("B")}, "found", 3 * DAY, Place("3", {}))
    one = next(grouped([BUILDS[0], BUILDS[1], there], None))
    assert (one.builds, one.machines, one.days, one.last, one.contents) == (2, 2, 2, DAY, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with opened(tmp_path / "l.db") as found:
        found.add(BUILDS)
    return tmp_path / "l.db"


def said(*args: object) -> str:
    done = CliRunner(env={"COLUMNS": None}).invoke(cli, ["ledger", *map(str, args)], catch_exceptions=True)
    if isinstance(done.exception, UsageError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_show(file: Path) -> None:
    assert said("show", file) == (
        "fine: 3 builds on 2 machines and 2 days, last 1970-01-02 00:00 UTC: all agree, varied: time\n"
        "odd: 2 builds on 1 machine and 1 day, last 1970-01-01 00:01 UTC: 2 different contents, varied: time\n"
    )
    assert said("show", file, "odd").startswith("odd: ")
    assert said("show", file, "nobody") == "nothing is known of it\n"


def test_merge_prune_and_export(file: Path, tmp_path: Path) -> None:
    assert said("merge", tmp_path / "new.db", file, file) == f"5 new builds in {tmp_path / 'new.db'}\n"
    assert said("merge", file, tmp_path / "new.db").startswith("0 new builds")
    lines = said("export", file).splitlines()
    assert len(lines) == 5
    assert msgspec.json.decode(lines[0])["hashes"] == {"out": sri("A")}
    assert said("prune", file, "--older", "1d") == "3 builds forgotten\n"
    assert said("show", file).startswith("odd: 2 builds")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("show", "nowhere"), "nowhere: there is no such ledger"),
        (("merge", "new", "nowhere"), "nowhere: there is no such ledger"),
        (("prune", "nowhere", "--older", "soon"), "--older: 'soon' is not an age such as 30d or 12h"),
    ],
)
def test_what_is_wrong_is_named(
    args: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=why):
        said(*args)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "odd").write_text("no ledger at all, and quite long enough to be one" * 30)
    with pytest.raises(UsageError, match=r"odd: .*not a database"):
        said("show", "odd")
