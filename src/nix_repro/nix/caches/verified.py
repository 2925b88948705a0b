"""The verified cache: a directory with a binary cache of paths that are verified, and the key that signs them.

The key only tells that a path was put there by who could write the directory: it is not secret to anybody who can read
that (docs/threat-model.md).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from nix_repro.errors import UsageError
from nix_repro.files import read_regular, remove_tree
from nix_repro.nix.caches import narinfo
from nix_repro.nix.caches.kinds import VERIFIED
from nix_repro.nix.caches.narinfo import Held
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.graph import ordered
from nix_repro.nix.hashes import nix32
from nix_repro.nix.store_path import StorePath
from nix_repro.text import last_error

#: Bytes of all archives together. GitHub keeps 10 GB for a repository, in which an entry must have room beside those of
#: other branches and of what came before it: an entry is never changed.
ROOM = 2_000_000_000
#: Bytes of a .narinfo, and of what else is read.
_BYTES = 4 << 20
#: What the address of a directory can hold with every Nix, also in a list.
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")


class Unusable(Exception):
    """The directory is no verified cache; the text says why."""


class VerifiedCache:
    """`held` are the paths that are in it, `key` is the public one, "" as long as there is none. `sound`: what is in
    the directory is as it was made. Raises `Unusable` for a directory that Nix's settings cannot name."""

    def __init__(self, directory: Path, nix: Nix) -> None:
        self.directory = directory
        self.held: dict[str, Held] = {}
        self.key = ""
        self.sound = False
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._nix = nix
        if not _PLAIN.fullmatch(str(directory)):
            raise Unusable("its name has characters that no setting of Nix can hold")
        self._home = directory / VERIFIED
        self._cache = self._home / "cache"
        self._secret = self._home / "secret-key"
        self._staging = self._home / "staging"

    @property
    def url(self) -> str:
        """Its address as Nix's settings have it."""
        return f"file://{self._cache}"

    def refresh(self) -> None:
        """Read it again if another run has changed it since. Raises `Unusable`."""
        if self._files() != self._seen:
            self.load()

    def _files(self) -> frozenset[tuple[str, int]]:
        """What tells its files from those that were there before: nothing of it is written twice."""
        found: list[tuple[str, int]] = []
        for directory in (self._home, self._cache, self._cache / "nar"):
            if directory.is_dir():
                with os.scandir(directory) as entries:
                    found += [(entry.name, entry.inode()) for entry in entries]
        return frozenset(found)

    def load(self) -> None:
        """Read what is in it, and believe none of it before all of it was looked at. Raises `Unusable`."""
        self.held, self.key, self.sound, self._seen = {}, "", False, frozenset()
        if not os.path.lexists(self._home):
            self.sound = True
            return
        try:
            self._seen = self._files()
            self.key = narinfo.public_key(self._text(self._secret))
            if f"StoreDir: {self._nix.store_dir()}" not in self._text(self._cache / "nix-cache-info").splitlines():
                raise Unusable("it is for another store directory")
            held = {one.path: one for one in self._described()}
            # What the archives hold, Nix compares with what is signed when it fetches them.
            trusting = self._nix.with_options([("trusted-public-keys", self.key)])
            trusting.run("nix", "store", "verify", "--all", "--no-contents", "--store", self.url)
        except (UsageError, OSError, ValueError) as error:
            raise Unusable(str(error)) from None
        except NixError as error:
            unsigned = "untrusted" in str(error)
            raise Unusable("not all of it is signed by its own key" if unsigned else last_error(str(error))) from None
        self.held, self.sound = held, True

    def _text(self, file: Path) -> str:
        return read_regular(file, _BYTES, inside=self._home).decode("utf-8", "replace")

    def _described(self) -> Iterator[Held]:
        store, archives = self._nix.store_dir(), dict(_sizes(self._cache / "nar"))
        for file in self._cache.glob("*.narinfo"):
            try:
                one = narinfo.read(self._text(file), file.stem, store, file.stat().st_mtime)
            except ValueError as error:
                raise Unusable(f"{file.name}: {error}") from None
            if archives.get(one.archive) != one.size:
                raise Unusable(f"{one.archive} is not there, or not all of it")
            if not _as_named(self._cache / one.archive):
                raise Unusable(f"{one.archive} is damaged")
            yield one

    def clear(self) -> None:
        """Forget all of it, and the key. Raises `OSError`."""
        if os.path.lexists(self._home):
            remove_tree(self._home)
        self.held, self.key, self.sound = {}, "", True

    def add(self, paths: Mapping[str, PathInfo]) -> None:
        """Put paths of the store in, without what they refer to. Raises `NixError` or `OSError`.

        Nix adds nothing to a cache that does not have what it refers to. So it adds to one that seems to.
        """
        if not paths:
            return
        self._prepare()
        for reference in {ref for info in paths.values() for ref in info.references} - paths.keys():
            _narinfo(self._staging, reference).write_text(narinfo.placeholder(reference))
        to = f"file://{self._staging}?compression=zstd&secret-key={quote(str(self._secret))}"
        # They may be too many for one command.
        below_first = ordered(paths, lambda path: paths[path].references)
        self._nix.run("nix", "copy", "--no-recursive", "--to", to, paths=below_first)
        for path in paths:
            file = _narinfo(self._staging, path)
            said = read_regular(file, _BYTES).decode()
            one = narinfo.read(said, StorePath.of(path).digest, self._nix.store_dir(), time.time())
            if (archive := self._staging / one.archive).exists():  # else another path has the same, and moved it
                os.replace(archive, self._cache / one.archive)
            os.replace(file, _narinfo(self._cache, path))
            self.held[path] = one
        remove_tree(self._staging)

    def _prepare(self) -> None:
        if os.path.lexists(self._staging):  # of a run that was killed
            remove_tree(self._staging)
        self._staging.mkdir(parents=True)
        (self._cache / "nar").mkdir(parents=True, exist_ok=True)
        (self._cache / "nix-cache-info").write_text(f"StoreDir: {self._nix.store_dir()}\n")
        if not self.key:
            # Of two keys with one name, Nix knows one.
            secret = self._nix.run("nix", "key", "generate-secret", "--key-name", f"nix-repro-{token_hex(8)}-1")
            with open(self._secret, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(secret)
            self.key = narinfo.public_key(secret)

    def remove(self, paths: Collection[str]) -> set[str]:
        """Take paths out, and whatever refers to them. Returns what was in, and is not any more. Raises `OSError`."""
        gone = narinfo.referring(self.held, paths) & self.held.keys()
        for path in gone:
            _narinfo(self._cache, path).unlink()
            del self.held[path]
        used = {one.archive for one in self.held.values()}
        for archive in [name for name, _ in _sizes(self._cache / "nar") if name not in used] if gone else ():
            (self._cache / archive).unlink()
        return gone

    def needed(self, paths: Iterable[str]) -> None:
        """Remember that these of its paths were of use now. Raises `OSError`."""
        now = time.time()
        for path in paths:
            os.utime(_narinfo(self._cache, path), (now, now))
            self.held[path] = replace(self.held[path], needed=now)


def _narinfo(directory: Path, path: str) -> Path:
    return directory / f"{StorePath.of(path).digest}.narinfo"


def _as_named(archive: Path) -> bool:
    """Whether an archive has the hash that it is named after."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return nix32(f"sha256-{base64.b64encode(digest).decode()}") == f"sha256:{archive.name.partition('.')[0]}"


def _sizes(archives: Path) -> Iterator[tuple[str, int]]:
    """The archives as .narinfo files name them, with their sizes. What is no regular file is none of them."""
    with os.scandir(archives) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield f"nar/{entry.name}", entry.stat(follow_symlinks=False).st_size
