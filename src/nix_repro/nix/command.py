"""The only place that starts Nix."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO, Any

import msgspec

from nix_repro.errors import UsageError
from nix_repro.nix import arguments, trust
from nix_repro.nix import derivation as drv
from nix_repro.nix.credentials import CREDENTIAL
from nix_repro.nix.find import find_nix
from nix_repro.nix.hashes import sri
from nix_repro.nix.private_settings import PrivateSettings
from nix_repro.nix.processes import SHORT_GRACE, CannotStart, Processes
from nix_repro.nix.series import Release, release
from nix_repro.nix.store_path import is_operand

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: Nix's store URLs. What starts with a dash would be an option, in Nix's arguments or in those of the ssh it starts.
_STORE = re.compile(r"(?!-)(?!.*://-)[^\x00-\x1f]+")
#: Called when a command begins; what it returns is called again and again meanwhile.
Meanwhile = Callable[[], Callable[[], None] | None]
#: How ssh notices that the other side has gone, behind what the user says: the first of two options counts.
SSH = "-o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
#: Arguments of a command that only asks: it neither builds nor fetches.
NO_WORK = ("--max-jobs", "0", "--option", "substitute", "false", "--option", "builders", "")


class NixError(Exception):
    """Nix failed. The text is what Nix said, without colours; `before` is what it and others said before that."""

    before = ""


def plain(text: str) -> str:
    """Nix's words without colours."""
    return _ANSI.sub("", text)


class Nix:
    """Nix with the binary, settings and store to use. `options` override the settings of the configuration files.

    `env` is the environment without the secrets of the job, for what else is started in it. Nix itself finds its
    settings in a file (see private_settings).
    """

    def __init__(
        self,
        processes: Processes,
        environ: Mapping[str, str],
        options: Sequence[tuple[str, str]] = (),
        store: str | None = None,
        meanwhile: Meanwhile = lambda: None,
    ) -> None:
        self.processes = processes
        self.binary = find_nix(environ)
        self.options = tuple(options)
        self.store = store
        self.env = {name: value for name, value in environ.items() if not CREDENTIAL.match(name)}
        config = [
            environ.get("NIX_CONFIG", ""),
            "extra-experimental-features = nix-command flakes",
            "warn-dirty = false",
        ]
        self.env["NIX_CONFIG"] = "\n".join(line for line in config if line)
        self._private = PrivateSettings(self.env["NIX_CONFIG"], options)
        ssh = f"{environ.get('NIX_SSHOPTS', '')} {SSH}".strip()
        self._environ = {**self.env, "NIX_CONFIG": self._private.reference, "NIX_SSHOPTS": ssh}
        self._meanwhile = meanwhile
        self._settings: dict[str, Any] | None = None
        self._old_names = False
        self._trusted: bool | None = None
        self._release: Release | None = None

    def with_store(self, url: str) -> Nix:
        """The same Nix on another store. Raises `NixError` for what is no store."""
        if not _STORE.fullmatch(url):
            raise NixError(f"{url!r} is not the URL of a store")
        return self._again(self.env, self.options, url)

    def with_options(self, options: Sequence[tuple[str, str]]) -> Nix:
        """The same Nix with further settings, which win. Raises `NixError` for those that cannot be passed on."""
        return self._again(self.env, [*self.options, *options], self.store)

    def meanwhile(self, begin: Meanwhile) -> Nix:
        """The same Nix, which calls what `begin` returns again and again while a command runs; raising ends that."""
        return Nix(self.processes, self.env, self.options, self.store, begin)

    def _again(self, env: Mapping[str, str], options: Sequence[tuple[str, str]], store: str | None) -> Nix:
        try:
            return Nix(self.processes, env, options, store, self._meanwhile)
        except UsageError as error:
            raise NixError(str(error)) from None

    def argv(self, command: str, *args: str, operands: Iterable[str] = ()) -> list[str]:
        """The command line for `nix-store` and its like, or for `nix` itself. `operands` is what it is about."""
        store = ["--store", self.store] if self.store is not None else []
        try:
            return arguments.with_operands([str(self.binary.with_name(command)), *args, *store], operands)
        except ValueError as error:
            raise NixError(str(error)) from None

    def batches(self, paths: Iterable[str]) -> Iterator[list[str]]:
        """The store paths in order, in groups that a command line has room for. `DRV!OUTPUT` is a path, too. Raises
        `NixError` for what is none: it may have come from anywhere."""
        store, wanted = self.store_dir(), list(paths)
        if (wrong := next((path for path in wanted if not is_operand(path, store)), None)) is not None:
            raise NixError(f"{wrong!r} is not a store path")
        return arguments.batches(wanted, arguments.room(self._environ))

    def _argvs(self, command: str, args: Sequence[str], paths: Iterable[str] | None) -> Iterator[list[str]]:
        if paths is None:
            yield self.argv(command, *args)
        else:
            for batch in self.batches(paths):
                yield self.argv(command, *args, operands=batch)

    @contextmanager
    def _naming_nix(self) -> Iterator[None]:
        try:
            yield
        except CannotStart as error:
            raise NixError(f"Nix cannot be run: {error.filename}: {error.strerror}") from None

    def run(self, command: str, *args: str, paths: Iterable[str] | None = None) -> str:
        """Standard output of one command. With `paths`, of as many as have room for them, and of none for no paths.
        Raises `NixError` with what Nix said."""
        return self.run_bytes(command, *args, paths=paths).decode("utf-8", "replace")

    def run_bytes(self, command: str, *args: str, paths: Iterable[str] | None = None) -> bytes:
        """The same for output that need not be text."""
        return b"".join(self._output(argv) for argv in self._argvs(command, args, paths))

    def evaluate(
        self, on_line: Callable[[bytes], None], idle: Callable[[], None], installable: str, *args: str, cwd: Path
    ) -> CompletedProcess[bytes]:
        """`nix eval --json` as one names it in `cwd`, like `stream`; `idle` is called when nothing comes."""
        words = ("eval", "--json", "--no-write-lock-file", *args, "--log-format", "internal-json")
        argv = self.argv("nix", *words, operands=[installable])
        with self._naming_nix():
            return self.processes.lines(argv, on_line, env=self._environ, cwd=cwd, idle=idle, grace=SHORT_GRACE)

    def _output(self, argv: Sequence[str]) -> bytes:
        with self._naming_nix():
            done = self.processes.communicate(argv, env=self._environ, idle=self._meanwhile())
        if done.returncode != 0:
            raise _error(done.stderr, f"{Path(argv[0]).name} ended with {done.returncode}")
        return done.stdout

    def run_to(self, output: IO[bytes], command: str, *args: str, paths: Iterable[str] | None = None) -> None:
        """Run with standard output into a file, because it may be larger than the memory. Raises `NixError`."""
        for argv in self._argvs(command, args, paths):
            with self._naming_nix(), self.processes.child(argv, env=self._environ, stdout=output) as child:
                assert child.stderr is not None
                said = child.stderr.read()
            if child.returncode != 0:
                raise _error(said, f"{command} ended with {child.returncode}")

    def run_from(self, source: IO[bytes], command: str, *args: str) -> str:
        """Run with standard input from a file. Returns standard output. Raises `NixError`."""
        with (
            self._naming_nix(),
            self.processes.child(self.argv(command, *args), env=self._environ, stdin=source) as child,
        ):
            out, said = child.communicate()
        if child.returncode != 0:
            raise _error(said, f"{command} ended with {child.returncode}")
        return out.decode("utf-8", "replace")

    def stream(
        self, on_line: Callable[[bytes], None], command: str, *args: str, paths: Iterable[str] | None = None
    ) -> CompletedProcess[bytes]:
        """Run with every line of the internal-json log handed on as it comes. The caller judges the exit code: where
        `paths` take several commands that of the first that failed, or of one that crashed."""
        printed, code = b"", 0
        for argv in self._argvs(command, (*args, "--log-format", "internal-json"), paths):
            with self._naming_nix():
                done = self.processes.lines(argv, on_line, env=self._environ, idle=self._meanwhile())
            printed += done.stdout
            code = done.returncode if done.returncode < 0 or code == 0 else code
        return CompletedProcess(args, code, printed)

    # What the store knows

    def settings(self) -> dict[str, Any]:
        """Nix's effective settings by name."""
        if self._settings is None:
            text = self._either(("config", "show"), ("show-config",), "--json")
            try:
                self._settings = {name: row["value"] for name, row in msgspec.json.decode(text).items()}
            except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
                raise NixError(f"{self.binary} does not answer as Nix does") from None
        return self._settings

    def system_settings(self) -> dict[str, Any]:
        """Those without what comes from this user: what a daemon goes by that does not trust the user."""
        env = {name: value for name, value in self.env.items() if name != "NIX_CONFIG"}
        return self._again(env | {"NIX_USER_CONF_FILES": ""}, (), None).settings()

    def release(self) -> Release:
        """Which Nix it is, and its version."""
        self._release = self._release or release(self.run("nix", "--version"))
        return self._release

    def store_dir(self) -> str:
        """The directory of store paths, normally `/nix/store`."""
        return os.path.normpath(self.env.get("NIX_STORE_DIR", "/nix/store"))

    def derivations(self, drv_paths: Iterable[str], *, recursive: bool = False) -> dict[str, drv.Derivation]:
        """The derivations, with everything below them when `recursive`."""
        found: dict[str, drv.Derivation] = {}
        args = ["--recursive"] if recursive else []
        for batch in self.batches(drv_paths):
            text = self._either(("derivation", "show"), ("show-derivation",), *args, paths=batch)
            found |= drv.parse_derivations(text, self.store_dir())
        return found

    def _either(
        self, new: tuple[str, ...], old: tuple[str, ...], *args: str, paths: Sequence[str] | None = None
    ) -> str:
        """Run a command by its present name, or by the one that Nix 2.8 knows it by."""
        if not self._old_names:
            try:
                return self.run("nix", *new, *args, paths=paths)
            except NixError as error:
                if "is not a recognised command" not in str(error):
                    raise
                self._old_names = True
        return self.run("nix", *old, *args, paths=paths)

    def path_info(self, paths: Iterable[str], *, closure_size: bool = False) -> dict[str, drv.PathInfo]:
        """What the store knows of those of the paths that are valid."""
        found: dict[str, drv.PathInfo] = {}
        args = ["--closure-size"] if closure_size else []
        kinds: dict[bool, list[str]] = {}
        for path in paths:
            kinds.setdefault(path.endswith(".drv"), []).append(path)
        for drvs, wanted in kinds.items():
            # To 2.8, a .drv is what it builds.
            itself = ["--derivation"] if drvs else []
            for batch in self.batches(wanted):
                found |= drv.parse_path_info(self.run("nix", "path-info", "--json", *args, *itself, paths=batch))
        return found

    def everything(self) -> dict[str, drv.PathInfo]:
        """What the store knows of all its valid paths."""
        return drv.parse_path_info(self.run("nix", "path-info", "--json", "--all"))

    def trusted(self) -> bool:
        """Whether this user may change settings, import unsigned paths and disable hooks: as the store says, or before
        Nix 2.15 our configuration."""
        if self._trusted is None:
            try:
                said = trust.told(self.ping("--json"))
            except NixError:
                said = None
            configured = self.settings().get("trusted-users", []) if said is None else []
            self._trusted = trust.configured(configured, self.store_dir()) if said is None else said
        return self._trusted

    def ping(self, *args: str) -> str:
        """What the store says of itself. Raises `NixError` when it does not answer."""
        return self._either(("store", "info"), ("store", "ping"), *args)

    def user_files(self) -> str:
        """The user's own configuration files, as Nix finds them, for `NIX_USER_CONF_FILES`."""
        return trust.user_files(self.env)

    def invalid(self, paths: Iterable[str]) -> set[str]:
        """Which of the paths are not valid in the store."""
        return set(self.run("nix-store", "--check-validity", "--print-invalid", paths=paths).split())

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The registered narHash (SRI) of valid paths."""
        wanted = list(paths)
        text = self.run("nix-store", "--query", "--hash", paths=wanted)
        # 2.8 ends no line when it prints several: "sha256:" itself is the separator.
        digests = re.findall(r"sha256:([0-9a-z]{52})", text)
        if len(digests) != len(wanted):
            raise NixError(f"nix-store --query --hash printed {len(digests)} hashes for {len(wanted)} paths")
        return {path: sri(f"sha256:{digest}") for path, digest in zip(wanted, digests, strict=True)}

    def valid_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The registered narHash (SRI) of those of the paths that are valid."""
        wanted = list(paths)
        invalid = self.invalid(wanted)
        return self.hashes(path for path in wanted if path not in invalid)

    def requisites(self, paths: Iterable[str]) -> list[str]:
        """The closure of valid paths, dependencies first."""
        return list(dict.fromkeys(self.run("nix-store", "--query", "--requisites", paths=paths).split()))

    def dump_db(self, paths: Iterable[str]) -> bytes:
        """The registration of valid paths, in the form that `nix-store --load-db` takes."""
        return self.run_bytes("nix-store", "--dump-db", paths=paths)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete valid paths, of which nothing is in use. Raises `NixError` when something is."""
        wanted = list(paths)
        if sum(1 for _ in self.batches(wanted)) > 1:
            # What refers to others has to go before them, which Nix sees to in one command only.
            order = {path: number for number, path in enumerate(self.requisites(wanted))}
            wanted.sort(key=lambda path: -order[path])
        self.run("nix-store", "--delete", paths=wanted)

    def outputs(self, drv_path: str, names: Iterable[str]) -> str:
        """How outputs of a derivation are named to `nix` (`nix-store` takes `DRV!OUTPUT`). Before 2.13 it takes all."""
        return f"{drv_path}^{','.join(sorted(names))}" if self.release().series >= (2, 13) else drv_path

    def floating_outputs(self, drv_path: str) -> list[str]:
        """The output paths of a content-addressed derivation that was built. Nothing is built or fetched to find out:
        raises `NixError` if the derivation was not built."""
        return self.run("nix-store", "--query", "--outputs", "--force-realise", *NO_WORK, paths=[drv_path]).split()


def _error(said: bytes, otherwise: str) -> NixError:
    """What Nix said from its first error on. What comes before is about progress."""
    text = plain(said.decode("utf-8", "replace")).strip()
    start = re.search(r"^error:", text, re.MULTILINE)
    error = NixError(text[start.start() :] if start else text or otherwise)
    error.before = text[: start.start()] if start else ""
    return error
