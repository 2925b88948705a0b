"""How Nix is started, and what it says when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.processes import Processes


def test_secrets_do_not_reach_nix(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "nix").chmod(0o755)
    secrets = dict.fromkeys(
        ("GITHUB_TOKEN", "GH_TOKEN", "INPUT_GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "NIX_REPRO_TOKEN"), "s3cret"
    )
    nix = Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin", "KEPT": "yes", "NIX_CONFIG": "cores = 1", **secrets})
    said = nix.run("nix", "anything")
    assert "s3cret" not in said
    assert "KEPT=yes" in said
    assert "cores = 1\nextra-experimental-features = nix-command flakes" in said
    assert "s3cret" not in nix.with_store("local?root=/x").with_options([("a", "b")]).run("nix")


def test_options_and_store_are_on_every_command_line(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "nix").chmod(0o755)
    nix = (
        Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"}, [("cores", "1")])
        .with_store("ssh-ng://h")
        .with_options([("cores", "2")])
    )
    assert nix.run("nix", "x").split() == [
        "x",
        "--store",
        "ssh-ng://h",
        "--option",
        "cores",
        "1",
        "--option",
        "cores",
        "2",
    ]


def test_an_error_is_told_without_colours_and_without_what_came_before(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text(
        "#!/bin/sh\nprintf 'copying 1 path\\n\\033[31;1merror:\\033[0m oops\\n' >&2; exit 1\n"
    )
    (tmp_path / "nix").chmod(0o755)
    with pytest.raises(NixError) as error:
        Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"}).run("nix", "eval")
    assert str(error.value) == "error: oops"


def test_a_failure_without_a_word_is_told_by_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "nix").chmod(0o755)
    with pytest.raises(NixError, match=r"^nix ended with 7$"):
        Nix(Processes(), {"PATH": f"{tmp_path}:/usr/bin:/bin"}).run("nix", "eval")
