"""A ledger of one's own: where it is, who may write there, and which runs have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nix_repro.cli.options import configuration
from nix_repro.errors import UsageError
from nix_repro.ledger.file import LedgerError
from nix_repro.ledger.own import from_environment, make_room, own_ledger


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/x"}, "/state/nix-repro/ledger.db"),
        ({"HOME": "/home/x"}, "/home/x/.local/state/nix-repro/ledger.db"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/x"}, "/home/x/.local/state/nix-repro/ledger.db"),
        ({"XDG_STATE_HOME": "state", "HOME": "/home/x"}, "/home/x/.local/state/nix-repro/ledger.db"),
        ({}, None),
        ({"HOME": "."}, None),
    ],
)
def test_it_is_in_the_state_directory(environ: dict[str, str], place: str | None) -> None:
    assert own_ledger(environ) == (Path(place) if place else None)


def test_nobody_else_may_write_there(tmp_path: Path) -> None:
    file = tmp_path / "state" / "nix-repro" / "ledger.db"
    make_room(file)
    make_room(file)
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.parent.chmod(0o777)
    with pytest.raises(LedgerError, match="others may write in its directory"):
        make_room(file)
    (tmp_path / "taken").write_text("")
    with pytest.raises(LedgerError, match="taken"):
        make_room(tmp_path / "taken" / "nix-repro" / "ledger.db")


@pytest.mark.parametrize(
    ("variable", "flag", "without", "ledger"),
    [
        ("", None, None, None),
        ("user", None, None, "/state/nix-repro/ledger.db"),
        ("/of/mine.db", None, None, "/of/mine.db"),
        ("user", Path("/flag.db"), None, "/flag.db"),
        ("user", None, True, None),
        ("", None, True, None),
    ],
)
def test_the_flag_counts_more_than_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, flag: Path | None, without: bool | None, ledger: str | None
) -> None:
    monkeypatch.setenv("NIX_REPRO_LEDGER", variable)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    flags: dict[str, Any] = {"config_file": None, "ledger": flag, "no_ledger": without}
    assert configuration((), flags, defaults=False).ledger == (Path(ledger) if ledger else None)


def test_what_has_no_ledger_takes_none_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes no ledger has none."""
    monkeypatch.setenv("NIX_REPRO_LEDGER", "/of/mine.db")
    assert configuration((), {"config_file": None}, defaults=False).ledger is None


def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"NIX_REPRO_LEDGER: 'l\.db' is neither user nor an absolute path"):
        from_environment({"NIX_REPRO_LEDGER": "l.db"})
    with pytest.raises(UsageError, match="needs XDG_STATE_HOME"):
        from_environment({"NIX_REPRO_LEDGER": "user"})
    flags: dict[str, Any] = {"config_file": None, "ledger": Path("/l.db"), "no_ledger": True}
    with pytest.raises(UsageError, match="--ledger and --no-ledger: one or the other"):
        configuration((), flags, defaults=False)
