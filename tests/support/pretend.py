"""Programs that nobody starts: who starts one has an answer at once, and what was to be started is written down.

Nix is pretended to have one flake and its derivations, builds what it is asked for, and always the same. git has a
commit, the shadow helper builds like Nix, and everything else does nothing.
"""

from __future__ import annotations

import io
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest import mock

SYSTEM = "x86_64-linux"
COMMIT = "c0ffee" + "0" * 34
#: The narHash of everything.
HASH = "sha256:" + "1" * 52
#: Of nobody's: signals to it reach nobody.
PROCESS_ID = 0x7FFF0000


@dataclass(frozen=True)
class Answer:
    """What a program says, and how it ends."""

    out: str = ""
    err: str = ""
    code: int = 0


@dataclass
class Machine:
    """`flake` maps attribute paths to what Nix evaluates them to, `drvs` are derivations as Nix shows them, by path.
    `valid` are the paths that its store has; `deriver` and `words` are what Nix says of an output's deriver, and in the
    log of every build. `started` are the command lines, in order."""

    flake: Mapping[str, Any] = field(default_factory=dict)
    drvs: Mapping[str, Any] = field(default_factory=dict)
    valid: set[str] = field(default_factory=set)
    deriver: str = "unknown-deriver"
    words: Sequence[str] = ()
    remote: str = ""
    started: list[list[str]] = field(default_factory=list)

    def answer(self, argv: list[str], stdin: bytes) -> Answer:
        """What the program of a command line comes to."""
        program = Path(argv[0]).name
        options, operands = _parted(argv[1:])
        match program, options:
            case "git", _:
                return self._git(options)
            case "nix", _:
                return self._nix(options, operands)
            case "nix-store", _:
                return self._store(options, operands)
            case _ if options[:2] == ["-I", "-c"]:
                return Answer("ok\n")
            case _ if "shadow_helper.py" in " ".join(argv) and stdin:
                return self._helper(json.loads(stdin))
            case _:
                return Answer()

    def _git(self, words: list[str]) -> Answer:
        if "cat-file" in words or "status" in words:
            return Answer()
        if "get-url" in words:
            return Answer(self.remote)
        if "diff" in words:
            return Answer("flake.nix\0")
        if "--show-toplevel" in words:
            return Answer(str(Path.cwd()))
        return Answer(COMMIT) if "rev-parse" in words else Answer(code=1)

    def _nix(self, options: list[str], operands: list[str]) -> Answer:
        match options:
            case ["config" | "show-config", *_]:
                known = {"system": SYSTEM, "sandbox": True, "trusted-users": ["root"], "substituters": [], "cores": 1}
                return Answer(json.dumps({name: {"value": value} for name, value in known.items()}))
            case ["--version"]:
                return Answer("nix (Nix) 2.26.3\n")
            case ["eval", *_]:
                attr = operands[0].partition("#")[2]
                if attr not in self.flake:
                    return Answer(err=f"error: flake 'x' does not provide attribute '{attr}'", code=1)
                return Answer(_json(self.flake[attr]))
            case ["derivation", *_]:
                return self._show(operands, recursive="--recursive" in options)
            case ["path-info", *_]:
                rows = {path: {"path": path, "narSize": 1, "references": []} for path in operands if path in self.valid}
                return Answer(json.dumps(rows))
            case _:
                return Answer()

    def _store(self, options: list[str], operands: list[str]) -> Answer:
        match options:
            case ["--check-validity", *_]:
                return Answer("\n".join(path for path in operands if path not in self.valid))
            case ["--query", "--hash", *_]:
                return Answer(f"{HASH}\n" * len(operands))
            case ["--query", "--deriver", *_]:
                return Answer(f"{self.deriver}\n")
            case ["--query", *_]:
                return Answer("\n".join(operands))
            case ["--delete", *_]:
                self.valid -= set(operands)
                return Answer()
            case ["--realise", *_]:
                return self._build([path.partition("!")[0] for path in operands])
            case _:
                return Answer()

    def _show(self, paths: list[str], *, recursive: bool) -> Answer:
        found: dict[str, Any] = {}
        stack = list(paths)
        while stack:
            if (path := stack.pop()) in self.drvs and path not in found:
                found[path] = self.drvs[path]
                stack += found[path]["inputDrvs"] if recursive else ()
        if not set(paths) <= found.keys():
            return Answer(err="error: path is not valid", code=1)
        return Answer(_json(found))

    def _build(self, drv_paths: Sequence[str]) -> Answer:
        log: list[str] = []
        for number, path in enumerate(dict.fromkeys(drv_paths), 1):
            if path not in self.drvs:
                continue
            log += self.words
            start = {"action": "start", "id": number, "type": 105, "text": f"building '{path}'"}
            log.append("@nix " + json.dumps({**start, "fields": [path, "", 1, 1]}))
            log += [
                "@nix " + json.dumps({"action": "result", "id": number, "type": 101, "fields": [word]})
                for word in self.words
            ]
            log.append("@nix " + json.dumps({"action": "stop", "id": number}))
            self.valid |= {path, *self._outputs(path)}
        return Answer("\n".join(out for path in drv_paths for out in self._outputs(path)), "\n".join(log) + "\n")

    def _outputs(self, drv_path: str) -> list[str]:
        return [output["path"] for output in self.drvs.get(drv_path, {"outputs": {}})["outputs"].values()]

    def _helper(self, question: Mapping[str, Any]) -> Answer:
        built = self._build(list(question["targets"]))
        outputs = {path: self._outputs(path) for path in question["targets"]}
        hashes = {path: HASH for found in outputs.values() for path in found}
        said = {"outputs": outputs, "hashes": hashes, "kept": {}, "touched": {}}
        return Answer(json.dumps(said), built.err)


def _json(value: Any) -> str:
    """As Nix prints it, with the bytes of a string as they are."""
    return json.dumps(value, ensure_ascii=False)


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before `--`, and behind it."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


class _Input(io.BytesIO):
    """Standard input, of which is known when it was written."""

    def __init__(self, written: threading.Event) -> None:
        super().__init__()
        self._written = written

    def flush(self) -> None:
        self._written.set()


class _Process:
    """What `Popen` makes, of a program that has an answer."""

    returncode: int | None = None
    pid = PROCESS_ID

    def __init__(self, machine: Machine, argv: Sequence[str], **how: Any) -> None:
        # As the kernel takes them, or not at all.
        words = [word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") for word in argv]
        if any("\0" in word for word in words):
            raise ValueError("embedded null byte")
        machine.started.append(words)
        self.args = words
        self._machine, self._how = machine, how
        self._written, self._lock = threading.Event(), threading.Lock()
        piped = how.get("stdin") == subprocess.PIPE
        self.stdin = _Input(self._written) if piped else None
        if not piped:
            self._written.set()
        self._answer: Answer | None = None
        self.stdout = self._stream("out", how.get("stdout"))
        self.stderr = self._stream("err", how.get("stderr"))

    def said(self) -> Answer:
        """What it says, once it has been told all that it wants to know."""
        self._written.wait(10)
        with self._lock:
            if self._answer is None:
                self._answer = self._machine.answer(self.args, self.stdin.getvalue() if self.stdin else b"")
                self.returncode = self._answer.code
            return self._answer

    def _stream(self, name: str, where: Any) -> Any:
        if where != subprocess.PIPE:
            return None
        process = self

        class Late(io.RawIOBase):
            _content: io.BytesIO | None = None

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                if self._content is None:
                    text: str = getattr(process.said(), name)
                    self._content = io.BytesIO(text.encode("utf-8", "surrogatepass"))
                return self._content.readinto(buffer)

        return io.BufferedReader(Late())

    def communicate(self, content: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: ARG002
        if self.stdin is not None:
            self.stdin.write(content if isinstance(content, bytes) else (content or "").encode())
            self.stdin.flush()
        out, err = (stream.read() if stream is not None else None for stream in (self.stdout, self.stderr))
        self.wait()
        if self._how.get("text"):
            return (out or b"").decode("utf-8", "replace"), (err or b"").decode("utf-8", "replace")
        return out, err

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002
        return self.said().code

    def poll(self) -> int | None:
        return self.wait()

    def kill(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def pretended(machine: Machine) -> Iterator[Machine]:
    """Inside, every program is the machine's."""
    with mock.patch("subprocess.Popen", side_effect=lambda argv, **how: _Process(machine, argv, **how)):
        yield machine
