"""The table of variations: what a rebuild can be given otherwise than its build, one row each.

Experiments, the shadow helper's words, the description of a side and the report all go by it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from nix_repro.report import Variation

#: What a machine may lack.
Need = Literal["sandbox", "libfaketime", "file-times", "zone", "both-kinds", "processors", "no-limit"]
#: Where a build directory may lie: on a disk, which lists a directory by a hash or as it was filled, or in memory.
Kind = Literal["disk", "memory"]

#: Seconds between the starts of a build and of its rebuild, so that stamps of a second's resolution differ.
#: What the wait is for that makes it.
GAP = "because within one second, builds would agree on every time by chance"
TIME_GAP = 2.0
#: By how many days the clock is shifted.
LATER = 400
#: By how many years it is for builds that stop working one day: past 2038, when 32 bits are too few for the time.
MUCH_LATER = 16
#: Seconds in a year, as libfaketime has it.
YEAR = 365 * 86400
#: Where Nix's sandbox puts the build directory, unless it is set otherwise.
BUILD_DIR = "/build"
#: What other time zone there is, if tzdata is installed, and the one that a sandbox has anyway.
OTHER_ZONE = Path("/usr/share/zoneinfo/Asia/Tokyo")
USUAL_ZONE = Path("/usr/share/zoneinfo/Etc/UTC")


@dataclass(frozen=True)
class Condition:
    """A row: something that a rebuild holds different from the build, or still. `what` completes "with …".

    It is brought about by settings (`options`) and arguments for Nix, wrappers that the shadow helper knows by the
    words in `under`, the kind of place `build_on` that the build directory is put in, what libfaketime is told of the
    `clock` and whether it gives the times of files as well (`file_times`), and a file for the time `zone`. A build sees
    `cores`, `cpus` and `build_dir`, and a clock that is `clock_shift` seconds ahead. `needs` is what the machine has to
    have for it. `parts` are the names of those that are brought about together.
    """

    name: str
    what: str
    needs: tuple[Need, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    build_on: Kind | None = None
    clock: str | None = None
    file_times: bool = True
    zone: Path | None = None
    cores: int | None = None
    cpus: int | None = None
    build_dir: str | None = None
    clock_shift: int = 0
    parts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its own, or those of its parts."""
        return self.parts or (self.name,)


#: Of every rebuild, by every rebuilder.
TIME = Condition("time", f"at least {TIME_GAP:g} s between a build and its rebuild")
CLOCK_FROZEN = Condition(
    "clock-frozen", "the clock frozen", needs=("sandbox", "libfaketime"), clock="2021-04-05 06:07:08"
)
CLOCK_SHIFTED = Condition(
    "clock-shifted",
    f"the clock {LATER} days ahead",
    needs=("sandbox", "libfaketime", "file-times"),
    clock=f"+{LATER}d",
    file_times=False,
    clock_shift=LATER * 86400,
)
FUTURE = Condition(
    "future",
    f"the clock {MUCH_LATER} years ahead",
    needs=("sandbox", "libfaketime", "file-times"),
    clock=f"+{MUCH_LATER}y",
    file_times=False,
    clock_shift=MUCH_LATER * YEAR,
)
# Also one job at a time: builds that share the only processor would disturb each other.
ONE_CPU = Condition(
    "one-cpu", "one core", args=("--cores", "1", "--max-jobs", "1"), under=("one-cpu",), cores=1, cpus=1
)
#: Which number, depends on how many cores a build has otherwise: see `on_machine`.
CORES = Condition("cores", "another number of cores")
#: How many, depends on how many it has otherwise: see `on_machine`. That costs nothing, and fewer do.
MORE_CORES = Condition("more-cores", "one core more to use", needs=("no-limit",))
FEWER_PROCESSORS = Condition(
    "fewer-processors", "one processor less", needs=("processors",), under=("fewer-processors",)
)
NICE = Condition("nice", "a lower priority", under=("nice",))
#: Where to, depends on where it is otherwise: see `on_machine`.
DIRECTORY_ORDER = Condition(
    "directory-order", "the build directory moved between disk and memory", needs=("both-kinds",), build_on="memory"
)
# Of the usual one's length: how much room names and variables take is to stay as it is.
BUILD_PATH = Condition(
    "build-path",
    "another build directory",
    needs=("sandbox",),
    options=(("sandbox-build-dir", "/other"),),
    build_dir="/other",
)
KERNEL = Condition("kernel", "another kernel release", under=("other-kernel",))
ZONE = Condition("zone", "another time zone", needs=("sandbox", "zone"), zone=OTHER_ZONE)

#: All that only some rebuilders can do, on some machines.
TABLE = (
    CLOCK_FROZEN,
    CLOCK_SHIFTED,
    FUTURE,
    ONE_CPU,
    CORES,
    MORE_CORES,
    FEWER_PROCESSORS,
    NICE,
    DIRECTORY_ORDER,
    BUILD_PATH,
    KERNEL,
    ZONE,
)

#: What can be asked for by name.
NAMED = {
    condition.name: condition
    for condition in (
        MORE_CORES,
        NICE,
        CORES,
        FEWER_PROCESSORS,
        CLOCK_SHIFTED,
        FUTURE,
        DIRECTORY_ORDER,
        BUILD_PATH,
        KERNEL,
        ZONE,
    )
}
#: What costs nothing and breaks no honest build.
DEFAULT = (MORE_CORES.name, NICE.name)
#: What there is, but for what is in the way of another.
ALL = tuple(name for name in NAMED if name not in (MORE_CORES.name, FUTURE.name))

#: By the name of a condition: the same means without the effect. Whatever follows from the means alone (a file or a
#: variable more, another personality of the process, no build beside it) follows from its placebo as well. The fake
#: clock is told the right time in words of the same length. The others add nothing that a build could see.
PLACEBOS = {
    CLOCK_FROZEN.name: replace(
        CLOCK_FROZEN,
        name="clock-frozen-placebo",
        what="the fake clock showing the right time",
        clock="+".ljust(len("2021-04-05 06:07:08"), "0"),
    ),
    CLOCK_SHIFTED.name: replace(
        CLOCK_SHIFTED,
        name="clock-shifted-placebo",
        what="the fake clock showing the right time",
        clock="+000d",
        clock_shift=0,
    ),
    FUTURE.name: replace(
        FUTURE, name="future-placebo", what="the fake clock showing the right time", clock="+00y", clock_shift=0
    ),
    ONE_CPU.name: Condition("one-cpu-placebo", "one build at a time", args=("--max-jobs", "1")),
    KERNEL.name: Condition(
        "kernel-placebo", "a personality of the process without effect", under=("other-personality",)
    ),
    ZONE.name: replace(ZONE, name="zone-placebo", what="the usual time zone given as a file", zone=USUAL_ZONE),
}


@dataclass(frozen=True)
class Machine:
    """What matters of the machine that rebuilds: the `cores` that a build has otherwise, the `processors` that it may
    run on, the `build_dir` that it sees in the sandbox, the kind of place `build_on` in which that lies, where
    libfaketime is, and for each need that the machine does not meet the reason."""

    cores: int
    processors: int = 1
    libfaketime: Path | None = None
    build_dir: str = BUILD_DIR
    build_on: Kind = "disk"
    lacks: Mapping[Need, str] = field(default_factory=dict)

    def lacking(self, condition: Condition) -> str | None:
        """Why the condition cannot be had here, or None."""
        return next((self.lacks[need] for need in condition.needs if need in self.lacks), None)


#: Where the sandbox shows libfaketime, and the directory of the one that leaves the times of files alone.
_INSIDE = "/nix-repro-clock"
LIBRARY = "library"


def on_machine(condition: Condition, machine: Machine, directory: Path) -> Condition:
    """The condition with what it takes on this machine, which does not lack it. `directory` has its `files`."""
    if condition is CORES:
        number = other_number(machine.cores)
        args = ("--cores", str(number))
        other = (
            replace(ONE_CPU, args=(*args, "--max-jobs", "1"), cores=number)
            if number < machine.cores
            else replace(CORES, args=args, cores=number)
        )
        return replace(other, name=CORES.name, what=CORES.what)
    if condition is MORE_CORES:
        return replace(MORE_CORES, args=("--cores", str(machine.cores + 1)), cores=machine.cores + 1)
    if condition is FEWER_PROCESSORS:
        return replace(FEWER_PROCESSORS, cpus=machine.processors - 1)
    if condition is DIRECTORY_ORDER and machine.build_on == "memory":
        return replace(DIRECTORY_ORDER, build_on="disk")
    if condition is BUILD_PATH:
        build_dir = other_path(machine.build_dir)
        return replace(BUILD_PATH, options=(("sandbox-build-dir", build_dir),), build_dir=build_dir)
    shown: dict[str, Path] = {}
    if condition.zone is not None:
        shown["/etc/localtime"] = condition.zone
    if condition.clock is not None and machine.libfaketime is not None:
        shown["/etc/ld.so.preload"], shown["/etc/faketimerc"] = _preload(directory), directory / "clock"
        # With a clock that is ahead, a file of the store would be as old on one side as it is young on the other.
        shown[_INSIDE] = machine.libfaketime.parent if condition.file_times else directory / LIBRARY
    if not shown:
        return condition
    paths = " ".join(f"{inside}={outside}" for inside, outside in shown.items())
    return replace(condition, options=(*condition.options, ("extra-sandbox-paths", paths)))


def at_once(conditions: Sequence[Condition]) -> Condition:
    """One of these conditions, all as `on_machine` has them, for a rebuild of everything: what keeps builds out of each
    other's way in an experiment would cost too much there, and is left out."""
    if not conditions:
        return TIME
    options: dict[str, list[str]] = {}
    for name, value in (option for condition in conditions for option in condition.options):
        options.setdefault(name, []).append(value)
    cores = next((condition.cores for condition in conditions if condition.cores), None)
    return Condition(
        "varied",
        ", ".join(condition.what for condition in conditions),
        options=tuple((name, " ".join(values)) for name, values in options.items()),
        args=("--cores", str(cores)) if cores else (),
        under=tuple(word for condition in conditions for word in condition.under if word not in ONE_CPU.under),
        build_on=next((condition.build_on for condition in conditions if condition.build_on), None),
        clock=next((condition.clock for condition in conditions if condition.clock), None),
        file_times=all(condition.file_times for condition in conditions),
        zone=next((condition.zone for condition in conditions if condition.zone), None),
        cores=cores,
        cpus=next((c.cpus for c in conditions if c.cpus and c.name == FEWER_PROCESSORS.name), None),
        build_dir=next((condition.build_dir for condition in conditions if condition.build_dir), None),
        clock_shift=sum(condition.clock_shift for condition in conditions),
        parts=tuple(condition.name for condition in conditions),
    )


def other_number(cores: int) -> int:
    """Another number of cores with as many digits, so that a variable takes no less room: a smaller one if there is
    one."""
    least: int = 10 ** (len(str(cores)) - 1)
    return least if cores > least else cores + 1


def other_path(usual: str) -> str:
    """Another path of the same length."""
    names = (("/" + word * len(usual))[: len(usual)] for word in ("other", "place"))
    return next(name for name in names if name != usual)


def files(condition: Condition, machine: Machine, directory: Path) -> dict[Path, str]:
    """What has to be written before the rebuild, text by path."""
    if condition.clock is None or machine.libfaketime is None:
        return {}
    return {
        _preload(directory): f"{_INSIDE}/{machine.libfaketime.name}\n",
        directory / "clock": f"{condition.clock}\n",
    }


def _preload(directory: Path) -> Path:
    return directory / "preload"


@dataclass(frozen=True)
class Varied:
    """What rebuilds hold different: their `conditions` by the number of the round, and what is said of each variation
    that was asked for."""

    conditions: Mapping[int, Condition] = field(default_factory=dict)
    said: tuple[Variation, ...] = (Variation(name=TIME.name, applied=True, reason=TIME.what),)

    @property
    def applied(self) -> list[str]:
        """What some rebuild really held different, besides the time."""
        return [name for condition in self.conditions.values() for name in condition.parts]

    def of(self, round_number: int) -> Condition:
        """The condition of a round."""
        return self.conditions.get(round_number, TIME)


#: Nothing is held different but the time.
AS_USUAL = Varied()
