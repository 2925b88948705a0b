"""Store paths set aside: in the form of a binary cache, and given back with all that was known of them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from nix_repro.build.rebuild.aside import Aside, narinfo
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.hashes import nix32
from rebuilds import path, sri

ONE, DRV = path("nine"), f"{path('zwei')}.drv"
INFOS = {
    ONE: PathInfo(ONE, 12, None, DRV, (DRV, ONE), sri("A"), ("key:signature",), "fixed:r:sha256:x"),
    DRV: PathInfo(DRV, 5, nar_hash=sri("B")),
}


@pytest.fixture
def nix() -> Mock:
    nix = Mock()
    nix.store_dir.return_value = "/nix/store"
    nix.path_info.side_effect = lambda paths: {p: INFOS[p] for p in paths if p in INFOS}
    nix.run_to.side_effect = lambda file, *_, paths: file.write(f"NAR of {paths[0]}".encode())
    nix.outputs.side_effect = lambda drv_path, names: f"{drv_path}^{','.join(names)}"
    nix.with_options.return_value = nix
    return nix


def test_a_path_is_described_with_all_that_is_known_of_it() -> None:
    base = DRV.rpartition("/")[2]
    assert narinfo(INFOS[ONE], "one.nar").splitlines() == [
        f"StorePath: {ONE}",
        "URL: nar/one.nar",
        "Compression: none",
        f"NarHash: {nix32(sri('A'))}",
        "NarSize: 12",
        f"References: {base} {ONE.rpartition('/')[2]}",
        f"Deriver: {base}",
        "Sig: key:signature",
        "CA: fixed:r:sha256:x",
    ]
    assert narinfo(INFOS[DRV], "x").splitlines()[-1] == "References: "


def test_what_is_set_aside_is_a_cache_with_the_content(nix: Mock, tmp_path: Path) -> None:
    aside = Aside(nix, tmp_path / "aside")
    aside.take([ONE, DRV, path("invalid")])
    assert aside.url == f"file://{tmp_path}/aside"
    found = {str(file.relative_to(aside.directory)) for file in aside.directory.rglob("*") if file.is_file()}
    assert found == {
        "nix-cache-info",
        *(f"{digest * 32}.narinfo" for digest in "nz"),
        *(f"nar/{d * 32}.nar" for d in "nz"),
    }
    assert (aside.directory / "nix-cache-info").read_text() == "StoreDir: /nix/store\n"
    assert aside.has(ONE, sri("A"))
    assert not aside.has(ONE, sri("B"))
    assert not aside.has(path("invalid"), sri("A"))


def test_what_the_store_has_already_needs_no_content(nix: Mock, tmp_path: Path) -> None:
    aside = Aside(nix, tmp_path / "aside")
    aside.describe([ONE])
    aside.realise({DRV: ["out", "doc"]})
    assert not list((aside.directory / "nar").iterdir())
    nix.run_to.assert_not_called()
    assert nix.run.call_args.args[:4] == ("nix", "copy", "--to", aside.url)
    assert nix.run.call_args.kwargs["paths"] == [f"{DRV}^out,doc"]
    nix.run.reset_mock()
    aside.realise({})
    nix.run.assert_not_called()


def test_paths_come_back_in_turns_and_then_what_they_realise(nix: Mock, tmp_path: Path) -> None:
    aside = Aside(nix, tmp_path / "aside")
    aside.take([ONE, DRV])
    aside.give_back([ONE, DRV], {DRV: ["out"]})
    drv, one, realised = nix.run.call_args_list
    assert (drv.args[:4], drv.kwargs["paths"]) == (("nix", "copy", "--from", aside.url), [DRV])
    assert "--derivation" in drv.args
    assert one.kwargs["paths"] == [ONE]
    assert "--derivation" not in one.args
    assert (realised.args, realised.kwargs["paths"]) == (("nix-store", "--realise"), [f"{DRV}!out"])
    assert ("substituters", aside.url) in nix.with_options.call_args.args[0]


def test_whether_it_may_be_given_back_is_tried_with_the_smallest(nix: Mock, tmp_path: Path) -> None:
    aside = Aside(nix, tmp_path / "aside")
    aside.take([ONE, DRV])
    assert aside.may_be_given_back()
    assert nix.run_to.call_args.args[1:] == ("nix-store", "--export")
    assert nix.run_to.call_args.kwargs["paths"] == [DRV]
    nix.run_from.side_effect = NixError("error: cannot add path because it lacks a valid signature")
    assert not aside.may_be_given_back()


def test_a_tree_is_unpacked_from_what_was_set_aside(nix: Mock, tmp_path: Path) -> None:
    aside = Aside(nix, tmp_path / "aside")
    aside.take([ONE])
    read: list[bytes] = []
    nix.run_from.side_effect = lambda file, *_: read.append(file.read())
    to = tmp_path / "trees" / "one"
    assert aside.tree(ONE, to) == to
    assert read == [f"NAR of {ONE}".encode()]
    assert nix.run_from.call_args.args[1:] == ("nix-store", "--restore", str(to))
    with pytest.raises(OSError, match="No such file"):
        aside.tree(DRV, to)


@pytest.mark.parametrize("name", ["a place", "a?b", "a#b", "a%20b", "ä"])
def test_a_place_that_no_url_can_have_is_refused(nix: Mock, tmp_path: Path, name: str) -> None:
    with pytest.raises(NixError, match="URL"):
        Aside(nix, tmp_path / name)
    assert not (tmp_path / name).exists()
