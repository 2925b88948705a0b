"""A rebuilder that bakes what it is told to: derivations whose content is a function of the condition and of how often
they were built."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from graphs import Graph, drv, out
from nix_repro.build.rebuild.protocol import Answer, Request
from nix_repro.build.variations import PLACEBOS, TABLE, TIME, Condition
from nix_repro.nix.command import NixError
from nix_repro.nix.log.recorder import Recorder, Tally
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Observations, Seen, Tree
from nix_repro.plan.scope import Plan
from nix_repro.reasons import said

#: The content of a build under a condition, or None when its builder fails; the number counts this derivation's builds,
#: from 1.
Recipe = Callable[[Condition, int], str | None]
#: When the first builds began, in seconds since the epoch.
BEGAN = 1_750_000_000.0


class Nobody:
    """A display that nobody looks at."""

    def started(self, kind: str, name: str, at: float) -> None: ...
    def stopped(self, kind: str, name: str, at: float) -> None: ...
    def counted(self, kind: str, tally: Tally) -> None: ...
    def waiting(self, text: str, after: float = 0.0) -> None: ...


@dataclass
class Kiln:
    """`asked` are the names of the conditions of all rebuilds in order, each with the derivations' names."""

    directory: Path
    recipes: dict[str, Recipe]
    name: str = "kiln"
    alone: bool = False
    isolates: bool = True
    elsewhere: bool = False
    varies: frozenset[str] = frozenset(row.name for row in (*TABLE, *PLACEBOS.values()))
    broken: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    graph: Graph = field(default_factory=dict)
    _builds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.recipes:
            drv(self.graph, name)

    @property
    def plan(self) -> Plan:
        """Every derivation, named by its name."""
        return Plan({d.name: path for path, d in self.graph.items()}, self.graph, tuple(self.graph), {})

    def path(self, name: str) -> str:
        """The .drv path of a derivation."""
        return next(path for path, d in self.graph.items() if d.name == name)

    def first_builds(self) -> Observations:
        """What the first build observes."""
        seen = Observations()
        seen.add(self._bake(path, TIME, 1) for path in self.graph)
        return seen

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:  # noqa: ARG002  # the protocol has it
        """As a rebuilder does."""
        self.asked.append((request.condition.name, tuple(d.name for d in request.targets)))
        if self.broken:
            raise NixError("the kiln is cold")
        attempts = tuple(self._bake(d.drv_path, request.condition, request.round) for d in request.targets)
        trees = {}
        for attempt in attempts:
            first, now = request.first[attempt.drv_path].outputs["out"], attempt.outputs.get("out")
            if now is not None and first.nar_hash != now.nar_hash:
                number = self._builds[attempt.drv_path]
                trees[attempt.drv_path, "out"] = Tree(
                    self._tree(attempt.drv_path, 1), self._tree(attempt.drv_path, number), request.round
                )
        return Answer(attempts, trees)

    def _bake(self, drv_path: str, condition: Condition, round_number: int) -> Attempt:
        number = self._builds[drv_path] = self._builds.get(drv_path, 0) + 1
        content = self.recipes[self.graph[drv_path].name](condition, number)
        started, parts = BEGAN if round_number == 1 else time.time(), condition.parts
        if content is None:
            words = "building\nit has expired\n"
            return Attempt(
                drv_path, round_number, "failed", because=said("exit code 1"), started=started, log=words, varied=parts
            )
        tree = self._tree(drv_path, number)
        tree.write_text(content)
        seen = Seen(out(self.graph, drv_path), nar_hash(tree), "built" if round_number == 1 else "rebuilt", "kiln")
        return Attempt(
            drv_path, round_number, "built", {"out": seen}, started=started, seconds=1.0, isolated=True, varied=parts
        )

    def _tree(self, drv_path: str, number: int) -> Path:
        return self.directory / f"{self.graph[drv_path].name}-{number}"
