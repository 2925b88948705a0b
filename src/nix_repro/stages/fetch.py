"""Fixed-output derivations of which the change has made others, with the hashes that they had: is that what they fetch?

Nix looks at the hash alone. Whoever changes an URL and not the hash gets what the old one gave, as long as somebody has
it: the store, or a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nix_repro.build.refetch import fetch_again
from nix_repro.explain.causes.fixes import FIXES
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.hashes import spellings
from nix_repro.nix.log.why import mismatch
from nix_repro.output.github.places import nix_files
from nix_repro.plan.scope import Plan
from nix_repro.reasons import FIXED_OUTPUT, Reason
from nix_repro.report import Finding
from nix_repro.run import Run
from nix_repro.text import plural

#: Characters of a line that is shown.
_LINE = 300


def fetch_changed(run: Run, plan: Plan) -> None:
    """Fetch again what is another derivation than the base's and has its output paths all the same; and whatever the
    configuration says."""
    fetched = _wanted(run, plan)
    if not fetched:
        return
    if run.nix.settings().get("post-build-hook") and not run.nix.trusted():
        run.warn("no source is fetched again: Nix has a post-build-hook, which this user may not switch off")
        return
    with run.phase("refetch", f"fetching {plural(len(fetched), 'source')} again"):
        failed = fetch_again(run.realiser, [*fetched.values()], run.limits, run.new_recorder)
    run.nix.processes.check()
    for path, because in failed.items():
        if (both := mismatch(because.text)) is None:
            run.warn(f"{fetched[path].name} could not be fetched again: {because.text}")
        else:
            run.stale[path] = Reason(f"its hash is stale: specified {both[0]}, got {both[1]}")
            run.findings[path] = (finding(next(iter(fetched[path].outputs)), *both, nix_files(run.cwd)),)
    # Those that an upstream cache's packages are made of were not looked at before.
    run.plan = replace(
        plan,
        derivations={**plan.derivations, **{path: fetched[path] for path in run.stale}},
        skipped={**plan.skipped, **dict.fromkeys(run.stale, FIXED_OUTPUT)},
    )


def _wanted(run: Run, plan: Plan) -> dict[str, Derivation]:
    found: dict[str, Derivation] = {}
    if run.config.fixed_output == "all":
        found |= run.nix.derivations(plan.installables.values(), recursive=True)
    if run.config.fixed_output == "check":
        found |= plan.derivations
    if run.against is not None:
        found |= run.nix.derivations(run.against.comparison.same)
    return {path: drv for path, drv in found.items() if drv.fixed_output}


def finding(output: str, specified: str, got: str, files: Mapping[str, str]) -> Finding:
    """What there is to say of a hash that is not that of what is fetched; `files` are those in which it may stand."""
    where, line = next(_places(specified, got, files), (None, None))
    if line is not None and len(line) > _LINE:
        line = got
    place = f"{where} becomes the line below" if where else f"it is {got}"
    return Finding(
        output=output,
        path="",
        cause="stale-hash",
        confidence="proved",
        because="it was fetched again, and what came has another hash: who has what came once never learns of it",
        fix=f"{FIXES['stale-hash', ''].advice} With it, {place}.",
        snippet=line,
        a=specified,
        b=got,
    )


def _places(specified: str, got: str, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where the hash stands, as `FILE:LINE`, and the line with the other one."""
    pairs = [*zip(spellings(specified), spellings(got), strict=True)]
    for file, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            for old, new in pairs:
                if old in line:
                    yield f"{file}:{number}", line.replace(old, new).strip()
