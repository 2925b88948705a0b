"""What a build failed of, in the words of three series of Nix, as they were seen."""

from __future__ import annotations

import json

import pytest

from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.log.why import why

DRV = "/nix/store/lqlm0iww3ypl6mc4zdl6dqf62hnm0mdj-x.drv"
OUT = "/nix/store/vq16rar1qsgz64n8kb3slamxq1k8517m-x"
REQUIRED = (
    f"a '{{}}' with features {{{{{{}}}}}} is required to build '{DRV}', but I am a 'x86_64-linux' with features "
    "{{benchmark, kvm}}"
)
CANNOT = f"Cannot build '{DRV}'.\n       Reason: "
MEMORY = "out of memory, perhaps"
HERE = "{benchmark, big-parallel, kvm}"
SPECIFIED, GOT = (
    "sha256-mOpuT/+XdEPEUYPA/gOaDTXp6GLgbZV8CpHpPzZLnvQ=",
    "sha256-c8s4WKaHqElMozIwUwFigvPa051Cz2LKTnndoqrH2aw=",
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"builder for '{DRV}' failed with exit code 3", "the builder failed with exit code 3"),
        (f"{CANNOT}builder failed with exit code 3.\n Output paths:\n {OUT}", "the builder failed with exit code 3"),
        (
            f"error: builder for '{DRV}' failed with exit code 137;\nlast 1 log lines:\n> failed with exit code 4",
            f"the builder failed with exit code 137, as when a program in it was killed by signal 9: {MEMORY}",
        ),
        (
            f"builder for '{DRV}' failed due to signal 9 (Killed)",
            f"the builder was killed by signal 9 (Killed): {MEMORY}",
        ),
        (
            f"{CANNOT}builder failed due to signal 11 (Segmentation fault).\nOutput paths:\n  {OUT}",
            "the builder was killed by signal 11 (Segmentation fault)",
        ),
        (
            f"builder for '{DRV}' failed to produce output path for output 'doc' at '{OUT}'",
            "the builder ended without an error and did not make the output doc",
        ),
        (
            f"hash mismatch in fixed-output derivation '{DRV}':\n  specified: {SPECIFIED}\n     got:    {GOT}",
            f"hash mismatch: specified {SPECIFIED}, got {GOT}",
        ),
        (
            f"building of '{DRV}^*' from .drv file killed after writing more than 100000 bytes of log output",
            "it was killed because it printed more than 100000 bytes (max-build-log-size)",
        ),
        (
            f"building derivation '{DRV}' killed after writing more than 100000 bytes of log output",
            "it was killed because it printed more than 100000 bytes (max-build-log-size)",
        ),
        (
            REQUIRED.format("x86_64-linux", "gpu"),
            "it needs the system features {gpu}, not all of which this machine has",
        ),
        (
            REQUIRED.format("riscv64-linux", ""),
            "it is for riscv64-linux, and this machine builds for x86_64-linux",
        ),
        (
            f"{CANNOT}missing system features\nRequired features: {{gpu}}\nAvailable features: {HERE}",
            "it needs the system features {gpu}, not all of which this machine has",
        ),
        (
            f"{CANNOT}platform mismatch\nRequired system: 'riscv64-linux'\nCurrent system: 'x86_64-linux'",
            "it is for riscv64-linux, and this machine builds for x86_64-linux",
        ),
    ],
)
def test_why(message: str, said: str) -> None:
    assert why(message) == said


@pytest.mark.parametrize(
    "message",
    [
        "",
        f"builder for '{DRV}' failed",
        f"{CANNOT}1 dependency failed.",
        f"1 dependencies of derivation '{DRV}' failed",
    ],
)
def test_where_no_more_is_said(message: str) -> None:
    assert why(message) is None


def recorded(*messages: str, own: str = "") -> Recorder:
    """What is said through a daemon, where only the command's last error is certain to be Nix's own."""
    recorder = Recorder()
    for text in messages:
        recorder.feed(b"@nix " + json.dumps({"action": "msg", "level": 0, "msg": f"error: {text}"}).encode())
    last = {"action": "msg", "level": 0, "msg": f"error: {own}", "raw_msg": own}
    recorder.feed(b"@nix " + json.dumps(last).encode())
    return recorder


REFERS = f"output '{OUT}' is not allowed to refer to the following paths:\n  {OUT}-b"
LARGE = f"path '{OUT}' is too large at 10112 bytes; limit is 10 bytes"
THREE, ANY = f"builder for '{DRV}' failed with exit code 3", f"build of '{DRV}', '{OUT}.drv' failed"
NO_OUTPUT = f"builder for '{DRV}' failed to produce output path for output 'out' at '{OUT}'"


@pytest.mark.parametrize(
    ("messages", "own", "said"),
    [
        ((), THREE, "the builder failed with exit code 3"),
        ((NO_OUTPUT,), THREE, "the builder failed with exit code 3"),
        ((THREE,), ANY, "the builder failed with exit code 3"),
        ((THREE, THREE), ANY, "the builder failed with exit code 3"),
        # One of the two is the builder's.
        ((NO_OUTPUT, THREE), ANY, ""),
        ((THREE, NO_OUTPUT, THREE), ANY, ""),
        ((), ANY, ""),
        # What Nix rejects it says in its own way, and a daemon passes that on.
        ((REFERS,), ANY, f"{REFERS.partition(':')[0]}: {OUT}-b"),
        ((LARGE,), ANY, LARGE),
        ((REFERS, LARGE), ANY, ""),
        ((LARGE, THREE), ANY, ""),
    ],
)
def test_a_builder_words_no_reason(messages: tuple[str, ...], own: str, said: str) -> None:
    assert recorded(*messages, own=own).reason_of(DRV, [OUT]) == said
