"""What a rebuilder can do is asked of it, never read off which one it is; and what it cannot do it does not do."""

from __future__ import annotations

import ast
from pathlib import Path
from unittest.mock import Mock

import pytest

from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.nix_check import NixCheck
from nix_repro.build.rebuild.protocol import Rebuilder, Request, refusal
from nix_repro.build.rebuild.replace import Replace
from nix_repro.build.rebuild.shadow import Shadow
from nix_repro.build.rebuild.store import Store
from nix_repro.build.variations import CLOCK_FROZEN, PLACEBOS, TABLE, TIME
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Recorder
from nix_repro.reasons import Reason

PACKAGE = Path(__file__).parents[4] / "src" / "nix_repro"
FOLDER = PACKAGE / "build" / "rebuild"
CHECK = NixCheck(Mock())
REBUILDERS: tuple[Rebuilder, ...] = (
    Shadow(Mock()),
    Replace(Mock(), Mock(), CHECK, Mock()),
    Store(Mock(), "local?root=/elsewhere", Mock()),
    CHECK,
)
DRV = Derivation(
    "/s/a.drv", "a", "x", "/bin/sh", (), {}, {"out": DrvOutput("/s/a"), "doc": DrvOutput("/s/a-doc")}, {}, ()
)


def test_nobody_outside_asks_which_rebuilder_it_is() -> None:
    classes = {type(rebuilder).__name__ for rebuilder in REBUILDERS}
    for path in PACKAGE.rglob("*.py"):
        if FOLDER not in path.parents:
            nodes = ast.walk(ast.parse(path.read_text("utf-8")))
            imports = [n for n in nodes if isinstance(n, ast.ImportFrom) and "build.rebuild" in (n.module or "")]
            assert not classes & {alias.name for n in imports for alias in n.names}, path


@pytest.mark.parametrize("rebuilder", REBUILDERS, ids=lambda rebuilder: rebuilder.name)
def test_every_rebuilder_refuses_what_it_cannot_hold_different(rebuilder: Rebuilder) -> None:
    assert refusal(rebuilder, TIME) is None
    for condition in TABLE:
        assert (refusal(rebuilder, condition) is None) == (condition.name in rebuilder.varies)


@pytest.mark.parametrize("rebuilder", [r for r in REBUILDERS if not r.varies], ids=lambda rebuilder: rebuilder.name)
def test_a_rebuilder_that_refuses_builds_nothing_and_says_why(rebuilder: Rebuilder) -> None:
    request = Request((DRV,), {}, 3, Limits(), Path(), isolated=True, condition=CLOCK_FROZEN)
    answer = rebuilder.rebuild(request, Recorder())
    why = Reason(f"the {rebuilder.name} rebuilder cannot build with the clock frozen")
    (attempt,) = answer.attempts
    assert (attempt.drv_path, attempt.round, attempt.status, attempt.isolated) == ("/s/a.drv", 3, "not-built", True)
    assert (attempt.because, attempt.missing) == (why, {"out": why, "doc": why})
    assert answer.trees == {}


def test_what_the_rebuilders_can() -> None:
    can = {
        r.name: (r.isolates, r.elsewhere, r.varies == {c.name for c in (*TABLE, *PLACEBOS.values())})
        for r in REBUILDERS
    }
    assert can == {
        "shadow": (True, False, True),
        "replace": (True, False, False),
        "store": (True, True, False),
        "nix-check": (False, False, False),
    }
