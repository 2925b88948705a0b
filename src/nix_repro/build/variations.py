"""The table of variations: what a rebuild can be given otherwise than its build, one row each.

Experiments, the shadow helper's words, the description of a side and the report all go by it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

#: What a machine may lack.
Need = Literal["sandbox", "libfaketime", "zone", "both-kinds"]
#: Where a build directory may lie: on a disk, which lists a directory by a hash or as it was filled, or in memory.
Kind = Literal["disk", "memory"]

#: Seconds between the starts of a build and of its rebuild, so that stamps of a second's resolution differ.
#: What the wait is for that makes it.
GAP = "because within one second, builds would agree on every time by chance"
TIME_GAP = 2.0
#: By how many days the clock is shifted.
LATER = 400
#: What other time zone there is, if tzdata is installed, and the one that a sandbox has anyway.
OTHER_ZONE = Path("/usr/share/zoneinfo/Asia/Tokyo")
USUAL_ZONE = Path("/usr/share/zoneinfo/Etc/UTC")


@dataclass(frozen=True)
class Condition:
    """A row: something that a rebuild holds different from the build, or still. `what` completes "with …".

    It is brought about by settings (`options`) and arguments for Nix, a wrapper that the shadow helper knows by the
    word `under`, the kind of place `build_on` that the build directory is put in, what libfaketime is told of the
    `clock`, and a file for the time `zone`. A build sees `cores`, `cpus` and `build_dir`, and a clock that is
    `clock_shift` seconds ahead. `needs` is what the machine has to have for it.
    """

    name: str
    what: str
    needs: tuple[Need, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    under: str = ""
    build_on: Kind | None = None
    clock: str | None = None
    zone: Path | None = None
    cores: int | None = None
    cpus: int | None = None
    build_dir: str | None = None
    clock_shift: int = 0


#: Of every rebuild, by every rebuilder.
TIME = Condition("time", f"at least {TIME_GAP:g} s between a build and its rebuild")
CLOCK_FROZEN = Condition(
    "clock-frozen", "the clock frozen", needs=("sandbox", "libfaketime"), clock="2021-04-05 06:07:08"
)
CLOCK_SHIFTED = Condition(
    "clock-shifted",
    f"the clock {LATER} days ahead",
    needs=("sandbox", "libfaketime"),
    clock=f"+{LATER}d",
    clock_shift=LATER * 86400,
)
# Also one job at a time: builds that share the only processor would disturb each other.
ONE_CPU = Condition("one-cpu", "one core", args=("--cores", "1", "--max-jobs", "1"), under="one-cpu", cores=1, cpus=1)
#: Which number, depends on how many cores a build has otherwise: see `on_machine`.
CORES = Condition("cores", "another number of cores")
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
KERNEL = Condition("kernel", "another kernel release", under="other-kernel")
ZONE = Condition("zone", "another time zone", needs=("sandbox", "zone"), zone=OTHER_ZONE)

#: All that only some rebuilders can do, on some machines.
TABLE = (CLOCK_FROZEN, CLOCK_SHIFTED, ONE_CPU, CORES, DIRECTORY_ORDER, BUILD_PATH, KERNEL, ZONE)

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
    ONE_CPU.name: Condition("one-cpu-placebo", "one build at a time", args=("--max-jobs", "1")),
    KERNEL.name: Condition("kernel-placebo", "a personality of the process without effect", under="other-personality"),
    ZONE.name: replace(ZONE, name="zone-placebo", what="the usual time zone given as a file", zone=USUAL_ZONE),
}


@dataclass(frozen=True)
class Machine:
    """What matters of the machine that rebuilds: the `cores` that a build has otherwise, the `build_dir` that it sees
    in the sandbox, the kind of place `build_on` in which that lies, where libfaketime is, and for each need that the
    machine does not meet the reason."""

    cores: int
    libfaketime: Path | None = None
    build_dir: str = "/build"
    build_on: Kind = "disk"
    lacks: Mapping[Need, str] = field(default_factory=dict)

    def lacking(self, condition: Condition) -> str | None:
        """Why the condition cannot be had here, or None."""
        return next((self.lacks[need] for need in condition.needs if need in self.lacks), None)


#: Where the sandbox shows libfaketime.
_INSIDE = "/nix-repro-clock"


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
        shown[_INSIDE] = machine.libfaketime.parent
    if not shown:
        return condition
    paths = " ".join(f"{inside}={outside}" for inside, outside in shown.items())
    return replace(condition, options=(*condition.options, ("extra-sandbox-paths", paths)))


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
