"""Derivations for graphs: some that go by name, and some whose paths follow from what they are made of, as Nix's do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from nix_repro.nix.derivation import Derivation, DrvOutput

Graph = dict[str, Derivation]


def plain(
    name: str,
    *inputs: str,
    outputs: Iterable[str] = ("out",),
    system: str = "x86_64-linux",
    fixed: bool = False,
    floating: bool = False,
    impure: bool = False,
) -> Derivation:
    """/s/NAME.drv, whose outputs are /s/NAME-OUTPUT. `inputs` are `name` or `name!out,dev`."""
    wanted = {f"/s/{i.partition('!')[0]}.drv": tuple((i.partition("!")[2] or "out").split(",")) for i in inputs}
    found = {o: DrvOutput(None if floating or impure else f"/s/{name}-{o}", fixed, floating) for o in outputs}
    return Derivation(f"/s/{name}.drv", name, system, "/bin/sh", (), {}, found, wanted, (), impure)


def store(name: str, *content: object) -> str:
    """The store path of something with this name and content."""
    digest = hashlib.sha256(repr(content).encode()).hexdigest()[:32].replace("e", "z")
    return f"/nix/store/{digest}-{name}"


def drv(graph: Graph, name: str, *inputs: str, sources: Iterable[str] = (), **env: str) -> str:
    """Add a derivation with one output. `builder` and `script` among the keywords are what they say, the others its
    environment. Returns its .drv path."""
    outs = {i: graph[i].outputs["out"].path or "" for i in inputs}
    builder = env.pop("builder", "/bin/sh")
    script = env.pop("script", "build")
    path = store(f"{name}.drv", name, inputs, sorted(sources), sorted(env.items()), builder, script)
    out = store(name, path)
    full = {**env, "out": out, "name": name, "deps": " ".join(outs.values())}
    graph[path] = Derivation(
        path,
        name,
        "x86_64-linux",
        builder,
        ("-c", script),
        full,
        {"out": DrvOutput(out)},
        dict.fromkeys(inputs, ("out",)),
        tuple(sources),
    )
    return path


def out(graph: Graph, drv_path: str) -> str:
    """The path of a derivation's output."""
    path = graph[drv_path].outputs["out"].path
    assert path is not None
    return path


def numbered(rows: Sequence[Iterable[int]]) -> Graph:
    """Derivations called 0, 1, 2 and so on, each with the inputs of its row, which are earlier ones."""
    graph: Graph = {}
    paths: list[str] = []
    for number, row in enumerate(rows):
        paths.append(drv(graph, str(number), *(paths[i] for i in sorted(row) if i < number)))
    return graph


#: Any graph of up to fourteen derivations.
GRAPHS = (
    st.integers(1, 14)
    .flatmap(lambda size: st.tuples(*(st.sets(st.integers(0, max(0, n - 1)), max_size=4) for n in range(size))))
    .map(numbered)
)
