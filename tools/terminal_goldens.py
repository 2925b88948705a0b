#!/usr/bin/env python3
"""Records how a terminal shows runs of several sizes, for tests/unit/output/render/test_terminal_goldens.py.

PYTHONPATH=src:tests/support python3 tools/terminal_goldens.py    writes tests/unit/output/golden

Then look at what has changed (git diff), as somebody who has to find out what failed.
"""

from __future__ import annotations

from goldens import COUNTS, GOLDEN, WIDTHS, file_of, golden


def main() -> None:
    """Write every file anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for count in COUNTS:
        for columns in WIDTHS:
            file_of(count, columns).write_text(golden(count, columns), encoding="utf-8")


if __name__ == "__main__":
    main()
