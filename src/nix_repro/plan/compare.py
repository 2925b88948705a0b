"""Why anything was built: two graphs of derivations compared, down to the first place where they differ. Pure.

Store paths are compared by what they stand for: the output of a derivation and the output of its counterpart are the
same, so that a change is seen where it is made and not in everything above it. Nothing recurses: graphs are deeper than
Python's stack; every derivation is looked at once.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import in_order
from nix_repro.nix.hashes import BASE32
from nix_repro.nix.store_path import store_name
from nix_repro.plan.sources import STORE_PATH, UNNAMED, environment, known_path, pair_sources, source_name

#: Derivations by .drv path.
ShowOnly = Callable[[Iterable[str]], Mapping[str, Derivation]]
#: Derivations read of one graph at most; what lies below is not looked at.
MOST = 50_000

#: What stands for an output whose path is not known before building: a slash and a SHA-256.
_PLACEHOLDER = re.compile(rf"/[{BASE32}]{{52}}(?![0-9A-Za-z])")
_VERSION = re.compile(r"-\d.*$")
#: Characters shown of a value.
_VALUE = 40


@dataclass(frozen=True)
class Root:
    """One difference at its origin: in which derivation (of the new graph), of what sort, and both sides.

    `kind` is source, builder, environment, arguments, input, system or outputs; `name` the source's, the variable's or
    the input's. Sources have the two store paths as sides.
    """

    drv_path: str
    drv_name: str
    kind: str
    name: str
    old: str | None = None
    new: str | None = None

    def line(self) -> str:
        """The difference in one line."""
        match self.kind:
            case "source":
                return f"source {'' if self.name == UNNAMED else f'{self.name} '}of {self.drv_name}"
            case "environment":
                return f"{self.name} of {self.drv_name}: {_short(self.old)} → {_short(self.new)}"
            case "input":
                verb = "added" if self.old is None else "removed"
                return f"input {self.name} {verb} in {self.drv_name}"
            case _:
                return f"{self.kind} of {self.drv_name}: {_short(self.old)} → {_short(self.new)}"


@dataclass(frozen=True)
class Comparison:
    """`pairs` maps every derivation of the new graph that is not in the old one to its counterpart there, None for new
    ones. `root` says of the changed ones where it began, `others` how many more beginnings there are, and `beside` what
    else differs of the derivation in which a beginning is. `same` are those whose outputs are the old one's all the
    same: nothing differs but how a fixed output below them is fetched."""

    pairs: Mapping[str, str | None] = field(default_factory=dict)
    root: Mapping[str, Root] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[Root, tuple[Root, ...]] = field(default_factory=dict)
    same: frozenset[str] = frozenset()

    def blast(self) -> Counter[Root]:
        """How many derivations each root change touches first of all."""
        return Counter(self.root.values())


def compare(
    roots: Sequence[tuple[str | None, str]], known: Collection[str], show_old: ShowOnly, show_new: ShowOnly
) -> Comparison:
    """Compare from pairs of top derivations (old or None, new) downwards. What the old graph has too (`known`) is not
    entered. `show_old` may leave out derivations that are gone: of those only the name is known."""
    pairs: dict[str, str | None] = {}
    old: dict[str, Derivation] = {}
    new: dict[str, Derivation] = {}
    level: dict[str, str | None] = {b: a for a, b in roots if a is not None and b not in known}
    # What has no counterpart waits until everything that has one is paired: it may be the counterpart's from there.
    fresh = dict.fromkeys(b for a, b in roots if a is None and b not in known)
    alone: dict[str, None] = dict(fresh)
    namesakes: Mapping[str, str | None] | None = None
    while (level or alone) and len(new) < MOST:
        if not level:
            namesakes = _only_by_name(known) if namesakes is None else namesakes
            taken = set(pairs.values())
            called = {b: namesakes.get(store_name(b)) for b in alone if b not in pairs}
            level = {b: a if b not in fresh and a not in taken else None for b, a in called.items()}
            alone.clear()
        new |= show_new(level)
        old |= show_old([a for a in level.values() if a is not None and a not in old])
        level = {b: a for b, a in level.items() if b in new}
        pairs |= level
        below: dict[str, str | None] = {}
        for b, a in level.items():
            for other, path in _inputs(old.get(a) if a is not None else None, new[b]):
                if path in pairs or path in known:
                    continue
                if other is None:
                    alone[path] = None
                else:
                    # The first counterpart that is found is kept.
                    below.setdefault(path, other)
        level = below
    return _roots(pairs, old, new)


def _only_by_name(paths: Iterable[str], key: Callable[[str], str] = store_name) -> dict[str, str | None]:
    """Derivations by name; None for the names that several have."""
    found: dict[str, str | None] = {}
    for path in paths:
        name = key(path)
        found[name] = None if name in found else path
    return found


def _unversioned(path: str) -> str:
    return _VERSION.sub("", store_name(path))


def _inputs(old: Derivation | None, new: Derivation) -> list[tuple[str | None, str]]:
    """The inputs of the new derivation that the old one has not, each with its counterpart: the one of the same name,
    else of the same name in another version."""
    if old is None:
        return [(None, i) for i in new.input_drvs]
    fresh = [i for i in new.input_drvs if i not in old.input_drvs]
    gone = [i for i in old.input_drvs if i not in new.input_drvs]
    found: dict[str, str | None] = dict.fromkeys(fresh)
    for key in (store_name, _unversioned):
        by_key: dict[str, list[str]] = {}
        for path in gone:
            by_key.setdefault(key(path), []).append(path)
        for path in fresh:
            if found[path] is None and (same := by_key.get(key(path))):
                found[path] = same.pop(0)
                gone.remove(found[path] or "")
    return [(a, b) for b, a in found.items()]


def compare_names(
    roots: Sequence[tuple[str | None, str]], known: Collection[str], new: Iterable[str]
) -> tuple[Comparison, frozenset[str]]:
    """The same from names alone, for a base whose derivations are not in this store: changed or new, but not why. Also
    of which of them the counterpart may be another, because several there have the name."""
    by_name = {store_name(path): path for path in sorted(known)}
    only, versions = _only_by_name(known), _only_by_name(known, _unversioned)
    top = {b: a for a, b in roots if a is not None}
    pairs = {
        path: top.get(path) or by_name.get(store_name(path)) or versions.get(_unversioned(path))
        for path in new
        if path not in known
    }
    return Comparison(pairs), frozenset(b for b, a in pairs.items() if b not in top and only.get(store_name(b), a) != a)


def _roots(pairs: Mapping[str, str | None], old: Mapping[str, Derivation], new: Mapping[str, Derivation]) -> Comparison:
    tokens = _tokens(pairs, old, new)
    first: dict[str, Root] = {}
    masks: dict[str, int] = {}
    numbers: dict[Root, int] = {}
    beside: dict[Root, tuple[Root, ...]] = {}
    same = {b for b, a in pairs.items() if a is not None and a in old and _same_outputs(old[a], new[b])}
    for path in in_order(new):
        counterpart = pairs[path]
        if path in same:
            # Nothing above it is built because of it.
            masks[path] = 0
            continue
        below = [i for i in new[path].input_drvs if i in masks]
        mask = 0
        for i in below:
            mask |= masks[i]
        own = (
            _differences(old[counterpart], new[path], pairs, tokens)
            if counterpart is not None and counterpart in old
            else []
        )
        for difference in own:
            mask |= 1 << numbers.setdefault(difference, len(numbers))
        if len(own) > 1:
            beside[own[0]] = tuple(own[1:])
        if counterpart is None:
            # Its own beginning: whatever needs it has it as an added input.
            masks[path] = 0
            continue
        masks[path] = mask
        # The deepest change is the one with the lowest number: derivations come after their inputs.
        candidates = [first[i] for i in below if i in first] + own[:1]
        if candidates:
            first[path] = min(candidates, key=lambda root: numbers[root])
    others = {path: max(masks[path].bit_count() - 1, 0) for path in first}
    return Comparison({b: a for b, a in pairs.items() if b not in same}, first, others, beside, frozenset(same))


def _same_outputs(old: Derivation, new: Derivation) -> bool:
    paths = {name: output.path for name, output in new.outputs.items()}
    return None not in paths.values() and paths == {name: output.path for name, output in old.outputs.items()}


def _tokens(
    pairs: Mapping[str, str | None], old: Mapping[str, Derivation], new: Mapping[str, Derivation]
) -> dict[str, str]:
    """What store paths stand for: the outputs of a pair are called the same on both sides, and so are their .drv
    files."""
    found: dict[str, str] = {}
    for b, a in pairs.items():
        if a is None or a not in old:
            continue
        for path, drv in ((a, old[a]), (b, new[b])):
            found.setdefault(path, f"⟨{b}⟩")
            for name, output in drv.outputs.items():
                if output.path is not None:
                    found.setdefault(output.path, f"⟨{b}!{name}⟩")
    return found


def _differences(
    old: Derivation, new: Derivation, pairs: Mapping[str, str | None], tokens: dict[str, str]
) -> list[Root]:
    """What differs of the derivation itself: its sources, and besides them the first other difference, the most telling
    sort first. Empty when only its inputs differ."""
    sources = pair_sources(old, new)
    found = [Root(new.drv_path, new.name, "source", source_name(b or a or ""), a, b) for a, b in sources]
    if any(None in pair for pair in sources):
        # Whatever speaks of the one that is added or gone differs, too.
        return found
    same = {path: f"⟨source {b}⟩" for a, b in sources for path in (a, b) if path is not None}
    other = _difference(old, new, pairs, ChainMap(same, tokens))
    return found if other is None else [*found, other]


def _difference(
    old: Derivation, new: Derivation, pairs: Mapping[str, str | None], tokens: Mapping[str, str]
) -> Root | None:
    """The first difference that is the derivation's own, the most telling sort first, apart from its sources."""

    def plain(text: str) -> str:
        return _PLACEHOLDER.sub("⟨placeholder⟩", STORE_PATH.sub(lambda found: _replaced(found.group(), tokens), text))

    def root(kind: str, name: str, a: str | None, b: str | None) -> Root:
        return Root(new.drv_path, new.name, kind, name, a, b)

    if plain(old.builder) != plain(new.builder):
        return root("builder", "", old.builder, new.builder)
    if old.system != new.system:
        return root("system", "", old.system, new.system)
    env_old, env_new = environment(old), environment(new)
    added = _added_inputs(old, new, pairs)
    for name in sorted({*env_old, *env_new}, key=lambda n: (n not in ("version", "src", "outputHash"), n)):
        a, b = env_old.get(name), env_new.get(name)
        if (None if a is None else plain(a)) != (None if b is None else plain(b)):
            # A list of inputs differs because an input is gone or there: that says more.
            if added is not None and a is not None and b is not None and STORE_PATH.search(a + b):
                return root("input", added[0], *added[1:])
            return root("environment", name, a, b)
    if tuple(map(plain, old.args)) != tuple(map(plain, new.args)):
        return root("arguments", "", " ".join(old.args), " ".join(new.args))
    if added is not None:
        return root("input", added[0], *added[1:])
    return (
        root("outputs", "", " ".join(old.outputs), " ".join(new.outputs))
        if old.outputs.keys() != new.outputs.keys()
        else None
    )


def _added_inputs(
    old: Derivation, new: Derivation, pairs: Mapping[str, str | None]
) -> tuple[str, str | None, str | None] | None:
    partners = {pairs.get(i) for i in new.input_drvs}
    for path in new.input_drvs:
        if path not in old.input_drvs and pairs.get(path) not in old.input_drvs:
            return store_name(path), None, path
    for path in old.input_drvs:
        if path not in new.input_drvs and path not in partners:
            return store_name(path), path, None
    return None


def _replaced(text: str, tokens: Mapping[str, str]) -> str:
    path = known_path(text, tokens)
    return text if path is None else tokens[path] + text[len(path) :]


def _short(value: str | None) -> str:
    if value is None:
        return "not there"
    text = STORE_PATH.sub(lambda found: source_name(found.group()), value).replace("\n", " ")
    return text if len(text) <= _VALUE else text[:_VALUE] + "…"
