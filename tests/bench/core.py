"""Numbers of the core, as ratios where the machine would decide otherwise: `PYTHONPATH=src python tests/bench/core.py`.

Run by hand; docs/performance.md says what came out and what is allowed. Needs a Nix on PATH for the last number.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nix_repro.nix.log.recorder import Recorder
from watched_nix import read_runs, watch

LINES = 1_000_000
DERIVATIONS = 20


def main() -> None:
    bare = start_up()
    decoding()
    if shutil.which("nix"):
        own_time(bare)


def start_up() -> float:
    """Returns the seconds that a bare interpreter takes: the yardstick for this machine, now."""

    def run(*args: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *args], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def median(*args: str) -> float:
        return statistics.median(run(*args) for _ in range(15))

    bare, help_text, version = (
        median("-c", "pass"),
        median("-m", "nix_repro", "--help"),
        median("-m", "nix_repro", "--version"),
    )
    print(
        f"start-up: --help {help_text * 1000:.0f} ms, --version {version * 1000:.0f} ms, python -c pass "
        f"{bare * 1000:.0f} ms"
    )
    print(f"          --help takes {help_text / bare:.1f} × a bare interpreter; bar: 150 ms")
    return bare


def line(number: int) -> bytes:
    """What a build writes most: lines of builders, starts, stops and progress, as long as Nix's own."""
    build = number // 100
    match number % 100:
        case 0:
            drv_path = f"/nix/store/{build:032d}-package-{build}.drv"
            start = {
                "action": "start",
                "id": build,
                "level": 3,
                "text": f"building '{drv_path}'",
                "type": 105,
                "fields": [drv_path, "", 1, 1],
            }
            return json.dumps(start).encode()
        case 99:
            return b'{"action":"stop","id":%d}' % build
        case n if n % 3 == 0:
            return b'{"action":"result","fields":[%d,100,1,0],"id":%d,"type":105}' % (n, build)
        case _:
            text = b"checking whether something or other works as it should... yes (%d)" % number
            return b'{"action":"result","fields":["%s"],"id":%d,"type":101}' % (text, build)


def seconds(work: Callable[[bytes], object], lines: list[bytes]) -> float:
    """Of this process, so that the machine's other work does not count."""
    began = time.process_time()
    for content in lines:
        work(content)
    return time.process_time() - began


def decoding() -> None:
    lines = [line(number) for number in range(LINES // 10)]

    baseline = min(seconds(json.loads, lines) for _ in range(3))
    lines = [b"@nix " + content for content in lines]
    ours = min(seconds(Recorder().feed, lines) for _ in range(3))
    print(
        f"log: {LINES / 10 / ours:,.0f} lines a second; {ours / baseline:.2f} × the time of json.loads on the same "
        "lines"
    )
    del lines
    pid = os.fork()
    if pid == 0:
        recorder = Recorder()
        for number in range(LINES):
            recorder.feed(b"@nix " + line(number))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f"memory: {peak:.0f} MB at most after a million lines; bar: 100 MB", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


def own_time(bare: float) -> None:
    """How long a check of a fully built flake runs without any Nix child: wall-clock time minus the union of Nix's."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        log = work / "log"
        programs = watch(work / "bin", log)
        (work / "flake.nix").write_text(flake())
        environ = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }
        command = [
            sys.executable,
            "-m",
            "nix_repro",
            "check",
            "all",
            "--scope",
            "closure",
            "--report-json",
            "report.json",
        ]
        subprocess.run(command, cwd=work, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(3):
            log.write_text("")
            began = time.time()
            subprocess.run(
                command, cwd=work, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            ended = time.time()
            phases = {p["name"]: p["seconds"] for p in json.loads((work / "report.json").read_text())["phases"]}
            count, in_nix = read_runs(log)
            print(f"check of {DERIVATIONS} built derivations: {ended - began:.2f} s, {count} Nix processes, ", end="")
            own = ended - began - in_nix
            print(f"without Nix {own:.2f} s = {own / bare:.0f} × a bare interpreter; bar: 0.5 s; phases {phases}")


def flake() -> str:
    system = f"{os.uname().machine}-linux"
    one = (
        f'name = "p${{toString n}}"; system = "{system}"; builder = "/bin/sh"; args = [ "-c" "echo ${{toString n}} > '
        '$out" ];'
    )
    named = 'name = "p${toString n}"; value = make n;'
    packages = f"builtins.listToAttrs (builtins.genList (n: {{ {named} }}) {DERIVATIONS})"
    return f"{{ outputs = _: let make = n: derivation {{ {one} }}; in {{ packages.{system} = {packages}; }}; }}\n"


if __name__ == "__main__":
    main()
