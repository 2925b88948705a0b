"""Where the outputs of content-addressed inputs are: a store that is not told builds these inputs again, and what comes
of it is not what the first build stood on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nix_repro.build.rebuild.aside import Aside
from nix_repro.build.rebuild.inputs import wanted_inputs
from nix_repro.nix.command import NO_WORK, Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.store_path import outputs_of

#: The experimental feature; 2.8 names it by its number.
_FEATURE = frozenset({"ca-derivations", 0})


def content_addressing(nix: Nix) -> bool:
    """Whether this Nix has derivations whose place in the store follows from what they make."""
    return not _FEATURE.isdisjoint(nix.settings().get("experimental-features", []))


def found_inputs(nix: Nix, targets: Sequence[Derivation]) -> dict[str, list[str]]:
    """The outputs that the targets take from derivations that are no targets and whose place only the store knows, by
    .drv path."""
    # What is built from such an input is one itself.
    wanted = wanted_inputs(targets) if any(drv.found_later for drv in targets) else {}
    inputs = nix.derivations(wanted)
    return {path: sorted(outputs) for path, outputs in wanted.items() if inputs[path].found_later}


def places(nix: Nix, inputs: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Where a store has these outputs, by .drv path; nowhere when it does not know of one of a derivation's."""
    found: dict[str, set[str]] = {}
    for drv_path, outputs in inputs.items():
        try:
            said = nix.run("nix-store", "--realise", *NO_WORK, paths=[outputs_of(drv_path, outputs)])
            found[drv_path] = {*said.split()}
        except NixError:
            found[drv_path] = set()
    return found


def said_in(nix: Nix, inputs: Mapping[str, Iterable[str]], directory: Path) -> Aside | None:
    """A cache that says where these are, without their content; None for none."""
    if not inputs:
        return None
    aside = Aside(nix, directory)
    aside.describe(path for paths in places(nix, inputs).values() for path in paths)
    aside.realise(inputs)
    return aside
