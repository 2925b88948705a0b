"""The part of the shadow rebuilder that needs root: a second, empty view of the store in which Nix builds again.

The standard library and two modules of ours, run with `python3 -I`, directly by root or through sudo. It reads one line
of JSON from standard input, hands Nix's log through on standard error, prints one line of JSON, and stops what it
started as soon as its standard input closes: that is how a caller without root's rights cancels it, also by dying.

Inside a mount namespace of its own, an empty directory in which every input is bound (directories) or linked (files)
takes the store's place, and Nix works on it with a database of its own. Bind mounts, not an overlay: an overlay over a
store that somebody writes to breaks (measured in 9 of 12 runs), bind mounts do not (9 of 9).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

# Run by its path and isolated, it finds nothing of the package by itself. Root leaves no files there.
sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).parents[3]))

from nix_repro.build.rebuild import shadow_mounts as mounts  # noqa: E402  # found by the line above
from nix_repro.nix.options import passable  # noqa: E402  # and this

_PATH_NAME = re.compile(r"[0-9a-z]{32}-[0-9a-zA-Z+._?=-]{1,211}")
_OUTPUTS = re.compile(r"[0-9a-zA-Z+._?=,-]+")
#: The programs that are started, some of which may lie in the store.
_STARTED = ("nix-store", "cp", "rm", "chmod")
#: The arguments for a rebuild: limits, and what they are.
_ARGUMENT = re.compile(r"--(max-jobs|cores|timeout)|auto|[0-9]{1,9}")
#: Bytes of a command line and its environment, as far as the system takes that many; and of these without the paths.
_MOST = 2 << 20
_REST = 64 << 10
#: What the worker can change for itself and all that it starts, by name: the caller chooses, it does not say how.
_UNDER: dict[str, Callable[[], object]] = {
    "one-cpu": lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1]),
    "fewer-processors": lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:-1]),
    "nice": lambda: os.nice(5),
    "other-kernel": lambda: mounts.personality(mounts.UNAME26),
    "other-personality": lambda: mounts.personality(mounts.WHOLE_SECONDS),
}


def main() -> int:
    if sys.argv[1:] == ["--probe"]:
        return _probe()
    request = json.loads(sys.stdin.buffer.readline())
    store = Path(request["store_dir"])
    known = [path for paths in request["targets"].values() for path in paths]
    realised = [operand.partition("!") for operand in request.get("realised", ())]
    for name, program in request.get("programs", {}).items():
        if name not in _STARTED or not program.startswith(f"{store}/") or os.path.realpath(program) != program:
            raise SystemExit(f"shadow: not a program in the store: {program!r}")
    for path in [*request["paths"], *request["targets"], *known, *(drv_path for drv_path, _, _ in realised)]:
        if os.path.dirname(path) != str(store) or not _PATH_NAME.fullmatch(os.path.basename(path)):
            raise SystemExit(f"shadow: not a store path: {path!r}")
    for _, _, outputs in realised:
        if not _OUTPUTS.fullmatch(outputs):
            raise SystemExit(f"shadow: not names of outputs: {outputs!r}")
    for word in request["args"]:
        if not _ARGUMENT.fullmatch(word):
            raise SystemExit(f"shadow: not an argument: {word!r}")
    for name, value in request["options"]:
        if "\n" in value or not (passable(name, value) or (name, value) == ("post-build-hook", "")):
            raise SystemExit(f"shadow: not a setting to pass on: {name!r}")
    base = Path(request["base"])
    base.mkdir(mode=0o755, parents=True, exist_ok=True)
    # One at a time: a room that is not locked yet looks like one that was left behind.
    entrance = os.open(base, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(entrance, fcntl.LOCK_EX)
    _remove_stale(base)
    room = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    room.chmod(0o755)
    lock = os.open(room / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(entrance)
    try:
        return _supervise(request, room, store)
    finally:
        _remove(room)
        os.close(lock)


def _probe() -> int:
    """Are mount namespaces and bind mounts to be had here?"""
    try:
        mounts.private_namespace()
        mounts.bind("/", "/")
    except OSError as error:
        print(f"{error.strerror}", file=sys.stderr)
        return 1
    return 0


def _supervise(request: dict[str, Any], room: Path, store: Path) -> int:
    """The worker has the mounts, so that they vanish with it; this process only waits and cleans up."""
    done_read, done_write = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.setpgid(0, 0)
        os.close(done_read)
        # A handler, not SIG_IGN: that would be inherited by Nix. The worker outlives Nix to say how it ended.
        told: list[int] = []
        signal.signal(signal.SIGTERM, lambda signum, _: told.append(signum))
        signal.signal(signal.SIGINT, lambda signum, _: told.append(signum))
        try:
            code = _work(request, room, store, told)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"error: shadow: {error}", file=sys.stderr, flush=True)
            code = 70
        os._exit(code)
    os.close(done_write)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: _stop(worker))
    waiting = [sys.stdin.fileno(), done_read]
    while True:
        ready, _, _ = select.select(waiting, [], [])
        if done_read in ready:
            break
        if not os.read(sys.stdin.fileno(), 4096):
            waiting.remove(sys.stdin.fileno())
            _stop(worker)
    _, status = os.waitpid(worker, 0)
    return os.waitstatus_to_exitcode(status)


def _stop(worker: int) -> None:
    try:
        os.killpg(worker, signal.SIGTERM)
    except ProcessLookupError:
        pass


def _work(request: dict[str, Any], room: Path, store: Path, told: list[int]) -> int:
    """`told` has the signals that say stop."""
    mounts.private_namespace()
    mounts.shadow_store(room, store, request["paths"])
    _state(room, Path(request["state_dir"]))
    env = _environment(request, room)
    nix_store = _linked(request, room, env)
    options = list(request["options"])
    if request["build_on"]:
        options.append(_build_dir(room, env, in_memory=request["build_on"] == "memory"))
    env["NIX_CONFIG"] = _private(env.get("NIX_CONFIG", ""), options, room)
    load = subprocess.run(
        [nix_store, "--load-db"], input=request["registration"].encode(), env=env, capture_output=True, check=False
    )
    if load.returncode != 0:
        raise OSError(f"nix-store --load-db: {load.stderr.decode('utf-8', 'replace').strip()}")
    _know(nix_store, request, env)
    build = [nix_store, "--realise", "--keep-going", "--log-format", "internal-json", *request["args"]]
    for name in request["under"]:
        _UNDER[name]()
    for batch in _batches(request["targets"]):
        if not told:
            command = [*build, "--", *batch]
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
            if done.returncode < 0:
                print(f"error: Nix crashed (signal {-done.returncode})", file=sys.stderr, flush=True)

    def ask(*args: str) -> list[str]:
        quiet = ["--option", "substitute", "false", "--max-jobs", "0", "--option", "builders", ""]
        query, nothing = [nix_store, "--query", *quiet, *args], subprocess.DEVNULL
        asked = subprocess.run(query, env=env, stdin=nothing, capture_output=True, text=True, check=False)
        return asked.stdout.split() if asked.returncode == 0 else []

    outputs = {}
    for target, known in request["targets"].items():
        paths = known or ask("--outputs", "--force-realise", "--", target)
        outputs[target] = [path for path in paths if os.path.lexists(path)]
    present = [path for paths in outputs.values() for path in paths]
    # One by one only when together fails: a path on disk that is not registered was left by a failed build.
    digests = _digests(ask, present)
    kept = _keep(request, [p for p, digest in digests.items() if request["expected"].get(p) != digest])
    touched = {target: max(os.lstat(path).st_ctime for path in paths) for target, paths in outputs.items() if paths}
    print(json.dumps({"outputs": outputs, "hashes": digests, "kept": kept, "touched": touched}), flush=True)
    return 0


def _linked(request: dict[str, Any], room: Path, env: dict[str, str]) -> str:
    """Put what lies in the store on every PATH, by names that do not lead through a profile, which is not there now.
    Returns nix-store."""
    programs, links = request.get("programs", {}), room / "bin"
    links.mkdir(mode=0o755)
    for name, program in programs.items():
        (links / name).symlink_to(program)
    for environ in (env, os.environ):
        environ["PATH"] = f"{links}:{environ.get('PATH', os.defpath)}"
    return str(links / "nix-store") if "nix-store" in programs else str(request["nix_store"])


def _know(nix_store: str, request: dict[str, Any], env: dict[str, str]) -> None:
    """Have the new database know where the outputs of content-addressed inputs are: it has their paths, but which
    derivation made them is not in a registration. The caller has written that down as a binary cache does."""
    cache = [("substitute", "true"), ("substituters", request.get("realisations", "")), ("require-sigs", "false")]
    options = [word for name, value in cache for word in ("--option", name, value)]
    for batch in _batches(request.get("realised", ())):
        command = [nix_store, "--realise", "--max-jobs", "0", *options, "--", *batch]
        # What it does not take it builds, and then that is seen.
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _build_dir(room: Path, env: dict[str, str], *, in_memory: bool) -> tuple[str, str]:
    """Build in the room, or on tmpfs, which lists a directory in another order than a disk. Old versions take TMPDIR,
    newer ones a setting."""
    build = room / "build"
    build.mkdir(mode=0o755)
    if in_memory:
        mounts.in_memory(build)
    env["TMPDIR"] = str(build)
    return "build-dir", str(build)


def _private(config: str, options: list[tuple[str, str]], room: Path) -> str:
    """Put Nix's settings, which may hold secrets, where only root reads them; what NIX_CONFIG is to say."""
    file = room / "nix.conf"
    with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", errors="surrogateescape") as out:
        out.write("".join(f"{line}\n" for line in (config, *(f"{name} = {value}" for name, value in options))))
    return f"include {file}"


def _batches(words: Iterable[str]) -> Iterator[list[str]]:
    """The words in groups that have room on one command line each."""
    room = min(_MOST, os.sysconf("SC_ARG_MAX")) - _REST
    batch: list[str] = []
    left = room
    for word in words:
        # The system also counts a zero and a pointer.
        left -= len(word) + 9
        if left < 0 and batch:
            yield batch
            batch, left = [], room - len(word) - 9
        batch.append(word)
    if batch:
        yield batch


def _digests(ask: Callable[..., list[str]], paths: list[str]) -> dict[str, str]:
    answers = (" ".join(ask("--hash", "--", *batch)) for batch in _batches(paths))
    together = re.findall(r"sha256:[0-9a-z]{52}", " ".join(answers))
    if len(together) == len(paths):
        return dict(zip(paths, together, strict=True))
    return {path: found[0] for path in paths if (found := ask("--hash", "--", path))}


def _state(room: Path, real_state: Path) -> None:
    """Stores that share the build users must share their locks, or they kill each other's builders (measured)."""
    state = room / "state"
    state.mkdir()
    for pool in ("userpool", "userpool2"):
        real = real_state / pool
        real.mkdir(mode=0o755, exist_ok=True)
        (state / pool).symlink_to(real.resolve())


def _environment(request: dict[str, Any], room: Path) -> dict[str, str]:
    allowed = ("NIX_CONFIG", "NIX_CONF_DIR", "NIX_USER_CONF_FILES", "NIX_STORE_DIR", "NIX_SSL_CERT_FILE", "TMPDIR")
    env = {name: request["env"][name] for name in allowed if name in request["env"]}
    return env | {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "USER": "root",
        "NIX_STATE_DIR": str(room / "state"),
        "NIX_LOG_DIR": str(room / "log"),
    }


def _keep(request: dict[str, Any], paths: list[str]) -> dict[str, str]:
    """Copy what differs to the caller, with the caller's rights: nothing is written as root outside our own room."""
    kept = {path: os.path.join(request["keep_dir"], os.path.basename(path)) for path in paths}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            uid, gid = request["owner"]
            if uid != 0:
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
            for source, to in kept.items():
                copy = ["cp", "-R", "-P", "--preserve=mode,links", "--", source, to]
                if subprocess.run(copy, check=False, stdout=subprocess.DEVNULL).returncode != 0:
                    # What is there of it would be taken for the rebuild.
                    subprocess.run(["chmod", "-R", "u+w", "--", to], check=False, stderr=subprocess.DEVNULL)
                    subprocess.run(["rm", "-rf", "--", to], check=False)
                    print(f"warning: shadow: {source} could not be kept", file=sys.stderr, flush=True)
            code = 0
        except OSError as error:
            print(f"warning: shadow: a differing output could not be kept: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.waitpid(child, 0)
    return {path: to for path, to in kept.items() if os.path.lexists(to)}


def _remove_stale(base: Path) -> None:
    """Rooms of runs that were killed: their lock is free."""
    for room in base.glob("run-*"):
        try:
            # Whoever makes a room holds the entrance until it is locked: without a lock, it was left half removed.
            lock = os.open(room / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(room)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _remove(room: Path) -> None:
    """The mounts are already gone. Not by Python, which recurses into what builders have made; and the lock last, so
    that what stays is removed by the next run."""
    inside = [entry for entry in room.iterdir() if entry.name != "lock"]
    subprocess.run(["rm", "-rf", "--one-file-system", "--", *inside, room], check=False, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
