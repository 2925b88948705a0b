"""Reports that no run makes by itself: one with everything in it, one of hostile words, and one that is very large."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.parts import RuleState, RuleUse
from nix_repro.report import (
    Build,
    BuiltBecause,
    Caches,
    Change,
    DerivationReport,
    Finding,
    Hash,
    Layer,
    LockChange,
    Output,
    Phase,
    Policy,
    Report,
    Scenario,
    Skipped,
    SuiteRun,
    Target,
    Trend,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
#: Words that try to break out of wherever they are put.
HOSTILE: list[str] = json.loads((FIXTURES / "hostile-words.json").read_text("utf-8"))


def read(name: str) -> Report:
    return msgspec.json.decode((FIXTURES / "reports" / f"{name}.json").read_bytes(), type=Report)


def bare(*derivations: DerivationReport, **fields: Any) -> Report:
    """A report with nothing in it but these derivations, which diverge somewhere."""
    given: dict[str, Any] = {
        "tool": "nix-repro 1",
        "started": "now",
        "system": "x86_64-linux",
        "commit": None,
        "nix_version": "2.8",
        "environment": {},
        "conclusion": "fail",
        "exit_code": 1,
        "fail_on": ("divergence",),
        "scope": "own",
        "rebuilder": "shadow",
        "rounds": 2,
        "derivations": derivations,
    }
    return Report(**given | fields)


def derivation(name: str, **fields: Any) -> DerivationReport:
    """A derivation with one output, which differs when the verdict or a mark says so."""
    differs = fields.get("verdict", "reproducible") == "divergent" or "propagated" in fields.get("marks", ())
    hashes = (
        Hash(nar_hash=f"sha256-{'A' * 43}=", source="built", origin="round 1"),
        Hash(nar_hash=f"sha256-{('B' if differs else 'A') * 43}=", source="rebuilt", origin="round 2"),
    )
    path = f"/nix/store/{'0' * 32}-{name}"
    output = Output(path=path, verdict=fields.get("verdict", "reproducible"), hashes=hashes)
    return DerivationReport(
        **{"drv_path": f"{path}.drv", "name": name, "verdict": "reproducible", "outputs": {"out": output}} | fields
    )


def finding(**fields: Any) -> Finding:
    given = {
        "output": "out",
        "path": "share/info",
        "cause": "timestamp",
        "confidence": "high",
        "because": "both are times",
        "fix": "leave it out",
    }
    return Finding(**given | fields)


def rule(state: RuleState, **fields: Any) -> RuleUse:
    """An allow rule in this state, in the line of the file that the fixed runs are about."""
    given: dict[str, Any] = {"name": "root", "reason": "upstream bug", "file": ".nix-repro.yml", "line": 7}
    return RuleUse(**given | {"state": state} | fields)


def everything() -> Report:
    """Every part of the model that a page can show, filled in."""
    report = read("diverged")
    root = derivation(
        "root",
        verdict="divergent",
        attrs=("packages.x86_64-linux.root",),
        reproduce="nix-repro check '.#root'",
        findings=(
            finding(a="built 10:00:01", b="built 10:07:44", snippet="date -d @0", derived_from=None),
            finding(
                path="lib/x.a!x.o",
                cause="randomness",
                a="7f 45 4c 46 00 01 …",
                b="7f 45 4c 46 00 02 …",
                offset=64,
                derived_from="share/info",
            ),
            finding(path="extra", cause="unknown", confidence="low", a=None, b="only here"),
            finding(path="proved", cause="host", confidence="proved"),
            finding(path="", cause="permissions"),
        ),
        builds=tuple(Build(round=n, status="built", started=40.0 * n, seconds=30.0) for n in (1, 2, 2)),
    )
    near = derivation("near", marks=("propagated",), inputs=(root.drv_path,))
    far = derivation(
        "far", marks=("propagated",), inputs=(near.drv_path, root.drv_path), attrs=("packages.x86_64-linux.far",)
    )
    lock = LockChange(
        input="nixpkgs", old_rev="a" * 40, new_rev="b" * 40, old_date="2026-01-01", new_date="2026-02-01", derivations=3
    )
    caches = msgspec.structs.replace(
        report.caches, change=Change(base="main", change_class="partial", derivations=3, lock=(lock,))
    )
    suite = SuiteRun(
        command="nix flake check", status="failed", ran=("unit",), cached=("lint",), failed=("unit",), log="1 failed\n"
    )
    return msgspec.structs.replace(
        report,
        derivations=(*report.derivations, root, near, far),
        phases=(*report.phases, Phase(name="install", seconds=9.0, started=-9.0)),
        caches=caches,
        test=suite,
        policies=(Policy(expression=".exit_code > 0", failed=True), Policy(expression="false", failed=False)),
        history=(Trend(name="total", actual=170.0, median=90.0, runs=12, regression=True),),
        allow=tuple(
            rule(state, until="2026-01-31", output="doc", matched=9, allowed=2, examples=("root", "near"))
            for state in typing.get_args(RuleState)
        ),
        warnings=(*report.warnings, "a warning of some length"),
    )


def empty() -> Report:
    """A run that was interrupted before it found anything."""
    return msgspec.structs.replace(
        read("clean"),
        derivations=(),
        skipped=(),
        phases=(),
        variations=(),
        caches=Caches(),
        conclusion="inconclusive",
        exit_code=130,
        rebuilder=None,
    )


def prefixed(report: Report, word: str) -> Report:
    """The report with `word` before every text in it that is not one of the model's own words."""
    return typing.cast(Report, _prefixed(report, Report, word))


def _prefixed(value: Any, kind: Any, word: str) -> Any:
    if value is None or typing.get_origin(kind) is typing.Literal:
        return value
    if isinstance(value, msgspec.Struct):
        kinds = typing.get_type_hints(type(value))
        changed = {name: _prefixed(getattr(value, name), kinds[name], word) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_prefixed(item, typing.get_args(kind)[0], word) for item in value)
    if isinstance(value, dict):
        return {f"{word}{name}": _prefixed(item, typing.get_args(kind)[1], word) for name, item in value.items()}
    literal = any(typing.get_origin(part) is typing.Literal for part in typing.get_args(kind))
    return f"{word}{value}" if isinstance(value, str) and not literal else value


def hostile(base: Report, word: str) -> Report:
    """Every field that a flake, a build, a cache or a file system can write, set to the same hostile word."""
    path = f"/nix/store/{'0' * 32}-{word}"
    finding = Finding(
        output=word,
        path=word,
        cause="unknown",
        confidence="low",
        because=word,
        fix=word,
        snippet=word,
        a=word,
        b=word + "2",
        offset=3,
    )
    derivations = tuple(
        msgspec.structs.replace(
            derivation,
            name=f"{word}{number}",
            drv_path=f"{path}{number}.drv",
            attrs=(f"packages.x86_64-linux.{word}",),
            reason=word,
            findings=(finding, finding) if derivation.verdict == "divergent" else (),
            reproduce=word,
            outputs={word: next(iter(derivation.outputs.values()))},
            builds=tuple(msgspec.structs.replace(build, log=word) for build in derivation.builds),
        )
        for number, derivation in enumerate(base.derivations)
    )
    return msgspec.structs.replace(
        base,
        tool=word,
        system=word,
        commit=word,
        nix_version=word,
        nix_implementation=word,
        environment={word: word},
        rebuilder=word,
        fail_on=(word,),
        derivations=derivations,
        skipped=(Skipped(reason=word, count=4, examples=(word, path)),),
        variations=tuple(msgspec.structs.replace(variation, name=word, reason=word) for variation in base.variations),
        scenario=Scenario(name="warm", because=word),
        targets=(Target(name=word, limit=1, actual=2, ok=False, advice=word),),
        caches=Caches(
            hit_rate=0.5,
            layers=(Layer(name=word, url=word, paths=1, bytes=1, seconds=1),),
            built=(BuiltBecause(drv_path=path, why="changed", root_change=word, change_class="full"),),
            incidents=(word,),
            change=Change(
                base=word,
                change_class="full",
                derivations=3,
                lock=(LockChange(input=word, old_rev=word, new_rev=word, old_date=word, new_date=word, derivations=1),),
            ),
        ),
        test=SuiteRun(command=word, status="failed", ran=(word,), cached=(word,), failed=(word,), log=word),
        policies=(Policy(expression=word, failed=True),),
        history=(Trend(name=word, actual=1, median=2, runs=3, regression=True),),
        allow=tuple(
            rule(state, name=word, reason=word, output=word, cause=word, file=word, matched=3, examples=(word,))
            for state in typing.get_args(RuleState)
        ),
        warnings=(word,),
    )


def many(base: Report, count: int, verdict: str = "reproducible", log: str | None = None) -> Report:
    """`base` with `count` derivations of that verdict, each built twice."""
    like = (
        next(d for d in base.derivations if d.verdict == "divergent" and d.findings)
        if verdict == "divergent"
        else base.derivations[-1]
    )
    derivations = tuple(
        msgspec.structs.replace(
            like,
            drv_path=f"/nix/store/{number:032d}-package-{number}.drv",
            name=f"package-{number}",
            verdict=verdict,
            marks=(),
            builds=(
                Build(round=1, status="built", started=float(number % 97), seconds=1.0 + number / 1000, log=log),
                Build(round=2, status="built", started=100.0 + number % 97, seconds=1.0 + number / 1000),
            ),
        )
        for number in range(count)
    )
    return msgspec.structs.replace(base, derivations=derivations)


def large(count: int, divergent: int) -> Report:
    """`count` derivations of which `divergent` differ, each with several findings, in layers that depend on each
    other."""
    derivations = []
    for n in range(count):
        differs = n % max(count // max(divergent, 1), 1) == 0 and n // max(count // max(divergent, 1), 1) < divergent
        derivations.append(
            derivation(
                f"package-{n:05}-1.{n % 40}",
                verdict="divergent" if differs else "reproducible",
                marks=("propagated",) if n % 7 == 3 and not differs else (),
                inputs=tuple(f"/nix/store/{'0' * 32}-package-{m:05}-1.{m % 40}.drv" for m in (n // 2, n // 3) if m < n),
                builds=tuple(
                    Build(round=r, status="built", started=n * 0.1 + 600.0 * r, seconds=2.0 + n % 9) for r in (1, 2)
                ),
                findings=tuple(
                    finding(
                        path=f"share/{n}/file-{f}.json",
                        a=f'{{"time": "2026-01-01T00:00:0{f}Z"}}',
                        b=f'{{"time": "2026-01-01T00:07:1{f}Z"}}',
                    )
                    for f in range(6)
                )
                if differs
                else (),
            )
        )
    return msgspec.structs.replace(read("diverged"), derivations=tuple(derivations))
