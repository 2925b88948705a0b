"""Store paths set aside, as a small binary cache in a directory.

Nix takes them back from there with all that it knew of them: signatures, how a name follows from the content, and what
a content-addressed derivation has made. An export (`nix-store --export`) holds nothing of that. And an ordinary user
can read there what the store no longer has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from nix_repro.build.rebuild.moving import copy, in_turns
from nix_repro.nix.command import NO_WORK, Nix, NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.hashes import nix32
from nix_repro.nix.store_path import StorePath, outputs_of

#: Directories that can stand in a store's URL as they are.
_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]*")


class Aside:
    """The cache in `directory`, which it makes. `url` names it to Nix, `infos` is what the store knew of the paths in
    it.

    Raises `OSError` when it cannot be written there, and `NixError` when Nix cannot be told where it is.
    """

    def __init__(self, nix: Nix, directory: Path) -> None:
        if not _PLAIN.fullmatch(str(directory)):
            raise NixError(f"{directory} cannot stand in the URL of a store")
        self._nix = nix
        self.directory = directory
        self.url = f"file://{directory}"
        self.infos: dict[str, PathInfo] = {}
        (directory / "nar").mkdir(parents=True)
        (directory / "nix-cache-info").write_text(f"StoreDir: {nix.store_dir()}\n", encoding="utf-8")

    def take(self, paths: Iterable[str]) -> None:
        """Set valid paths aside with their content."""
        for path in self.describe(paths):
            with self._nar(path).open("wb") as file:
                self._nix.run_to(file, "nix-store", "--dump", paths=[path])

    def describe(self, paths: Iterable[str]) -> list[str]:
        """Say of valid paths what they are, which is enough where they are there already. Returns the paths."""
        found = self._nix.path_info(paths)
        for path, info in found.items():
            file = self.directory / f"{StorePath.of(path).digest}.narinfo"
            file.write_text(narinfo(info, self._nar(path).name), encoding="utf-8")
        self.infos |= found
        return list(found)

    def realise(self, derivations: Mapping[str, Iterable[str]]) -> None:
        """Set aside what the outputs of these derivations, by .drv path, are known to be. Their paths are there."""
        if operands := [self._nix.outputs(drv_path, names) for drv_path, names in derivations.items()]:
            self._nix.run("nix", "copy", "--to", self.url, "--no-recursive", *NO_WORK, paths=operands)

    def has(self, path: str, nar_hash: str) -> bool:
        """Whether this content of a path was set aside."""
        return path in self.infos and self.infos[path].nar_hash == nar_hash

    def may_be_given_back(self) -> bool:
        """Whether the store takes from this user what nobody has signed: tried with the smallest of the paths, while it
        is there."""
        smallest = min(self.infos.values(), key=lambda info: info.nar_size).path
        trial = self.directory / "trial"
        try:
            with trial.open("wb") as file:
                self._nix.run_to(file, "nix-store", "--export", paths=[smallest])
            with trial.open("rb") as file:
                self._nix.run_from(file, "nix-store", "--import")
        except NixError:
            return False
        return True

    def give_back(self, paths: Iterable[str], realised: Mapping[str, Iterable[str]]) -> None:
        """Have the store hold these paths again, and what they realise: outputs by .drv path. Raises `NixError`."""
        copy(self._nix, in_turns({path: self.infos[path] for path in paths}), "--from", self.url)
        if operands := [outputs_of(drv_path, outputs) for drv_path, outputs in realised.items()]:
            here = [("substitute", "true"), ("substituters", self.url), ("require-sigs", "false"), ("max-jobs", "0")]
            self._nix.with_options(here).run("nix-store", "--realise", paths=operands)

    def tree(self, path: str, to: Path) -> Path:
        """Unpack what was set aside of a path. Raises `OSError` or `NixError`."""
        to.parent.mkdir(parents=True, exist_ok=True)
        with self._nar(path).open("rb") as file:
            self._nix.run_from(file, "nix-store", "--restore", str(to))
        return to

    def _nar(self, path: str) -> Path:
        return self.directory / "nar" / f"{StorePath.of(path).digest}.nar"


def narinfo(info: PathInfo, nar: str) -> str:
    """What a binary cache says of a path whose archive is in the file `nar/NAR`."""
    lines = [
        f"StorePath: {info.path}",
        f"URL: nar/{nar}",
        "Compression: none",
        f"NarHash: {nix32(info.nar_hash)}",
        f"NarSize: {info.nar_size}",
        f"References: {' '.join(_base(path) for path in info.references)}",
        *([f"Deriver: {_base(info.deriver)}"] if info.deriver else []),
        *(f"Sig: {signature}" for signature in info.signatures),
        *([f"CA: {info.ca}"] if info.ca else []),
    ]
    return "".join(f"{line}\n" for line in lines)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
