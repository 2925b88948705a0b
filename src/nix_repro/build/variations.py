"""The table of variations: what a rebuild can be given otherwise than its build, one row each.

Experiments, the shadow helper's words, the description of a side and the report all go by it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

#: What a machine may lack.
Need = Literal["sandbox", "libfaketime", "zone"]

#: Seconds between the starts of a build and of its rebuild, so that stamps of a second's resolution differ.
TIME_GAP = 2.0
#: By how many days the clock is shifted.
LATER = 400
#: What other time zone there is, if tzdata is installed.
OTHER_ZONE = Path("/usr/share/zoneinfo/Asia/Tokyo")


@dataclass(frozen=True)
class Condition:
    """A row: something that a rebuild holds different from the build, or still. `what` completes "with …".

    It is brought about by settings (`options`) and arguments for Nix, a wrapper that the shadow helper knows by the
    word `under`, a build directory in memory, what libfaketime is told of the `clock`, and a file for the time `zone`.
    A build sees `cores`, `cpus` and `build_dir`, and a clock that is `clock_shift` seconds ahead. `needs` is what the
    machine has to have for it.
    """

    name: str
    what: str
    needs: tuple[Need, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    under: str = ""
    memory_build_dir: bool = False
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
#: Which number, depends on how many cores a build has otherwise: see `set_up`.
CORES = Condition("cores", "another number of cores")
DIRECTORY_ORDER = Condition(
    "directory-order",
    "the build directory in memory, where directories are listed in another order",
    memory_build_dir=True,
)
BUILD_PATH = Condition(
    "build-path",
    "another build directory",
    needs=("sandbox",),
    options=(("sandbox-build-dir", "/build-elsewhere"),),
    build_dir="/build-elsewhere",
)
KERNEL = Condition("kernel", "another kernel release", under="other-kernel")
ZONE = Condition("zone", "another time zone", needs=("sandbox", "zone"), zone=OTHER_ZONE)

#: All that only some rebuilders can do, on some machines.
TABLE = (CLOCK_FROZEN, CLOCK_SHIFTED, ONE_CPU, CORES, DIRECTORY_ORDER, BUILD_PATH, KERNEL, ZONE)


@dataclass(frozen=True)
class Machine:
    """What matters of the machine that rebuilds: the `cores` that a build has otherwise, where libfaketime is, and for
    each need that it does not meet the reason."""

    cores: int
    libfaketime: Path | None = None
    lacks: Mapping[Need, str] = field(default_factory=dict)

    def lacking(self, condition: Condition) -> str | None:
        """Why the condition cannot be had here, or None."""
        return next((self.lacks[need] for need in condition.needs if need in self.lacks), None)


#: Where the sandbox shows libfaketime.
_INSIDE = "/nix-repro-clock"


def on_machine(condition: Condition, machine: Machine, directory: Path) -> Condition:
    """The condition with what it takes on this machine, which does not lack it. `directory` has its `files`."""
    if condition is CORES:
        more = machine.cores + 1
        other = ONE_CPU if machine.cores > 1 else replace(CORES, args=("--cores", str(more)), cores=more)
        return replace(other, name=CORES.name, what=CORES.what)
    shown: dict[str, Path] = {}
    if condition.zone is not None:
        shown["/etc/localtime"] = condition.zone
    if condition.clock is not None and machine.libfaketime is not None:
        shown["/etc/ld.so.preload"], shown["/etc/faketimerc"] = _preload(directory), directory / condition.name
        shown[_INSIDE] = machine.libfaketime.parent
    if not shown:
        return condition
    paths = " ".join(f"{inside}={outside}" for inside, outside in shown.items())
    return replace(condition, options=(*condition.options, ("extra-sandbox-paths", paths)))


def files(condition: Condition, machine: Machine, directory: Path) -> dict[Path, str]:
    """What has to be written before the rebuild, text by path."""
    if condition.clock is None or machine.libfaketime is None:
        return {}
    return {
        _preload(directory): f"{_INSIDE}/{machine.libfaketime.name}\n",
        directory / condition.name: f"{condition.clock}\n",
    }


def _preload(directory: Path) -> Path:
    return directory / "preload"
