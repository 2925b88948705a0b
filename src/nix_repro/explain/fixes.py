"""What to change in a Nix expression, by cause and by the form in which it shows."""

from __future__ import annotations

from typing import NamedTuple

from nix_repro.report import Cause


class Fix(NamedTuple):
    advice: str
    snippet: str | None = None


CLOCK = Fix(
    "Leave the build time out, or take it from SOURCE_DATE_EPOCH instead of the clock.",
    'date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d   # instead of: date',
)
COMPILED = Fix(
    "gcc and clang take __DATE__ and __TIME__ from SOURCE_DATE_EPOCH if it is set; else leave the macros out.",
    'env.SOURCE_DATE_EPOCH = "315532800";\n# or find the uses:\nenv.NIX_CFLAGS_COMPILE = "-Werror=date-time";',
)
TAR = Fix(
    "Give tar's members a fixed order, time, owner and mode.",
    'tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \\\n'
    "  --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf …",
)
ZIP = Fix(
    "Set the files' times first, add them in a fixed order, and leave extra fields out.",
    'find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +\nfind . -type f | LC_ALL=C sort | TZ=UTC zip -X -@ out.zip',
)
GZIP = Fix("Keep the time and name out of the gzip header, and fix the level.", "gzip -n9 …   # tar: tar -cf - … | gzip -n9")
AR = Fix("Write archives in ar's deterministic mode: zero times and owners.", 'ARFLAGS = "crD";   # and ranlib -D')
PYC = Fix(
    "Compile Python to modules that are checked by hash, or not at all, instead of by the source's time.",
    "python -m compileall --invalidation-mode unchecked-hash …",
)
PACKING = Fix(
    "Pack with fixed settings: the same level, the same number of threads, no name or time in the header.",
    "xz -T1 -9 …; zstd --single-thread -19 …; gzip -n9 …",
)
SORT = Fix(
    "Sort before writing; fix the seed of hashes where the order comes from a set or a map.",
    'env.PYTHONHASHSEED = "0";\nenv.PERL_HASH_SEED = "0";\n# listings: find … | LC_ALL=C sort    make: $(sort $(wildcard …))',
)
BUILD_PATH = Fix(
    "Map the build directory away, or write paths relative to it.",
    'env.NIX_CFLAGS_COMPILE = "-ffile-prefix-map=/build=.";\n# Go: -trimpath    Rust: --remap-path-prefix=$NIX_BUILD_TOP=.',
)
RACE = Fix(
    "Jobs race for the same file: collect their output per job and join it in a fixed order, or build with one job.",
    "enableParallelBuilding = false;",
)
CORES = Fix(
    "Don't let the number of cores reach the output.",
    "# pass a constant where $NIX_BUILD_CORES or nproc is written down or decides how work is cut",
)
DERIVED = Fix("It follows from another difference: mend that one.")

#: By cause and form; an empty form is what holds for the rest.
FIXES: dict[tuple[Cause, str], Fix] = {
    ("timestamp", ""): CLOCK,
    ("timestamp", "compiled"): COMPILED,
    ("timestamp", "gzip"): GZIP,
    ("timestamp", "zip"): ZIP,
    ("timestamp", "tar"): TAR,
    ("timestamp", "ar"): AR,
    ("timestamp", "pyc"): PYC,
    ("timestamp", "duration"): Fix("Leave how long something took out of what is installed."),
    ("ordering", ""): SORT,
    ("ordering", "archive"): Fix(
        "Add members in a fixed order.",
        "tar --sort=name …; find … | LC_ALL=C sort | zip -X -@ …; ar crD lib.a $(printf '%s\\n' *.o | LC_ALL=C sort)",
    ),
    ("randomness", ""): Fix(
        "Derive the value from the content, pass a fixed seed, or make it at first start rather than in the build.",
        '# for example: uuidgen --sha1 --namespace @dns --name "$name"',
    ),
    ("randomness", "mktemp"): Fix(
        "Keep temporary names out of the output: work in a directory with a fixed name.",
        'mkdir -p "$NIX_BUILD_TOP/work"   # instead of: mktemp -d\nenv.NIX_CFLAGS_COMPILE = "-frandom-seed=fixed";',
    ),
    ("build-path", ""): BUILD_PATH,
    ("parallelism", ""): RACE,
    ("parallelism", "cores"): CORES,
    ("parallelism", "parts"): CORES,
    ("host", ""): Fix("Don't record the machine that built it.", "export KBUILD_BUILD_HOST=nix KBUILD_BUILD_USER=nix"),
    ("host", "kernel"): Fix(
        "Don't record the running kernel; what needs a kernel version takes it from an input.",
        "substituteInPlace configure --replace-fail '$(uname -r)' unknown",
    ),
    ("cpu", ""): Fix(
        "Build for a named processor, not for the one at hand, and switch detection off.",
        'env.NIX_CFLAGS_COMPILE = "-march=x86-64";   # not -march=native',
    ),
    ("locale", ""): Fix("Fix the locale.", 'env.LC_ALL = "C.UTF-8";'),
    ("locale", "zone"): Fix("Write times in UTC.", 'env.TZ = "UTC";'),
    ("environment", ""): Fix("Unset the variable, or don't write the environment down."),
    ("address-layout", ""): Fix("Don't print addresses; sort by something else than them; clear memory before it is written."),
    ("address-layout", "pid"): Fix("Don't write process numbers down."),
    ("archive-metadata", ""): PACKING,
    ("archive-metadata", "tar"): TAR,
    ("archive-metadata", "zip"): ZIP,
    ("archive-metadata", "gzip"): GZIP,
    ("archive-metadata", "ar"): AR,
    ("archive-metadata", "pyc"): PYC,
    ("permissions", ""): Fix("Set it to a fixed value when installing."),
    ("permissions", "mode"): Fix("Set the mode when installing.", 'install -m755 … $out/bin/   # or: chmod 755 "$out/bin/…"'),
    ("permissions", "link"): Fix("Link to a fixed target.", "ln -sfn TARGET $out/…"),
    ("propagated", ""): Fix("Nothing here: mend the input."),
    ("unknown", ""): Fix(
        "Look at both sides; rebuild under one change at a time to see what it depends on.", "nix-repro explain INSTALLABLE"
    ),
}


def fix_for(cause: Cause, form: str) -> Fix:
    return FIXES.get((cause, form)) or FIXES[cause, ""]
