"""Builds the corpus twice with real Nix, in two private stores, with what each label wants held different."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nix_repro.build.build_dir import kind
from nix_repro.explain.context import Context, Input, Side

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "fixtures/corpus"
SANDBOX = "/bin/sh=/usr/bin/dash /usr /lib /lib64"
CONFIG = (
    "experimental-features = nix-command flakes\nsubstituters =\nsandbox = true\nsandbox-fallback = "
    "false\nbuild-users-group = nixbld\n"
)
#: The store is mounted over /nix for one command; user ids are locked where everybody locks them.
PRIVATE = """
mkdir -p /nix/var/nix/userpool "$1/var/nix/userpool"
mount --bind /nix/var/nix/userpool "$1/var/nix/userpool"
mount --rbind "$1" /nix
shift
exec "$@"
"""
LATER = 400 * 86400


@dataclass
class Built:
    """One side of the corpus: where the outputs lie, and what is known of each build."""

    root: Path
    outputs: dict[str, Path]
    sides: dict[str, Side] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, list[str]]
    vary: tuple[str, ...]


def cases() -> list[Case]:
    labels = json.loads((CORPUS / "labels.json").read_text())
    found = []
    for name, label in labels.items():
        vary = tuple(label.get("vary", ()))
        found += [Case(name, label["files"], vary), Case(f"{name}-fixed", {}, vary)]
    return found


def _private(root: Path, command: list[str], **more: str) -> str:
    wrapped = ["unshare", "-m", "sh", "-euc", PRIVATE, "sh", str(root), *command]
    done = subprocess.run(
        wrapped, env={**os.environ, "NIX_CONFIG": CONFIG, **more}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[:4]} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def _instantiate(root: Path) -> dict[str, str]:
    mounted = _private(
        root,
        [
            "nix-instantiate",
            "--eval",
            "--strict",
            "--json",
            "-E",
            f"builtins.mapAttrs (_: p: [p.drvPath p.outPath]) (import {CORPUS} {{}})",
        ],
    )
    # Evaluation alone writes no .drv file for what it prints: this does.
    _private(root, ["nix-instantiate", "--quiet", str(CORPUS)])
    rows: dict[str, list[str]] = json.loads(mounted)
    (root / "paths.json").write_text(json.dumps(rows))
    return {name: row[0] for name, row in rows.items()}


def _build(root: Path, drvs: list[str], vary: tuple[str, ...], scratch: Path, *, second: bool) -> Side:
    changed = set(vary) if second else set()
    paths = SANDBOX
    environment = {}
    prefix: list[str] = []
    build_dir = "/build"
    if "clock" in changed:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")).parent
        preload, clock = scratch / "preload", scratch / "clock"
        preload.write_text("/x/libfaketime.so.1\n")
        clock.write_text(f"+{LATER // 86400}d\n")
        paths += f" /etc/ld.so.preload={preload} /etc/faketimerc={clock} /x={library}"
    zone = "UTC"
    if "zone" in changed:
        paths += " /etc/localtime=/usr/share/zoneinfo/Asia/Tokyo"
        zone = "JST"
    if "kernel" in changed:
        prefix = ["setarch", platform.machine(), "--uname-2.6"]
    if "build-path" in changed:
        build_dir = "/build2"
    if "order" in changed:
        environment["TMPDIR"] = str(scratch / "other")
    cores = 2 if "cores" in changed else 1
    kernel = subprocess.run([*prefix, "uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    started = time.time()
    command = [
        *prefix,
        "nix-store",
        "-r",
        "-k",
        "--quiet",
        "-j2",
        "--cores",
        str(cores),
        "--option",
        "sandbox-paths",
        paths,
        "--option",
        "sandbox-build-dir",
        build_dir,
    ]
    _private(root, [*command, *drvs], **environment)
    shift = LATER if "clock" in changed else 0
    return Side(
        window=(started + shift, time.time() + shift), cores=cores, build_dir=build_dir, kernel=kernel, zone=zone
    )


def build_side(root: Path, *, second: bool) -> Built:
    """Builds every derivation of the corpus in a fresh store at `root`."""
    drvs = _instantiate(root)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for case in cases():
        groups[case.vary].append(case.name)
    rows = json.loads((root / "paths.json").read_text())
    built = Built(root, {name: root / row[1].removeprefix("/nix/") for name, row in rows.items()})
    # A disk and memory list a directory in another order: the other kind of what Nix builds on by itself.
    other = "/dev/shm" if kind(Path(os.environ.get("TMPDIR") or "/tmp")) == "disk" else "/var/tmp"
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir=other) as elsewhere:
        scratch = Path(name)
        (scratch / "other").symlink_to(elsewhere)
        for vary, names in sorted(groups.items()):
            side = _build(root, [drvs[name] for name in names], vary, scratch, second=second)
            built.sides.update(dict.fromkeys(names, side))
    return built


def build_twice(where: Path) -> tuple[Built, Built]:
    first = build_side(where / "a", second=False)
    time.sleep(2.5)
    return first, build_side(where / "b", second=True)


#: The derivations of the corpus that have an input, by name.
INPUTS = {
    "embeds-input": "hex-token",
    "copies-input": "random-bytes",
    "digests-input": "random-bytes",
    "packs-input": "date-text",
}


def context_of(case: Case, a: Built, b: Built) -> Context:
    inputs: tuple[Input, ...] = ()
    if (name := INPUTS.get(case.name)) is not None:
        inputs = (Input(store_path=f"/nix/store/{a.outputs[name].name}", a=a.outputs[name], b=b.outputs[name]),)
    return Context(
        a=a.sides[case.name], b=b.sides[case.name], store_path=f"/nix/store/{a.outputs[case.name].name}", inputs=inputs
    )


def with_first_build_present(context: Context) -> Context:
    """The same two builds, when the first one was in the store before the run: of it is known since when."""
    assert context.a.window is not None
    return msgspec.structs.replace(context, a=Side(before=context.a.window[1]))
