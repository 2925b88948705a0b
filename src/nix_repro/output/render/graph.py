"""The divergent part of the derivation graph, laid out for drawing: what makes others differ on the left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from nix_repro.output.render.escape import visible

if TYPE_CHECKING:
    from nix_repro.report import DerivationReport, Report

#: More boxes than this are a wall; the list beside the drawing and the table go on.
DRAWN = 60
#: Characters of a label.
_LABEL = 26
# Pixels.
#: The width of a character,
_CHAR = 7.3
#: of the room beside a label,
_PADDING = 34
#: the height of a box,
_HEIGHT = 34
#: of the gap below it,
_GAP = 14
#: the width of the gap between columns,
_ACROSS = 64
#: of the edge around everything.
_EDGE = 8


class Node(NamedTuple):
    """A box: its top left corner and width in pixels, what it stands for, and whether it is a root."""

    x: float
    y: float
    width: float
    label: str
    root: bool
    derivation: DerivationReport


class Slot(NamedTuple):
    """A place in a column: a box, or with `user` the free place through which an arrow to that box passes."""

    path: str
    user: str | None
    depth: int


class Drawing(NamedTuple):
    """Boxes, the paths of the arrows between them (SVG path data), and the size. `left_out` boxes did not fit."""

    nodes: tuple[Node, ...]
    arrows: tuple[str, ...]
    width: float
    height: float
    left_out: int


def is_root(derivation: DerivationReport) -> bool:
    """Whether it differs by itself."""
    return derivation.verdict == "divergent" and "propagated" not in derivation.marks


def differing(report: Report) -> dict[str, DerivationReport]:
    """Everything whose outputs differed, roots and victims, by .drv path."""
    return {d.drv_path: d for d in report.derivations if d.verdict == "divergent" or "propagated" in d.marks}


def users(nodes: Mapping[str, DerivationReport]) -> dict[str, list[str]]:
    """For every node, the nodes that it is a direct input of."""
    found: dict[str, list[str]] = {path: [] for path in nodes}
    for path, node in nodes.items():
        for needed in dict.fromkeys(node.inputs):
            if needed in nodes and needed != path:
                found[needed].append(path)
    return found


def reached(start: str, used_by: Mapping[str, list[str]]) -> list[str]:
    """Every node below `start`, nearest first."""
    queue = [start]
    seen = {start}
    for path in queue:
        for user in used_by[path]:
            if user not in seen:
                seen.add(user)
                queue.append(user)
    return queue[1:]


def draw(report: Report) -> Drawing | None:
    """The drawing, or null when nothing makes anything else differ."""
    nodes = differing(report)
    used_by = users(nodes)
    linked = {
        path: nodes[path]
        for path in nodes
        if used_by[path] or any(needed in nodes and needed != path for needed in nodes[path].inputs)
    }
    if not linked:
        return None
    kept = _kept(linked, used_by)
    depths = _depths({path: nodes[path] for path in kept}, used_by)
    edges = [(path, user) for path in kept for user in used_by[path] if depths.get(user, 0) > depths[path]]
    columns = _columns(kept, edges, depths)
    height = max(len(column) for column in columns) * (_HEIGHT + _GAP) - _GAP + 2 * _EDGE
    placed: dict[Slot, Node] = {}
    x = float(_EDGE)
    for column in columns:
        labels = {slot: visible(nodes[slot.path].name, _LABEL) for slot in column if slot.user is None}
        width = max(len(label) for label in labels.values()) * _CHAR + _PADDING
        y = (height - len(column) * (_HEIGHT + _GAP) + _GAP) / 2
        for slot in column:
            node = nodes[slot.path]
            placed[slot] = Node(round(x, 1), round(y, 1), round(width, 1), labels.get(slot, ""), is_root(node), node)
            y += _HEIGHT + _GAP
        x += width + _ACROSS
    arrows = tuple(_arrow([placed[slot] for slot in _way(path, user, depths)]) for path, user in edges)
    boxes = tuple(node for slot, node in placed.items() if slot.user is None)
    return Drawing(boxes, arrows, round(x - _ACROSS + _EDGE, 1), float(height), len(linked) - len(kept))


def _kept(linked: Mapping[str, DerivationReport], used_by: Mapping[str, list[str]]) -> list[str]:
    """What is drawn when not everything can be: the roots that most depend on, each with those nearest to it."""
    below = {path: reached(path, used_by) for path, node in linked.items() if is_root(node)}
    share = max(DRAWN // max(len(below), 1), 4)
    kept: dict[str, None] = {}
    for root in sorted(below, key=lambda path: (-len(below[path]), linked[path].name)):
        kept |= dict.fromkeys([root, *below[root][:share]])
    return list(kept | dict.fromkeys(linked))[:DRAWN]


def _depths(nodes: Mapping[str, DerivationReport], used_by: Mapping[str, list[str]]) -> dict[str, int]:
    """The longest way to each node from one that has no differing input. What a report with a loop leaves over comes
    first."""
    waiting = {
        path: sum(needed in nodes and needed != path for needed in dict.fromkeys(node.inputs))
        for path, node in nodes.items()
    }
    depths = dict.fromkeys(nodes, 0)
    ready = [path for path, count in waiting.items() if not count]
    for path in ready:
        for user in (user for user in used_by[path] if user in nodes):
            depths[user] = max(depths[user], depths[path] + 1)
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return depths


def _way(path: str, user: str, depths: Mapping[str, int]) -> list[Slot]:
    """The slots that an arrow goes through: both boxes, and a free place in every column between them."""
    between = [Slot(path, user, depth) for depth in range(depths[path] + 1, depths[user])]
    return [Slot(path, None, depths[path]), *between, Slot(user, None, depths[user])]


def _columns(kept: list[str], edges: list[tuple[str, str]], depths: Mapping[str, int]) -> list[list[Slot]]:
    """Slots by depth, each near the middle of those that lead to it, so that few arrows cross."""
    columns: list[list[Slot]] = [[] for _ in range(max(depths[path] for path in kept) + 1)]
    for path in kept:
        columns[depths[path]].append(Slot(path, None, depths[path]))
    before: dict[Slot, list[Slot]] = {}
    for path, user in edges:
        way = _way(path, user, depths)
        for earlier, later in pairwise(way):
            before.setdefault(later, []).append(earlier)
        for slot in way[1:-1]:
            columns[slot.depth].append(slot)
    rank: dict[Slot, float] = {}
    for column in columns:
        middle = {slot: [rank[earlier] for earlier in before.get(slot, ())] for slot in column}
        column.sort(key=lambda slot: sum(middle[slot]) / len(middle[slot]) if middle[slot] else 0.5)
        rank |= {slot: (place + 0.5) / len(column) for place, slot in enumerate(column)}
    return columns


def _arrow(way: list[Node]) -> str:
    """From the right side of the first box through the free places to the left side of the last."""
    x, y = way[0].x + way[0].width, way[0].y + _HEIGHT / 2
    drawn = [f"M{x:.1f} {y:.1f}"]
    for node in way[1:]:
        last = node is way[-1]
        to_x, to_y = node.x - (7 if last else 0), node.y + _HEIGHT / 2
        bend = (to_x - x) / 2
        drawn.append(f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
        if not last:
            x += node.width
            drawn.append(f"H{x:.1f}")
    return "".join(drawn)
