"""Nix's JSON in each of its shapes, as Nix really prints it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from graphs import plain
from nix_repro.nix.derivation import Derivation, DrvOutput, parse_derivations, parse_path_info

RECORDED = Path(__file__).parent / "recorded"
SERIES = ("2.8", "2.26", "2.34")
DIR = "/nix/store/"
A = f"{DIR}nbb6s1r1yk7in79rrbvg9slnrcbn845d-a.drv"


def recorded(series: str) -> dict[str, Derivation]:
    found = parse_derivations((RECORDED / series / "derivations.json").read_text(), "/nix/store")
    assert all(path == drv.drv_path for path, drv in found.items())
    return {drv.name: drv for drv in found.values()}


@pytest.mark.parametrize("series", SERIES)
def test_names_inputs_and_outputs(series: str) -> None:
    drvs = recorded(series)
    assert set(drvs) == {"top", "above", "floating", "a", "b", "structured", "fixed", "random", "impure"}
    assert drvs["a"].drv_path == A
    assert drvs["a"].outputs == {
        "out": DrvOutput(f"{DIR}0s7wp6kwh43pi7gnr83w0jdlmay227nv-a"),
        "dev": DrvOutput(f"{DIR}9p7g22xswy8bvdwwxv9kzh1fsq8qpn8v-a-dev"),
    }
    assert drvs["b"].input_drvs == {A: ("dev",)}
    assert [Path(src).name[33:] for src in drvs["b"].input_srcs] == ["source.txt"]
    assert all(src.startswith(DIR) for src in drvs["b"].input_srcs)
    assert (drvs["a"].system, drvs["a"].builder, drvs["a"].args[:2]) == ("x86_64-linux", "/bin/sh", ("-e", "-c"))
    assert drvs["b"].env["a"] == drvs["a"].outputs["dev"].path


@pytest.mark.parametrize("series", SERIES)
def test_kinds_of_derivations(series: str) -> None:
    drvs = recorded(series)
    assert [name for name, drv in sorted(drvs.items()) if drv.fixed_output] == ["fixed"]
    assert [name for name, drv in sorted(drvs.items()) if drv.floating] == ["floating"]
    assert [name for name, drv in sorted(drvs.items()) if drv.impure] == ["impure"]
    # Below a floating input no path is known before building.
    assert [name for name, drv in sorted(drvs.items()) if drv.outputs["out"].path is None] == [
        "above",
        "floating",
        "impure",
        "top",
    ]


@pytest.mark.parametrize("text", ["--option", "[]", "{", "\ud800", '{"requiredSystemFeatures": 3}', "[" * 5000])
def test_structured_attributes_that_are_none_ask_for_nothing(text: str) -> None:
    odd = replace(plain("odd"), env={"__json": text})
    assert odd.required_features == frozenset()
    assert not odd.leaves_sandbox


@pytest.mark.parametrize("series", SERIES)
def test_structured_attributes_are_readable_as_one_variable(series: str) -> None:
    assert json.loads(recorded(series)["structured"].env["__json"])["numbers"] == [1, 2]


def test_all_shapes_say_the_same() -> None:
    assert recorded("2.8")["b"] == recorded("2.26")["b"] == recorded("2.34")["b"]
    assert recorded("2.8")["fixed"].outputs == recorded("2.26")["fixed"].outputs == recorded("2.34")["fixed"].outputs


@pytest.mark.parametrize("recording", ["2.8/path-info", "2.26/path-info", "2.34/path-info", "2.34/path-info-2"])
def test_path_info(recording: str) -> None:
    found = parse_path_info((RECORDED / f"{recording}.json").read_text())
    assert sorted(path[44:] for path in found) == ["a", "a-dev", "b"], "a path that is not valid is left out"
    b = next(info for path, info in found.items() if path.endswith("-b"))
    assert b.references == (f"{DIR}9p7g22xswy8bvdwwxv9kzh1fsq8qpn8v-a-dev",)
    assert b.nar_size > 100
    assert b.registration_time is not None
    assert b.registration_time > 1_600_000_000
    assert b.deriver is not None
    assert b.deriver.endswith("-b.drv")
    assert b.deriver.startswith(DIR)
    assert b.closure_size == (None if recording.endswith("-2") else b.nar_size + 120)


def test_no_derivations() -> None:
    assert parse_derivations("{}", "/nix/store") == {}
    assert parse_path_info("{}") == parse_path_info("[]") == {}


def test_another_store_directory() -> None:
    text = (RECORDED / "2.34/derivations.json").read_text().replace("/nix/store", "/gnu/store")
    found = parse_derivations(text, "/gnu/store")
    assert all(path.startswith("/gnu/store/") for path in found)


@pytest.mark.parametrize(
    ("path", "output"),
    [
        ("/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-gcc-12", "out"),
        ("/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-gcc-12-lib", "lib"),
        ("/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-gcc-12-doc", None),
        ("/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-gcc", None),
    ],
)
def test_which_output_a_store_path_is(path: str, output: str | None) -> None:
    drv = Derivation("/nix/store/x.drv", "gcc-12", "s", "b", (), {}, {"out": DrvOutput(), "lib": DrvOutput()}, {}, ())
    assert drv.output_named(path) == output
