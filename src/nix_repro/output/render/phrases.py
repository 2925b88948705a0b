"""How the report's verdicts and numbers are said, wherever it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from nix_repro.errors import interrupted
from nix_repro.metrics.targets import quantity
from nix_repro.nix.series import Release
from nix_repro.nix.store_path import store_name
from nix_repro.output.render import allowed, marks
from nix_repro.parts import VerifiedUse
from nix_repro.report import (
    SEVERITY,
    BuiltBecause,
    Configuration,
    DerivationReport,
    Finding,
    Output,
    Report,
    Target,
    Verdict,
)
from nix_repro.text import plural, seconds, size, some
from nix_repro.verdict.policy import Meaning, Standing, standing

SYMBOLS: dict[Meaning, str] = {
    "diverges": "❌",
    "failed": "💥",
    "excused": "🟡",
    "old": "🟡",
    "inherited": "🔗",
    "open": "⚠️",
    "unshown": "⚠️",
    "settled": "➖",
    "passes": "✅",
}


def place(finding: Finding) -> str:
    """`out/share/x`; `out` where the output itself is a file."""
    return f"{finding.output}/{finding.path}" if finding.path else finding.output


def kept_log(derivation: DerivationReport) -> str | None:
    """The end of the log of the first build that failed and printed something."""
    return next((build.log for build in derivation.builds if build.log), None)


def printed_nothing(derivation: DerivationReport) -> bool:
    """Whether that a builder printed nothing is worth a word: how it ended is all that is known."""
    return (derivation.reason or "").startswith("the builder ") and kept_log(derivation) is None


def nix(report: Report) -> str:
    """Which Nix built, and its version."""
    return str(Release(report.nix_implementation, report.nix_version, series=(0, 0)))


def short_hash(nar_hash: str) -> str:
    """The first eight characters of a hash behind its algorithm: enough to see two apart."""
    return nar_hash.rpartition("-")[2][:8]


def counts(report: Report) -> dict[Verdict, int]:
    """How many derivations have each verdict, zeros included."""
    found = dict.fromkeys(reversed(SEVERITY), 0)
    for derivation in report.derivations:
        found[derivation.verdict] += 1
    return found


def symbol(derivation: DerivationReport, fail_on: Collection[str]) -> str:
    """The sign before a derivation's name."""
    return SYMBOLS[standing(derivation, fail_on).meaning]


def needs_attention(derivation: DerivationReport, fail_on: Collection[str]) -> bool:
    """Whether a reader has to look at it: anything but a plain `reproducible`, or what nobody expects to be
    verified."""
    plain = standing(derivation, fail_on).meaning in {"passes", "settled"}
    return not plain or bool(derivation.marks) or sensitive(derivation)


def explained(derivation: DerivationReport) -> bool:
    """Whether there is something to say of what differs: two builds, or a source and its hash."""
    return derivation.verdict == "divergent" or (derivation.verdict == "rebuild-failed" and bool(derivation.findings))


def sensitive(derivation: DerivationReport) -> bool:
    """Whether it is the same, but not under every condition: experiments have found something."""
    return derivation.verdict == "reproducible" and bool(derivation.findings)


def failures_first(derivations: Iterable[DerivationReport], fail_on: Collection[str]) -> list[DerivationReport]:
    """Worst first, then what nobody has excused yet, what is new, what the user named, then by name."""

    def rank(derivation: DerivationReport) -> tuple[bool, int, bool, bool, bool, bool, str, str]:
        meaning = standing(derivation, fail_on).meaning
        return (
            meaning == "settled",
            SEVERITY.index(derivation.verdict),
            meaning in EXCUSED,
            "new" not in derivation.marks,
            not needs_attention(derivation, fail_on),
            not derivation.attrs,
            derivation.name,
            derivation.drv_path,
        )

    return sorted(derivations, key=rank)


#: What diverges and fails nothing: a rule allows it, or the base has it too.
EXCUSED: tuple[Meaning, ...] = ("excused", "old")


def overruns(report: Report) -> list[str]:
    """Names of the targets that were exceeded, without those that only advise."""
    return [target.name for target in report.targets if target.ok is False and not target.advisory]


def defaults_advise(report: Report) -> str:
    """Which of the targets fail nothing, where there are such; else empty."""
    advisory = [target.name for target in report.targets if target.advisory]
    which = "these defaults" if len(advisory) == len(report.targets) else f"the default of {', '.join(advisory)}"
    verb = "advises" if len(advisory) == 1 < len(report.targets) else "advise"
    return f"{which} only {verb} outside CI" if advisory else ""


def advice(target: Target) -> str:
    """What to look at where a target was exceeded, and whether that is advice only; empty when it was not."""
    if target.ok is not False:
        return ""
    option = f"--target {target.name.replace(' ', '-')}=LIMIT"
    how = f"only advice: a default, which fails nothing here ({option} sets your own)"
    return "; ".join(said for said in (how if target.advisory else "", target.advice) if said)


def verification_cost(report: Report) -> float | None:
    """Wall-clock seconds that this run spent on the second builds and on explaining them; null when nothing says."""
    spent = [
        phase.seconds
        for phase in report.phases
        if phase.name in {"rebuild", "explain", "base", "refetch", "diffoscope"}
    ]
    return sum(spent) if spent else None


def two_hashes(output: Output) -> tuple[str | None, str | None]:
    """The first build's hash and the one to set against it: the first that differs, else the next observation."""
    if not output.hashes:
        return None, None
    first = output.hashes[0].nar_hash
    others = [observed.nar_hash for observed in output.hashes[1:]]
    return first, next((other for other in others if other != first), others[0] if others else None)


def alike(output: Output) -> str:
    """What is said of an output that has come out the same: in this run's rebuild, or in earlier runs only."""
    sources = {observed.source for observed in output.hashes[1:]}
    return "as before" if "ledger" in sources and "rebuilt" not in sources else "same"


def percent(ratio: float) -> str:
    """A ratio from 0 to 1 as a percentage, never rounded up to 100."""
    return f"{min(ratio * 100, 99.9) if ratio < 1 else 100:.3g} %"


def measure(value: float, name: str) -> str:
    """The value or the limit of a target or trend in the unit that its name has."""
    return percent(value) if quantity(name).unit == "ratio" else seconds(value)


def margin(target: Target) -> str:
    """How far a target's value is from its limit: `20 s left`, `5.0 s over`, `+4.9 pp`; empty when nothing was
    measured."""
    if target.actual is None:
        return ""
    if quantity(target.name).unit == "ratio":
        return f"{(target.actual - target.limit) * 100:+.1f} pp"
    spare = target.limit - target.actual
    return f"{seconds(abs(spare))} {'left' if spare >= 0 else 'over'}"


def log_end(log: str, lines: int, chars: int) -> str:
    """The last `lines` lines of a log, of at most `chars` characters, and how long it was if that is not all."""
    whole = log.rstrip("\n")
    kept = "\n".join(whole.split("\n")[-lines:])[-chars:]
    return kept if kept == whole else f"… the end of {plural(whole.count(chr(10)) + 1, 'line')}\n{kept}"


#: What a reader counts as divergences.
_DIFFERING: tuple[Meaning, ...] = ("diverges", "old")


class Headline(NamedTuple):
    """The verdict in one line: a sign and a sentence."""

    symbol: str
    sentence: str


def _trouble(report: Report, meanings: Counter[Meaning], differing: Sequence[DerivationReport]) -> list[str]:
    """What is wrong, worst first; of what is `differing` against the base, if that says anything."""
    found = counts(report)
    settled, total = meanings["settled"], len(report.derivations) - meanings["settled"]
    # What was left out, because it has not changed or cannot diverge, is no part of what was compared.
    kind = "compared derivation" if settled and not (meanings["open"] or meanings["unshown"]) else "derivation"
    said: list[str] = []
    if fresh := meanings["diverges"]:
        verb = "diverges" if fresh == 1 else "diverge"
        of_all = "the one derivation in scope diverges" if total == 1 else f"{fresh:,} of {plural(total, kind)} {verb}"
        said.append(marks.divergences(differing, f" in {plural(total, kind)}") or of_all)
    if found["build-failed"]:
        said.append(f"{plural(found['build-failed'], 'build')} failed")
    stale = sum(d.verdict == "rebuild-failed" and bool(d.findings) for d in report.derivations)
    if stale:
        said.append(plural(stale, "stale hash", "stale hashes"))
    if failed := found["rebuild-failed"] - stale:
        said.append(f"{plural(failed, 'rebuild')} failed")
    if missed := overruns(report):
        said.append(f"over target: {', '.join(missed)}")
    if report.test is not None and report.test.status == "failed":
        said.append("tests failed")
    if broken := sum(policy.failed for policy in report.policies):
        said.append(f"{plural(broken, 'policy', 'policies')} failed")
    return said + allowed.failing(report.allow, report.fail_on)


def _milder(report: Report, standings: Sequence[Standing], against_base: str) -> Iterator[str]:
    """What else there is to know of what differs."""
    meanings = Counter(found.meaning for found in standings)
    if count := sum(sensitive(d) for d in report.derivations):
        yield f"{plural(count, 'derivation differs', 'derivations differ')} under other conditions"
    if (victims := meanings["inherited"]) and not meanings["diverges"]:
        yield f"{victims:,} {'differs' if victims == 1 else 'differ'} only through an input"
    if meanings["old"] and not meanings["diverges"]:
        yield against_base
    if (undecided := sum(found.undecided for found in standings)) and not against_base:
        yield f"not known whether the base has {'it' if undecided == 1 else 'them'} too"


def kept(use: VerifiedUse) -> str:
    """What the verified cache holds now, and what this run has changed."""
    changes = ((use.added, "added"), (use.removed, "removed"), (use.left_out, "without room"))
    said = ", ".join(f"{count:,} {what}" for count, what in changes if count)
    return f"verified cache of {plural(use.paths, 'path')}, {size(use.bytes)}" + (f" ({said})" if said else "")


def edited(configuration: Configuration) -> str | None:
    """What a change that sets its own conditions is told apart by; null when it does not."""
    if not configuration.edited:
        return None
    file, keys = configuration.file, some(configuration.edited, 5)
    if configuration.base is None:
        counts = "is" if configuration.source == "head" else "is not"
        return f"this change's own {file} ({keys}) {counts} believed, and the base's is not in the clone"
    counts = "its own" if configuration.source == "head" else "the base's"
    return f"this change also edits {file}: {keys} ({counts} counts)"


def headline(report: Report) -> Headline:
    """What the run found, worst first. Never more than was seen: "no difference found", not "reproducible"."""
    standings = [standing(d, report.fail_on) for d in report.derivations]
    meanings = Counter(found.meaning for found in standings)
    differing = [d for d, found in zip(report.derivations, standings, strict=True) if found.meaning in _DIFFERING]
    against_base = marks.divergences(differing)
    trouble = _trouble(report, meanings, differing)
    said = list(trouble)
    open_questions = meanings["open"] + meanings["unshown"]
    if not trouble:
        if open_questions and not interrupted(report.exit_code):
            all_of_it = plural(len(report.derivations) - meanings["settled"], "derivation")
            one = all_of_it == "1 derivation"
            said.append(
                "the one derivation in scope is unverified" if one else f"{open_questions:,} of {all_of_it} unverified"
            )
            open_questions = 0
        clean = [d for d, found in zip(report.derivations, standings, strict=True) if found.meaning == "passes"]
        if clean:
            outputs = plural(sum(len(d.outputs) for d in clean), "output")
            said.append(f"no difference found in {plural(len(clean), 'derivation')} ({outputs})")
        elif meanings["settled"] == len(report.derivations):
            said.append("nothing in scope to verify")
    if known := meanings["excused"]:
        total = len(report.derivations) - meanings["settled"]
        said.insert(len(trouble), allowed.divergences(known, total, report.allow, others=bool(trouble)))
    said += _milder(report, standings, against_base)
    if open_questions:
        said.append(f"{open_questions:,} unverified")
    if interrupted(report.exit_code):
        said.insert(0, "interrupted")
    if trouble and report.conclusion == "pass":
        said.append(f"allowed by fail-on ({', '.join(report.fail_on) or 'none'})")
    said = said or ["nothing that could be verified"]
    if report.configuration is not None and (own := edited(report.configuration)) is not None:
        said.append(own)
    sentence = "; ".join(said)
    sign = {"fail": "❌", "inconclusive": "⚠️", "pass": "🟡" if trouble else "✅"}[report.conclusion]
    return Headline(sign, sentence[:1].upper() + sentence[1:])


class Group(NamedTuple):
    """What was built for one and the same reason: the names of the derivations."""

    why: str
    root_change: str | None
    change_class: str | None
    names: list[str]


def built_groups(built: Iterable[BuiltBecause]) -> list[Group]:
    """Why things were built, what has one reason together, the largest group first."""
    groups: dict[tuple[str, str | None, str | None], Group] = {}
    for row in built:
        key = row.why, row.root_change, row.change_class
        groups.setdefault(key, Group(*key, [])).names.append(store_name(row.drv_path))
    return sorted(groups.values(), key=lambda group: -len(group.names))
