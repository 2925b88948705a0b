"""Which variations the rebuilds of everything are given: what was asked for, as far as this machine and its rebuilder
can do it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nix_repro.build.build_dir import kind, usual
from nix_repro.build.rebuild.protocol import Rebuilder, refusal
from nix_repro.build.variations import (
    BUILD_DIR,
    LIBRARY,
    NAMED,
    OTHER_ZONE,
    TIME,
    USUAL_ZONE,
    Condition,
    Kind,
    Machine,
    Need,
    Varied,
    at_once,
    files,
    on_machine,
)
from nix_repro.nix.command import Nix
from nix_repro.report import Variation

_FAKETIME = "faketime/libfaketime.so.1"
#: libfaketime leaves the times of files alone if this variable is set, which no builder does: so it has another name,
#: that of one that is always set.
_WITHOUT_FILES = (b"\0NO_FAKE_STAT\0", b"\0PATH\0" + bytes(len("NO_FAKE_STAT") - len("PATH")))
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")


def varied(wanted: Sequence[str], rounds: int, machine: Machine, rebuilder: Rebuilder, directory: Path) -> Varied:
    """What is wanted, by name, spread over the rebuilds of so many `rounds`. `directory` has the `files` it takes."""
    turns: dict[int, list[Condition]] = {number: [] for number in range(2, rounds + 1)}
    said = [Variation(name=TIME.name, applied=True, reason=TIME.what)]
    for count, name in enumerate(wanted):
        condition = NAMED[name]
        why_not = machine.lacking(condition) or refusal(rebuilder, condition)
        if why_not is None:
            here = on_machine(condition, machine, directory)
            in_turn = [2 + (count + more) % len(turns) for more in range(len(turns))]
            free = next((number for number in in_turn if not _in_the_way(here, turns[number])), None)
            if free is not None:
                turns[free].append(here)
            else:
                why_not = "another variation of the same is in its way: more rounds have room for it"
        said.append(Variation(name=name, applied=why_not is None, reason=why_not or condition.what))
    return Varied({number: at_once(held) for number, held in turns.items() if held}, tuple(said))


def _in_the_way(condition: Condition, others: Iterable[Condition]) -> bool:
    """Whether it changes something that another one does."""
    return any(
        (condition.clock and other.clock) or (condition.cores and other.cores) or (condition.zone and other.zone)
        for other in others
    )


def write_files(condition: Condition, machine: Machine, directory: Path) -> None:
    """Write what a rebuild under the condition takes. Raises `OSError`."""
    for file, text in files(condition, machine, directory).items():
        file.write_text(text, encoding="ascii")
    if condition.clock is not None and machine.libfaketime is not None and not condition.file_times:
        library = directory / LIBRARY / machine.libfaketime.name
        library.parent.mkdir(exist_ok=True)
        library.write_bytes(machine.libfaketime.read_bytes().replace(*_WITHOUT_FILES))


def machine_of(nix: Nix, cores: int | None) -> Machine:
    """What this machine has for variations, where a build is given so many `cores` otherwise, None for Nix's own."""
    room = Path(nix.store_dir()).parent / "var"
    build_dir = usual(nix.settings(), nix.release(), nix.env, room)
    limit = cores if cores is not None else nix.settings().get("cores")
    limited = cores is not None or any(name == "cores" for name, _ in nix.options)
    return this_machine(nix.settings(), limit or os.cpu_count() or 1, kind(build_dir), kind(room), limited=limited)


def this_machine(
    settings: Mapping[str, Any], cores: int, build_on: Kind = "disk", room: Kind = "disk", *, limited: bool = False
) -> Machine:
    """What this machine has for variations. `settings` are Nix's, `cores` what a build is given, `build_on` the kind
    of place where Nix builds otherwise, `room` that of the one where it can be had to build, and `limited` says that
    whoever runs this has set the cores."""
    library = next((path for directory in _LIBRARIES if (path := Path(directory, _FAKETIME)).exists()), None)
    zones = [zone for zone in (OTHER_ZONE, USUAL_ZONE) if not zone.exists()]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    reasons: tuple[tuple[Need, bool, str], ...] = (
        ("sandbox", str(settings.get("sandbox")).lower() == "true", "it needs Nix's sandbox, which is off"),
        ("libfaketime", library is not None, "libfaketime is not installed"),
        ("file-times", _leaves_files(library), "this libfaketime changes the times of files as well"),
        ("zone", not zones, f"there is no {', '.join(map(str, zones))}"),
        ("both-kinds", (build_on, room) != ("memory", "memory"), "not applicable: there is no disk to build on"),
        ("no-limit", not limited, "not applicable: how many cores there are to use was set"),
        ("processors", processors > 1, "not applicable: there is one processor"),
    )
    build_dir = str(settings.get("sandbox-build-dir") or BUILD_DIR)
    lacks = {need: reason for need, met, reason in reasons if not met}
    return Machine(cores, processors, library, build_dir, build_on, lacks)


def _leaves_files(library: Path | None) -> bool:
    """Whether libfaketime can be had to leave the times of files alone."""
    try:
        return library is not None and _WITHOUT_FILES[0] in library.read_bytes()
    except OSError:
        return False
