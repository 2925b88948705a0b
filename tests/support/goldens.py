"""Runs of 1, 10, 60 and 1,000 derivations, always the same, for what is recorded of how a terminal shows them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from nix_repro.output.render.terminal import print_report
from nix_repro.report import (
    Build,
    BuiltBecause,
    Caches,
    DerivationReport,
    Finding,
    Hash,
    Layer,
    Output,
    Phase,
    PhaseName,
    Report,
    Scenario,
    Skipped,
    Target,
    Variation,
)
from reports import bare

PHASES: dict[PhaseName, float] = {"build": 62.0, "rebuild": 70.0, "total": 140.0}
GOLDEN = Path(__file__).parents[1] / "unit/output/golden"
COUNTS = (1, 10, 60, 1000)
WIDTHS = (40, 80, 200)
LONG = (
    "a-package-whose-name-has-a-hundred-and-twenty-characters-"
    "because-it-is-made-of-the-names-of-everything-that-is-in-it-1.0"
)
COMMIT = "4f2e9a1c7d3b5e8f0a1b2c3d4e5f60718293a4b5"
CLOCK = Finding(
    output="out",
    path="share/doc/index.html",
    cause="timestamp",
    confidence="high",
    because=(
        "Thu Nov 26 04:28:01 UTC 2026 and Thu Nov 26 04:28:06 UTC 2026 (date) each lie within the time of their own "
        "build"
    ),
    fix="Leave the build time out, or take it from SOURCE_DATE_EPOCH instead of the clock.",
    snippet='date -u -d "@$SOURCE_DATE_EPOCH"',
    a="built on Thu Nov 26 04:28:01 UTC 2026",
    b="built on Thu Nov 26 04:28:06 UTC 2026",
)
TOKEN = Finding(
    output="out",
    path="etc/token",
    cause="randomness",
    confidence="high",
    because="both are UUIDs, and the rest of the file is the same",
    fix=(
        "Derive the value from the content, pass a fixed seed, or generate it at first start instead of during the "
        "build."
    ),
    snippet='# for example: uuidgen --sha1 --namespace @dns --name "$name"',
    a="3f6c2a0e-95f1-4f6e-8f5b-0d6f3f1f9a11",
    b="b1a4a2b8-51a4-4e0c-9a55-7ef0f2ab0c47",
)


def _path(name: str) -> str:
    return f"/nix/store/{hashlib.sha256(name.encode()).hexdigest()[:32].replace('e', 'z')}-{name}"


def _hash(word: str, source: Any, round_number: int) -> Hash:
    return Hash(
        nar_hash=f"sha256-{hashlib.sha256(word.encode()).hexdigest()[:43]}=",
        source=source,
        origin=f"round {round_number}",
    )


def package(number: int, **changes: Any) -> DerivationReport:
    """The n-th package, reproducible unless `changes` say otherwise."""
    name = changes.get("name", f"package-{number:03}-1.{number % 7}")
    verdict = changes.get("verdict", "reproducible")
    again = _hash(name + ("2" if verdict == "divergent" else ""), "rebuilt", 2)
    hashes = () if verdict == "build-failed" else (_hash(name, "built", 1), again)
    given: dict[str, Any] = {
        "name": name,
        "drv_path": f"{_path(name)}.drv",
        "verdict": verdict,
        "outputs": {"out": Output(path=_path(name), verdict=verdict, hashes=hashes)},
        "builds": tuple(
            Build(round=n, status="built", started=float(n), seconds=1.0 + number % 9 + n / 10) for n in (1, 2)
        ),
        "attrs": (f"packages.x86_64-linux.{name}",),
    }
    if verdict == "divergent":
        given["reproduce"] = f"nix-repro check 'github:acme/widgets/{COMMIT}#packages.x86_64-linux.{name}'"
    return DerivationReport(**given | changes)


def _wrong(count: int) -> list[DerivationReport]:
    guide = package(0, name="user-guide-2.1", verdict="divergent", findings=(CLOCK,))
    if count <= 10:
        return [guide]
    log = "\n".join(
        [*(f"[{n}/90] compiling part {n}" for n in range(1, 91)), "collect2: error: ld returned 1 exit status"]
    )
    failed = package(
        1,
        name="daemon-0.9",
        verdict="build-failed",
        reason="the builder failed with exit code 1",
        builds=(Build(round=1, status="failed", started=1.0, seconds=8.0, log=log),),
    )
    found = [
        guide,
        package(2, name="token-1.0", verdict="divergent", findings=(TOKEN, CLOCK)),
        failed,
        package(3, name=LONG, verdict="divergent", findings=(CLOCK,)),
        package(4, name="gpu-kernels-3", verdict="unverified", reason="a dependency failed to build"),
        package(5, name="image-1.0", marks=("propagated",)),
    ]
    if count < 100:
        return found
    kinds = ((CLOCK,), (TOKEN,), (TOKEN, CLOCK) * 8)
    return found + [package(n, verdict="divergent", findings=kinds[n % 3]) for n in range(100, 300)]


def run(count: int) -> Report:
    """A run of `count` derivations, some of which are wrong; the more there are, the more is to be said of it."""
    wrong = _wrong(count)
    derivations = (*wrong, *(package(n) for n in range(1000, 1000 + count - len(wrong))))
    built = tuple(
        BuiltBecause(drv_path=d.drv_path, why="changed", root_change="src/lib.rs in the source of package-lib")
        if n % 3
        else BuiltBecause(drv_path=d.drv_path, why="cache miss", root_change="unchanged; asked: cache.nixos.org")
        for n, d in enumerate(derivations)
    )
    sources = tuple(f"/nix/store/{'0' * 32}-source-{n}.drv" for n in range(5))
    return bare(
        *derivations,
        commit=COMMIT,
        fail_on=("divergence", "overrun", "build-failure"),
        skipped=(Skipped(reason="fixed-output", count=3 * count, examples=sources),),
        variations=(Variation(name="time", applied=True, reason="always"),),
        phases=tuple(Phase(name=name, seconds=seconds) for name, seconds in PHASES.items()),
        scenario=Scenario(name="warm", because="flake.lock is unchanged and the project cache served 181 paths"),
        targets=(
            Target(name="build", limit=120.0, actual=62.0, ok=True),
            Target(
                name="total",
                limit=60.0 if count > 10 else 150.0,
                actual=70.0,
                ok=count <= 10,
                advice="most of it is the build: package-004-1.4 alone takes 6.1 s" if count > 10 else None,
            ),
        ),
        caches=Caches(
            hit_rate=0.967,
            layers=(
                Layer(name="local store", url=None, paths=431, bytes=2_400_000_000, seconds=None),
                Layer(name="upstream", url="https://cache.nixos.org", paths=44, bytes=88_200_000, seconds=3.2),
                Layer(name="built", url=None, paths=count, bytes=51_000_000, seconds=62.0),
            ),
            built=built,
            incidents=("cache.nixos.org answered 429 for 3 paths: +1.2 s",),
        ),
    )


class Terminal(io.StringIO):
    """A terminal that colours nothing."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(report: Report, columns: int, **options: Any) -> str:
    """What a terminal of that many columns shows of a report."""
    stream = Terminal()
    print_report(report, stream, environ={"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm"}, **options)
    return stream.getvalue()


def golden(count: int, columns: int) -> str:
    """What is recorded of a run of `count` derivations."""
    return shown(
        run(count), columns, written=("report/ (junit.xml, report.html, report.json, summary.md, trees.tar.gz)",)
    )


def file_of(count: int, columns: int) -> Path:
    """Where it is recorded."""
    return GOLDEN / f"{count}-derivations-{columns}-columns.txt"
