"""What the runner reads: annotations, folded build logs, step outputs and the summary file.

Workflow commands and the output file go through actions-toolkit, which escapes and delimits them as the runner wants.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from actions_toolkit.command import issue_command

from nix_repro.output.github.places import Location
from nix_repro.output.render import allowed, escape, phrases
from nix_repro.output.render.marks import at_length
from nix_repro.reasons import recall
from nix_repro.verdict.policy import Meaning, overrun_fails, stale, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nix_repro.parts import RuleUse
    from nix_repro.report import DerivationReport, Report

#: The runner shows this many of each level and step, and drops the rest without a word.
PER_LEVEL = 10
#: Characters of a message.
_MESSAGE_CHARS = 2_000

Level = Literal["error", "warning", "notice"]
#: How loud what does not fail the run is; what is not here needs no word beside the code.
_LEVELS: dict[Meaning, Level] = {
    "excused": "notice",
    "old": "notice",
    "diverges": "warning",
    "failed": "warning",
    "open": "warning",
}


class Annotation(NamedTuple):
    """One annotation; `location` is null when it is about no file."""

    level: Level
    title: str
    message: str
    location: Location | None


def annotate(
    report: Report, locate: Callable[[DerivationReport], Location | None], prefix: str = ""
) -> list[Annotation]:
    """What to say beside the code: at most ten of each level, the last of which counts what is left out. `prefix` is
    the flake's directory in the repository, with a slash, where it has one of its own."""
    found: list[Annotation] = []
    for derivation in phrases.failures_first(report.derivations, report.fail_on):
        level = _level(derivation, report.fail_on)
        if level is not None:
            title = f"{derivation.verdict}: {derivation.name}{' (new)' if 'new' in derivation.marks else ''}"
            found.append(Annotation(level, title, _message(derivation), locate(derivation)))
    for target in report.targets:
        if target.ok is False:
            level = "error" if overrun_fails(target, report.fail_on) else "warning"
            found.append(
                Annotation(
                    level,
                    f"over target: {target.name}",
                    target.advice or f"the target {target.name} was exceeded",
                    None,
                )
            )
    if report.test is not None and report.test.status == "failed":
        found.append(Annotation("error", "tests failed", ", ".join(report.test.failed) or report.test.command, None))
    found += [
        Annotation("error", "policy failed", policy.expression, None) for policy in report.policies if policy.failed
    ]
    found += [_about(rule, report, prefix) for rule in allowed.outdated(report.allow)]
    found += [Annotation("warning", "nix-repro", text, None) for text in (*report.warnings, *report.caches.incidents)]
    return [
        shown for level in ("error", "warning", "notice") for shown in _at_most([a for a in found if a.level == level])
    ]


def _about(rule: RuleUse, report: Report, prefix: str) -> Annotation:
    level: Level = "error" if stale(rule, report.fail_on) else "warning"
    message = f"{allowed.state(rule)}; {allowed.advice(rule)}"
    change = report.configuration
    if change is None:
        file = os.path.normpath(prefix + rule.file)
        where = Location(file, rule.line) if not file.startswith(("../", "/")) else None
    else:
        # What the base has in a line, a change may have in another one.
        where = Location(change.file, rule.line if change.source == "head" or not change.edited else None)
    return Annotation(level, f"allow rule for {allowed.about(rule)}", message, where)


def _level(derivation: DerivationReport, fail_on: tuple[str, ...]) -> Level | None:
    found = standing(derivation, fail_on)
    return "error" if found.fails else _LEVELS.get(found.meaning)


def _message(derivation: DerivationReport) -> str:
    parts = [told[:1].upper() + told[1:]] if (told := at_length(derivation)) else []
    if derivation.reason:
        hint = recall(derivation.reason).hint
        parts.append(f"{derivation.reason}: {hint}" if hint else derivation.reason)
    parts += [
        f"{phrases.place(f)}: {f.cause}: {f.because}" + (f"\nFix: {f.fix}" if f.fix else "")
        for f in derivation.findings[:3]
    ]
    if derivation.reproduce:
        parts.append(f"See it on your machine: {derivation.reproduce}")
    return "\n".join(parts) or derivation.verdict


def _at_most(found: list[Annotation]) -> list[Annotation]:
    if len(found) <= PER_LEVEL:
        return found
    left_out = len(found) - PER_LEVEL + 1
    more = Annotation(
        found[0].level, "nix-repro", f"{left_out} more of this level are left out here; the step summary has them", None
    )
    return [*found[: PER_LEVEL - 1], more]


def print_annotations(found: list[Annotation]) -> None:
    """Send annotations to the runner, each with only the properties that are known."""
    for annotation in found:
        properties: dict[str, object] = {"title": escape.visible(annotation.title, 200)}
        if annotation.location is not None:
            properties["file"] = escape.visible(annotation.location.file)
            if annotation.location.line is not None:
                properties["line"] = annotation.location.line
        issue_command(annotation.level, properties, escape.visible_lines(annotation.message[:_MESSAGE_CHARS]))


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold what is printed inside."""
    issue_command("group", {}, escape.visible(title, 200))
    try:
        yield
    finally:
        issue_command("endgroup", {}, "")


@contextmanager
def commands_stopped() -> Iterator[None]:
    """Keep the runner from obeying anything printed inside: builds and names in it are somebody else's phrases."""
    token = secrets.token_hex(24)
    issue_command("stop-commands", {}, token)
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.flush()
        issue_command(token, {}, "")
        sys.stdout.flush()


def print_logs(report: Report) -> None:
    """The logs of failed builds, folded per derivation."""
    for derivation in phrases.failures_first(report.derivations, report.fail_on):
        for build in derivation.builds:
            if build.log:
                with (
                    group(f"{derivation.name}: {'first build' if build.round == 1 else 'rebuild'} {build.status}"),
                    commands_stopped(),
                ):
                    for line in build.log.rstrip("\n").split("\n"):
                        sys.stdout.write(escape.log_line(line) + "\n")


def write_summary(markdown: str, environ: Mapping[str, str]) -> None:
    """Append to the step's summary. actions-toolkit has nothing for it."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(markdown)


def warn(message: str) -> None:
    """One warning about the run itself."""
    issue_command("warning", {"title": "nix-repro"}, escape.visible_lines(message))


def notice(message: str) -> None:
    """Something worth knowing that is nobody's fault."""
    issue_command("notice", {"title": "nix-repro"}, escape.visible_lines(message))


def fail(message: str, environ: Mapping[str, str], location: Location | None = None) -> None:
    """There is no report: say why as an error, in the file at fault if that is one, and in the summary."""
    print_annotations([Annotation("error", "nix-repro", message, location)])
    try:
        write_summary(f"## ❌ nix-repro could not check anything\n\n{escape.fence(message)}\n", environ)
    except OSError as error:
        warn(f"step summary not written: {error}")
