"""Hostile text in every place that a flake, a configuration, a report, a log or an environment fills, and every command
line that comes of it: none of it stands where an option could."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_lines import wrong
from nix_repro.check import check, plan_only
from nix_repro.cli.action import read_inputs
from nix_repro.config import load
from nix_repro.doctor.diagnose import diagnose
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.processes import Processes
from nix_repro.nix.store_path import NAME
from nix_repro.output.render.progress import Progress
from nix_repro.plan.base import from_report
from nix_repro.report import Report
from nix_repro.settings import Setting
from pretend import COMMIT, SYSTEM, Machine, pretended
from reports import derivation, empty

#: What would be an option, or two arguments, or a way out, and whatever else there is.
NASTY = (
    *(
        "--option",
        "-",
        "--",
        "-I",
        "--expr=1",
        "--store=ssh://x",
        "--help",
        "-c",
        "--upload-pack=x",
        "-oProxyCommand=x",
    ),
    *(
        "",
        " ",
        "\n",
        "a --option b",
        "a\n--option",
        "\0",
        "a\0b",
        "$(touch x)",
        "`x`",
        "'\"",
        "..",
        "../..",
        "/etc/passwd",
    ),
    *(
        "/nix/store/--option",
        "/nix/store",
        f"/nix/store/{'0' * 32}-x --option",
        f"{'x' * 300}",
        "é\u202e",
        "\ud800",
        "🧨",
    ),
    *(
        "ext::sh -c x",
        "file:///etc",
        "ssh://-oProxyCommand=x/",
        "local?root=--x",
        "HEAD^{/x}",
        "@{-1}",
        "#",
        "x#y",
        "^",
        "!",
    ),
)
hostile = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
names = st.from_regex(NAME, fullmatch=True).filter(lambda name: name[0] != ".").map(lambda name: name[:50])
words = st.lists(hostile, max_size=4)


def store_path(number: int, name: str) -> str:
    return f"/nix/store/{number:032d}-{name}"


def rarely(usual: Any, other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is needed to get any further."""
    return st.integers(0, 9).flatmap(lambda number: other if number == 7 else st.just(usual))


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A flake of two packages, one built from the other, whose every text is somebody's idea."""
    below, top = draw(names), draw(names)
    drvs: dict[str, Any] = {}
    for number, name in ((1, below), (2, top)):
        outputs = draw(st.lists(names, min_size=1, max_size=2, unique=True))
        drvs[store_path(number, f"{name}.drv")] = {
            "name": name,
            "system": draw(rarely(SYSTEM, hostile)),
            "builder": draw(hostile),
            "args": draw(words),
            "env": draw(st.dictionaries(hostile, hostile, max_size=3)),
            "outputs": {output: {"path": store_path(number * 10 + n, name)} for n, output in enumerate(outputs)},
            "inputDrvs": {},
            "inputSrcs": [],
        }
    (first, second) = drvs
    drvs[second]["inputDrvs"] = {first: {"outputs": list(drvs[first]["outputs"]), "dynamicOutputs": {}}}
    paths = st.sampled_from([first, second])
    flake: dict[str, Any] = {
        f"packages.{SYSTEM}": draw(st.dictionaries(hostile, paths, min_size=1, max_size=3)),
        f"packages.{SYSTEM}.default": second,
    }
    if draw(st.booleans()):
        flake[f"checks.{SYSTEM}"] = draw(st.dictionaries(hostile, paths, max_size=2))
    for attr in (f"packages.{SYSTEM}", f"checks.{SYSTEM}"):
        flake[attr] = {**flake.get(attr, {}), **draw(rarely({}, st.dictionaries(hostile, hostile | words, max_size=3)))}
    return Machine(
        flake=flake,
        drvs=drvs,
        valid={first, second},
        deriver=draw(hostile | paths),
        words=draw(st.lists(logs(drvs), max_size=3)),
        remote=draw(hostile),
    )


def logs(drvs: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Lines of a log, which a builder may have written."""
    texts = hostile | st.sampled_from([*drvs])
    events = st.fixed_dictionaries(
        {"action": st.sampled_from(["start", "stop", "result", "msg"])},
        optional={
            "id": st.integers(0, 9),
            "level": st.integers(0, 7),
            "type": st.integers(99, 113),
            "text": texts,
            "msg": texts.map(lambda text: f"error: cannot delete path '{text}' since it is still alive"),
            "fields": st.lists(texts, max_size=4),
        },
    )
    return events.map(lambda event: "@nix " + json.dumps(event)) | hostile.map(lambda text: " ".join(text.split()))


def mostly(*usual: Any) -> st.SearchStrategy[Any]:
    """What is accepted, or anything."""
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), hostile)


#: What may be configured and comes to a program, by key.
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "installables": st.lists(mostly("all", ".#default", ".", store_path(1, "x.drv")), min_size=1, max_size=2),
    "rebuilder": mostly("shadow", "replace", "nix-check", "local?root=/x", "ssh-ng://h"),
    "scope": st.sampled_from(["installables", "own", "closure"]),
    "jobs": mostly("auto", 2),
    "cores": mostly(0, 5),
    "timeout": mostly("7m"),
    "options": st.dictionaries(mostly("cores", "substituters", "sandbox-paths", "cores"), hostile, max_size=2),
    "base": mostly("HEAD", "main", COMMIT, "HEAD~1"),
    "since": mostly("HEAD", "origin/main"),
    "test": mostly("checks", "none", "make check") | words,
    "upstream_caches": mostly("none", "s3://x", "file:///x"),
    "fail_when": st.lists(mostly("false"), max_size=2),
    "diffoscope": mostly("auto", "never"),
}


@contextlib.contextmanager
def here() -> Iterator[Path]:
    """A checkout, in which the process is, and a Nix on PATH, which is never started."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for program in ("nix", "nix-store", "git", "diffoscope", "sudo"):
            (Path(name) / program).write_text("")
            (Path(name) / program).chmod(0o755)
        (Path(name) / ".git").mkdir()
        (Path(name) / "flake.nix").write_text("{ }")
        yield Path(name).resolve()


def checked(machine: Machine, given: Mapping[str, Any], environ: Mapping[str, str]) -> Report | None:
    """The report of a check, None when there was none. A plan is made too, and the doctor asked; nothing that was
    started for it had anybody else's words where an option could stand."""
    try:
        layer = {key: Setting(value, key) for key, value in given.items()}
        config = load([{"explain": Setting("off", ""), "upstream_caches": Setting(["none"], "")}, layer])
    except UsageError:
        return None
    found = None
    with here() as cwd, mock.patch("nix_repro.stages.rebuild.TIME_GAP", 0), pretended(machine):
        run = {**environ, "PATH": str(cwd), "CI": "true"}
        with contextlib.suppress(UsageError), Progress(io.StringIO()) as display:
            found = check(config, Processes(), run, cwd, display, lambda report, _: report)
        with contextlib.suppress(UsageError), Progress(io.StringIO()) as display:
            plan_only(config, Processes(), run, cwd, display)
        with contextlib.suppress(UsageError):
            diagnose(Nix(Processes(), run, config.options), run, cwd, config.installables)
    for argv in machine.started:
        assert wrong(argv, config.test if isinstance(config.test, tuple) else ()) is None, argv
    return found


def possible(value: str) -> bool:
    """Whether a variable of the environment can have this value."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


ENVIRONMENT = (
    *("HOME", "NIX_CONFIG", "NIX_REMOTE", "XDG_CONFIG_HOME", "NIX_STATE_DIR", "NIX_SSL_CERT_FILE", "USER", "LANG"),
    *(
        "GITHUB_REPOSITORY",
        "GITHUB_SERVER_URL",
        "GITHUB_REF_NAME",
        "GITHUB_SHA",
        "GITHUB_EVENT_PATH",
        "NIX_USER_CONF_FILES",
    ),
)
environments = st.dictionaries(st.sampled_from(ENVIRONMENT), hostile.filter(possible), max_size=3)
few = settings(max_examples=20)
many = settings(max_examples=60)


@few
@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check", "local?root=/x"])
@given(machine=machines(), environ=environments)
def test_nothing_of_a_flake_becomes_an_option(machine: Machine, environ: dict[str, str], rebuilder: str) -> None:
    checked(machine, {"installables": ["all"], "rebuilder": rebuilder, "scope": "closure", "test": "checks"}, environ)


@few
@pytest.mark.parametrize("key", SETTINGS)
@given(machine=machines(), data=st.data(), environ=environments)
def test_nothing_of_a_configuration_becomes_an_option(
    machine: Machine, data: st.DataObject, environ: dict[str, str], key: str
) -> None:
    usual = {"installables": ["all"], "rebuilder": data.draw(st.sampled_from(["shadow", "replace", "nix-check"]))}
    checked(machine, {**usual, key: data.draw(SETTINGS[key])}, environ)


@many
@given(machines(), st.lists(hostile | st.sampled_from([store_path(1, "x.drv")]), min_size=1, max_size=4), hostile)
def test_nothing_of_a_report_becomes_an_option(machine: Machine, drv_paths: list[str], attr: str) -> None:
    derivations = tuple(derivation(path, drv_path=path, attrs=(attr,), inputs=(path,)) for path in drv_paths)
    report = msgspec.structs.replace(empty(), derivations=derivations)
    with here(), pretended(machine), mock.patch("pathlib.Path.is_file", return_value=True):
        nix = Nix(Processes(), {"PATH": "."})
        with contextlib.suppress(NixError):
            from_report(nix, report, [attr])
    for argv in machine.started:
        assert wrong(argv) is None, argv


INPUTS = (
    "installables",
    "rebuilder",
    "base",
    "since",
    "test",
    "nix_options",
    "config",
    "diffoscope",
    "working_directory",
)


@many
@given(
    st.dictionaries(st.sampled_from(INPUTS), hostile.filter(possible), max_size=3),
    st.sampled_from([COMMIT]) | hostile,
    environments,
)
def test_nothing_of_an_event_or_an_input_becomes_an_option(
    inputs: dict[str, str], base: str, environ: dict[str, str]
) -> None:
    event = {"pull_request": {"base": {"sha": base, "ref": base}, "head": {"sha": base, "ref": base}, "number": 1}}
    machine = Machine()
    with here() as cwd, pretended(machine), mock.patch.dict(os.environ):
        (cwd / "event.json").write_text(json.dumps(event))
        os.environ |= {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        run = {**environ, "GITHUB_EVENT_PATH": "event.json", "GITHUB_EVENT_NAME": "pull_request", "PATH": "."}
        with contextlib.suppress(UsageError, ValueError):
            read_inputs(run)
    for argv in machine.started:
        assert wrong(argv) is None, argv


@pytest.mark.parametrize(
    "argv",
    [
        ["/bin/nix-store", "--query", "--hash", "--option", "--"],
        ["/bin/nix-store", "--query", "--hash", "--", "--option"],
        ["/bin/nix-store", "--realise", "--keep-going", "--", "/nix/store/x"],
        ["/bin/nix-store", "--option", "post-build-hook", "/x", "--realise"],
        ["/bin/nix", "derivation", "show", "--expr", "1"],
        ["/bin/nix", "eval", "--json", "--apply", "x: x", "--", ".#x"],
        ["/bin/nix", "eval", "--json", "--", "--expr"],
        ["/bin/nix-instantiate", "--add-root", "/r", "--indirect", "--expr", "1"],
        ["git", "-c", "core.fsmonitor=x", "status"],
        ["git", "status", "--help"],
        ["git", "diff", "--name-only", "--upload-pack=x", "--"],
        ["git", "status", "--", "-x"],
        ["diffoscope", "--html", "/x.html", "--new-file", "--", "/a", "/b"],
        ["cp", "a", "b"],
    ],
)
def test_an_option_of_somebody_else_s_would_be_seen(argv: list[str]) -> None:
    assert wrong(argv) is not None
