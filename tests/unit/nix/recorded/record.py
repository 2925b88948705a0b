"""Record the logs and JSON in this directory anew, from real runs of every Nix.

`PYTHONPATH=src:tests/support python tests/unit/nix/recorded/record.py`

Every file is what one Nix printed, untouched but for the box's directory and the host's own name, which are the
machine's business.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nixes import SERIES, provide
from store import NixBox, open_box

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
LOG = ("--log-format", "internal-json")


def main() -> None:
    for label in sys.argv[1:] or SERIES:
        directory = HERE / label
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        with open_box(provide(label)) as box, open_box(provide(label)) as other:
            _record(box, other, directory)


def _record(box: NixBox, other: NixBox, to: Path) -> None:
    for one in (box, other):
        one.conf(experimental_features="nix-command flakes ca-derivations impure-derivations")
    old = box.version < (2, 9)
    drvs = _instantiate(box)
    show = ["show-derivation"] if old else ["derivation", "show"]
    (to / "derivations.json").write_text(
        box.nix(*show, "--recursive", *(drvs[name] for name in ("top", "structured", "random", "impure"))).stdout
    )
    good = [drvs["top"], drvs["fixed"]]
    _log(box, to / "success.log", "--realise", "-k", *good)
    paths = box.run(["nix-store", "-q", "--outputs", drvs["a"], drvs["b"]]).stdout.split()
    missing = box.run(["nix-store", "-q", "--outputs", drvs["random"]]).stdout.split()
    (to / "path-info.json").write_text(box.nix("path-info", "--json", "--closure-size", *paths, *missing[:1]).stdout)
    if not old:
        (to / "path-info-2.json").write_text(
            box.nix("path-info", "--json", "--json-format", "2", *paths, check=False).stdout
        )
        if not (to / "path-info-2.json").read_text():
            (to / "path-info-2.json").unlink()
    _hashes(box, to / "hashes.json", paths)
    _log(box, to / "failure.log", "--realise", "-k", drvs["victim"], drvs["full"], drvs["random"])
    _log(box, to / "timeout.log", "--realise", "-k", "--timeout", "1", drvs["slow"])
    _log(box, to / "timeouts.log", "--realise", "-k", "--timeout", "1", drvs["above-slow"], drvs["breaks"])
    _log(box, to / "silent.log", "--realise", "-k", "--max-silent-time", "1", drvs["slow"])
    _log(box, to / "wrong-hash.log", "--realise", "-k", drvs["wrong"])
    _log(box, to / "mismatch.log", "--realise", "-k", "--check", "-K", drvs["random"], drvs["b"])
    _substitution(box, other, to, paths)


def _instantiate(box: NixBox) -> dict[str, str]:
    for name in ("flake.nix", "source.txt"):
        shutil.copy(HERE / name, box.work / name)
    expression = f'builtins.mapAttrs (n: d: d.drvPath) (builtins.getFlake "path:{box.work}").recorded'
    return dict(json.loads(box.nix("eval", "--impure", "--json", "--expr", expression).stdout))


def _hashes(box: NixBox, to: Path, paths: Sequence[str]) -> None:
    """The same hashes in both spellings, by Nix itself."""
    rows = []
    for path in paths:
        nix32 = box.run(["nix-store", "-q", "--hash", path]).stdout.strip()
        rows.append([nix32, box.nix("hash", "to-sri", nix32).stdout.strip()])
    to.write_text(json.dumps(rows, indent=1) + "\n")


def _substitution(box: NixBox, other: NixBox, to: Path, paths: Sequence[str]) -> None:
    """Everything comes from a cache, nothing is built."""
    cache = other.directory / "cache"
    box.nix("copy", "--to", f"file://{cache}", *paths)
    other.conf(require_sigs=False)
    drvs = _instantiate(other)
    for name in ("flake.nix", "source.txt"):
        (other.work / name).unlink()
    _log(
        other,
        to / "substitution.log",
        "--realise",
        "-k",
        "--option",
        "substituters",
        f"file://{cache}",
        drvs["b"],
        drvs["a"],
    )


def _log(box: NixBox, to: Path, *arguments: str) -> None:
    said = box.run(["nix-store", *arguments, *LOG], check=False).stderr
    to.write_text(said.replace(f"{box.directory}/tmp", "/builds").replace(str(box.directory), "/box"))


if __name__ == "__main__":
    main()
