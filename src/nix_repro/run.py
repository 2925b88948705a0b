"""What one run has come to know. The flow in check.py fills it, assemble.py makes the report from it at any point."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.build.variations import AS_USUAL, Machine, Varied
from nix_repro.build.varying import machine_of
from nix_repro.config import Config
from nix_repro.ledger.file import Ledger
from nix_repro.metrics.needed import Needs
from nix_repro.nix.at_work import AtWork, rooms
from nix_repro.nix.caches.lookup import BinaryCaches
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.caches.verified import VerifiedCache
from nix_repro.nix.checkout import Checkout
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.disk import any_full, building_places
from nix_repro.nix.log.recorder import Recorder, Watcher
from nix_repro.nix.secrets import cut
from nix_repro.observations import Attempt, Observations
from nix_repro.parts import OnBase, VerifiedUse
from nix_repro.plan.against import Against
from nix_repro.plan.scope import Plan
from nix_repro.reasons import NOT_REBUILT, Reason
from nix_repro.report import Finding, Phase, PhaseName, Report, SuiteRun
from nix_repro.verdict import verdict
from nix_repro.verdict.evidence import Recalled


class Display(Watcher, Protocol):
    """What the run says while it works."""

    def phase(self, text: str) -> None: ...
    def step(self, kind: str, name: str, number: int, total: int) -> None: ...
    def finished(self) -> None: ...
    def follow(self, at_work: AtWork | None) -> None: ...
    def warn(self, text: str) -> None: ...


@dataclass
class Run:
    """What the run has come to know; the report is made from it at any point, also after an interruption.

    `against` is the comparison with a base, None without one. `verdicts` are those on everything observed so far, and
    `unfinished` is the reason for what was never rebuilt. `broken` are attributes of `all` that do not evaluate, each
    with Nix's words. `rebuilder` is what has built anything again, None until then. `ledger` is what remembers the
    builds of earlier runs, None without one, `known` what it says of this run's derivations, and `heirs` those of them
    that came out differently on other inputs. `base_report` is that of an earlier run that is the base, and `on_base`
    says of what diverges whether the base has it too. `stale` are fixed-output derivations that give something else
    when they are fetched again. `verified` is the cache of what is verified, None without one,
    `verified_paths` what of this run is, and `verified_use` what became of the cache. `varied` is what rebuilds are to
    hold different, and `stopping` are the rebuilds that failed because of that, by .drv path. `realiser` runs every
    build that may use caches, and `lookups` is what the upstream caches said they have. `checkout` is what git said
    before anything was evaluated or built that could have changed it.
    """

    config: Config
    nix: Nix
    cwd: Path
    environ: Mapping[str, str]
    display: Display
    checkout: Checkout = field(default_factory=Checkout)
    began: float = field(default_factory=time.time)
    plan: Plan | None = None
    broken: dict[str, str] = field(default_factory=dict)
    seen: Observations = field(default_factory=Observations)
    rebuilder: Rebuilder | None = None
    phases: list[Phase] = field(default_factory=list)
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    unfinished: Reason = NOT_REBUILT
    work: Path = Path()
    test: SuiteRun | None = None
    against: Against | None = None
    needs: Needs = field(default_factory=Needs)
    ledger: Ledger | None = None
    known: dict[str, Recalled] = field(default_factory=dict)
    heirs: set[str] = field(default_factory=set)
    varied: Varied = AS_USUAL
    stopping: dict[str, Attempt] = field(default_factory=dict)
    base_report: Report | None = None
    on_base: dict[str, OnBase] = field(default_factory=dict)
    stale: dict[str, Reason] = field(default_factory=dict)
    verdicts: Mapping[str, verdict.Judged] = field(default_factory=dict)
    verified: VerifiedCache | None = None
    verified_paths: tuple[str, ...] = ()
    verified_use: VerifiedUse | None = None
    recorder: Recorder = field(init=False)
    realiser: Realiser = field(init=False)
    lookups: BinaryCaches = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = self.new_recorder()
        self.realiser = Realiser(self.nix)
        self.lookups = BinaryCaches(self.nix, ())
        self.watch_store()

    def watch_store(self, *, here: bool = True) -> None:
        """Have the display see in this machine's store which builds are over, where that is `here` at all."""

        def find(drv_path: str) -> Derivation | None:
            return self.plan.derivations.get(drv_path) if self.plan is not None else None

        store = Path(self.nix.store_dir())
        self.display.follow(AtWork(find, store, rooms(store)) if here else None)

    def new_recorder(self) -> Recorder:
        """For the log of one command after the other of the same kind."""
        return Recorder(watcher=self.display, disk_full=self._disk_full)

    def _disk_full(self) -> bool:
        return any_full(building_places(self.nix, self.config.rebuilder))

    @property
    def limits(self) -> Limits:
        """What the configuration allows every command of Nix that builds."""
        return Limits(self.config.jobs, self.config.cores, self.config.timeout)

    @cached_property
    def machine(self) -> Machine:
        """What this machine has for variations."""
        return machine_of(self.nix, self.config.cores)

    @cached_property
    def conditions(self) -> Path:
        """Where what variations need is written."""
        directory = self.work / "conditions"
        directory.mkdir(mode=0o755)
        return directory

    def judge(self) -> None:
        """Judge what was observed so far: after the rebuilds, after what observed more, when the run ends early."""
        if self.plan is not None:
            self.verdicts = verdict.judge_all(self.plan, self.seen, self.unfinished, self.heirs)

    def end_early(self, because: Reason) -> None:
        """Say of what was never rebuilt why it was not."""
        self.unfinished = because
        self.judge()

    def warn(self, text: str) -> None:
        """Something the user should know that changes no verdict: once, in the report and now."""
        text = cut(text)
        if text not in self.warnings:
            self.warnings.append(text)
            self.display.warn(text)

    @contextmanager
    def phase(self, name: PhaseName, text: str) -> Iterator[None]:
        """Time a part of the run."""
        self.display.phase(text)
        started = time.time()
        try:
            yield
        finally:
            self.phases.append(
                Phase(name=name, started=round(started - self.began, 3), seconds=round(time.time() - started, 3))
            )
