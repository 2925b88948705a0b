"""Trees deeper than Python recurses, made by descriptors: a path from the beginning costs what it is long."""

from __future__ import annotations

import os
from pathlib import Path

from nix_repro.files import Descent

#: Directories within each other; Python recurses 1,000 times.
DEPTH = 1100


def deep_tree(top: Path, depth: int = DEPTH, name: str = "d", *, file: bytes = b"") -> None:
    """`depth` directories of this name below `top`, which is made, and a file `f` in the last one."""
    top.mkdir()
    with Descent(top) as here:
        for _ in range(depth):
            os.mkdir(name, dir_fd=here.fd)
            here.down(name)
        with open(os.open("f", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here.fd), "wb") as last:
            last.write(file)
