"""Graphs of derivations whose paths follow from what they are made of, as Nix's do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from nix_repro.nix.derivation import Derivation, DrvOutput

Graph = dict[str, Derivation]


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
