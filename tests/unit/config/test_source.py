"""Whose configuration file counts: in real git repositories, in the runs of proposed changes and elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nix_repro.config import Config, ProposedConfig, layer
from nix_repro.config.source import ConfigFrom, choose
from nix_repro.errors import UsageError
from nix_repro.report import Configuration

Make = Callable[..., dict[str, str]]
STRICT = "fail-on: [divergence, unverified]\ninstallables: [.#a, .#b]\ntest: [make, check]\n"


def git(cwd: Path, *args: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *config, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    git(tmp_path / "checkout", "init", "-q")
    return tmp_path / "checkout"


def commit(top: Path, text: str | None, name: str = ".nix-repro.yml") -> str:
    file = top / name
    if text is None:
        file.unlink(missing_ok=True)
    else:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    git(top, "add", "-A")
    git(top, "commit", "-q", "--allow-empty", "-m", "x")
    return git(top, "rev-parse", "HEAD")


@pytest.fixture
def proposed(top: Path, tmp_path: Path) -> Make:
    """The environment of a job about a pull request on this base."""

    def make(base: str | None, name: str = "pull_request") -> dict[str, str]:
        event: dict[str, object] = {"pull_request": {"number": 7, "base": {"sha": base}, "head": {"sha": "f" * 40}}}
        if name == "merge_group":
            event = {"merge_group": {"base_sha": base, "head_sha": "f" * 40}}
        (tmp_path / "event").write_text(
            json.dumps(event if name not in ("workflow_run", "issue_comment") else {name: {}})
        )
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(top),
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(tmp_path / "event"),
            "GITHUB_SHA": base or "",
        }

    return make


def config(
    top: Path, environ: dict[str, str], named: str | None = None, config_from: ConfigFrom = "base", **inputs: str
) -> ProposedConfig:
    given = layer(inputs, "input {}")
    found = choose(top, Path(named) if named else None, environ, config_from, given).config([given])
    return found if isinstance(found, ProposedConfig) else ProposedConfig(**vars(found))


@pytest.mark.parametrize(
    "event",
    ["pull_request", "pull_request_target", "merge_group", "workflow_run", "issue_comment", "pull_request_review"],
)
def test_a_change_is_checked_by_its_base_s_file(top: Path, proposed: Make, event: str) -> None:
    base = commit(top, STRICT)
    commit(top, "fail-on: none\nsince: HEAD\ninstallables: [.#good]\ntest: [touch, proof]\noptions: {cores: 1}\n")
    found = config(top, proposed(base, event))
    assert found.fail_on == ("divergence", "unverified")
    assert found.installables == (".#a", ".#b")
    assert found.test == ("make", "check")
    assert (found.since, found.options) == (None, ())
    assert found.configuration == Configuration(
        file=".nix-repro.yml",
        source="base",
        base=base,
        edited=("fail-on", "installables", "options", "since", "test"),
    )
    assert found.notes == ()


def test_what_is_the_same_is_nothing_to_say(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT + "targets: {build: 7m}\n")
    commit(top, f"# another line\n{STRICT}targets:\n  build: 7m\n")
    found = config(top, proposed(base))
    assert found.configuration is not None
    assert found.configuration.edited == ()


@pytest.mark.parametrize(
    ("before", "after", "edited"),
    [
        ("fail-on: divergence, overrun\n", "fail-on: [divergence, 'overrun']\n", ()),
        ("timeout: 7m\n", "timeout: 420\n", ()),
        ("jobs: 4\nrounds: 3\n", "rounds:    3   # three\n\n\njobs: 4\n", ()),
        ("jobs: 4\n", "jobs: 4\nrounds: 2\n", ()),
        ("targets: {build: 7m, test: 1m}\n", "targets:\n- build=420\n- test=60s\n", ()),
        ("fail-when: ['true']\n", "\n\nfail-when:\n- 'true'\n", ()),
        ("allow:\n- {name: a, reason: b}\n", "# moved\n\nallow:\n- name: a\n  reason: 'b'\n", ()),
        ("targets: {build: 7m}\n", "targets: {build: 9m}\n", ("targets",)),
        ("targets: {cold: {build: 7m}}\n", "targets: {warm: {build: 7m}}\n", ("targets",)),
        ("options: {cores: 1}\n", "options: {cores: 2}\n", ("options",)),
        ("fail-when: ['true']\n", "fail-when: ['false']\n", ("fail-when",)),
        ("allow:\n- {name: a, reason: b}\n", "allow:\n- {name: '*', reason: b}\n", ("allow",)),
        ("allow:\n- {name: a, reason: b}\n", "jobs: 4\n", ("allow", "jobs")),
        ("fail-on: divergence\n", "fail-on: new-divergence\n", ("fail-on",)),
        ("jobs: 4\n", "jobs: '4'\n", ()),
    ],
)
@pytest.mark.parametrize("place", [".nix-repro.yml", "flake/.nix-repro.yml"])
def test_only_what_comes_to_something_else_is_an_edit(
    top: Path, proposed: Make, before: str, after: str, edited: tuple[str, ...], place: str
) -> None:
    base = commit(top, before, place)
    commit(top, after, place)
    found = config((top / place).parent, proposed(base))
    assert found.configuration is not None
    assert (found.configuration.edited, found.configuration.file) == (edited, place)


def test_a_file_that_a_change_adds_or_removes(top: Path, proposed: Make) -> None:
    base = commit(top, None)
    commit(top, "fail-on: none\n")
    found = config(top, proposed(base))
    assert found.fail_on == Config().fail_on
    assert found.configuration is not None
    assert found.configuration.edited == ("fail-on",)
    base = commit(top, STRICT)
    commit(top, None)
    found = config(top, proposed(base))
    assert found.installables == (".#a", ".#b")
    assert found.configuration is not None
    assert found.configuration.edited == ("fail-on", "installables", "test")


def test_inputs_pin_what_they_say(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT)
    found = config(top, proposed(base), fail_on="divergence", installables=".#c", test="none")
    assert (found.fail_on, found.installables, found.test) == (("divergence",), (".#c",), "none")


def test_from_the_head_everything_but_what_runs_programs(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT + "options: {sandbox: false}\n")
    commit(top, "fail-on: none\ntest: [touch, proof]\ndiffoscope: sh\noptions: {substituters: x}\nrebuilder: replace\n")
    found = config(top, proposed(base), config_from="head")
    assert (found.fail_on, found.installables) == ((), (".#default",))
    assert found.test == ("make", "check")
    assert found.options == (("sandbox", "false"),)
    assert (found.diffoscope, found.rebuilder) == ("auto", "auto")
    assert found.configuration is not None
    assert found.configuration.source == "head"


@pytest.mark.parametrize("unknown", ["a" * 40, None, "--upload-pack=touch x"])
def test_without_the_base_only_what_excuses_nothing_counts(top: Path, proposed: Make, unknown: str | None) -> None:
    commit(top, "fail-on: none\ninstallables: [.#good]\ntest: [touch, proof]\nupstream-caches: none\nrounds: 3\n")
    found = config(top, proposed(unknown))
    assert (found.fail_on, found.test, found.upstream_caches) == (Config().fail_on, "none", None)
    assert found.installables == ("all", ".#good")
    assert found.rounds == 3
    assert found.configuration is not None
    assert (found.configuration.source, found.configuration.base) == ("neither", None)
    (note,) = found.notes
    assert "fetch-depth: 0" in note
    assert "fail-on, installables, test, upstream-caches" in note
    # Named by the workflow, that is what is checked.
    assert config(top, proposed(unknown), installables=".#c").installables == (".#c",)


def test_a_change_excuses_nothing_by_rules_of_its_own(top: Path, proposed: Make) -> None:
    rule = "allow:\n- {name: good, reason: known}\n"
    base = commit(top, f"# kept\n\n{rule}")
    commit(top, f"{rule}- {{name: mine, reason: because}}\n")
    found = config(top, proposed(base))
    assert [(r.name, r.place) for r in found.allow] == [("good", f"base {base[:7]}, .nix-repro.yml:4")]
    assert found.configuration is not None
    assert found.configuration.edited == ("allow",)
    assert [r.name for r in config(top, proposed(base), config_from="head").allow] == ["good", "mine"]
    unknown = config(top, proposed("a" * 40))
    assert unknown.allow == ()
    assert "does not count: allow" in unknown.notes[0]
    # Lines and comments alone are no other value.
    commit(top, rule)
    same = config(top, proposed(base)).configuration
    assert same is not None
    assert same.edited == ()


def test_without_the_base_the_head_runs_no_program_either(top: Path, proposed: Make) -> None:
    commit(top, "fail-on: none\ntest: [touch, proof]\n")
    found = config(top, proposed("a" * 40), config_from="head")
    assert (found.fail_on, found.test) == ((), "none")
    assert "test" in found.notes[0]


def test_without_any_file_there_is_nothing_to_say(top: Path, proposed: Make) -> None:
    commit(top, None)
    found = config(top, proposed("a" * 40))
    assert found.notes == ()
    assert found.configuration is not None
    assert found.configuration.edited == ()


def test_a_mistake_in_the_change_s_own_file_is_still_one(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT)
    commit(top, "rounds: many\n")
    with pytest.raises(UsageError, match=r"checkout/\.nix-repro\.yml:1: rounds: 'many'"):
        config(top, proposed(base))


def test_a_way_out_in_the_change_s_own_file_is_a_mistake_too(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT)
    commit(top, "history: ../victim\n")
    with pytest.raises(UsageError, match=r"\.nix-repro\.yml:1: history: '\.\./victim' is outside"):
        config(top, proposed(base))


def test_a_mistake_in_the_base_s_file_is_named_as_that(top: Path, proposed: Make) -> None:
    base = commit(top, "rounds: many\n")
    commit(top, "rounds: 3\n")
    with pytest.raises(UsageError, match=rf"^base {base[:7]}, \.nix-repro\.yml:1: rounds: 'many'"):
        config(top, proposed(base))


def test_a_named_file_in_a_subdirectory(top: Path, proposed: Make) -> None:
    base = commit(top, STRICT, "ci/repro.yml")
    commit(top, "fail-on: none\n", "ci/repro.yml")
    (top / "sub").mkdir()
    for cwd, named in ((top, "ci/repro.yml"), (top / "sub", "../ci/repro.yml")):
        found = config(cwd, proposed(base), named)
        assert found.fail_on == ("divergence", "unverified")
        assert found.configuration is not None
        assert found.configuration.file == "ci/repro.yml"
    with pytest.raises(UsageError, match="No such file"):
        config(top, proposed(base), "ci/other.yml")
    # A name that is a pattern is still a name.
    with pytest.raises(UsageError, match="No such file"):
        config(top, proposed(base), "ci/*.yml")


def test_a_file_from_elsewhere_was_named_by_the_workflow(top: Path, proposed: Make, tmp_path: Path) -> None:
    base = commit(top, STRICT)
    (tmp_path / "ours.yml").write_text("fail-on: none\n")
    found = config(top, proposed(base), str(tmp_path / "ours.yml"))
    assert (found.fail_on, found.configuration) == ((), None)


def test_a_pushed_file_is_believed(top: Path, proposed: Make) -> None:
    commit(top, "options: {sandbox: false}\nfail-on: none\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_WORKSPACE": str(top)}
    found = config(top, environ)
    assert (found.options, found.fail_on, found.configuration) == ((("sandbox", "false"),), (), None)


def test_nobody_knows_who_wrote_the_file_of_a_clone(top: Path) -> None:
    (top / ".nix-repro.yml").write_text("options: {sandbox: false}\n")
    with pytest.raises(UsageError, match=r"\.nix-repro\.yml:1: options: sandbox counts in a workflow's file only"):
        config(top, {})
    # Whoever says it on the command line is not stopped by the file.
    assert choose(top, None, {}, overridden={"options"}).layer.keys() == {"options"}
    (top / ".nix-repro.yml").write_text("options: {cores: 2, sandbox: true, extra-experimental-features: x}\n")
    assert len(config(top, {}).options) == 3


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_a_link_leads_nowhere_and_shows_nothing(top: Path, proposed: Make, tmp_path: Path, event: str) -> None:
    base = commit(top, None)
    (tmp_path / "secret").write_text("s3cret: line\n")
    (top / ".nix-repro.yml").symlink_to(tmp_path / "secret")
    environ = proposed(base) if event == "pull_request" else {}
    with pytest.raises(UsageError) as error:
        config(top, environ)
    assert str(error.value) == f"{top}/.nix-repro.yml: a symbolic link is not followed here"
    # Nor does a directory on the way.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".nix-repro.yml").write_text("s3cret: line\n")
    (top / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as error:
        choose(top / "sub", None, {"GITHUB_WORKSPACE": str(top)})
    assert "symbolic link" in str(error.value)


def test_the_base_s_file_is_no_link_either(top: Path, proposed: Make) -> None:
    (top / ".nix-repro.yml").symlink_to("/etc/passwd")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "link")
    base = git(top, "rev-parse", "HEAD")
    (top / ".nix-repro.yml").unlink()
    commit(top, "rounds: 3\n")
    with pytest.raises(UsageError, match="no regular file"):
        config(top, proposed(base))


def test_a_pipe_and_a_large_file_are_refused_at_once(top: Path) -> None:
    os.mkfifo(top / ".nix-repro.yml")
    with pytest.raises(UsageError, match="is not a regular file"):
        config(top, {})
    (top / ".nix-repro.yml").unlink()
    (top / ".nix-repro.yml").write_bytes(b"#" * (1 << 20))
    with pytest.raises(UsageError, match="more than 65,536 bytes"):
        config(top, {})
    (top / ".nix-repro.yml").unlink()
    (top / ".nix-repro.yml").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        config(top, {})
