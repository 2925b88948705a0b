"""Which rebuilder is used where, and what is said when none can be."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.choose import HOOK, Choice, Refusal, choose, decide, ruled_out
from nix_repro.errors import UsageError

PERMIT = "nix_repro.build.rebuild.choose.permit"
NO_ROOT = "it needs root, and sudo is used unasked only in CI"


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("ci", [False, True])
def test_the_shadow_rebuilder_is_used_wherever_it_works(hooked: bool, ci: bool) -> None:
    assert decide("auto", shadow=None, hooked=hooked, ci=ci) == Choice("shadow")
    assert decide("shadow", shadow=None, hooked=hooked, ci=ci) == Choice("shadow")


def test_what_deletes_from_the_store_is_used_unasked_only_in_ci() -> None:
    assert decide("auto", shadow=NO_ROOT, hooked=False, ci=True) == Choice("replace")
    found = decide("auto", shadow=NO_ROOT, hooked=False, ci=False)
    assert isinstance(found, Choice)
    assert found.rebuilder == "nix-check"
    assert f"cannot be used ({NO_ROOT})" in (found.warning or "")


@pytest.mark.parametrize("ci", [False, True])
def test_nothing_is_rebuilt_in_a_store_that_publishes_it(ci: bool) -> None:
    assert decide("auto", shadow=NO_ROOT, hooked=True, ci=ci) == Refusal(
        f"no rebuilder works here. shadow: {NO_ROOT}. Others: {HOOK}"
    )
    for wanted in ("replace", "nix-check"):
        assert decide(wanted, shadow=None, hooked=True, ci=ci) == Refusal(f"rebuilder {wanted}: {HOOK}")
        assert decide(wanted, shadow=None, hooked=False, ci=ci) == Choice(wanted)


def test_what_is_asked_for_by_name_is_that_or_nothing() -> None:
    assert decide("shadow", shadow="it needs Linux", hooked=False, ci=True) == Refusal(
        "rebuilder shadow: it needs Linux"
    )
    url = "ssh-ng://builder"
    assert decide(url, shadow=None, hooked=True, ci=False) == Choice(url)


@pytest.mark.parametrize(
    ("platform", "root", "sudo", "may_sudo", "why"),
    [
        ("darwin", True, True, True, "it needs Linux"),
        ("linux", True, False, False, None),
        ("linux", False, True, False, NO_ROOT),
        ("linux", False, False, True, "it needs root, and there is no sudo"),
        ("linux", False, True, True, None),
    ],
)
def test_what_rules_the_shadow_rebuilder_out(
    platform: str, root: bool, sudo: bool, may_sudo: bool, why: str | None
) -> None:
    assert ruled_out(platform, root=root, sudo=sudo, may_sudo=may_sudo) == why


@pytest.fixture
def machine(mocker: MockerFixture) -> MockerFixture:
    """Linux, an ordinary user, sudo that works; and a Nix without a hook."""
    mocker.patch("sys.platform", "linux")
    mocker.patch("os.getuid", return_value=1000)
    mocker.patch("shutil.which", return_value="/usr/bin/sudo")
    mocker.patch(PERMIT, return_value=None)
    return mocker


def test_sudo_is_asked_only_when_it_may_be(machine: MockerFixture) -> None:
    nix = machine.Mock(**{"settings.return_value": {"post-build-hook": ""}})
    tried, warn = machine.patch(PERMIT, return_value=None), machine.Mock()
    names = [
        choose(wanted, nix, environ, machine.Mock(), warn).name
        for wanted, environ in (
            ("nix-check", {"CI": "true"}),
            ("local?root=/x", {"CI": "true"}),
            ("replace", {}),
            ("auto", {}),
        )
    ]
    assert names == ["nix-check", "store", "replace", "nix-check"]
    tried.assert_not_called()
    warn.assert_called_once()
    assert choose("auto", nix, {"CI": "true"}, machine.Mock(), warn).name == "shadow"
    assert choose("shadow", nix, {}, machine.Mock(), warn).name == "shadow"
    assert [call.kwargs for call in tried.call_args_list] == [{"sudo": True}] * 2


def test_a_refusal_is_the_users_to_mend(machine: MockerFixture) -> None:
    machine.patch(PERMIT, return_value="mount: Operation not permitted")
    hooked = machine.Mock(**{"settings.return_value": {"post-build-hook": "/upload"}, "trusted.return_value": False})
    for wanted in ("auto", "shadow"):
        with pytest.raises(UsageError, match="Operation not permitted"):
            choose(wanted, hooked, {"CI": "1"}, machine.Mock(), machine.Mock())
    trusted = machine.Mock(**{"settings.return_value": {"post-build-hook": "/upload"}, "trusted.return_value": True})
    assert choose("auto", trusted, {"CI": "1"}, machine.Mock(), machine.Mock()).name == "replace"
