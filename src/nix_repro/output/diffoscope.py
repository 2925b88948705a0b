"""diffoscope's pages beside the report: one for each output that differs, as long as there is time."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nix_repro.files import private_directory
from nix_repro.observations import Tree
from nix_repro.output.tree_names import tree_names
from nix_repro.report import DerivationReport, Phase, Report

#: Seconds for all of them.
TOTAL = 300.0
DIRECTORY = "diffoscope"


#: Is told which tree is compared next: its name, its number, and how many there are.
Tell = Callable[[str, int, int], None]


def add_deep_diffs(
    report: Report,
    trees: Mapping[str, Tree],
    directory: Path,
    setting: str,
    stopped: Callable[[], bool],
    tell: Tell = lambda *_: None,
) -> Report:
    """Write `diffoscope/NAME-OUTPUT.html` into the report directory for each tree, unless `setting` or the machine has
    no diffoscope; the report says where they are, what was cut or is missing, and how long it took."""
    program = find_diffoscope(setting)
    if program is None or not trees:
        return report
    began = time.monotonic()
    shown = _add_pages(report, trees, directory, program, stopped, tell)
    return _timed(shown, round(time.monotonic() - began, 3))


def _timed(report: Report, seconds: float) -> Report:
    """The report with this as a phase, which comes when all others are over."""
    whole = next((phase for phase in report.phases if phase.name == "total"), None)
    if whole is None:
        return report
    others = [phase for phase in report.phases if phase is not whole]
    own = Phase(name="diffoscope", started=whole.started + whole.seconds, seconds=seconds)
    longer = Phase(name="total", started=whole.started, seconds=round(whole.seconds + seconds, 3))
    return msgspec.structs.replace(report, phases=(*others, own, longer))


def _add_pages(
    report: Report, trees: Mapping[str, Tree], directory: Path, program: str, stopped: Callable[[], bool], tell: Tell
) -> Report:
    end = time.monotonic() + TOTAL
    pages: dict[str, str] = {}
    said: list[str] = []
    (directory / DIRECTORY).mkdir(exist_ok=True)
    for number, (name, tree) in enumerate(trees.items(), 1):
        tell(name, number, len(trees))
        left = min(SECONDS, end - time.monotonic())
        if left <= 0 or stopped():
            said.append(f"{name}: no time was left for it")
            continue
        page = f"{DIRECTORY}/{name.replace('/', '-')}.html"
        try:
            found = deep_diff(program, tree.a, tree.b, directory / page, seconds=left, stopped=stopped)
        except OSError as error:
            said.append(f"{name}: {error.strerror}")
            continue
        if found.html is not None:
            pages[name] = page
        if found.reason is not None:
            said.append(f"{name}: {found.reason}")
    if said:
        said[5:] = [f"and {len(said) - 5} more"] if len(said) > 5 else []
        report = msgspec.structs.replace(
            report, warnings=(*report.warnings, f"diffoscope (for people, no verdict rests on it): {'; '.join(said)}")
        )
    names = tree_names(report)
    return msgspec.structs.replace(
        report, derivations=tuple(_with_pages(d, names.get(d.drv_path), pages) for d in report.derivations)
    )


def _with_pages(derivation: DerivationReport, name: str | None, pages: Mapping[str, str]) -> DerivationReport:
    outputs = {
        output: msgspec.structs.replace(what, diffoscope=pages.get(f"{name}/{output}", what.diffoscope))
        for output, what in derivation.outputs.items()
    }
    return msgspec.structs.replace(derivation, outputs=outputs)


#: Seconds for one comparison.
SECONDS = 120
#: Bytes of address space for it.
MEMORY = 4 << 30
#: Bytes of its page.
OUTPUT = 5 << 20
#: Bytes of one file that it may write, unpacked members among them.
FILE = 1 << 30
#: Ours besides PATH: the programs that it starts read what hostile builds wrote, and need no secret of the job.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH")


_CUT = (b"Max report size reached", b"Max HTML report size reached", b"Max output size reached")


class DeepDiff(msgspec.Struct, frozen=True, kw_only=True):
    """diffoscope's report: an HTML file, or null. `reason` says why there is none, or why it is cut."""

    html: Path | None
    reason: str | None = None


def find_diffoscope(setting: str) -> str | None:
    """The program for `auto`, `never` or a path; null when it is not wanted or, with `auto`, not installed."""
    if setting == "never":
        return None
    return shutil.which("diffoscope" if setting == "auto" else setting)


def deep_diff(
    program: str,
    a: Path,
    b: Path,
    html: Path,
    seconds: float = SECONDS,
    memory: int = MEMORY,
    output: int = OUTPUT,
    stopped: Callable[[], bool] = lambda: False,
) -> DeepDiff:
    """Runs diffoscope on both sides, within limits of time, memory (bytes) and size of the report (bytes), and until
    `stopped` says so. Raises `OSError` when it cannot be started."""
    html.unlink(missing_ok=True)
    command = [
        program,
        "--html",
        str(html),
        "--max-report-size",
        str(output),
        "--timeout",
        str(max(1, int(seconds * 0.8))),
        # When the copies were made, and by whom, is no difference of a store path.
        "--exclude-directory-metadata=recursive",
        "--",
        str(a),
        str(b),
    ]
    with private_directory("nix-repro-diffoscope-") as room:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {
            "TMPDIR": str(room),
            "HOME": str(room),
        }
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=room,
            preexec_fn=_limits(memory),  # noqa: PLW1509 (only system calls, before exec)
            start_new_session=True,
        ) as process:
            code = _wait(process, seconds, stopped)
            # It starts helpers of its own; none may outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return _judge(html, code, seconds, output)


def _wait(process: subprocess.Popen[bytes], seconds: float, stopped: Callable[[], bool]) -> int | None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stopped():
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(min(left, 0.5))
    return None


def _judge(html: Path, code: int | None, seconds: float, output: int) -> DeepDiff:
    written = html.stat().st_size if html.is_file() and not html.is_symlink() else 0
    if not written:
        html.unlink(missing_ok=True)
        stopped = (
            f"diffoscope was stopped after {seconds:.0f} s"
            if code is None
            else f"diffoscope ended with status {code} and wrote no report"
        )
        return DeepDiff(html=None, reason=stopped)
    # The limit holds for what differs; its page has a frame around that.
    if written > 2 * output:
        html.unlink()
        return DeepDiff(html=None, reason=f"diffoscope's report was larger than {output >> 20} MiB")
    if code not in (0, 1):
        return DeepDiff(html=html, reason="diffoscope did not finish; its report is cut")
    text = html.read_bytes()
    cut = written >= output or any(said in text for said in _CUT)
    return DeepDiff(html=html, reason="diffoscope's report reached its size limit" if cut else None)


def _limits(memory: int) -> Callable[[], None]:
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return apply
