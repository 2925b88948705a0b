"""From what the user names to attribute paths: which Nix is asked for, and in whose words it fails. Real evaluation is
in tests/nix."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.plan.installables import add_roots, attribute_name, evaluate, flake_checks


def store_path(name: str) -> str:
    """A store path of that name: its digest is the first letter 32 times."""
    return f"/nix/store/{name[0] * 32}-{name}"


DRV = store_path("x.drv")
OOPS = "error: undefined variable 'oops'\n\n       at /x/flake.nix:1:1"
#: By attribute path, what a flake has there; None for what does not evaluate.
Flake = dict[str, object]


@pytest.fixture
def flake() -> Flake:
    return {}


@pytest.fixture
def nix(mocker: MockerFixture, flake: Flake, tmp_path: Path) -> Any:
    """A Nix that knows one flake under every name, and that asks no cache: its own realiser."""

    def answer(installable: str, *_args: str, **_where: Path) -> str:
        attr = installable.partition("#")[2]
        if attr not in flake:
            raise NixError(f"error: flake 'git+file:///x' does not provide attribute '{attr}'")
        if flake[attr] is None:
            raise NixError(OOPS)
        return json.dumps(flake[attr])

    found = mocker.create_autospec(Nix, instance=True)
    found.settings.return_value = {"system": "x86_64-linux"}
    found.store_dir.return_value = "/nix/store"
    found.evaluate.side_effect = answer
    found.nix = found
    return found


def unheard(_path: str, _words: str) -> None:
    raise AssertionError("everything evaluates")


def asked(nix: Any) -> list[str]:
    return [call.args[0] for call in nix.evaluate.call_args_list]


@pytest.mark.parametrize(
    ("installable", "attr", "name"),
    [
        (".#default", "packages.x86_64-linux.default", "packages.x86_64-linux.default"),
        (".", "packages.x86_64-linux.default", "packages.x86_64-linux.default"),
        ("#hello", "packages.x86_64-linux.hello", "packages.x86_64-linux.hello"),
        (".#hello", "legacyPackages.x86_64-linux.hello", "legacyPackages.x86_64-linux.hello"),
        (".", "defaultPackage.x86_64-linux", "defaultPackage.x86_64-linux"),
        (".#checks.x86_64-linux.unit", "checks.x86_64-linux.unit", "checks.x86_64-linux.unit"),
        (".#some.attr", "some.attr", "some.attr"),
        (".#hello^out,dev", "packages.x86_64-linux.hello", "packages.x86_64-linux.hello"),
        ("github:o/r#hello", "packages.x86_64-linux.hello", "github:o/r#packages.x86_64-linux.hello"),
        ("./sub?dir=x#hello", "hello", "./sub?dir=x#hello"),
    ],
)
def test_what_is_asked_for(nix: Any, flake: Flake, tmp_path: Path, installable: str, attr: str, name: str) -> None:
    flake |= {attr: DRV}
    assert evaluate(nix, [installable], tmp_path) == {name: DRV}


def test_in_nix_s_own_order(nix: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^\.: flake '.*' does not provide attribute 'default'$"):
        evaluate(nix, ["."], tmp_path)
    system = "x86_64-linux"
    assert asked(nix) == [
        f".#packages.{system}.default",
        f".#defaultPackage.{system}",
        f".#legacyPackages.{system}.default",
        ".#default",
    ]


def test_a_complete_path_is_asked_for_as_it_is(nix: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        evaluate(nix, [".#packages.aarch64-linux.x"], tmp_path)
    assert asked(nix) == [".#packages.aarch64-linux.x"]


def test_an_evaluation_error_in_nix_s_words_and_at_once(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux.bad": None, "bad": DRV}
    with pytest.raises(UsageError) as error:
        evaluate(nix, [".#bad"], tmp_path)
    assert str(error.value) == f".#bad: evaluation failed\n{OOPS}"
    assert len(asked(nix)) == 1


def test_all_is_every_package_and_check(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {
        "packages.x86_64-linux": {"a": store_path("a.drv"), "b-c_d": store_path("b.drv"), "e.f": store_path("f.drv")},
        "checks.x86_64-linux": {"t": store_path("s.drv")},
    }
    assert evaluate(nix, ["all"], tmp_path) == {
        "packages.x86_64-linux.a": store_path("a.drv"),
        "packages.x86_64-linux.b-c_d": store_path("b.drv"),
        'packages.x86_64-linux."e.f"': store_path("f.drv"),
        "checks.x86_64-linux.t": store_path("s.drv"),
    }
    elsewhere = evaluate(nix, ["github:o/r#all"], tmp_path)
    assert next(iter(elsewhere)) == "github:o/r#packages.x86_64-linux.a"


def test_all_of_nothing(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux": {"a": store_path("a.drv")}}
    assert evaluate(nix, ["all"], tmp_path) == {"packages.x86_64-linux.a": store_path("a.drv")}
    flake.clear()
    with pytest.raises(UsageError, match="has no packages and no checks for x86_64-linux"):
        evaluate(nix, ["all"], tmp_path)


def test_derivation_files(nix: Any, tmp_path: Path) -> None:
    nix.store_dir.return_value = str(tmp_path)
    drv = tmp_path / f"{'x' * 32}-x.drv"
    drv.touch()
    (tmp_path / "short.drv").touch()
    assert evaluate(nix, [str(drv)], tmp_path) == {str(drv): str(drv)}
    with pytest.raises(UsageError, match="there is no such derivation"):
        evaluate(nix, [f"{drv}.gone.drv"], tmp_path)
    with pytest.raises(UsageError, match="there is no such derivation"):
        evaluate(nix, [str(tmp_path / "short.drv")], tmp_path)


NO_DERIVATIONS = (
    *("--option", "-", "", "/nix/store", "/nix/store/x.drv", "/tmp/x.drv", f"/tmp{DRV}", store_path("x")),
    *(f"{DRV}!out", f"{DRV} --option", f"{DRV}\n", f"--store={DRV}", DRV.replace("x-x", "x-\x1b[31mx")),
    *(5, True, [DRV], {"drv": DRV}, {"kind": 5, "names": []}, {"kind": "set", "names": 5}, {"kind": "set"}),
)


@pytest.mark.parametrize("drv_path", NO_DERIVATIONS)
def test_a_flake_that_gives_anything_for_a_drv_path_is_named(
    nix: Any, flake: Flake, tmp_path: Path, drv_path: object
) -> None:
    """What it gives would go on Nix's command lines."""
    flake |= {"packages.x86_64-linux.bad": drv_path, "packages.x86_64-linux": {"good": DRV, "--bad": drv_path}}
    with pytest.raises(UsageError, match=r"^packages\.x86_64-linux\.bad: it calls itself a derivation"):
        evaluate(nix, [".#bad"], tmp_path)
    with pytest.raises(UsageError, match=r"^packages\.x86_64-linux\.--bad: it calls itself a derivation"):
        evaluate(nix, ["all"], tmp_path)


def test_the_same_installable_twice_is_one(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux.default": DRV}
    assert len(evaluate(nix, [".", ".#default"], tmp_path)) == 1


def test_git_s_reason_goes_before_nix_s(nix: Any, flake: Flake, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    (repository / "flake.nix").write_text("{ }")
    flake |= {"packages.x86_64-linux.default": None}
    with pytest.raises(UsageError, match=r"flake\.nix is not tracked by git"):
        evaluate(nix, ["."], repository)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"kind": "set", "names": ["a", "b.c"]}, 'a set (a, "b.c")'),
        ({"kind": "set", "names": list("abcdefg")}, "a set (a, b, c, d, e, …)"),
        ({"kind": "set", "names": []}, "a set (empty)"),
        ({"kind": "lambda", "names": []}, "a function"),
        ({"kind": "int", "names": []}, "an int"),
    ],
)
def test_what_is_no_derivation_is_said_to_be_what_it_is(
    nix: Any, flake: Flake, tmp_path: Path, what: object, words: str
) -> None:
    flake |= {"packages.x86_64-linux.x": what, "packages.x86_64-linux": {"x": what, "y": DRV}}
    with pytest.raises(UsageError) as error:
        evaluate(nix, [".#x"], tmp_path)
    assert str(error.value) == f".#x: packages.x86_64-linux.x is {words}, not a derivation"
    heard: list[str] = []
    assert evaluate(nix, ["all"], tmp_path, heard.append) == {"packages.x86_64-linux.y": DRV}
    assert heard == [f"packages.x86_64-linux.x is {words}, not a derivation, and left out of `all`"]


def test_all_fails_with_what_does_not_evaluate(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux": {"a": store_path("a.drv")}, "checks.x86_64-linux": None}
    with pytest.raises(UsageError) as error:
        evaluate(nix, ["github:o/r#all"], tmp_path)
    assert str(error.value) == f"github:o/r#checks.x86_64-linux: evaluation failed\n{OOPS}"


class Packages:
    """A flake's packages, by name: what each is, or why it does not evaluate. What `tryEval` catches is a throw."""

    def __init__(self, whats: dict[str, object], throws: dict[str, str], errors: dict[str, str]) -> None:
        self.whats, self.throws, self.errors = whats, throws, errors
        self.names = sorted({**whats, **throws, **errors})
        self.asked = 0

    def evaluate(self, installable: str, _apply: str, apply: str, **_where: Path) -> str:
        self.asked += 1
        attr = installable.partition("#")[2].removeprefix("packages.x86_64-linux")
        if installable.partition("#")[2].startswith("checks"):
            raise NixError("error: flake does not provide attribute 'checks.x86_64-linux'")
        if apply == "builtins.attrNames":
            return json.dumps(self.names)
        wrong = self.throws | self.errors
        if attr:
            raise NixError(f"error:\n  … while evaluating\n\n  error: {wrong[json.loads(attr[1:])]}")
        if "tryEval" not in apply:
            raise NixError("error: one of them is wrong")
        first, count = map(int, re.findall(r"names \((\d+) \+ i\).*\) (\d+)\)$", apply)[0])
        some = self.names[first : first + count]
        if any(name in self.errors for name in some):
            raise NixError(f"error: {next(self.errors[name] for name in some if name in self.errors)}")
        return json.dumps({name: self.whats.get(name) for name in some})


@pytest.mark.parametrize("many", [1, 60])
def test_what_does_not_evaluate_is_named_and_the_rest_is_found(nix: Any, tmp_path: Path, many: int) -> None:
    whats: dict[str, object] = {f"p{n}": store_path(f"{'abcd'[n % 4]}{n}.drv") for n in range(many)}
    packages = Packages(whats, {"a.b": "thrown"}, {"q": "attribute 'x' missing", "z": "infinite recursion"})
    nix.evaluate.side_effect = packages.evaluate
    heard: dict[str, str] = {}
    found = evaluate(nix, ["all"], tmp_path, broken=heard.__setitem__)
    assert found == {f"packages.x86_64-linux.{name}": path for name, path in whats.items()}
    assert heard == {
        'packages.x86_64-linux."a.b"': "thrown",
        "packages.x86_64-linux.q": "attribute 'x' missing",
        "packages.x86_64-linux.z": "infinite recursion",
    }
    assert packages.asked < 30, "halved, not one by one"


def test_what_is_wrong_as_a_whole_is_nobody_s_fault(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux": None}
    with pytest.raises(UsageError, match="evaluation failed"):
        evaluate(nix, ["all"], tmp_path, broken=unheard)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("packages.x86_64-linux.a-b", "a-b"),
        ('packages.x86_64-linux."a.b"', "a.b"),
        ('f#packages.x86_64-linux."a\\"b.c"', 'a"b.c'),
    ],
)
def test_the_attribute_that_a_path_leads_to(path: str, name: str) -> None:
    assert attribute_name(path) == name


def test_the_checks_of_a_flake_and_no_packages(nix: Any, flake: Flake, tmp_path: Path) -> None:
    flake |= {"packages.x86_64-linux": {"a": store_path("a.drv")}}
    with pytest.raises(UsageError, match=r"^\.: the flake has no checks for x86_64-linux$"):
        flake_checks(nix, tmp_path, unheard)
    flake |= {"checks.x86_64-linux": {"t": store_path("s.drv")}}
    assert flake_checks(nix, tmp_path, unheard) == {"checks.x86_64-linux.t": store_path("s.drv")}


APP = f"{'0' * 32}-app"


@pytest.fixture
def built(nix: Any, tmp_path: Path) -> tuple[str, str]:
    """The path of an output in the store, with a link `result` to it, and the .drv file that it was built from."""
    nix.store_dir.return_value = str(tmp_path / "store")
    output, drv = tmp_path / "store" / APP, tmp_path / "store" / f"{APP}.drv"
    (output / "bin").mkdir(parents=True)
    drv.touch()
    (tmp_path / "result").symlink_to("link")
    (tmp_path / "link").symlink_to(output)
    nix.run.return_value = f"{drv}\n"
    return str(output), str(drv)


@pytest.mark.parametrize("name", ["./result", "./result^dev", f"{{store}}/{APP}", f"{{store}}/{APP}/bin"])
def test_an_output_stands_for_the_derivation_it_was_built_from(
    nix: Any, built: tuple[str, str], tmp_path: Path, name: str
) -> None:
    output, drv = built
    assert evaluate(nix, [name.format(store=tmp_path / "store")], tmp_path) == {output: drv}


@pytest.mark.parametrize("name", [f"{{store}}/{APP}.drv", f"{{store}}/{APP}.drv^*", f"{{store}}/{APP}.drv!out"])
def test_a_derivation_in_the_store_stands_for_itself(
    nix: Any, built: tuple[str, str], tmp_path: Path, name: str
) -> None:
    assert evaluate(nix, [name.format(store=tmp_path / "store")], tmp_path) == {built[1]: built[1]}


@pytest.mark.parametrize("deriver", ["unknown-deriver", store_path("gone.drv"), "--option"])
def test_an_output_of_which_nobody_knows_the_derivation(
    nix: Any, built: tuple[str, str], tmp_path: Path, deriver: str
) -> None:
    nix.run.return_value = deriver
    with pytest.raises(UsageError, match=r"^\./result: the derivation that made it is not known here; name "):
        evaluate(nix, ["./result"], tmp_path)


def test_an_output_that_is_not_valid(nix: Any, built: tuple[str, str], tmp_path: Path) -> None:
    nix.run.side_effect = NixError(f"warning: x\nerror: path '{built[0]}' is not valid\nmore")
    with pytest.raises(UsageError) as error:
        evaluate(nix, ["./result"], tmp_path)
    assert str(error.value) == f"./result: path '{built[0]}' is not valid"


def test_links_that_lead_nowhere_are_flakes_to_nix(nix: Any, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "home").symlink_to("/")
    for name in ("./one", "./home"):
        with pytest.raises(UsageError, match="does not provide attribute 'default'"):
            evaluate(nix, [name], tmp_path)


def test_a_name_in_the_store_never_becomes_an_expression(nix: Any, tmp_path: Path) -> None:
    add_roots(nix, ["/nix/store/a.drv", '/nix/store/"${throw 1}".drv'], tmp_path)
    *_, file = nix.run.call_args.args
    expression = r'map import [ "/nix/store/a.drv" "/nix/store/\"\${throw 1}\".drv" ]'
    assert Path(file).read_text().replace("\n", " ") == expression
