"""Derivations, read from Nix's JSON.

The shape of that JSON changed twice: Nix 2.8 prints input outputs as lists, 2.26 as objects, 2.34 nests everything
under `derivations` and drops the store directory from every path. Each shape has one jq program that turns it into
ours; the program is chosen by what the JSON looks like, never by a version number.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from nix_repro.nix.store_path import DIGEST_LENGTH, StorePath


class DrvOutput(msgspec.Struct, frozen=True):
    """`path` is null when Nix knows it only after building. `fixed` outputs have their hash in the derivation;
    `floating` ones are content-addressed, their path follows from what the build made."""

    path: str | None = None
    fixed: bool = False
    floating: bool = False


class Derivation(msgspec.Struct, frozen=True):
    """One .drv file: what is built, from which inputs, how."""

    drv_path: str
    name: str
    system: str
    builder: str
    args: tuple[str, ...]
    env: dict[str, str]
    outputs: dict[str, DrvOutput]
    input_drvs: dict[str, tuple[str, ...]]
    input_srcs: tuple[str, ...]
    impure: bool = False

    @property
    def fixed_output(self) -> bool:
        return any(output.fixed for output in self.outputs.values())

    @property
    def floating(self) -> bool:
        return any(output.floating for output in self.outputs.values())

    @property
    def found_later(self) -> bool:
        """Whether only the store says where its outputs are, once they were built: it is content-addressed, or built
        from what is."""
        return not self.impure and any(output.path is None for output in self.outputs.values())

    @property
    def never_fetched(self) -> bool:
        """Whether Nix is told not to look for it in caches."""
        return self.env.get("allowSubstitutes", "1") in ("", "0", "false")

    @property
    def required_features(self) -> frozenset[str]:
        """The system features without which Nix does not build it."""
        if (structured := self._structured) is not None:
            features = structured.get("requiredSystemFeatures")
            return frozenset(map(str, features)) if isinstance(features, list) else frozenset()
        return frozenset(self.env.get("requiredSystemFeatures", "").split())

    @property
    def leaves_sandbox(self) -> bool:
        """Whether it asks to be built without a sandbox, which Nix grants where that is `relaxed`."""
        if (structured := self._structured) is not None:
            return bool(structured.get("__noChroot", False))
        return self.env.get("__noChroot") == "1"

    @property
    def _structured(self) -> dict[str, Any] | None:
        if (text := self.env.get("__json")) is None:
            return None
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            # Nix does not build such a derivation, but shows it.
            return {}

    def output_named(self, store_path: str) -> str | None:
        """Which output a store path of this derivation is, by Nix's naming rule `NAME` or `NAME-OUTPUT`."""
        called = StorePath.of(store_path).name
        for output in self.outputs:
            if called == (self.name if output == "out" else f"{self.name}-{output}"):
                return output
        return None


# The parts that all three shapes share. `$dir` is "" where paths are whole, else the store directory with a slash;
# `$digest` is the length of the digest in a path.
_COMMON = r"""
def whole: if startswith("/") then . else $dir + . end;
def outs: if type == "array" then . else .outputs end;
def env_of: (.env // {}) + (if .structuredAttrs then {"__json": (.structuredAttrs | tojson)} else {} end);
# 2.34 leaves out the path of a fixed output, which the builder's environment still has.
def output($env_path): ((.hash // null) != null) as $fixed |
    {path: (if .path then .path | whole
            elif $fixed and ($env_path | type == "string" and startswith("/")) then $env_path else null end),
             fixed: $fixed,
             floating: ((.hash // null) == null and (.path // null) == null
                        and ((.hashAlgo // .method // null) != null) and (.impure // false | not))};
def derivation($path; $drvs; $srcs): {drv_path: ($path | whole),
    name: (.name // ($path | split("/") | last | .[$digest + 1:] | rtrimstr(".drv"))),
    system, builder, args, env: (env_of | with_entries(.value |= tostring)),
    outputs: (.env as $env | .outputs | with_entries(.key as $name | .value |= output($env[$name]))),
    impure: ([.outputs[] | .impure // false] | any),
    input_drvs: ($drvs | with_entries(.key |= whole | .value |= outs)),
    input_srcs: ($srcs | map(whole))};
"""
_FLAT = _COMMON + "[to_entries[] | .key as $p | .value | derivation($p; .inputDrvs; .inputSrcs)]"
_NESTED = _COMMON + "[.derivations | to_entries[] | .key as $p | .value | derivation($p; .inputs.drvs; .inputs.srcs)]"

# `path-info --json`: a list (2.8), an object by path with null for invalid paths (2.26 and 2.34), or `info` by base
# name (2.34's format 2, announced as the coming default).
_PATHS_LIST = "[.[] | select(.valid != false)]"
_PATHS_DICT = "[to_entries[] | select(.value != null) | .value + {path: .key}]"
_PATHS_NESTED = r"""
[.storeDir as $dir | .info | to_entries[] | select(.value != null)
 | .value + {path: "\($dir)/\(.key)", deriver: (.value.deriver | if . then "\($dir)/\(.)" else null end),
             references: (.value.references | map("\($dir)/\(.)")),
             ca: (.value.ca | if type == "string" then . else null end)}]
"""


@functools.cache
def _program(text: str, store_dir: str) -> Any:
    import jq

    return jq.compile(text, args={"dir": f"{store_dir}/", "digest": DIGEST_LENGTH})


def parse_derivations(text: str, store_dir: str) -> dict[str, Derivation]:
    """What `nix derivation show` or `nix show-derivation` printed, by .drv path."""
    nested = '"derivations"' in text[:64]
    rows = _program(_NESTED if nested else _FLAT, store_dir).input_text(text).first()
    return {drv.drv_path: drv for drv in msgspec.convert(rows, list[Derivation])}


class PathInfo(msgspec.Struct, frozen=True, rename="camel"):
    """What the store knows of a valid path. `nar_size` and `closure_size` in bytes; the latter only when asked for.
    `ca` says how its name follows from its content, where it does. `registration_time`: since when the store has it, in
    seconds since the epoch."""

    path: str
    nar_size: int = 0
    closure_size: int | None = None
    deriver: str | None = None
    references: tuple[str, ...] = ()
    nar_hash: str = ""
    signatures: tuple[str, ...] = ()
    ca: str | None = None
    registration_time: int | None = None


def parse_path_info(text: str) -> dict[str, PathInfo]:
    """What `nix path-info --json` printed; invalid paths are left out."""
    rows = _program(_path_program(text), "").input_text(text).first()
    return {info.path: info for info in msgspec.convert(rows, list[PathInfo])}


def _path_program(text: str) -> str:
    if text.lstrip().startswith("["):
        return _PATHS_LIST
    return _PATHS_NESTED if text.lstrip().startswith('{"info"') else _PATHS_DICT
