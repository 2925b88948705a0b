"""The graph of derivations: orders, levels, and what is above or below. Nothing recurses: graphs are deeper than
Python's stack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from nix_repro.nix.derivation import Derivation


def in_order(derivations: Mapping[str, Derivation]) -> list[str]:
    """The .drv paths, every one after its inputs. Iterative: graphs are deeper than Python's stack."""
    order: dict[str, None] = {}
    for root in derivations:
        stack = [(root, False)]
        while stack:
            path, ready = stack.pop()
            if path in order or path not in derivations:
                continue
            if ready:
                order[path] = None
                continue
            stack.append((path, True))
            stack.extend((i, False) for i in derivations[path].input_drvs if i not in order)
    return list(order)


def above(derivations: Mapping[str, Derivation], bottom: Collection[str]) -> set[str]:
    """Everything that depends on one of `bottom`, however indirectly."""
    found: set[str] = set()
    for drv_path in in_order(derivations):
        if any(i in bottom or i in found for i in derivations[drv_path].input_drvs):
            found.add(drv_path)
    return found


def below(derivations: Mapping[str, Derivation], top: Iterable[str]) -> set[str]:
    """The derivations of `top` and everything that they depend on, as far as it is among `derivations`."""
    found: set[str] = set()
    stack = list(top)
    while stack:
        if (path := stack.pop()) not in found and path in derivations:
            found.add(path)
            stack += derivations[path].input_drvs
    return found


def levels(targets: Iterable[str], derivations: Mapping[str, Derivation]) -> list[list[str]]:
    """The targets in groups, no member of which depends on another of its group, however indirectly."""
    chosen = set(targets)
    depth: dict[str, int] = {}
    for path in in_order(derivations):
        under = max((depth[i] for i in derivations[path].input_drvs if i in depth), default=0)
        depth[path] = under + (path in chosen)
    groups: dict[int, list[str]] = {}
    for path in sorted(chosen):
        groups.setdefault(depth[path], []).append(path)
    return [groups[level] for level in sorted(groups)]
