"""Caches that misbehave while Nix evaluates, which asks them for locked inputs and for what is imported."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from binary_cache import BinaryCache, serve
from command import COMMAND, SYSTEM, nix_repro

if TYPE_CHECKING:
    from store import NixBox

#: Seconds that a cache may cost a plan.
BAR = 10.0
FLAKE = """
{ inputs.dep.url = "git+file://DEP"; outputs = { self, dep }: let
  mk = name: script: derivation { inherit name; system = "SYSTEM"; builder = "/bin/sh"; args = [ "-c" script ]; };
  generated = import (mk "generated" "echo '\\"BOX NAME\\"' > $out");
in { packages.SYSTEM.default = mk "three" "echo ${dep.word} ${generated} > $out"; }; }
"""


def _answer(status: int, **headers: str) -> Callable[[BinaryCache], None]:
    def set_it(cache: BinaryCache) -> None:
        cache.fault = lambda path: (
            (status, {name.replace("_", "-"): value for name, value in headers.items()}) if ".narinfo" in path else None
        )

    return set_it


def _hang(where: str) -> Callable[[BinaryCache], None]:
    def set_it(cache: BinaryCache) -> None:
        cache.delay = lambda path: 60.0 if where in path else 0.0

    return set_it


def _drip(cache: BinaryCache) -> None:
    cache.drip = lambda path: ".narinfo" in path


def _dead(cache: BinaryCache) -> None:
    cache.url = "http://127.0.0.1:9"


#: The fault, and what the incident says of it; None where Nix takes it for an ordinary miss.
FAULTS: dict[str, tuple[Callable[[BinaryCache], None], str | None]] = {
    "403": (_answer(403), None),
    "418": (_answer(418), "answered 418"),
    "429": (_answer(429, Retry_After="120"), "answered 429"),
    "500": (_answer(500), "answered 500"),
    "503": (_answer(503, Retry_After="120"), "answered 503"),
    "silent": (_hang(".narinfo"), "did not answer in time"),
    "silent from the start": (_hang("nix-cache-info"), "did not answer in time"),
    "a byte a second": (_drip, "did not answer in time"),
    "dead": (_dead, "could not be reached"),
}


@pytest.fixture
def box(sandbox_nix: NixBox) -> NixBox:
    """A box that may evaluate what belongs to somebody else: the flakes are the test's, and not root's of the box."""
    sandbox_nix.run(["git", "config", "--global", "safe.directory", "*"])
    return sandbox_nix


@contextmanager
def faulty(box: NixBox, name: str) -> Iterator[BinaryCache]:
    directory = box.work / "caches" / name
    directory.mkdir(parents=True)
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    with serve(BinaryCache(directory, "")) as cache:
        FAULTS[name][0](cache)
        yield cache


def flake_of(box: NixBox, name: str) -> Path:
    """A flake of its own for a fault: what one evaluation has made, another one would not ask for."""
    dep, flake = (box.work / kind / name.replace(" ", "-") for kind in ("deps", "flakes"))
    for directory in (dep, flake):
        directory.mkdir(parents=True)
    (dep / "flake.nix").write_text(f'{{ outputs = _: {{ word = "{name}"; }}; }}\n')
    for command in ("init -q", "add .", "-c user.name=x -c user.email=x@x commit -qm x"):
        subprocess.run(["git", *command.split()], cwd=dep, check=True)
    text = FLAKE.replace("DEP", str(dep)).replace("SYSTEM", SYSTEM).replace("BOX", box.directory.name)
    (flake / "flake.nix").write_text(text.replace("NAME", name))
    return flake


def test_they_cost_little_and_fail_nothing(box: NixBox) -> None:
    flakes = {name: flake_of(box, name) for name in FAULTS}
    for flake in flakes.values():
        box.run(["nix", "flake", "lock"], cwd=flake)
    inputs = [f"/nix/store/{path.name}" for path in box.store_dir.glob("*-source")]
    box.run(["nix-store", "--delete", "--ignore-liveness", *inputs])

    def plan(name: str, url: str) -> tuple[str, str, float]:
        began = time.monotonic()
        done = box.run(
            [*COMMAND, "plan", "--upstream-caches", "none", "--option", "substituters", url],
            cwd=flakes[name],
            # Each with a memory of its own of what caches have.
            env={"XDG_CACHE_HOME": str(box.home / name.replace(" ", "-"))},
            check=False,
        )
        return done.stdout, done.stderr, time.monotonic() - began if done.returncode == 0 else float("inf")

    with ExitStack() as caches, ThreadPoolExecutor(len(FAULTS)) as pool:
        urls = {name: caches.enter_context(faulty(box, name)).url for name in FAULTS}
        said = dict(zip(FAULTS, pool.map(plan, FAULTS, urls.values()), strict=True))
    for name, (out, err, took) in said.items():
        words = FAULTS[name][1]
        assert took < said["403"][2] + BAR, (name, took, err)
        assert "three" in out
        assert (words is None) == ("To do: " not in err), (name, err)
        assert words is None or words in err, (name, err)


@pytest.mark.series("2.26")
def test_the_report_says_what_it_cost(box: NixBox) -> None:
    flake = flake_of(box, "418")
    with faulty(box, "418") as cache:
        said = nix_repro(box, "check", "--option", "substituters", cache.url, cwd=flake)
    assert said.verdicts() == {"three": "reproducible"}, said.err
    (incident,) = said.report["caches"]["incidents"]
    assert "answered 418" in incident
    assert "it was left out of the rest of this run" in incident


@pytest.mark.series("2.34")
def test_a_flakes_own_settings(box: NixBox) -> None:
    """What is not trusted is named; what is, counts for evaluation only, and its cache cannot stall that either."""
    flake = flake_of(box, "silent")
    with faulty(box, "silent") as cache:
        text = (flake / "flake.nix").read_text().replace("{", f'{{ nixConfig.substituters = [ "{cache.url}" ];', 1)
        (flake / "flake.nix").write_text(text)
        ignored = box.run([*COMMAND, "plan", "--upstream-caches", "none"], cwd=flake)
        box.run(["sh", "-c", "nix-store --delete --ignore-liveness /nix/store/*-generated"])
        box.conf(accept_flake_config=True)
        began = time.monotonic()
        accepted = box.run([*COMMAND, "plan", "--upstream-caches", "none"], cwd=flake)
        took = time.monotonic() - began
    assert "Nix does not trust the flake's nixConfig: substituters count neither" in ignored.stderr
    assert "nixConfig counts for evaluation only, and not for builds: substituters." in accepted.stderr
    assert "did not answer in time" in accepted.stderr
    assert took < 2 * BAR
