"""A report that somebody else's job has stored, as far as what is in it bears itself out.

Whoever made it can write anything into it. So verdicts are made from its hashes again, the conclusion from these, and
no text of it is passed on: names are those of store paths, reasons are ours, the base's rules', or none. What stays is
its word for the hashes, and whoever shows it says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from nix_repro import __version__
from nix_repro.nix.store_path import NAME, is_derivation, store_name
from nix_repro.plan.installables import attribute_name
from nix_repro.reasons import EVALUATION_FAILED, NOT_BORNE_OUT, declared
from nix_repro.report import (
    SEVERITY,
    Build,
    DerivationReport,
    Finding,
    Hash,
    Mark,
    Output,
    Report,
    Verdict,
    not_evaluated,
)
from nix_repro.text import plural
from nix_repro.verdict.allow import AllowRule, Reach, apply
from nix_repro.verdict.conclusion import judge
from nix_repro.verdict.policy import DEFAULT_FAIL_ON

#: Seconds that a build may have taken.
_LONGEST = 10_000_000.0
#: Findings of one derivation, and installables that name it.
_FINDINGS = 3
_ATTRS = 5
_REBUILDERS = ("shadow", "replace", "nix-check")
_HASH = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
_ATTR = re.compile(r"""[A-Za-z0-9_.'"+-]{1,150}""")
_PATH = re.compile(r"[A-Za-z0-9_./+@!=~-]{0,200}")
_SYSTEM = re.compile(r"[a-z0-9_]{1,20}-[a-z0-9]{1,20}")
_VERSION = re.compile(r"[0-9][0-9.]{0,15}")
_IMPLEMENTATION = re.compile(r"(?:Nix|Lix|Determinate Nix [0-9][0-9.]{0,15})")
_STARTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", re.ASCII)
_BECAUSE = "the stored report says so; nothing of it was looked at here"


def borne_out(stored: Report, commit: str, rules: Sequence[AllowRule] = (), today: date = date.max) -> Report:
    """What the report of a job about `commit` shows by itself, in our own words. `rules` are somebody's whom the job's
    code has no say over; the stored report's own never count."""
    kept = {d.drv_path: d for d in reversed(stored.derivations) if _nameable(d)}
    judged = [
        _derivation(d) if is_derivation(path) else not_evaluated(path, attribute_name(path), EVALUATION_FAILED.text)
        for path, d in reversed(kept.items())
    ]
    divergent = {d.drv_path for d in judged if d.verdict == "divergent"}
    shown = [d if "propagated" not in d.marks or divergent else _hashes_only(d) for d in judged]
    # How the rules fare, nobody can tell from what may be left out of it.
    derivations, _ = apply(rules, shown, today, Reach(stored.system))
    conclusion, exit_code = judge(derivations, (), DEFAULT_FAIL_ON)
    left_out = len(stored.derivations) - len(derivations)
    return Report(
        tool=f"nix-repro {__version__}",
        started=_or(stored.started, _STARTED, "unknown"),
        system=_or(stored.system, _SYSTEM, "unknown"),
        commit=commit,
        nix_version=_or(stored.nix_version, _VERSION, "unknown"),
        nix_implementation=_or(stored.nix_implementation, _IMPLEMENTATION, "Nix"),
        environment={},
        conclusion=conclusion,
        exit_code=exit_code,
        fail_on=DEFAULT_FAIL_ON,
        scope=stored.scope,
        rebuilder=stored.rebuilder if stored.rebuilder in _REBUILDERS else None,
        rounds=min(max(stored.rounds, 2), 20),
        derivations=tuple(derivations),
        warnings=(f"{plural(left_out, 'derivation')} of the stored report cannot exist, or twice",) if left_out else (),
    )


def _nameable(derivation: DerivationReport) -> bool:
    path = derivation.drv_path
    if is_derivation(path):
        return len(store_name(path)) <= 211
    # An attribute that does not evaluate has no derivation. That it is so, nobody would make up to look better.
    return derivation.verdict == "build-failed" and _ATTR.fullmatch(path) is not None


def _derivation(derivation: DerivationReport) -> DerivationReport:
    builds = tuple(_build(build) for build in derivation.builds[:20])
    inherits = derivation.verdict == "reproducible" and "propagated" in derivation.marks
    outputs = {
        name: _output(output, builds, inherits=inherits)
        for name, output in derivation.outputs.items()
        if re.fullmatch(NAME, name) and len(name) <= 100
    }
    return _made_of(derivation, outputs, builds)


def _hashes_only(derivation: DerivationReport) -> DerivationReport:
    """Nothing diverges that it could differ because of."""
    outputs = {name: _output(output, derivation.builds, inherits=False) for name, output in derivation.outputs.items()}
    return _made_of(derivation, outputs, derivation.builds)


def _made_of(derivation: DerivationReport, outputs: dict[str, Output], builds: tuple[Build, ...]) -> DerivationReport:
    verdict: Verdict = min((o.verdict for o in outputs.values()), key=SEVERITY.index, default="unverified")
    reasons = [o.reason for o in outputs.values() if o.verdict == verdict]
    return DerivationReport(
        drv_path=derivation.drv_path,
        name=store_name(derivation.drv_path),
        verdict=verdict,
        attrs=tuple(attr for attr in derivation.attrs[:_ATTRS] if _ATTR.fullmatch(attr)),
        marks=tuple(_marks(verdict, outputs.values())),
        reason=next(iter(reasons), NOT_BORNE_OUT.text) if verdict == "unverified" else None,
        outputs=outputs,
        builds=builds,
        findings=tuple(_findings(derivation, outputs)) if verdict == "divergent" else (),
    )


def _marks(verdict: Verdict, outputs: Iterable[Output]) -> Iterable[Mark]:
    both = any(_differing(o.hashes) and _repeated(o.hashes) for o in outputs)
    if both and verdict in ("divergent", "reproducible"):
        yield "intermittent" if verdict == "divergent" else "propagated"


def _output(output: Output, builds: tuple[Build, ...], *, inherits: bool) -> Output:
    hashes = tuple(
        Hash(nar_hash=one.nar_hash, source=one.source, origin="")
        for one in output.hashes[:20]
        if _HASH.fullmatch(one.nar_hash)
    )
    verdict, reason = _verdict(output, hashes, builds, inherits=inherits)
    path = output.path if output.path is not None and _PATH.fullmatch(output.path) else None
    return Output(path=path, verdict=verdict, reason=reason, hashes=hashes)


def _verdict(
    output: Output, hashes: tuple[Hash, ...], builds: tuple[Build, ...], *, inherits: bool
) -> tuple[Verdict, str | None]:
    repeated = _repeated(hashes)
    if _differing(hashes) and not (inherits and repeated):
        return "divergent", None
    failed = {build.round > 1 for build in builds if build.status == "failed"}
    match output.verdict:
        case "reproducible" if repeated:
            return "reproducible", None
        case "build-failed" if False in failed:
            return "build-failed", None
        case "rebuild-failed" if True in failed:
            return "rebuild-failed", None
        case "unverified" if (reason := declared(output.reason or "")) is not None:
            return "unverified", reason.text
    return "unverified", NOT_BORNE_OUT.text


def _differing(hashes: tuple[Hash, ...]) -> bool:
    return len({one.nar_hash for one in hashes}) > 1


def _repeated(hashes: tuple[Hash, ...]) -> bool:
    """Whether a rebuild, or a build of an earlier run, gave the hash of a build before it: the first one, or one with
    the same inputs. A copy is no evidence."""
    return any(
        one.source in ("rebuilt", "ledger") and any(one.nar_hash == before.nar_hash for before in hashes[:place])
        for place, one in enumerate(hashes)
    )


def _build(build: Build) -> Build:
    seconds = build.seconds if build.seconds is not None and 0 <= build.seconds <= _LONGEST else None
    return Build(round=min(max(build.round, 1), 20), status=build.status, seconds=seconds, isolated=build.isolated)


def _findings(derivation: DerivationReport, outputs: dict[str, Output]) -> Iterable[Finding]:
    for found in derivation.findings[:_FINDINGS]:
        if found.output in outputs:
            path = _or(found.path, _PATH, "")
            yield Finding(output=found.output, path=path, cause=found.cause, confidence="low", because=_BECAUSE, fix="")


def _or(text: str, shape: re.Pattern[str], otherwise: str) -> str:
    return text if shape.fullmatch(text) else otherwise
