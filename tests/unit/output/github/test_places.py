"""Where an attribute is set, read from text that nobody evaluates."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from nix_repro.output.github.places import Location, attribute_names, locator

FLAKE = r"""{
  description = "packages.x86_64-linux.foo.bar = nothing";
  # packages.x86_64-linux.foo.bar = a comment;
  outputs = { self, nixpkgs }: let
    system = "x86_64-linux";
    bar = 1;
    text = ''
      foo.bar = ''${not} the one;
    '';
  in {
    packages.${system} = rec {
      other = { bar = 1; };
      foo = {
        inherit (nixpkgs) lib;
        bar = derivation { name = "bar"; };
      };
      dotted.deep.er = 2;
      "a.b" = 3;
      "foo bar" = 4;
      set."c.d".e = 5;
      b = 6;
      default = foo.bar;
      quo.te = "a \" string with b = 7;";
      "with\"mark" = 8;
    };
    packages.aarch64-linux.foo.bar = 9;
    devShells.${system}.default = 10;
    checks."x86_64-linux"."unit test".fast
      = 11;
    legacyPackages = builtins.mapAttrs (system: pkgs: {
      tools = pkgs.lib.recurseIntoAttrs { hammer = 12; };
    }) nixpkgs.legacyPackages;
  };
}
"""


def line(attr: str, **files: str) -> Location | None:
    derivation = reports.derivation("no-such-name", attrs=(attr,))
    return locator({"flake.nix": FLAKE, **files})(derivation)


@pytest.mark.parametrize(
    ("attr", "text"),
    [
        ("packages.x86_64-linux.foo.bar", 'bar = derivation { name = "bar"; };'),
        ("packages.x86_64-linux.other.bar", "other = { bar = 1; };"),
        ("packages.aarch64-linux.foo.bar", "packages.aarch64-linux.foo.bar = 9;"),
        ("packages.x86_64-linux.dotted.deep.er", "dotted.deep.er = 2;"),
        ('packages.x86_64-linux."a.b"', '"a.b" = 3;'),
        ('packages.x86_64-linux."foo bar"', '"foo bar" = 4;'),
        ('packages.x86_64-linux.set."c.d".e', 'set."c.d".e = 5;'),
        ("packages.x86_64-linux.b", "b = 6;"),
        ('packages.x86_64-linux."b"', "b = 6;"),
        ("packages.x86_64-linux.default", "default = foo.bar;"),
        ("devShells.x86_64-linux.default", "devShells.${system}.default = 10;"),
        ("packages.x86_64-linux.quo.te", r'quo.te = "a \" string with b = 7;";'),
        (r'packages.x86_64-linux."with\"mark"', r'"with\"mark" = 8;'),
        ('checks.x86_64-linux."unit test".fast', 'checks."x86_64-linux"."unit test".fast'),
        ("legacyPackages.x86_64-linux.tools.hammer", "tools = pkgs.lib.recurseIntoAttrs { hammer = 12; };"),
    ],
)
def test_the_line_is_the_one_that_sets_the_attribute(attr: str, text: str) -> None:
    found = line(attr)
    assert found is not None
    assert found.file == "flake.nix"
    assert FLAKE.splitlines()[(found.line or 0) - 1].strip() == text


def test_another_file_may_have_more_of_the_names() -> None:
    more = {"nix/foo.nix": "{ }:\n{\n  packages.x86_64-linux.foo = { gadget = 1; };\n}\n", "z.nix": "{ gadget = 1; }"}
    assert line("packages.x86_64-linux.foo.gadget", **more) == ("nix/foo.nix", 3)
    assert line("packages.x86_64-linux.gadget", **more) == ("nix/foo.nix", 3)
    assert line("packages.x86_64-linux.nowhere", **more) == ("flake.nix", None)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a", ("a",)),
        ("a.b-c.d'", ("a", "b-c", "d'")),
        ('a."b.c".d', ("a", "b.c", "d")),
        (r'"a\"b"."c\\"', ('a"b', "c\\")),
        ("a . b", ("a", "b")),
        ("a.${b.c}.d", ("a", "", "d")),
        ("", ()),
    ],
)
def test_the_names_of_a_path(path: str, names: tuple[str, ...]) -> None:
    assert attribute_names(path) == names


@given(st.text(st.sampled_from(list("ab.=\"'{}()[];$\\ \n#/*-")), max_size=60), st.text(max_size=10))
def test_no_text_breaks_it(text: str, attr: str) -> None:
    found = locator({"flake.nix": text})(reports.derivation("x", attrs=(attr, "a.b")))
    assert found is not None
    assert found.line is None or 1 <= found.line <= text.count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        *("a." * 100_000, '"' * 100_000, "''" * 50_000, "/*" * 50_000, "{" * 100_000, "a = " * 50_000, "a" * 200_000),
        *("a " * 100_000, '"a" ' * 50_000, "${" * 50_000, "a" + " " * 200_000, '"\\' * 50_000, "a.b={" * 30_000),
    ],
)
def test_no_text_takes_long(text: str) -> None:
    began: Any = time.process_time()
    locator({"flake.nix": text})(reports.derivation("x", attrs=("a.b",)))
    assert time.process_time() - began < 5
