"""Which variation a difference needs: of what differed, or did not build, in a rebuild with several things changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from nix_repro.explain import printable
from nix_repro.explain.causes.fixes import fix_for
from nix_repro.explain.experiments.inquiry import OTHERS, VARIES, Experiment, Proof, which
from nix_repro.explain.experiments.laboratory import Laboratory
from nix_repro.explain.experiments.prove import Findings, Found, Say, carry_out, possible, proved, warnings
from nix_repro.explain.roots import explain_roots
from nix_repro.observations import Observations
from nix_repro.report import Cause, Finding
from nix_repro.text import plural

#: What to do about a build that stops.
STOPS = "Find out in the log of that rebuild what does not allow it."
STOPPING: Mapping[Cause, str] = {
    "timestamp": "Find what compares the date, such as a certificate, a licence or a test, and give it a fixed one."
}


def doubtful(findings: Sequence[Finding], outputs: Collection[str], varied: Collection[str]) -> bool:
    """Whether a variation may be behind what differs in some of these outputs: the rules do not account for all of it,
    and surely, by causes that none of these variations can bring about."""
    possible: set[Cause] = {experiment.cause for experiment in _experiments(varied)}
    if "parallelism" in possible:
        possible.add("ordering")
    return not _sure(findings, outputs) or any(f.cause in possible for f in findings if f.output in outputs)


def _sure(findings: Sequence[Finding], outputs: Collection[str]) -> bool:
    """Whether the rules account for all that differs in these outputs."""
    by_output: dict[str, list[Finding]] = {output: [] for output in outputs}
    for finding in findings:
        by_output.setdefault(finding.output, []).append(finding)
    return all(own and all(f.confidence != "low" for f in own) for own in map(by_output.__getitem__, outputs))


def name_variations(
    laboratory: Laboratory,
    seen: Observations,
    findings: Findings,
    wanted: Mapping[str, Mapping[str, str]],
    varied: Collection[str],
    say: Say,
    stopped: Callable[[], bool],
    *,
    thorough: bool = False,
) -> Found:
    """Rebuild the `wanted` (the narHashes of their first build's outputs that differed, by .drv path) without any of
    what was `varied`, and what is the same then with one after the other: if this is to be `thorough`, also where the
    rules tell which it is."""
    experiments = possible(laboratory, _experiments(varied))
    sure = {path for path, outputs in wanted.items() if _sure(findings.get(path, ()), outputs)}
    tried = wanted.keys() if thorough else wanted.keys() - sure
    inquiries = {path: which(outputs, experiments if path in tried else []) for path, outputs in wanted.items()}
    proofs, late = carry_out(laboratory, inquiries, say, steady=True)
    # What differs with nothing changed as well, counts for the verdict like any other rebuild.
    also, laboratory.intermittent = laboratory.intermittent, {}
    attempts = tuple(attempt for attempt, _ in also.values())
    trees = {key: tree for _, kept in also.values() for key, tree in kept.items()}
    explained = explain_roots(laboratory.plan, list(also), seen.with_more(attempts, trees), laboratory.here, stopped)
    result = dict(explained.findings)
    for path, found in proofs.items():
        if path not in also and laboratory.done[None, path]:
            named = {proof.output for proof in found}
            others = [finding for finding in findings.get(path, ()) if finding.output not in named]
            rest = [_without(finding, sure=path in sure) for finding in others]
            own = (new for proof in found for new in _named(laboratory, path, proof))
            # Two variations of one kind, such as of cores and of processors, show the same place twice.
            once = {(new.output, new.path, new.offset, new.cause): new for new in own}
            result[path] = (*once.values(), *rest, *_stopping(laboratory, path))
    return Found(result, attempts, trees, tuple(warnings(laboratory, late)))


def _experiments(names: Collection[str]) -> list[Experiment]:
    return [experiment for experiment in (*VARIES, *OTHERS) if experiment.condition.name in names]


def _named(laboratory: Laboratory, path: str, proof: Proof) -> Sequence[Finding]:
    known = laboratory.sensitive.get((proof.experiment.name, path, proof.output), ())
    return proved(known or [_finding(proof.output, proof.experiment.cause, "the rules see nothing in it")], [proof])


def _finding(output: str, cause: Cause, because: str) -> Finding:
    fix = fix_for(cause, "")
    return Finding(
        output=output, path="", cause=cause, confidence="low", because=because, fix=fix.advice, snippet=fix.snippet
    )


def _stopping(laboratory: Laboratory, path: str) -> Iterator[Finding]:
    """What a derivation does not build with, and does without."""
    for experiment in (*VARIES, *OTHERS):
        condition = next((c for c, _ in laboratory.died if c and c.name == experiment.name), None)
        count, of = laboratory.died[condition, path], laboratory.done[condition, path]
        if condition is not None and 0 < count == of and not laboratory.died[None, path]:
            words = printable.escape(laboratory.last_words[path][:200])
            because = f"proved: it stops building with {condition.what} ({count} of {plural(of, 'rebuild')})"
            yield msgspec.structs.replace(
                _finding(
                    next(iter(laboratory.first[path].outputs)),
                    experiment.cause,
                    f"{because}, and builds without" + (words and f": {words}"),
                ),
                confidence="proved",
                fix=STOPPING.get(experiment.cause, STOPS),
                snippet=None,
            )


def _without(finding: Finding, *, sure: bool) -> Finding:
    because = f"{finding.because}; without the variations, a rebuild was the same"
    if sure:
        return msgspec.structs.replace(finding, because=because)
    # The cause that a rule takes it for would have been there without.
    because += ", and no single one of them was seen to be the reason"
    return msgspec.structs.replace(finding, confidence="low", because=because)
