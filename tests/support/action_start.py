"""The first step of action.yml, run by itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

START = Path(__file__).parents[2] / "bin" / "lib" / "action-start"
DEFAULTS = {
    "ID": "",
    "INSTALL_NIX": "never",
    "CACHE_INPUT": "none",
    "CACHIX_NAME": "",
    "JOB_INDEX": "",
    "GITHUB_JOB": "test",
}


def start(tmp_path: Path, **environ: str) -> tuple[int, dict[str, str], str]:
    """Run it. Returns the exit code, the outputs, and what it printed."""
    output = tmp_path / "output"
    output.write_text("")
    values = {
        "PATH": os.environ["PATH"],
        "GITHUB_OUTPUT": str(output),
        "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "ARM64",
        **DEFAULTS,
        **environ,
    }
    done = subprocess.run([START], env=values, cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.returncode, dict(line.partition("=")[::2] for line in output.read_text().splitlines()), done.stdout
