"""The words that all renderers share."""

from __future__ import annotations

from collections import Counter

from nix_repro.report import SEVERITY, Report


def headline(report: Report) -> tuple[str, bool]:
    """The verdict in one line, and whether it is good news."""
    counts = Counter(d.verdict for d in report.derivations)
    verified = counts["reproducible"] + counts["divergent"]
    parts = [f"{counts[verdict]} {verdict}" for verdict in SEVERITY if counts[verdict] and verdict != "reproducible"]
    if report.conclusion == "pass" and not counts["divergent"]:
        line = f"No difference found under these variations: {counts['reproducible']} of {verified} rebuilt derivations are the same"
        return line + (f" ({', '.join(parts)})" if parts else ""), True
    if counts["reproducible"]:
        parts.append(f"{counts['reproducible']} reproducible")
    word = {"fail": "Failed", "inconclusive": "Inconclusive", "pass": "Passed by policy"}[report.conclusion]
    return f"{word}: {', '.join(parts) or 'nothing was verified'}", False


def short_hash(nar_hash: str) -> str:
    """Enough of a hash to tell two apart at a glance."""
    return nar_hash.removeprefix("sha256-")[:10]


def store_name(path: str) -> str:
    """A store path without its directory, hash and `.drv`."""
    base = path.rsplit("/", 1)[-1]
    return (base[33:] if len(base) > 33 and base[32] == "-" else base).removesuffix(".drv")


def printable(text: str) -> str:
    """Text from a build, safe for a terminal: control characters are shown, not obeyed."""
    return "".join(c if c.isprintable() or c == "\t" else _shown(c) for c in text)


def _shown(char: str) -> str:
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
