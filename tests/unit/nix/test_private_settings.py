"""Settings in a file of our own, as Nix reads them. That they mean what they mean on a command line is in tests/nix."""

from __future__ import annotations

import gc
import stat
import tempfile
from pathlib import Path

import pytest

from nix_repro.errors import UsageError
from nix_repro.nix.private_settings import PrivateSettings, written


def file_of(settings: PrivateSettings) -> Path:
    word, _, path = settings.reference.partition(" ")
    assert word == "include", "a file that is gone is to be an error"
    return Path(path)


def test_only_this_user_reads_them_and_only_for_as_long_as_they_are_used() -> None:
    settings = PrivateSettings("cores = 1", [("access-tokens", "github.com=s3cret"), ("post-build-hook", "")])
    file = file_of(settings)
    assert file.read_text() == "cores = 1\naccess-tokens = github.com=s3cret\npost-build-hook = \n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    del settings
    gc.collect()
    assert not file.exists()


def test_a_value_stays_on_its_line() -> None:
    values = [("substituters", "https://a\n  https://b\t\r\n"), ("cores", " 4 "), ("x-1", "a\u00a0 \x0bb")]
    assert written(values) == [("substituters", "https://a https://b"), ("cores", "4"), ("x-1", "a\u00a0 \x0bb")]


@pytest.mark.parametrize(
    "name", ["include", "!include", "", "a b", "Cores", "-cores", "cores=1", "a\nb", "cores\n", "é"]
)
def test_what_is_no_setting_is_not_written(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a Nix setting"):
        written([(name, "")])


@pytest.mark.parametrize("value", ["a#b", "#", "a\0b"])
def test_what_nix_would_cut_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="Nix setting cores:"):
        written([("cores", value)])


@pytest.mark.parametrize("directory", ["with space", "with#number"])
def test_a_directory_whose_name_nix_would_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    (tmp_path / directory).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / directory))
    settings = PrivateSettings("cores = 1", [])
    assert file_of(settings).read_text() == "cores = 1\n"


def test_no_place_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="settings cannot be written there"):
        PrivateSettings("", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match="no text"):
        PrivateSettings("", [("cores", "\ud800")])
    assert list(tmp_path.iterdir()) == []
