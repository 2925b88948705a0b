"""Where content-addressed inputs are, and who has to be told."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from nix_repro.build.rebuild.realisations import content_addressing, found_inputs, places, said_in
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import PathInfo
from rebuilds import derivation, path, sri

FIXED = derivation("glibc")
LOW = derivation("low", floating=True, outputs=("out", "doc"))
TOP = derivation("top", {"low": ("out",), "glibc": ("out",)}, floating=True)
ABOVE = derivation("above", {"top": ("out",), "low": ("doc",)}, floating=True)


@pytest.fixture
def nix() -> Mock:
    nix = Mock()
    known = {drv.drv_path: drv for drv in (FIXED, LOW, TOP, ABOVE)}
    nix.derivations.side_effect = lambda paths: {p: known[p] for p in paths}
    nix.outputs.side_effect = lambda drv_path, names: f"{drv_path}^{','.join(names)}"
    nix.store_dir.return_value = "/nix/store"
    return nix


@pytest.mark.parametrize(
    ("features", "found"), [(["ca-derivations"], True), ([0, 2], True), (["nix-command"], False), ([2, 3], False)]
)
def test_an_old_nix_names_its_features_by_number(nix: Mock, features: list[object], found: bool) -> None:
    nix.settings.return_value = {"experimental-features": features}
    assert content_addressing(nix) == found


def test_the_inputs_are_those_outside_of_the_targets_that_only_a_store_can_find(nix: Mock) -> None:
    assert found_inputs(nix, [TOP]) == {LOW.drv_path: ["out"]}
    assert found_inputs(nix, [TOP, ABOVE]) == {LOW.drv_path: ["doc", "out"]}


def test_nothing_is_asked_for_targets_that_anybody_can_find(nix: Mock) -> None:
    assert found_inputs(nix, [derivation("app", {"glibc": ("out",)})]) == {}
    nix.derivations.assert_called_once_with({})


def test_a_place_that_a_store_does_not_know_is_none(nix: Mock) -> None:
    def run(*_: str, paths: list[str]) -> str:
        if paths == [f"{TOP.drv_path}!out"]:
            raise NixError("error: unable to start any build")
        return f"{path('low')}\n{path('low-doc')}\n"

    nix.run.side_effect = run
    inputs = {LOW.drv_path: ["doc", "out"], TOP.drv_path: ["out"]}
    assert places(nix, inputs) == {LOW.drv_path: {path("low"), path("low-doc")}, TOP.drv_path: set()}


def test_what_is_said_of_them_needs_no_content(nix: Mock, tmp_path: Path) -> None:
    nix.run.return_value = f"{path('low')}\n"
    nix.path_info.side_effect = lambda paths: {p: PathInfo(p, nar_hash=sri("A")) for p in paths}
    told = said_in(nix, {LOW.drv_path: ["out"]}, tmp_path / "said")
    assert told is not None
    assert (tmp_path / "said" / f"{'l' * 32}.narinfo").exists()
    assert nix.run.call_args.kwargs["paths"] == [f"{LOW.drv_path}^out"]
    assert said_in(nix, {}, tmp_path / "none") is None
    assert not (tmp_path / "none").exists()
