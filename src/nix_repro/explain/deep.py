"""diffoscope, when it is installed: a deep look for people. No verdict and no cause ever rests on it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

SECONDS = 120
MEMORY = 4 << 30
OUTPUT = 5 << 20


class DeepDiff(msgspec.Struct, frozen=True, kw_only=True):
    """diffoscope's report: an HTML file, or null with the reason. `truncated` says that limits cut it."""

    html: Path | None
    truncated: bool = False
    reason: str | None = None


def find_diffoscope(setting: str) -> str | None:
    """The program for `auto`, `never` or a path; null when it is not wanted or, with `auto`, not installed."""
    if setting == "never":
        return None
    return shutil.which("diffoscope" if setting == "auto" else setting)


def deep_diff(program: str, a: Path, b: Path, html: Path, seconds: float = SECONDS, memory: int = MEMORY, output: int = OUTPUT) -> DeepDiff:
    """Runs diffoscope on both sides, within limits of time, memory (bytes) and size of the report (bytes)."""
    html.unlink(missing_ok=True)
    command = [
        program,
        "--html",
        str(html),
        "--max-report-size",
        str(output),
        "--timeout",
        str(max(1, int(seconds * 0.8))),
        "--",
        str(a),
        str(b),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_limits(memory, output),  # noqa: PLW1509 (only system calls, before exec)
        start_new_session=True,
    ) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        # It starts helpers of its own; none may outlive it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    written = html.stat().st_size if html.is_file() else 0
    if not written:
        stopped = (
            f"diffoscope was stopped after {seconds:.0f} s" if code is None else f"diffoscope ended with status {code} and wrote no report"
        )
        return DeepDiff(html=None, truncated=code is None, reason=stopped)
    if code is None or code not in (0, 1):
        return DeepDiff(html=html, truncated=True, reason="diffoscope did not finish; its report is cut")
    cut = (
        written >= output
        or b"Max report size reached" in html.read_bytes()[-(1 << 16) :]
        or b"Max HTML report size reached" in html.read_bytes()
    )
    return DeepDiff(html=html, truncated=cut, reason="diffoscope's report reached its size limit" if cut else None)


def _limits(memory: int, output: int) -> Callable[[], None]:
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (output * 40, output * 40))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return apply
