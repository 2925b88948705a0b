"""Which settings of Nix anybody may set, who answers for the run may set, and nobody may."""

from __future__ import annotations

import pytest

from nix_repro.build.rebuild.protocol import ISOLATION
from nix_repro.config import layer, load, read_settings
from nix_repro.errors import UsageError
from nix_repro.nix.options import HARMLESS, TRUSTED, harmless, passable

PROGRAMS = (
    "plugin-files",
    "extra-plugin-files",
    "post-build-hook",
    "pre-build-hook",
    "diff-hook",
    "run-diff-hook",
    "build-hook",
    "external-builders",
    "allow-unsafe-native-code-during-evaluation",
    "accept-flake-config",
    "build-users-group",
    "secret-key-files",
    "json-log-path",
    "eval-profile-file",
    "store",
    "trusted-users",
    "extra-trusted-users",
    "debugger-on-trace",
    "upgrade-nix-store-path-url",
    "include",
    "a-setting-of-tomorrow",
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nobody_names_programs_and_files(name: str) -> None:
    assert not passable(name, "true")
    for given in ({name: "x"}, ((name, "x"),), f"{name} = x"):
        with pytest.raises(UsageError, match="not among the settings that are passed on to Nix"):
            load([layer({"options": given}, "x {}")])
    with pytest.raises(UsageError, match=rf"^c\.yml:1: options: {name}: not among"):
        load([read_settings(f"options: {{{name}: /x}}\n".encode(), "c.yml")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sandbox", "false"),
        ("sandbox", "relaxed"),
        ("sandbox-paths", "/etc"),
        ("extra-sandbox-paths", "/etc"),
        ("substituters", "https://x"),
        ("extra-substituters", "https://x"),
        ("trusted-public-keys", "x"),
        ("require-sigs", "false"),
        ("builders", "ssh://x"),
        ("netrc-file", "/x"),
        ("access-tokens", "x"),
        ("pure-eval", "false"),
        ("filter-syscalls", "false"),
        ("extra-platforms", "x"),
    ],
)
def test_who_answers_for_the_run_may_say_more(name: str, value: str) -> None:
    assert passable(name, value)
    assert not harmless(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cores", "2"), ("sandbox", "true"), ("require-sigs", "true"), ("extra-experimental-features", "x")],
)
def test_what_weakens_nothing_may_be_said_by_anybody(name: str, value: str) -> None:
    assert harmless(name, value)
    assert passable(name, value)


def test_a_value_is_one_line() -> None:
    for value in ("1\nplugin-files = /x", "1\rplugin-files = /x", "a\0b", "a\tb", "\ud800"):
        with pytest.raises(UsageError, match="not the value of a Nix setting"):
            load([layer({"options": (("cores", value),)}, "x {}")])


def test_a_value_that_is_refused_is_not_shown() -> None:
    """It may be a token."""
    with pytest.raises(UsageError) as error:
        load([layer({"options": (("impure-env", "s3cret"), ("cores", "s3cret\n"))}, "x {}")])
    assert "s3cret" not in str(error.value)


def test_the_lists_are_apart() -> None:
    assert not HARMLESS & TRUSTED
    assert not [name for name in HARMLESS | TRUSTED if name.endswith("-hook")]
    assert "post-build-hook" in dict(ISOLATION), "that nobody names one does not mean that there is none"
