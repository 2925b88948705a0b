"""What to change in a Nix expression, by the cause of a difference and the form it takes."""

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
    "gcc and clang take __DATE__ and __TIME__ from SOURCE_DATE_EPOCH if it is set. Set it, or don't use these macros.",
    'env.SOURCE_DATE_EPOCH = "315532800";\n# or find the uses:\nenv.NIX_CFLAGS_COMPILE = "-Werror=date-time";',
)
TAR = Fix(
    "Give the members of the tar archive a fixed order, time, owner and mode.",
    'tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \\\n'
    "  --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf …",
)
ZIP = Fix(
    "Set the times of the files first, add them in a fixed order, and omit extra fields.",
    'find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +\nfind . -type f | LC_ALL=C sort | TZ=UTC zip -X -@ out.zip',
)
GZIP = Fix(
    "Keep the time and the name out of the gzip header, and use a fixed level.",
    "gzip -n9 …   # tar: tar -cf - … | gzip -n9",
)
AR = Fix("Write archives in ar's deterministic mode: zero times and owners.", 'ARFLAGS = "crD";   # and ranlib -D')
CPIO = Fix(
    "Set the files' times first, and write no inode, device or owner.",
    (
        'find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +\nfind . -print0 | LC_ALL=C sort -z | cpio --null '
        "--reproducible -R 0:0 -H newc -o"
    ),
)
PYC = Fix(
    "Compile Python modules so that they are validated by hash, or not at all, instead of by the time of the source.",
    "python -m compileall --invalidation-mode unchecked-hash …",
)
PACKING = Fix(
    "Pack with fixed settings: the same level and number of threads, and no name or time in the header.",
    "xz -T1 -9 …; zstd --single-thread -19 …; gzip -n9 …",
)
SORT = Fix(
    "Sort before writing. If the order comes from a set or a map, fix the hash seed.",
    (
        'env.PYTHONHASHSEED = "0";\nenv.PERL_HASH_SEED = "0";\n# listings: find … | LC_ALL=C sort    make: $(sort '
        "$(wildcard …))"
    ),
)
BUILD_PATH = Fix(
    "Map the build directory to a fixed path, or write relative paths.",
    (
        'env.NIX_CFLAGS_COMPILE = "-ffile-prefix-map=/build=.";\n# Go: -trimpath    Rust: '
        "--remap-path-prefix=$NIX_BUILD_TOP=."
    ),
)
RACE = Fix(
    (
        "Parallel jobs write to the same file. Let each job write its own and join them in a fixed order, or build "
        "with "
        "one job."
    ),
    "enableParallelBuilding = false;",
)
CORES = Fix(
    "Don't let the number of cores reach the output.",
    "# pass a constant where $NIX_BUILD_CORES or nproc is written down or decides how work is cut",
)
DERIVED = Fix("It follows from another difference: fix that one.")

#: By cause and form; an empty form is what holds for the rest.
FIXES: dict[tuple[Cause, str], Fix] = {
    ("timestamp", ""): CLOCK,
    ("timestamp", "compiled"): COMPILED,
    ("timestamp", "coverage"): Fix(
        "gcc takes the stamp of notes of coverage from the clock, unless it is told a seed. Don't install .gcno files, "
        "or tell it.",
        'env.NIX_CFLAGS_COMPILE = "-frandom-seed=fixed";',
    ),
    ("timestamp", "gzip"): GZIP,
    ("timestamp", "zip"): ZIP,
    ("timestamp", "tar"): TAR,
    ("timestamp", "ar"): AR,
    ("timestamp", "cpio"): CPIO,
    ("timestamp", "pyc"): PYC,
    ("timestamp", "duration"): Fix("Keep durations out of what is installed."),
    ("ordering", ""): SORT,
    ("ordering", "archive"): Fix(
        "Add members in a fixed order.",
        "tar --sort=name …; find … | LC_ALL=C sort | zip -X -@ …; ar crD lib.a $(printf '%s\\n' *.o | LC_ALL=C sort)",
    ),
    ("randomness", ""): Fix(
        (
            "Derive the value from the content, pass a fixed seed, or generate it at first start instead of during the "
            "build."
        ),
        '# for example: uuidgen --sha1 --namespace @dns --name "$name"',
    ),
    ("randomness", "mktemp"): Fix(
        "Keep temporary names out of the output: work in a directory with a fixed name.",
        'mkdir -p "$NIX_BUILD_TOP/work"   # instead of: mktemp -d\nenv.NIX_CFLAGS_COMPILE = "-frandom-seed=fixed";',
    ),
    ("randomness", "build-id"): Fix(
        "Let the linker make the build-id of what it links, not draw it.",
        'env.NIX_LDFLAGS = "--build-id=sha1";',
    ),
    ("build-path", ""): BUILD_PATH,
    ("parallelism", ""): RACE,
    ("parallelism", "race"): Fix(
        f"{RACE.advice} If it is always the same with one job, it is a race.",
        "enableParallelBuilding = false;   # to find out: nix-repro check … --explain experiments",
    ),
    ("parallelism", "sum"): Fix(
        "Add numbers in a fixed order, whichever thread is ready first, or with one thread.",
        'env.OMP_NUM_THREADS = "1";   # to find out: nix-repro check … --explain experiments',
    ),
    ("parallelism", "cores"): CORES,
    ("parallelism", "parts"): CORES,
    ("host", ""): Fix("Don't record the machine that built it.", "export KBUILD_BUILD_HOST=nix KBUILD_BUILD_USER=nix"),
    ("host", "kernel"): Fix(
        "Don't record the running kernel. Take a kernel version that is needed from an input.",
        "substituteInPlace configure --replace-fail '$(uname -r)' unknown",
    ),
    ("cpu", ""): Fix(
        "Build for a named processor instead of the one that runs the build, and disable detection.",
        'env.NIX_CFLAGS_COMPILE = "-march=x86-64";   # not -march=native',
    ),
    ("locale", ""): Fix("Set a fixed locale.", 'env.LC_ALL = "C.UTF-8";'),
    ("locale", "sort"): Fix("Sort by bytes, whatever the locale.", "LC_ALL=C sort …"),
    ("locale", "zone"): Fix("Write times in UTC.", 'env.TZ = "UTC";'),
    ("environment", ""): Fix("Unset the variable, or don't write the environment to the output."),
    ("environment", "width"): Fix("Set the width of what is written for a terminal.", 'env.COLUMNS = "80";'),
    ("address-layout", ""): Fix(
        "Don't print addresses or sort by them, and clear memory before it is written to a file."
    ),
    ("address-layout", "pid"): Fix("Don't write process IDs to the output."),
    ("archive-metadata", ""): PACKING,
    ("archive-metadata", "tar"): TAR,
    ("archive-metadata", "zip"): ZIP,
    ("archive-metadata", "gzip"): GZIP,
    ("archive-metadata", "ar"): AR,
    ("archive-metadata", "cpio"): CPIO,
    ("archive-metadata", "pyc"): PYC,
    ("permissions", ""): Fix("Set it to a fixed value when installing."),
    ("permissions", "mode"): Fix(
        "Set the mode when installing.", 'install -m755 … $out/bin/   # or: chmod 755 "$out/bin/…"'
    ),
    ("permissions", "link"): Fix("Link to a fixed target.", "ln -sfn TARGET $out/…"),
    ("propagated", ""): Fix("Nothing to change here: fix the input."),
    ("stale-hash", ""): Fix(
        "If what comes now is wanted, put its hash there; else undo the change of where it comes from."
    ),
    ("unknown", "unread"): Fix(
        "Unpack both sides with the program that is named, and compare what comes out. diffoscope does so where that "
        "is installed.",
    ),
    ("unknown", ""): Fix(
        "Compare both sides, and rebuild under one change at a time to find out what it depends on.",
        "nix-repro explain INSTALLABLE",
    ),
}


#: By cause and by what made the file, which says more than the form.
OF_PRODUCER: dict[tuple[Cause, str], Fix] = {
    ("timestamp", "go"): Fix(
        "Go records no time by itself: it is given with -X. Give it a fixed one, or none.",
        'ldflags = [ "-X main.date=1970-01-01T00:00:00Z" ];   # instead of $(date …)',
    ),
    ("build-path", "go"): Fix("Let Go leave out the paths of what it compiles.", 'GOFLAGS = [ "-trimpath" ];'),
    ("timestamp", "rust"): Fix(
        "rustc has no macro for the time: build.rs sets it. Crates such as vergen take it from SOURCE_DATE_EPOCH.",
        'env.SOURCE_DATE_EPOCH = "315532800";   # and in build.rs: no SystemTime::now()',
    ),
    ("build-path", "rust"): Fix(
        "Map the build directory to a fixed path: since Nix 2.30 its name differs, in length too, without a sandbox.",
        "preBuild = ''export RUSTFLAGS=\"$RUSTFLAGS --remap-path-prefix $NIX_BUILD_TOP=/build\"'';",
    ),
    **{
        (cause, "mkmf"): Fix(
            "Don't install what mkmf and gem leave behind: logs and makefiles name temporary files and the time.",
            "find $out -name mkmf.log -o -name gem_make.out -o -name Makefile | xargs rm -f",
        )
        for cause in ("randomness", "timestamp", "build-path", "unknown")
    },
    **{
        (cause, "luajit"): Fix(
            "LuaJIT writes tables in the order of its hashes, which it seeds anew. Let it write them in a fixed one.",
            "luajit -bd …   # d: deterministic; or a version whose -b is",
        )
        for cause in ("ordering", "randomness", "unknown")
    },
    ("timestamp", "rcc"): Fix(
        "Qt's resource compiler records when each file was changed, unless it writes the first version of its format.",
        "rcc --format-version 1 …   # or QT_RCC_SOURCE_DATE_OVERRIDE=$SOURCE_DATE_EPOCH",
    ),
    ("timestamp", "r"): Fix(
        "R records when it built a package, unless it is told when.",
        'R CMD INSTALL --built-timestamp="1970-01-01 00:00:00 UTC" …',
    ),
}


def fix_for(cause: Cause, form: str, producer: str = "") -> Fix:
    """The advice for a cause, by what made the file if that is known, else by its form."""
    if (fix := OF_PRODUCER.get((cause, producer))) is not None:
        return fix
    return FIXES.get((cause, form)) or FIXES[cause, ""]
