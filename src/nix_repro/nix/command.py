"""The only place that starts Nix."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO, Any

import msgspec

from nix_repro.errors import UsageError
from nix_repro.nix import derivation as drv
from nix_repro.nix.hashes import sri
from nix_repro.nix.processes import Processes

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: Where installers put Nix when a shell has not picked it up yet.
_PROFILES = ("/nix/var/nix/profiles/default/bin", "~/.nix-profile/bin", "/run/current-system/sw/bin")
#: Credentials of the job, which nothing that Nix starts has any use for.
_SECRET = re.compile(r"^(GITHUB_TOKEN|GH_TOKEN|INPUT_.*|ACTIONS_.*|NIX_REPRO_.*TOKEN.*)$")
#: How many store paths go on one command line: Linux takes 2 MiB, macOS 1 MiB.
_BATCH = 4000


class NixError(Exception):
    """Nix failed. The text is what Nix said, without colours."""


def plain(text: str) -> str:
    """Nix's words without colours."""
    return _ANSI.sub("", text)


def find_nix(environ: Mapping[str, str]) -> Path:
    """The `nix` command. Raises `UsageError` when there is none."""
    path = os.pathsep.join([environ.get("PATH", ""), *(os.path.expanduser(p) for p in _PROFILES)])
    found = shutil.which("nix", path=path)
    if found is None:
        raise UsageError(
            "Nix was not found on PATH. Install it (https://nixos.org/download), or on Debian and Ubuntu: apt-get "
            "install nix-bin"
        )
    # Not resolved: `nix` is often a link whose directory also holds nix-store.
    return Path(found).absolute()


class Nix:
    """Nix with the binary, settings and store to use. `options` override the settings of the configuration files."""

    def __init__(
        self,
        processes: Processes,
        environ: Mapping[str, str],
        options: Sequence[tuple[str, str]] = (),
        store: str | None = None,
    ) -> None:
        self.processes = processes
        self.binary = find_nix(environ)
        self.options = tuple(options)
        self.store = store
        self.env = {name: value for name, value in environ.items() if not _SECRET.match(name)}
        config = [
            environ.get("NIX_CONFIG", ""),
            "extra-experimental-features = nix-command flakes",
            "warn-dirty = false",
        ]
        self.env["NIX_CONFIG"] = "\n".join(line for line in config if line)
        self._settings: dict[str, Any] | None = None
        self._old_names = False

    def with_store(self, url: str) -> Nix:
        """The same Nix on another store."""
        return Nix(self.processes, self.env, self.options, url)

    def with_options(self, options: Sequence[tuple[str, str]]) -> Nix:
        """The same Nix with further settings, which win over the present ones."""
        return Nix(self.processes, self.env, [*self.options, *options], self.store)

    def argv(self, command: str, *args: str) -> list[str]:
        """The command line for `nix-store` and its like, or for `nix` itself."""
        argv = [str(self.binary.with_name(command)), *args]
        if self.store is not None:
            argv += ["--store", self.store]
        for name, value in self.options:
            argv += ["--option", name, value]
        return argv

    def run(self, command: str, *args: str, stdin: bytes | None = None, cwd: Path | None = None) -> str:
        """Standard output of one command. Raises `NixError` with what Nix said."""
        return self.run_bytes(command, *args, stdin=stdin, cwd=cwd).decode("utf-8", "replace")

    def run_bytes(self, command: str, *args: str, stdin: bytes | None = None, cwd: Path | None = None) -> bytes:
        """The same for output that need not be text."""
        done = self.processes.communicate(self.argv(command, *args), env=self.env, cwd=cwd, stdin=stdin)
        if done.returncode != 0:
            raise _error(done.stderr, f"{command} ended with {done.returncode}")
        return done.stdout

    def run_to(self, output: IO[bytes], command: str, *args: str) -> None:
        """Run with standard output into a file, because it may be larger than the memory. Raises `NixError`."""
        with self.processes.child(self.argv(command, *args), env=self.env, stdout=output) as child:
            assert child.stderr is not None
            said = child.stderr.read()
        if child.returncode != 0:
            raise _error(said, f"{command} ended with {child.returncode}")

    def run_from(self, source: IO[bytes], command: str, *args: str) -> str:
        """Run with standard input from a file. Returns standard output. Raises `NixError`."""
        with self.processes.child(self.argv(command, *args), env=self.env, stdin=source) as child:
            out, said = child.communicate()
        if child.returncode != 0:
            raise _error(said, f"{command} ended with {child.returncode}")
        return out.decode("utf-8", "replace")

    def stream(self, on_line: Callable[[bytes], None], command: str, *args: str) -> CompletedProcess[bytes]:
        """Run with every line of the internal-json log handed on as it comes. The caller judges the exit code."""
        return self.processes.lines(self.argv(command, *args, "--log-format", "internal-json"), on_line, env=self.env)

    # What the store knows

    def settings(self) -> dict[str, Any]:
        """Nix's effective settings by name."""
        if self._settings is None:
            text = self._either(("config", "show"), ("show-config",), "--json")
            self._settings = {name: row["value"] for name, row in msgspec.json.decode(text).items()}
        return self._settings

    def version(self) -> str:
        """Nix's version, such as `2.26.3`."""
        return self.run("nix", "--version").rsplit(" ", 1)[-1].strip()

    def store_dir(self) -> str:
        """The directory of store paths, normally `/nix/store`."""
        return self.env.get("NIX_STORE_DIR", "/nix/store")

    def derivations(self, drv_paths: Iterable[str], *, recursive: bool = False) -> dict[str, drv.Derivation]:
        """The derivations, with everything below them when `recursive`."""
        found: dict[str, drv.Derivation] = {}
        for batch in _batches(drv_paths):
            args = [*(["--recursive"] if recursive else []), *batch]
            found |= drv.parse_derivations(
                self._either(("derivation", "show"), ("show-derivation",), *args), self.store_dir()
            )
        return found

    def _either(self, new: tuple[str, ...], old: tuple[str, ...], *args: str) -> str:
        """Run a command by its present name, or by the one that Nix 2.8 knows it by."""
        if not self._old_names:
            try:
                return self.run("nix", *new, *args)
            except NixError as error:
                if "is not a recognised command" not in str(error):
                    raise
                self._old_names = True
        return self.run("nix", *old, *args)

    def path_info(self, paths: Iterable[str], *, closure_size: bool = False) -> dict[str, drv.PathInfo]:
        """What the store knows of those of the paths that are valid."""
        found: dict[str, drv.PathInfo] = {}
        for batch in _batches(paths):
            args = ["--json", *(["--closure-size"] if closure_size else []), *batch]
            found |= drv.parse_path_info(self.run("nix", "path-info", *args))
        return found

    def trusted(self) -> bool:
        """Whether this user may change the settings of the store, import unsigned paths and disable hooks."""
        import grp
        import pwd

        if os.getuid() == 0 or os.access(self.store_dir(), os.W_OK):
            return True
        trusted = set(self.settings().get("trusted-users", []))
        if "*" in trusted:
            return True
        try:
            if pwd.getpwuid(os.getuid()).pw_name in trusted:
                return True
        except KeyError:
            pass  # in a container, the user ID may have no name
        member = {os.getgid(), *os.getgroups()}
        return any(f"@{group.gr_name}" in trusted for group in grp.getgrall() if group.gr_gid in member)

    def user_files(self) -> str:
        """The user's own configuration files, as Nix finds them, for `NIX_USER_CONF_FILES`."""
        if (named := self.env.get("NIX_USER_CONF_FILES")) is not None:
            return named
        home = self.env.get("XDG_CONFIG_HOME") or os.path.join(self.env.get("HOME", "/"), ".config")
        directories = [home, *self.env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
        return ":".join(os.path.join(directory, "nix", "nix.conf") for directory in directories)

    def invalid(self, paths: Iterable[str]) -> set[str]:
        """Which of the paths are not valid in the store."""
        found: set[str] = set()
        for batch in _batches(paths):
            found |= set(self.run("nix-store", "--check-validity", "--print-invalid", *batch).split())
        return found

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The registered narHash (SRI) of valid paths."""
        found: dict[str, str] = {}
        for batch in _batches(paths):
            text = self.run("nix-store", "--query", "--hash", *batch)
            # 2.8 ends no line when it prints several: "sha256:" itself is the separator.
            digests = re.findall(r"sha256:([0-9a-z]{52})", text)
            if len(digests) != len(batch):
                raise NixError(f"nix-store --query --hash printed {len(digests)} hashes for {len(batch)} paths")
            found |= {path: sri(f"sha256:{digest}") for path, digest in zip(batch, digests, strict=True)}
        return found

    def valid_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The registered narHash (SRI) of those of the paths that are valid."""
        wanted = list(paths)
        invalid = self.invalid(wanted)
        return self.hashes(path for path in wanted if path not in invalid)

    def requisites(self, paths: Iterable[str]) -> list[str]:
        """The closure of valid paths, dependencies first."""
        found: dict[str, None] = {}
        for batch in _batches(paths):
            found |= dict.fromkeys(self.run("nix-store", "--query", "--requisites", *batch).split())
        return list(found)

    def dump_db(self, paths: Iterable[str]) -> bytes:
        """The registration of valid paths, in the form that `nix-store --load-db` takes."""
        return b"".join(self.run_bytes("nix-store", "--dump-db", *batch) for batch in _batches(paths))

    def floating_outputs(self, drv_path: str) -> list[str]:
        """The output paths of a content-addressed derivation that was built. Nothing is built or fetched to find out:
        raises `NixError` if the derivation was not built."""
        no_work = ["--max-jobs", "0", "--option", "substitute", "false", "--option", "builders", ""]
        return self.run("nix-store", "--query", "--outputs", "--force-realise", *no_work, drv_path).split()


def _error(said: bytes, otherwise: str) -> NixError:
    """What Nix said from its first error on. What comes before is about progress."""
    text = plain(said.decode("utf-8", "replace")).strip()
    start = re.search(r"^error:", text, re.MULTILINE)
    return NixError(text[start.start() :] if start else text or otherwise)


def _batches(items: Iterable[str]) -> Iterable[list[str]]:
    everything = list(items)
    for start in range(0, len(everything), _BATCH):
        yield everything[start : start + _BATCH]
