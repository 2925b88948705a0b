"""What the builds' surroundings leave behind: paths, cores, machine, environment, zone. A token is one of these when it
equals what is known of its own side, or has a shape that nothing else has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nix_repro.explain.causes.model import Match, Pair, paired, spans
from nix_repro.explain.causes.times import CLOCKS, DAY
from nix_repro.explain.causes.timestamp import readings
from nix_repro.explain.context import Context, Side
from nix_repro.report import Cause, Confidence


class Known(NamedTuple):
    """A value that is known of each side and differs."""

    cause: Cause
    what: str
    a: str
    b: str
    form: str = ""


#: Set by the build tool for itself; the causes they stand for have rules of their own.
PATHS = ("PWD", "OLDPWD", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "NIX_BUILD_TOP")


def _of_machine(context: Context) -> tuple[tuple[Cause, str, str | None, str | None, str], ...]:
    """What a machine and its Nix give to every build: cause, what it is, its value on either side, and form."""
    a, b = context.a, context.b
    return (
        ("build-path", "the build directory", a.build_dir, b.build_dir, ""),
        ("host", "the kernel's release", a.kernel, b.kernel, "kernel"),
        ("host", "the host's name", a.host, b.host, "host"),
        ("cpu", "the processor's model", a.cpu, b.cpu, ""),
    )


def known(context: Context) -> Iterator[Known]:
    a, b = context.a, context.b

    def both(cause: Cause, what: str, left: str | None, right: str | None, form: str = "") -> Iterator[Known]:
        if left and right and left != right and min(len(left), len(right)) >= 3:
            yield Known(cause, what, left, right, form)

    build_dir, *others = _of_machine(context)
    yield from both(*build_dir)
    for name in PATHS:
        yield from both("build-path", f"${name}", a.environment.get(name), b.environment.get(name))
    for other in others:
        yield from both(*other)
    yield from both("locale", "the time zone", a.zone, b.zone, "zone")
    for name in sorted(a.environment.keys() & b.environment.keys() - {"NIX_BUILD_CORES", *PATHS}):
        yield from both("environment", f"${name}", a.environment[name], b.environment[name])


def machine_values(pair: Pair, context: Context) -> Match | None:
    """Each side's token equals what is known of that side."""
    for value in known(context):
        a, b = value.a.encode(), value.b.encode()
        left, right = _occurrences(a, pair.a), _occurrences(b, pair.b)
        if left and len(left) == len(right):
            words = f"each side has {value.what} of its own build: {value.a} and {value.b}"
            return Match(value.cause, "high", words, list(zip(left, right, strict=True)), form=value.form)
    return _rebuilds_value(pair, context)


def _rebuilds_value(pair: Pair, context: Context) -> Match | None:
    """When nobody saw the first build: the rebuild has a value of its own where the other has some other word."""
    for cause, what, unseen, own, form in _of_machine(context):
        for first, last in _occurrences(own.encode(), pair.b) if unseen is None and own and len(own) >= 3 else ():
            # The rest of the line is the same, so the other side's word is what stands in its place.
            (start, end_a), (_, end_b) = pair.changed()
            place = first, len(pair.a) - (len(pair.b) - last)
            word = pair.a[slice(*place)]
            if first <= start and end_b <= last and end_a <= place[1] and len(word) >= 3 and WORD.fullmatch(word):
                words = f"the rebuild has {what} of its own, {own}, where the build, which nobody saw, has another"
                return Match(cause, "low", words, [(place, (first, last))], form=form)
    return None


#: What may be a value of another machine: one word, or a processor's name.
WORD = re.compile(rb"[!-~]{1,200}|[ -~]*(?:CPU|Core|AMD|Intel|ARM)[ -~]*")


def _occurrences(value: bytes, data: bytes) -> list[tuple[int, int]]:
    pattern = re.compile(rb"(?<![A-Za-z0-9])" + re.escape(value) + rb"(?![A-Za-z0-9])")
    return [match.span() for match in pattern.finditer(data)]


#: A zone's name, or how far it is from UTC.
ZONE = re.compile(
    rb"(?<![A-Za-z0-9])(?:UTC|GMT|CES?T|E[SD]T|P[SD]T|JST|BST|IST|MS?K|[+-](?:0\d|1[0-4]):?[0-5]\d)(?![A-Za-z0-9])"
)


class MachineShape(NamedTuple):
    cause: Cause
    what: str
    pattern: re.Pattern[bytes]
    confidence: Confidence
    form: str = ""


SHAPES = (
    MachineShape(
        "build-path",
        "a build directory of Nix",
        re.compile(
            rb"(?:/private)?/tmp/nix-build-[A-Za-z0-9+._?=-]+?\.drv-\d+|/nix/var/nix/builds/[A-Za-z0-9+._?=-]+|(?<![\w.-])/build\d*(?![\w.-])"
        ),
        "high",
    ),
    MachineShape(
        "host",
        "a kernel's release",
        re.compile(rb"(?<=Linux )(?:[^\s\"']+ )?\d+\.\d+\.\d+[A-Za-z0-9.+_-]*|(?<=Darwin )\d+\.\d+\.\d+"),
        "low",
        "kernel",
    ),
    MachineShape(
        "cpu",
        "a processor's speed or model",
        re.compile(rb"(?im)^.*(?:\bMHz|bogomips|model name|stepping|microcode|-march=|-mtune=|\bcpu family).*$"),
        "low",
    ),
    MachineShape(
        "host",
        "the machine's memory, load or disk",
        re.compile(
            rb"(?im)^.*(?:MemTotal|MemFree|MemAvailable|load average|loadavg|uptime|inode|free space|disk space).*$"
            rb"|(?<!\d)\d{1,9}\.\d\d \d{1,9}\.\d\d \d{1,9}\.\d\d(?: \d{1,9}/\d{1,9} \d{1,9})?"
        ),
        "low",
        "host",
    ),
    MachineShape("locale", "a time zone", ZONE, "low", "zone"),
    MachineShape(
        "locale",
        "a locale",
        re.compile(rb"(?<![A-Za-z0-9])(?:C|POSIX|[a-z]{2}_[A-Z]{2})(?:\.(?:UTF-8|utf8|ISO-?8859-\d+))?(?![A-Za-z0-9])"),
        "low",
        "locale",
    ),
)


def machine_shapes(pair: Pair, _context: Context) -> Match | None:
    for shape in SHAPES:
        if found := paired(shape.pattern, pair):
            a, b = (found[0][side][0].decode("latin-1").strip()[:80] for side in (0, 1))
            return Match(
                shape.cause, shape.confidence, f"{a} and {b} look like {shape.what}", spans(found), form=shape.form
            )
    return None


def zones(pair: Pair, context: Context) -> Match | None:
    """The same instant told in two zones: the two readings differ by quarters of an hour, exactly, and no more than
    zones can."""
    if not pair.text:
        return None
    for _, times in readings(CLOCKS, pair):
        for left, right, a, b in times:
            if a.resolution > 60 or not (a.local and b.local):
                continue
            apart = abs(a.seconds - b.seconds)
            if 0 < apart <= 26 * 3600 and apart % 900 == 0 and (not a.period or apart < DAY):
                both = None not in (context.a.zone, context.b.zone)
                told = (both and context.a.zone != context.b.zone) or bool(paired(ZONE, pair))
                sure: Confidence = "high" if told and a.resolution == 1 else "low"
                words = (
                    f"{left[0].decode('latin-1')} and {right[0].decode('latin-1')} are {apart / 3600:g} hours apart "
                    "exactly: "
                    "one instant in two time zones"
                )
                return Match("locale", sure, words, [(left.span(), right.span())], form="zone")
    return None


NUMBER = re.compile(rb"(?<![\w.])(?:-j ?)?\d{1,4}(?![\w.]*\w)|(?<=-j)\d{1,4}|(?<=[=_-])\d{1,4}(?!\w)")
TALK_OF_CORES = re.compile(
    rb"(?i)(?:cores?|cpus?|nproc|jobs?|threads?|parallel|workers?|-j|processors?|shards?)(?![a-z])"
)


def cores(pair: Pair, context: Context) -> Match | None:
    """Numbers that equal the cores each build had."""
    counts = _counts(context.a), _counts(context.b)
    found = [
        (left, right)
        for left, right in paired(NUMBER, pair)
        if any(
            int(re.sub(rb"\D", b"", left[0])) == x and int(re.sub(rb"\D", b"", right[0])) == y and x != y
            for x, y in zip(*counts, strict=True)
        )
    ]
    if not found:
        return _unknown_cores(pair, counts[1]) if counts[0] == (None, None) else None
    sure: Confidence = "high" if TALK_OF_CORES.search(pair.a) or any(len(left[0]) > 1 for left, _ in found) else "low"
    return Match(
        "parallelism", sure, "each side has the number of cores that its own build had", spans(found), form="cores"
    )


NAMED_COUNT = re.compile(
    rb"(?i)(?:n(?:um)?[_-]?(?:threads|cores|cpus|jobs|workers|proc(?:s|essors)?)|(?<![A-Za-z])(?:cpus|cores|jobs|nproc|parallel))"
    rb"[\"']?[ \t]*[:=][ \t]*[\"']?(\d{1,3})(?![\d.])|(?<![A-Za-z0-9])(?:-j ?|--jobs[ =])(\d{1,3})(?!\d)"
)


def _unknown_cores(pair: Pair, again: tuple[int | None, int | None]) -> Match | None:
    """Numbers that are said to be of cores, when nobody knows how many the first build had; of the rebuild, they have
    to be what it had, if that is known."""
    found = paired(NAMED_COUNT, pair) if pair.text else []
    if again != (None, None):
        found = [(left, right) for left, right in found if int(right[right.lastindex or 0]) in again]
    if not found:
        return None
    return Match(
        "parallelism",
        "low",
        "a number of cores or jobs differs; how many the first build had is not known",
        spans(found),
        form="cores",
    )


def _counts(side: Side) -> tuple[int | None, int | None]:
    return side.cores, side.cpus
