"""Carries out experiments in the shadow rebuilder, without touching the derivation, and turns proofs into findings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.build import Limits
from nix_repro.drv import Derivation
from nix_repro.explain import Budget, Context, explain_output
from nix_repro.explain.experiments import HOLDS, VARIES, Experiment, Hashes, Proof, Purse, hold, likeliest_first, vary
from nix_repro.nix import NixError
from nix_repro.observe import Attempt, Observations, Tree
from nix_repro.rebuild.common import Change, Rebuilder, Request
from nix_repro.rebuild.shadow import Shadow
from nix_repro.recorder import Recorder, Watcher
from nix_repro.report import Finding
from nix_repro.run import TIME_GAP, Run

#: Rebuilds that one derivation is given.
REBUILDS = 24
_FAKETIME = ("faketime/libfaketime.so.1",)
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
_ZONE = Path("/usr/share/zoneinfo/Asia/Tokyo")

ONE_CPU = Change(args=("--cores", "1"), under="one-cpu")


class Laboratory:
    """Where experiments are done: the shadow rebuilder, the settings Nix has, a directory for files and trees."""

    def __init__(self, shadow: Rebuilder, settings: Mapping[str, Any], limits: Limits, directory: Path, watcher: Watcher) -> None:
        self._shadow = shadow
        self._limits = limits
        self._directory = directory
        self._watcher = watcher
        self._sandboxed = str(settings.get("sandbox")).lower() == "true"
        self._cores = int(limits.cores if limits.cores is not None else settings.get("cores", 0)) or os.cpu_count() or 1
        self._count = 0
        self._trees: dict[tuple[str, str], Tree] = {}
        self.refused: dict[str, str] = {}

    def prove(
        self,
        drv: Derivation,
        first: Mapping[str, Attempt],
        differing: Mapping[str, Sequence[str]],
        findings: Sequence[Finding],
        deadline: float,
    ) -> tuple[Finding, ...]:
        """The findings of one derivation with what experiments add: proofs for those it has, and new ones for what differs
        only under a change.

        `differing` holds the narHashes seen of the outputs that differ; `deadline` is on the monotonic clock.
        """
        purse = Purse(REBUILDS, deadline, time.monotonic)
        self._trees = {}

        def rebuild(experiment: Experiment | None) -> Hashes:
            return self._rebuild(drv, first, experiment)

        if differing:
            # The control rebuild of a time stamp must not fall into the last rebuild's second.
            time.sleep(TIME_GAP)
            proofs = hold(differing, self._possible(HOLDS, findings), rebuild, purse)
            return proved(findings, proofs)
        same = {name: seen.nar_hash for name, seen in first[drv.drv_path].outputs.items()}
        proofs = vary(same, self._possible(VARIES, findings), rebuild, purse)
        return tuple(new for proof in proofs for new in self._sensitive(drv, proof))

    def _possible(self, experiments: Sequence[Experiment], findings: Sequence[Finding]) -> list[Experiment]:
        return [e for e in likeliest_first(experiments, findings) if self._change(e) is not None]

    def _rebuild(self, drv: Derivation, first: Mapping[str, Attempt], experiment: Experiment | None) -> Hashes:
        change = self._change(experiment) if experiment is not None else Change()
        assert change is not None
        self._count += 1
        room = self._directory / f"experiment-{self._count}"
        request = Request((drv,), first, 2, self._limits, room, isolated=True, change=change)
        try:
            answer = self._shadow.rebuild(request, Recorder(watcher=self._watcher))
        except NixError:
            return None
        name = experiment.name if experiment is not None else ""
        self._trees |= {(name, output): tree for (_, output), tree in answer.trees.items()}
        (attempt,) = answer.attempts
        return {output: seen.nar_hash for output, seen in attempt.outputs.items()} or None

    def _change(self, experiment: Experiment) -> Change | None:
        """What to tell the rebuilder, or None, with the reason in `refused`, when this machine cannot do it."""
        match experiment.name:
            case "one-cpu":
                return ONE_CPU
            case "cores":
                return ONE_CPU if self._cores > 1 else Change(args=("--cores", str(self._cores + 1)))
            case "directory-order":
                return Change(memory_build_dir=True)
            case "kernel":
                return Change(under="other-kernel")
            case _ if not self._sandboxed:
                self.refused[experiment.name] = "it needs Nix's sandbox, which is off"
                return None
            case "build-path":
                return Change(options=(("sandbox-build-dir", "/build-elsewhere"),))
            case "zone" if not _ZONE.exists():
                self.refused[experiment.name] = f"there is no {_ZONE}"
                return None
            case "zone":
                return self._sandbox_paths({"/etc/localtime": _ZONE})
            case "clock-frozen":
                return self._clock(experiment, "2021-04-05 06:07:08")
            case _:
                return self._clock(experiment, "+400d")

    def _clock(self, experiment: Experiment, when: str) -> Change | None:
        library = next((Path(d, name) for d in _LIBRARIES for name in _FAKETIME if Path(d, name).exists()), None)
        if library is None:
            self.refused[experiment.name] = "libfaketime is not installed"
            return None
        preload, setting = self._directory / "preload", self._directory / experiment.name
        preload.parent.mkdir(parents=True, exist_ok=True)
        preload.write_text("/nix-repro-clock/libfaketime.so.1\n", encoding="ascii")
        setting.write_text(f"{when}\n", encoding="ascii")
        return self._sandbox_paths({"/etc/ld.so.preload": preload, "/etc/faketimerc": setting, "/nix-repro-clock": library.parent})

    def _sandbox_paths(self, paths: Mapping[str, Path]) -> Change:
        return Change(options=(("extra-sandbox-paths", " ".join(f"{inside}={outside}" for inside, outside in paths.items())),))

    def _sensitive(self, drv: Derivation, proof: Proof) -> tuple[Finding, ...]:
        tree = self._trees.get((proof.experiment.name, proof.output))
        if tree is None:
            return ()
        found = explain_output(proof.output, tree.a, tree.b, Context(name=drv.name, system=drv.system), Budget())
        return proved(found, [proof])


def proved(findings: Sequence[Finding], proofs: Sequence[Proof]) -> tuple[Finding, ...]:
    """The findings with proofs applied. When an output's every difference goes with one thing, that thing is the cause of
    each, whatever a rule had taken it for: a token that looks random may come from the clock."""
    from nix_repro.explain.fixes import fix_for

    by_output = {proof.output: proof for proof in proofs}
    result: list[Finding] = []
    for finding in findings:
        proof = by_output.get(finding.output)
        if proof is None:
            result.append(finding)
            continue
        because = f"proved: {proof.because}"
        if finding.cause == proof.experiment.cause:
            result.append(msgspec.structs.replace(finding, confidence="proved", because=f"{finding.because}; {because}"))
        else:
            fix = fix_for(proof.experiment.cause, "")
            result.append(
                msgspec.structs.replace(
                    finding, cause=proof.experiment.cause, confidence="proved", because=because, fix=fix.advice, snippet=fix.snippet
                )
            )
    return tuple(sorted(result, key=lambda finding: finding.derived_from is not None))


def experiment(run: Run, roots: Sequence[str], steady: Sequence[str]) -> None:
    """Experiments on the divergent roots, then on named derivations that are the same, while the budget lasts."""
    if not isinstance(run.rebuilder, Shadow):
        run.warn(f"no experiments: they need the shadow rebuilder, and this run used {run.rebuilder.name if run.rebuilder else 'none'}")
        return
    plan, first = run.plan, run.seen.built()
    assert plan is not None
    limits = Limits(run.config.jobs, run.config.cores, run.config.timeout)
    laboratory = Laboratory(run.rebuilder, run.nix.settings(), limits, run.work / "experiments", run.display)
    deadline = time.monotonic() + run.config.explain_budget
    late: list[str] = []
    for drv_path in [*roots, *steady]:
        drv = plan.derivations[drv_path]
        if time.monotonic() >= deadline:
            late.append(drv.name)
            continue
        run.display.phase(f"experiments on {drv.name}")
        findings = laboratory.prove(drv, first, _differing(run.seen, drv_path), run.findings.get(drv_path, ()), deadline)
        if findings:
            run.findings[drv_path] = findings
    if late:
        run.warn(f"{len(late)} derivations had no experiments, their time was up (explain-budget): {', '.join(late[:5])}")
    if laboratory.refused:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in sorted(laboratory.refused.items()))
        run.warn(f"experiments that could not be done here: {reasons}")


def _differing(seen: Observations, drv_path: str) -> dict[str, list[str]]:
    """The narHashes seen of each output that differs by itself, the first build's first."""
    first = seen.first(drv_path)
    assert first is not None
    again = seen.rebuilds(drv_path, isolated=True) or seen.rebuilds(drv_path, isolated=False)
    found: dict[str, list[str]] = {}
    for name, was in first.outputs.items():
        hashes = [was.nar_hash, *(a.outputs[name].nar_hash for a in again if name in a.outputs)]
        if len(set(hashes)) > 1:
            found[name] = hashes
    return found
