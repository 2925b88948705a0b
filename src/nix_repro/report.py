"""The report: one frozen value that says everything a run found.

The core produces it, every renderer reads it and nothing else, and its JSON form is the public contract: stable
within version 1, with the schema in docs/report.schema.json generated from these types.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from nix_repro.parts import LedgerUse, OnBase, Part, RuleUse, VerifiedUse

Verdict = Literal["reproducible", "divergent", "build-failed", "rebuild-failed", "unverified"]
Mark = Literal["known", "propagated", "intermittent", "new", "time-bomb"]
Source = Literal["built", "rebuilt", "substituted", "present", "ledger", "cache", "runner"]
Status = Literal[
    "built", "substituted", "present", "failed", "timed-out", "disk-full", "cancelled", "dependency-failed", "not-built"
]
Scope = Literal["installables", "own", "closure"]
Conclusion = Literal["pass", "fail", "inconclusive"]
Confidence = Literal["proved", "high", "low"]
Cause = Literal[
    "timestamp",
    "randomness",
    "ordering",
    "build-path",
    "parallelism",
    "host",
    "locale",
    "cpu",
    "archive-metadata",
    "address-layout",
    "environment",
    "permissions",
    "propagated",
    "stale-hash",
    "unknown",
]
#: What a change makes Nix do: rebuild everything, a part, or nothing that matters.
ChangeClass = Literal["full", "partial", "none"]
LayerKind = Literal["local", "project", "upstream", "built"]
ScenarioName = Literal["cold", "warm", "first-time", "cached"]
PhaseName = Literal[
    "install", "cache", "setup", "evaluate", "fetch", "build", "test", "rebuild", "explain", "base", "refetch",
    "diffoscope", "report", "total",
]  # fmt: skip

#: Worst first: the order of tables, and how the outputs' verdicts combine to their derivation's.
SEVERITY: tuple[Verdict, ...] = ("divergent", "build-failed", "rebuild-failed", "unverified", "reproducible")


class Hash(Part, frozen=True, kw_only=True):
    """One observation of an output's content.

    `nar_hash` is SRI (`sha256-<base64>`). `source` says how it came about; `present` means that the path was valid
    before this run and nothing here shows who built it. `origin` names the cache, machine or round behind it.
    """

    nar_hash: str
    source: Source
    origin: str


class Output(Part, frozen=True, kw_only=True):
    """One output of a derivation. `path` is null while a content-addressed output has never been built. `diffoscope` is
    diffoscope's page about it, relative to the report directory, when there is one."""

    path: str | None
    verdict: Verdict
    reason: str | None = None
    hashes: tuple[Hash, ...] = ()
    diffoscope: str | None = None


class Build(Part, frozen=True, kw_only=True):
    """One attempt at a derivation. Round 1 is the build; rounds from 2 on are rebuilds; `isolated` ones ran with the
    first build's inputs.

    `started` and `seconds` (both in seconds; `started` counts from the start of the run) are null when no build event
    was seen. `log` is the end of the log of a build that failed, else null.
    """

    round: int
    status: Status
    started: float | None = None
    seconds: float | None = None
    log: str | None = None
    isolated: bool = False


class Finding(Part, frozen=True, kw_only=True):
    """Why two builds of an output differ, in one place of it.

    `path` is relative to the output, members inside archives after `!`. `because` is the evidence, `fix` is what to
    change in the Nix expression, `snippet` is code for it. `a` and `b` are the differing bytes made printable, each
    of at most a few hundred characters, with the byte `offset` they start at.
    """

    output: str
    path: str
    cause: Cause
    confidence: Confidence
    because: str
    fix: str
    snippet: str | None = None
    a: str | None = None
    b: str | None = None
    offset: int | None = None
    derived_from: str | None = None


class DerivationReport(Part, frozen=True, kw_only=True):
    """What was found about one derivation in scope.

    `attrs` are the installables that name it, empty for dependencies. `reason` is never null when the verdict is
    `unverified`. `reproduce` is one shell line that repeats the check at this commit. `inputs` are the .drv paths of
    the direct inputs that are in the report themselves. Of `rebuilds` rebuilds that could be compared, so many
    `differed`. `on_base` says of a divergence whether the base has it, null where there is no base.
    """

    drv_path: str
    name: str
    verdict: Verdict
    attrs: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    reason: str | None = None
    outputs: dict[str, Output] = msgspec.field(default_factory=dict)
    builds: tuple[Build, ...] = ()
    findings: tuple[Finding, ...] = ()
    reproduce: str | None = None
    inputs: tuple[str, ...] = ()
    rebuilds: int = 0
    differed: int = 0
    on_base: OnBase | None = None


def not_evaluated(attr: str, name: str, reason: str) -> DerivationReport:
    """What is said of an attribute that never came to be a derivation: its own path stands for the .drv's."""
    output = Output(path=None, verdict="build-failed", reason=reason)
    return DerivationReport(
        drv_path=attr, name=name, attrs=(attr,), verdict="build-failed", reason=reason, outputs={"out": output}
    )


class Skipped(Part, frozen=True, kw_only=True):
    """Derivations that were looked at and left out of the comparison, with the reason they share."""

    reason: str
    count: int
    examples: tuple[str, ...]


class Variation(Part, frozen=True, kw_only=True):
    """Something held different between build and rebuild, on purpose or as a side effect of the rebuilder."""

    name: str
    applied: bool
    reason: str


class Phase(Part, frozen=True, kw_only=True):
    """Wall-clock seconds of one phase. `started` counts from the start of the run. Phases may overlap: fetching and
    building do."""

    name: PhaseName
    seconds: float
    started: float = 0.0


class Scenario(Part, frozen=True, kw_only=True):
    """Which row of the targets table applies, and why it was chosen."""

    name: ScenarioName
    because: str


class Target(Part, frozen=True, kw_only=True):
    """A limit and what was measured. Seconds for phases, a ratio from 0 to 1 for the hit rate. `ok` is null when the
    value could not be measured. `advisory` says that nobody has set this limit: outside CI it is advice, and fails
    nothing."""

    name: str
    limit: float
    actual: float | None
    ok: bool | None
    advice: str | None = None
    advisory: bool = False


class Layer(Part, frozen=True, kw_only=True):
    """What one cache layer served: paths, bytes (NAR size) and the wall-clock seconds in which it was at work."""

    kind: LayerKind | None = None
    name: str
    url: str | None
    paths: int
    bytes: int | None
    seconds: float | None


class BuiltBecause(Part, frozen=True, kw_only=True):
    """Why a derivation was built instead of being fetched."""

    drv_path: str
    why: Literal["new", "changed", "cache miss", "unknown"]
    root_change: str | None = None
    change_class: ChangeClass | None = None


class LockChange(Part, frozen=True, kw_only=True):
    """A flake input that another revision was locked for. Revisions and dates (ISO) are null where the lock has none;
    `derivations` changed because of it, null when several inputs changed at once and nobody can tell."""

    input: str
    old_rev: str | None
    new_rev: str | None
    old_date: str | None
    new_date: str | None
    derivations: int | None = None


class Change(Part, frozen=True, kw_only=True):
    """This run against the base it was compared with: the class of the change and how many derivations it touches."""

    base: str
    change_class: ChangeClass
    derivations: int
    lock: tuple[LockChange, ...] = ()


class Caches(Part, frozen=True, kw_only=True):
    """What the cache layers did. `hit_rate` is null when nothing could have been a hit."""

    hit_rate: float | None = None
    layers: tuple[Layer, ...] = ()
    built: tuple[BuiltBecause, ...] = ()
    incidents: tuple[str, ...] = ()
    change: Change | None = None


class SuiteRun(Part, frozen=True, kw_only=True):
    """The test phase: a command, or the flake's checks. `cached` names checks whose result was there already: they
    were not run. `log` is the end of what a command that failed printed."""

    command: str
    status: Literal["passed", "failed", "cached", "not-run"]
    ran: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    log: str | None = None


class Policy(Part, frozen=True, kw_only=True):
    """A `fail-when` expression, and whether it was true of this report."""

    expression: str
    failed: bool


class Trend(Part, frozen=True, kw_only=True):
    """One number of this run against the median of `runs` earlier ones of the default branch."""

    name: str
    actual: float
    median: float
    runs: int
    regression: bool


class Configuration(Part, frozen=True, kw_only=True):
    """Whose configuration file decided the run of a proposed change: its base's, or its own (`head`); `neither` when
    the base is not in the clone, so that of its own only what excuses nothing counted. `base` is the base's commit,
    null when it is not in the clone. `edited` are the keys to which the change gives another value than the base, all
    of its own when the base is not known."""

    file: str
    source: Literal["base", "head", "neither"]
    base: str | None
    edited: tuple[str, ...] = ()


class Elsewhere(Part, frozen=True, kw_only=True):
    """How to look at a run of the action on another machine: what starts this program with `nix` and with `uv`; the
    `artifact` with both sides of what differs, and the shell line that fetches it and has it explained, without a
    rebuild. Both are null where there is none."""

    nix: str
    uv: str
    artifact: str | None = None
    explain: str | None = None


class Report(Part, frozen=True, kw_only=True):
    """Everything one run found. See docs/report.md for the contract."""

    version: Literal[1] = 1
    tool: str
    started: str
    system: str
    commit: str | None
    nix_version: str
    nix_implementation: str = "Nix"
    environment: dict[str, str | int | bool | None]
    conclusion: Conclusion
    exit_code: int
    fail_on: tuple[str, ...]
    scope: Scope
    rebuilder: str | None
    rounds: int
    variations: tuple[Variation, ...] = ()
    derivations: tuple[DerivationReport, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    phases: tuple[Phase, ...] = ()
    scenario: Scenario | None = None
    targets: tuple[Target, ...] = ()
    caches: Caches = Caches()
    test: SuiteRun | None = None
    ledger: LedgerUse | None = None
    verified_paths: tuple[str, ...] = ()
    verified_cache: VerifiedUse | None = None
    policies: tuple[Policy, ...] = ()
    history: tuple[Trend, ...] = ()
    configuration: Configuration | None = None
    allow: tuple[RuleUse, ...] = ()
    elsewhere: Elsewhere | None = None
    warnings: tuple[str, ...] = ()
