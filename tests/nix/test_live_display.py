"""What a person sees while Nix works: how many of how many, and as running only what runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, write_flake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store import NixBox

QUICK = 6
PACKAGES = (
    'slow = mk "slow" "sleep 4; echo > $out" {}; bad = mk "bad" "sleep 1; exit 3" {};'
    'floating = mk "floating" "sleep 1; echo > $out" '
    '{ __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };'
    + "".join(f'quick-{n} = mk "quick-{n}" "sleep 0.5; mkdir $out" {{}};' for n in range(QUICK))
)


def watch(box: NixBox, argv: Sequence[str], cwd: Path, columns: int = 80) -> list[str]:
    """The frames of the live display, each as text without what moves the cursor."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = box.environment({"TERM": "xterm", "NO_COLOR": "1"})
    with subprocess.Popen(
        box.argv(argv), env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
    ):
        os.close(theirs)
        seen = b""
        # At the end of a terminal whose last user has gone there is an error.
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 1 << 16):
                seen += chunk
    os.close(ours)
    return [re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", part) for part in seen.decode().split("●")[1:]]


@pytest.mark.series("2.8", "2.26")
def test_what_is_over_is_not_shown_as_running(sandbox_nix: NixBox) -> None:
    """These versions say only at the end of the whole command that a build has stopped which was asked for by name."""
    sandbox_nix.conf(max_jobs=2)
    flake = write_flake(sandbox_nix, PACKAGES)
    frames = watch(sandbox_nix, [*COMMAND, "check", ".#all"], flake)
    for phase in ("building", "rebuilding"):
        shown = [frame for frame in frames if frame.lstrip().startswith(phase)]
        # While Nix says it, there may be one more for a moment.
        running = [len(re.findall(r"^ +build ", frame, re.MULTILINE)) for frame in shown]
        assert max(running) >= 2
        assert sum(count > 2 for count in running) <= len(running) // 4, (phase, running)
        counted = [(int(a), int(b)) for a, b in re.findall(r"(\d+) of (\d+) built", "".join(shown))]
        total = QUICK + 3 if phase == "building" else QUICK + 2
        assert counted[-1] in ((total - 1, total), (total, total)), counted
    last = [frame for frame in frames if frame.lstrip().startswith("building")][-1]
    assert f"{QUICK + 2} of {QUICK + 3} built, 1 failed" in last or "slow" in last
    assert "bad" not in last
