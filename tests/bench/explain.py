"""Times the comparison of trees: against diffoscope on the same trees in the same run where it is installed, and
against reading both sides in full. Run by hand:

    PYTHONPATH=src python tests/bench/explain.py [DIFFOSCOPE]
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.explain.context import Context
from nix_repro.explain.engine import explain_output

if TYPE_CHECKING:
    from collections.abc import Callable


def many_files(root: Path) -> None:
    """2,000 files of 4 KiB in twenty directories; one of them differs in a byte."""
    for side in ("a", "b"):
        for number in range(2000):
            path = root / side / f"d{number % 20}" / f"f{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%04d " % number * 819)
    (root / "b/d7/f1007.txt").write_bytes((root / "a/d7/f1007.txt").read_bytes()[:-9] + b"changed!\n")


def large_file(root: Path) -> None:
    """200 MB with one differing byte near the end."""
    block = os.urandom(1 << 20)
    for side in ("a", "b"):
        (root / side).mkdir()
        with (root / side / "image").open("wb") as file:
            for number in range(200):
                file.write(block[number:] + block[:number])
            if side == "b":
                file.seek(-12345, os.SEEK_END)
                byte = file.tell()
                file.write(bytes([block[(byte % (1 << 20) + 199) % (1 << 20)] ^ 1]))


def read_everything(root: Path) -> None:
    for side in ("a", "b"):
        for path in sorted((root / side).rglob("*")):
            if path.is_file():
                path.read_bytes()


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else shutil.which("diffoscope")
    for build in (many_files, large_file):
        with tempfile.TemporaryDirectory() as name:
            measure(build, Path(name), program)


def measure(build: Callable[[Path], None], root: Path, program: str | None) -> None:
    build(root)
    ours = timed(lambda: explain_output("out", root / "a", root / "b", Context()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    naive = timed(lambda: read_everything(root))
    print(
        f"{build.__name__}: {ours:.2f} s, peak {peak} MB; reading both sides {naive:.2f} s ({ours / naive:.1f} times "
        "that)"
    )
    if program:
        command = [program, "--text", os.devnull, str(root / "a"), str(root / "b")]
        theirs = timed(lambda: subprocess.run(command, check=False, capture_output=True))
        print(f"  diffoscope {theirs:.2f} s, {theirs / ours:.0f} times ours")


if __name__ == "__main__":
    main()
