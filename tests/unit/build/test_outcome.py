"""Why a derivation has no outputs, by what Nix and the builders said."""

from __future__ import annotations

import json

from nix_repro.build.outcome import why_not
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Recorder
from nix_repro.reasons import BUILDER_FAILED, DISK_FULL

FULL = "cp: error writing 'x': No space left on device"


def derivation(name: str) -> Derivation:
    path = f"/nix/store/{name * 32}-{name}"
    return Derivation(f"{path}.drv", name, "x", "/bin/sh", (), {}, {"out": DrvOutput(path)}, {}, ())


A, B = derivation("a"), derivation("b")


def recorded(*said: tuple[Derivation, list[str], bool], errors: tuple[str, ...] = ()) -> Recorder:
    """A log in which each derivation is built, prints its lines, and fails or not."""
    recorder = Recorder()

    def feed(**event: object) -> None:
        recorder.feed(b"@nix " + json.dumps(event).encode())

    for number, (drv, lines, fails) in enumerate(said):
        feed(action="start", id=number, type=105, fields=[drv.drv_path, "", 1, 1])
        for line in lines:
            feed(action="result", id=number, type=101, fields=[line])
        feed(action="stop", id=number)
        if fails:
            quoted = "".join(f"\n       > {line}" for line in lines[-10:])
            message = f"error: builder for '{drv.drv_path}' failed with exit code 1;\n       last 10 log lines:{quoted}"
            feed(action="msg", level=0, msg=message)
    for error in errors:
        feed(action="msg", level=0, msg=error)
    return recorder


def test_a_builder_that_ran_out_of_space_and_what_fails_beside_it() -> None:
    recorder = recorded((A, ["first", FULL], True), (B, ["cannot make a file"], True))
    assert why_not(A, recorder, cancelled=False) == ("disk-full", DISK_FULL)
    assert why_not(B, recorder, cancelled=False) == ("disk-full", DISK_FULL)


def test_a_builder_that_speaks_of_full_disks_and_goes_on() -> None:
    """Test suites do, on /dev/full."""
    assert why_not(B, recorded((A, [FULL], False), (B, ["wrong"], True)), cancelled=False) == (
        "failed",
        BUILDER_FAILED,
    )
    chatty = [FULL, *(f"test {n}: ok" for n in range(30)), "test 31: failed"]
    assert why_not(B, recorded((B, chatty, True)), cancelled=False) == ("failed", BUILDER_FAILED)


def test_nix_that_ran_out_of_space() -> None:
    recorder = recorded((A, [], False), errors=("error: writing to file: No space left on device",))
    assert why_not(A, recorder, cancelled=False) == ("disk-full", DISK_FULL)


def test_an_error_without_words() -> None:
    """A builder can say that in Nix's name."""
    status, because = why_not(A, recorded(errors=("",)), cancelled=False)
    assert (status, bool(because.text)) == ("not-built", True)
