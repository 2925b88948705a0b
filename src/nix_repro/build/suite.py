"""The test phase: the flake's checks, or a command, after the build and apart from it."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nix_repro.build.limits import Limits
from nix_repro.build.outcome import output_paths
from nix_repro.errors import Interrupted, UsageError
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.command import Nix
from nix_repro.nix.log.recorder import Recorder
from nix_repro.plan.base import absent
from nix_repro.plan.installables import flake_checks
from nix_repro.report import SuiteRun

#: Last lines of a failed command's output that are kept.
LINES = 200
#: Characters of one of them.
WIDTH = 500
#: Seconds for which the output of a command that has ended is read on.
LINGER = 1.0


def run_checks(
    nix: Nix, realiser: Realiser, limits: Limits, recorder: Recorder, before: Collection[str], cwd: Path
) -> SuiteRun:
    """Build the checks of the flake in `cwd`. Those whose result is there or in a cache are cached: they are not run.

    What this run has built `before` counts as run, and is not built again.
    """
    broken: dict[str, str] = {}
    try:
        checks = flake_checks(realiser, cwd, broken.__setitem__)
    except UsageError as error:
        return SuiteRun(command="checks", status="not-run" if absent(error) else "failed", log=str(error))
    drvs = nix.derivations(dict.fromkeys(checks.values()))
    realiser.realise(["--keep-going", *limits.args()], drvs, recorder)
    built = {activity.name for activity in recorder.builds} | set(before)
    valid: dict[str, bool] = {}
    for path, drv in drvs.items():
        outputs = output_paths(nix, drv)
        valid[path] = len(outputs) == len(drv.outputs) and not nix.invalid(outputs.values())
    names = {_short(name): path for name, path in checks.items()}
    failed = [*map(_short, broken), *(name for name, path in names.items() if not valid[path])]
    ran = [name for name, path in names.items() if valid[path] and path in built]
    logs = (recorder.log(names[name]) for name in failed if name in names)
    log = next(iter(broken.values()), None) or next((text for text in logs if text is not None), None)
    return SuiteRun(
        command="checks",
        status="failed" if failed else "passed" if ran else "cached",
        ran=tuple(ran),
        cached=tuple(name for name, path in names.items() if valid[path] and path not in built),
        failed=tuple(failed),
        log=log,
    )


def _short(path: str) -> str:
    return path.rpartition(".")[2] if '"' not in path else path


def run_command(nix: Nix, argv: Sequence[str], cwd: Path) -> SuiteRun:
    """Run a command in `cwd` with the environment that builds of this user would have: no tokens of the job.

    It is over when its first process is: what that leaves running is stopped, so that it neither holds up the run nor
    disturbs the rebuild. A signal stops it too; the next use of Nix raises `Interrupted` then.
    """
    shown = shlex.join(argv)
    tail: deque[str] = deque(maxlen=LINES)
    try:
        with nix.processes.child(
            argv, env=_environment(nix), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as child:
            _follow(child, tail)
            child.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGTERM)
    except OSError as error:
        return SuiteRun(command=shown, status="failed", failed=(argv[0],), log=f"{argv[0]}: {error.strerror}")
    except Interrupted as stop:
        return SuiteRun(
            command=shown,
            status="failed",
            log="\n".join([*tail, f"stopped before its end: {signal.Signals(stop.signum).name}"]),
        )
    if child.returncode == 0:
        return SuiteRun(command=shown, status="passed")
    return SuiteRun(command=shown, status="failed", log="\n".join([*tail, f"exit code {child.returncode}"]))


def _environment(nix: Nix) -> Mapping[str, str]:
    """That of builds, with the Nix that the check has found: an installer may leave it outside PATH."""
    path = nix.env.get("PATH", "")
    if shutil.which("nix", path=path) is not None:
        return nix.env
    return {**nix.env, "PATH": os.pathsep.join([*([path] if path else []), str(nix.binary.parent)])}


def _follow(child: subprocess.Popen[bytes], tail: deque[str]) -> None:
    """Read what a process prints until nobody can print any more, or it has ended and others hold its output."""
    assert child.stdout is not None
    output = child.stdout.fileno()
    rest = b""
    ended: float | None = None
    while ended is None or time.monotonic() < ended + LINGER:
        ready = select.select([output], [], [], 0.1)[0]
        if child.poll() is not None:
            if ended is not None and not ready:
                break
            ended = ended or time.monotonic()
        if ready:
            chunk = os.read(output, 1 << 16)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[: 4 * WIDTH]
            tail.extend(line.decode("utf-8", "replace").rstrip("\r")[:WIDTH] for line in lines[-LINES:])
    if rest:
        tail.append(rest.decode("utf-8", "replace").rstrip("\r")[:WIDTH])
