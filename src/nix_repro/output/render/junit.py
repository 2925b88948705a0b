"""JUnit XML, the shape that test views of other CIs read: one suite, one case per derivation."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from nix_repro.output.render import allowed, escape, phrases
from nix_repro.output.render.marks import at_length
from nix_repro.verdict.policy import stale, standing

if TYPE_CHECKING:
    from nix_repro.parts import RuleUse
    from nix_repro.report import DerivationReport, Report


def _seconds(derivation: DerivationReport) -> float:
    return sum(build.seconds or 0.0 for build in derivation.builds)


def _details(derivation: DerivationReport) -> str:
    lines = [told] if (told := at_length(derivation)) else []
    for name, output in derivation.outputs.items():
        first, again = phrases.two_hashes(output)
        lines.append(f"{name}: {output.verdict} {output.path or ''} {first or ''} {again or ''}".rstrip())
    lines += [f"{phrases.place(f)}: {f.cause} ({f.confidence}): {f.because}; fix: {f.fix}" for f in derivation.findings]
    if derivation.reproduce:
        lines.append(derivation.reproduce)
    return "\n".join(lines)


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, {name: escape.xml(value) for name, value in attributes.items()})
    if text:
        element.text = escape.xml(text)
    return element


def _case(suite: ET.Element, derivation: DerivationReport, fail_on: tuple[str, ...]) -> None:
    case = _add(
        suite,
        "testcase",
        classname="nix-repro",
        name=derivation.attrs[0] if derivation.attrs else derivation.name,
        time=f"{_seconds(derivation):.3f}",
    )
    message = derivation.reason or (derivation.findings[0].because if derivation.findings else derivation.verdict)
    match standing(derivation, fail_on).meaning:
        case "excused":
            _add(case, "skipped", message=f"known divergence: {message}")
        case "old":
            _add(case, "skipped", message=at_length(derivation))
        case "diverges":
            _add(case, "failure", _details(derivation), type=derivation.verdict, message=message)
        case "failed" | "unshown":
            _add(case, "error", _details(derivation), type=derivation.verdict, message=message)
        case "open" | "settled":
            _add(case, "skipped", message=f"unverified: {message}")
        case "passes" | "inherited" if derivation.findings:
            _add(case, "system-out", f"the same, but not under every condition:\n{_details(derivation)}")
    for build in derivation.builds:
        if build.log:
            _add(case, "system-out", build.log)
            break


def _rule(suite: ET.Element, rule: RuleUse) -> None:
    case = _add(suite, "testcase", classname="nix-repro", name=f"allow {allowed.about(rule)}", time="0.000")
    _add(
        case, "failure", allowed.place(rule), type=rule.state, message=f"{allowed.state(rule)}; {allowed.advice(rule)}"
    )


def render_junit(report: Report) -> str:
    """The report as JUnit XML. Divergent derivations are failures, failed builds and builds that could not be shown are
    errors, what else is unverified and known divergences are skipped, whether or not `fail_on` lists them; so are those
    that the base has too where only new ones fail. Allow rules that fail the run are failures. Characters that XML
    cannot hold are replaced."""
    root = ET.Element("testsuites", {"name": "nix-repro"})
    suite = _add(root, "testsuite", name=f"nix-repro {report.system}", timestamp=report.started)
    for derivation in phrases.failures_first(report.derivations, report.fail_on):
        _case(suite, derivation, report.fail_on)
    for rule in report.allow:
        if stale(rule, report.fail_on) is not None:
            _rule(suite, rule)
    for tag, key in (("testcase", "tests"), ("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        count = str(len(suite.findall(f".//{tag}")))
        suite.set(key, count)
        root.set(key, count)
    taken = f"{sum(_seconds(d) for d in report.derivations):.3f}"
    suite.set("time", taken)
    root.set("time", taken)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
