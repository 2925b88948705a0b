"""The graph of derivations: orders, levels, and what is above or below. Nothing recurses: graphs are deeper than
Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from nix_repro.nix.derivation import Derivation


def in_order(derivations: Mapping[str, Derivation]) -> list[str]:
    """The .drv paths, every one after its inputs."""
    return ordered(derivations, lambda path: derivations[path].input_drvs)


def ordered(nodes: Collection[str], needs: Callable[[str], Iterable[str]]) -> list[str]:
    """The nodes of a graph, every one after what it `needs`, as far as that is among them and not itself."""
    order: dict[str, None] = {}
    for root in nodes:
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if node in order or node not in nodes:
                continue
            if ready:
                order[node] = None
                continue
            stack.append((node, True))
            stack.extend((other, False) for other in needs(node) if other != node and other not in order)
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
