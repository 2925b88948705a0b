"""Members of both sides are brought together, also where their names differ."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

from sides import STARTED, Tree, explain


def test_members_below_a_directory_whose_name_differs(tmp_path: Path) -> None:
    def packed(at: int) -> Tree:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in ("README", "src/main.c", "src/util.c"):
                archive.addfile(tarfile.TarInfo(f"demo-{time.strftime('%Y%m%d%H%M%S', time.gmtime(at))}/{name}"))
        return {"demo.tar": out.getvalue()}

    (finding,) = explain(tmp_path, packed(STARTED + 1), packed(STARTED + 1201))
    assert (finding.path, finding.cause) == ("demo.tar!demo-20240506070801/README", "timestamp")
