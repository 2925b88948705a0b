"""Derivations, first builds and logs, as small as a test about rebuilding needs them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.protocol import Request
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def sri(content: str) -> str:
    """A narHash, the same for the same content, which is one letter."""
    return f"sha256-{content * 42}A="


def path(name: str) -> str:
    """The store path of that name: its hash is the name's first letter 32 times."""
    return f"/nix/store/{name[0] * 32}-{name}"


def output_path(name: str, output: str = "out") -> str:
    """Where a derivation of that name has an output."""
    return path(name if output == "out" else f"{name}-{output}")


def derivation(
    name: str,
    inputs: Mapping[str, tuple[str, ...]] = {},
    *,
    outputs: tuple[str, ...] = ("out",),
    sources: tuple[str, ...] = (),
    floating: bool = False,
    env: Mapping[str, str] = {},
) -> Derivation:
    """NAME.drv, built from these outputs of the inputs of these names."""
    made = {o: DrvOutput(None if floating else output_path(name, o), floating=floating) for o in outputs}
    below = {f"{path(input_name)}.drv": wanted for input_name, wanted in inputs.items()}
    return Derivation(f"{path(name)}.drv", name, "x86_64-linux", "/bin/sh", (), dict(env), made, below, sources)


def first_build(drv: Derivation, content: str = "A") -> Attempt:
    """A first build in which every output had the content."""
    seen = {o: Seen(output_path(drv.name, o), sri(content), "built", "round 1") for o in drv.outputs}
    return Attempt(drv.drv_path, 1, "built", seen)


def request(
    *targets: Derivation,
    others: Iterable[Derivation] = (),
    isolated: bool = False,
    round_number: int = 2,
    keep: Path = Path("/run/trees"),
) -> Request:
    """To build the targets again; they and the others have a first build."""
    first = {drv.drv_path: first_build(drv) for drv in (*targets, *others)}
    return Request(targets, first, round_number, Limits(), keep, isolated)


class Log:
    """What Nix says, event by event, into `recorder`. Every event is a second after the one before."""

    def __init__(self) -> None:
        ticks = itertools.count(1000.0)
        self.recorder = Recorder(clock=lambda: next(ticks))
        self._numbers = itertools.count(1)

    def _feed(self, **event: object) -> None:
        self.recorder.feed(b"@nix " + json.dumps(event).encode())

    def start(self, drv: Derivation, *, checking: bool = False) -> int:
        number = next(self._numbers)
        text = "checking outputs of" if checking else "building"
        self._feed(
            action="start", id=number, type=105, text=f"{text} '{drv.drv_path}'", fields=[drv.drv_path, "", 1, 1]
        )
        return number

    def stop(self, number: int) -> None:
        self._feed(action="stop", id=number)

    def build(self, drv: Derivation, *, checking: bool = False) -> None:
        """A builder starts and ends."""
        self.stop(self.start(drv, checking=checking))

    def error(self, text: str, *, own: bool = True) -> None:
        """By Nix itself, or by a builder or through a daemon."""
        self._feed(action="msg", level=0, msg=f"error: {text}", **({"raw_msg": text} if own else {}))

    def failed(self, drv: Derivation, *, own: bool = True) -> None:
        self.error(f"builder for '{drv.drv_path}' failed with exit code 1", own=own)

    def differs(self, drv: Derivation, output: str, other: str | None, *, own: bool = True) -> None:
        """`--check` found a difference, and kept the other side there."""
        kept = f" from '{other}'" if other else ""
        self.error(f"derivation '{drv.drv_path}' may not be deterministic: output '{output}' differs{kept}", own=own)
