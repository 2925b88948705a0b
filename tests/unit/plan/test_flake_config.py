"""What a flake's `nixConfig` says, and what a user has to know about it."""

from __future__ import annotations

import pytest

from nix_repro.plan.flake_config import settings_of, told


@pytest.mark.parametrize(
    ("flake", "names"),
    [
        ("{ outputs = _: { }; }", []),
        ("{ nixConfig = { }; outputs = _: { }; }", []),
        ('{ nixConfig.extra-substituters = [ "https://c" ]; outputs = _: { }; }', ["extra-substituters"]),
        (
            '{\n  nixConfig = {\n    extra-substituters = [ "https://c; x = 1" ]; # x = 2;\n    sandbox = 1;\n };\n}',
            ["extra-substituters", "sandbox"],
        ),
        ('{ nixConfig = { bash-prompt = "x"; bash-prompt-suffix = "y"; }; }', []),
        ("{ # nixConfig.cores = 3;\n /* nixConfig = { cores = 3; }; */ outputs = _: { }; }", []),
        ('{ description = "nixConfig.cores = 3;"; outputs = _: { }; }', []),
        ("{ description = ''nixConfig.cores = 3; it''s ''; nixConfig.jobs = 1; }", ["jobs"]),
        ("{ outputs = _: { packages.nixConfigs.cores = 3; }; }", []),
        ("nixConfig = {" * 2000, []),
    ],
)
def test_the_settings_of_a_flake(flake: str, names: list[str]) -> None:
    assert settings_of(flake) == names


def test_what_becomes_of_them_is_said() -> None:
    flake = "{ nixConfig.extra-substituters = [ ]; }"
    ignored = told(flake, {"extra-substituters", "cores"})
    assert ignored is not None
    assert ignored.startswith(
        "Nix does not trust the flake's nixConfig: cores, extra-substituters count neither for evaluation nor for build"
    )
    accepted = told(flake, set())
    assert accepted is not None
    assert "counts for evaluation only, and not for builds: extra-substituters. " in accepted
    assert told("{ }", set()) is None
    assert told(None, set()) is None
