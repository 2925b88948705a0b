"""Why anything was built instead of being fetched: in words, from the comparison with the base and from what the caches
were asked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nix_repro.metrics.change import Classified, idle_finding
from nix_repro.nix.caches.kinds import normal, recognise
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.store_path import store_name
from nix_repro.plan.against import Against
from nix_repro.plan.compare import Root
from nix_repro.report import BuiltBecause, Change
from nix_repro.text import plural


@dataclass(frozen=True)
class Asked:
    """The caches that Nix is configured to ask, in its order, by URL; those of them that were left out; and the URLs of
    the upstream ones."""

    configured: Sequence[str] = ()
    dropped: Collection[str] = frozenset()
    upstream: Collection[str] = field(default_factory=tuple)

    def line(self) -> str:
        """Which caches were asked, and which were left out."""
        urls = {normal(url): recognise(url, self.upstream).name for url in self.configured}
        if not urls:
            return "no cache is configured"
        asked = ", ".join(name for url, name in urls.items() if url not in self.dropped)
        left = ", ".join(name for url, name in urls.items() if url in self.dropped)
        return "; ".join(part for part in (asked and f"asked: {asked}", left and f"left out: {left}") if part)


@dataclass(frozen=True)
class Causes:
    """What a build can be put down to. `own` are the repository's own derivations; `against` and `change` are None when
    there is no base."""

    own: Collection[str]
    against: Against | None
    change: Classified | None
    asked: Asked

    def open_question(self, drv_path: str) -> bool:
        """Whether nobody can tell if it changed: it is the repository's own, and not compared with a base."""
        return drv_path in self.own and (self.against is None or drv_path not in self.against.compared)

    def unchanged(self, drv_path: str) -> bool:
        """Could a cache be expected to have it? With a base, what the base has; otherwise what is not the repository's
        own."""
        touched = self.against.comparison.pairs if self.against is not None else {}
        return drv_path not in touched and not self.open_question(drv_path)


def built_because(drv_path: str, drv: Derivation | None, causes: Causes) -> BuiltBecause:
    """Why a derivation was built; `drv` is None when it is not known."""
    if causes.against is not None and causes.change is not None and drv_path in causes.against.comparison.pairs:
        return _changed(drv_path, causes.against, causes.change)
    if causes.open_question(drv_path):
        no_base = causes.against is None
        why = "there is no base to compare with (--base)" if no_base else "it is not compared with the base"
        return BuiltBecause(drv_path=drv_path, why="unknown", root_change=why)
    never = drv is not None and drv.never_fetched
    asked = "no cache is asked for it (allowSubstitutes = false)" if never else causes.asked.line()
    return BuiltBecause(drv_path=drv_path, why="cache miss", root_change=f"unchanged; {asked}")


def _changed(drv_path: str, against: Against, change: Classified) -> BuiltBecause:
    comparison = against.comparison
    if comparison.pairs[drv_path] is None:
        return BuiltBecause(drv_path=drv_path, why="new")
    root = comparison.root.get(drv_path)
    if root is None:
        return BuiltBecause(drv_path=drv_path, why="changed")
    more = comparison.others[drv_path]
    line = root_line(root, against.files.get(root)) + (f" (and {plural(more, 'more change')})" if more else "")
    return BuiltBecause(drv_path=drv_path, why="changed", root_change=line, change_class=change.roots[root])


def root_line(root: Root, files: Sequence[str] | None) -> str:
    """A root change in one line, with the first file that differs when it is a source."""
    if not files:
        return root.line()
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more} in the {root.line()}"


def change_report(against: Against, change: Classified) -> Change:
    """The comparison with the base as the report has it."""
    return Change(
        base=against.base.name,
        change_class=change.whole,
        derivations=len(against.comparison.pairs),
        lock=change.lock,
    )


def idle_findings(against: Against, classes: Mapping[Root, str], built: Sequence[str]) -> list[str]:
    """What should have rebuilt nothing and did all the same. `built` are .drv paths."""
    found: list[str] = []
    for root, kind in classes.items():
        names = [store_name(path) for path in built if against.comparison.root.get(path) == root]
        if kind == "none" and names:
            every = (root, *against.comparison.beside.get(root, ()))
            files = sorted({file for each in every for file in against.files[each] or ()})
            found.append(idle_finding(files, names, root.name))
    return found
