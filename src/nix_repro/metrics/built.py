"""Why anything was built instead of being fetched: in words, from the comparison with the base and from what the caches
were asked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nix_repro.metrics.change import Classified, idle_finding
from nix_repro.nix.caches.kinds import normal, recognise
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import in_order
from nix_repro.nix.store_path import StorePath, store_name
from nix_repro.plan.against import Against
from nix_repro.plan.compare import Root
from nix_repro.report import BuiltBecause, Change
from nix_repro.text import plural, seconds, some


@dataclass(frozen=True)
class Asked:
    """The caches that Nix is configured to ask, in its order, by URL; those of them that were left out; and the URLs of
    the upstream ones. `queries` are those that it did ask in this run, by the digest of the path; `remembered` is for
    how many seconds it takes a cache that had no path to have none still."""

    configured: Sequence[str] = ()
    dropped: Collection[str] = frozenset()
    upstream: Collection[str] = field(default_factory=tuple)
    queries: Mapping[str, Collection[str]] = field(default_factory=dict)
    remembered: int = 3600

    def line(self, paths: Sequence[str]) -> str:
        """Which caches were asked for one of the paths, which were not, and which were left out."""
        urls = {normal(url): recognise(url, self.upstream).name for url in self.configured}
        if not urls:
            return "no cache is configured"
        if not paths:
            return f"configured: {', '.join(urls.values())}"
        asked = {url for path in paths for url in self.queries.get(StorePath.of(path).digest, ())}
        parts: dict[str, list[str]] = {"asked": [], "not asked": [], "left out": []}
        for url, name in urls.items():
            parts["asked" if url in asked else "left out" if url in self.dropped else "not asked"].append(name)
        said = [f"{how}: {', '.join(names)}" for how, names in parts.items() if names]
        if parts["not asked"]:
            ttl = f"narinfo-cache-negative-ttl, {seconds(self.remembered)}"
            said[bool(parts["asked"])] += f" (Nix remembers that it had nothing: {ttl})"
        return "; ".join(said)


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


def built_because_all(built: Mapping[str, Derivation | None], causes: Causes) -> tuple[BuiltBecause, ...]:
    """Why each derivation was built, by .drv path; the values are None where not known. What depends on another one
    that no cache had is told from that one: nothing is to be done about it."""
    rows = {drv_path: built_because(drv_path, drv, causes) for drv_path, drv in built.items()}
    found = {path: drv for path, drv in built.items() if drv is not None and rows[path].why == "cache miss"}
    # Sources and what is never fetched are wanted because of what depends on them.
    missed = {path: drv for path, drv in found.items() if not drv.fixed_output and not drv.never_fetched}
    for drv_path, roots in _missing_below(missed).items():
        names = some([store_name(path) for path in roots], 2)
        why = f"unchanged; depends on {names}, which no cache has either"
        rows[drv_path] = BuiltBecause(drv_path=drv_path, why="cache miss", root_change=why)
    return tuple(rows.values())


def _missing_below(missed: Mapping[str, Derivation]) -> dict[str, list[str]]:
    """Those that depend on others of them, each with the ones that depend on none."""
    roots: dict[str, dict[str, None]] = {}
    for path in in_order(missed):
        inputs = [i for i in missed[path].input_drvs if i in missed]
        roots[path] = {root: None for i in inputs for root in roots.get(i) or {i: None}}
    return {path: sorted(found, key=store_name) for path, found in roots.items() if found}


def built_because(drv_path: str, drv: Derivation | None, causes: Causes) -> BuiltBecause:
    """Why a derivation was built; `drv` is None when it is not known."""
    if causes.against is not None and causes.change is not None and drv_path in causes.against.comparison.pairs:
        return _changed(drv_path, causes.against, causes.change)
    if causes.open_question(drv_path):
        no_base = causes.against is None
        why = "there is no base to compare with (--base)" if no_base else "it is not compared with the base"
        return BuiltBecause(drv_path=drv_path, why="unknown", root_change=why)
    never = drv is not None and drv.never_fetched
    paths = [output.path for output in drv.outputs.values() if output.path is not None] if drv is not None else []
    asked = "no cache is asked for it (allowSubstitutes = false)" if never else causes.asked.line(paths)
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
    groups: dict[tuple[str, ...], tuple[list[str], set[str]]] = {}
    for root, kind in classes.items():
        names = [store_name(path) for path in built if against.comparison.root.get(path) == root]
        if kind == "none" and names:
            every = (root, *against.comparison.beside.get(root, ()))
            files = {file for each in every for file in against.files[each] or ()}
            rebuilt, sources = groups.setdefault(tuple(sorted(files)), ([], set()))
            rebuilt += names
            sources.add(root.name)
    return [idle_finding(files, names, sources) for files, (names, sources) in groups.items()]
