"""The ground that the other tests stand on: boxes are private, complete, and shaped like the machines they stand
for."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from store import REPOSITORY, SYSTEM_PATH, USER, USER_ID, open_box

if TYPE_CHECKING:
    from nixes import Nix
    from store import NixBox


def expression(name: str, script: str) -> str:
    return f"""derivation {{
      name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-e" "-c" ''{script}'' ];
    }}"""


def build(box: NixBox, name: str, script: str, *, user: bool = False, capabilities: bool = True) -> str:
    command = ["nix-build", "--no-out-link", "-E", expression(name, script)]
    return box.run(command, user=user, capabilities=capabilities).stdout.strip()


@pytest.mark.parametrize("sandbox", [True, False], ids=["sandbox", "no-sandbox"])
def test_a_build_works_and_stays_in_the_box(sandbox_nix: NixBox, sandbox: bool) -> None:
    sandbox_nix.conf(sandbox=sandbox)
    path = build(sandbox_nix, "where", "PATH=/usr/bin; ls / > $out")
    assert sandbox_nix.outside(path).exists()
    assert not Path(path).exists()
    seen = sandbox_nix.outside(path).read_text().split()
    assert ("home" in seen) is not sandbox


def test_the_nix_that_runs_is_the_one_that_was_asked_for(sandbox_nix: NixBox) -> None:
    assert sandbox_nix.nix("--version").stdout.split()[-1] == ".".join(map(str, sandbox_nix.version))
    assert sandbox_nix.run(["sh", "-c", "command -v nix-store"]).stdout.strip() == str(
        sandbox_nix.installed.bin / "nix-store"
    )
    assert shutil.which("nix", path=SYSTEM_PATH), "this test needs a system Nix to hide: install nix-bin"
    assert sandbox_nix.run(["sh", "-c", "command -v nix"], env={"PATH": SYSTEM_PATH}, check=False).stdout == ""


def test_nothing_of_the_machine_s_environment_comes_in(sandbox_nix: NixBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_CONFIG", "cores = 77")
    monkeypatch.setenv("GITHUB_TOKEN", "not-for-builds")
    assert "GITHUB_TOKEN" not in sandbox_nix.run(["env"]).stdout
    sandbox_nix.conf(cores=3)
    assert "cores = 3" in sandbox_nix.nix("show-config").stdout.splitlines()


def test_boxes_that_build_at_once_leave_each_other_alone(installed_nix: Nix) -> None:
    """Every builder must live to the end of its own build; a stolen build user would kill it with signal 9."""
    with open_box(installed_nix) as one, open_box(installed_nix) as two:
        running = []
        for number in range(6):
            box = (one, two)[number % 2]
            box.conf(max_jobs=4)
            name = f"slow-{number}"
            running.append(
                box.popen(
                    [
                        "nix-build",
                        "--no-out-link",
                        "-E",
                        expression(name, f"PATH=/usr/bin; sleep 0.8; echo {name} > $out"),
                    ]
                )
            )
        ended = [(process.communicate(timeout=60), process.returncode) for process in running]
        assert [code for _, code in ended] == [0] * 6, ended
        assert len(list(one.store_dir.glob("*-slow-*[0-9]"))) == 3
        assert not list(two.store_dir.glob("*-slow-0"))


def test_an_ordinary_user_builds_through_the_daemon(sandbox_nix: NixBox) -> None:
    with sandbox_nix.daemon():
        path = build(sandbox_nix, "by-daemon", "echo built > $out", user=True)
        assert sandbox_nix.outside(path).stat().st_uid == 0
        assert sandbox_nix.run(["touch", "/nix/store/mine"], user=True, check=False).returncode != 0
    assert sandbox_nix.run(["nix-store", "-q", "--hash", path], user=True, check=False).returncode != 0, (
        "without the daemon there is no way in"
    )


def test_the_user_is_not_trusted_by_the_daemon(sandbox_nix: NixBox) -> None:
    with sandbox_nix.daemon():
        said = sandbox_nix.run(
            [
                "nix-build",
                "--no-out-link",
                "--option",
                "sandbox",
                "false",
                "-E",
                expression("still-sandboxed", "PATH=/usr/bin; ls / > $out"),
            ],
            user=True,
        )
    assert "home" not in sandbox_nix.outside(said.stdout.strip()).read_text().split()


def test_sudo_is_that_of_a_hosted_runner(sandbox_nix: NixBox) -> None:
    told = sandbox_nix.run(
        ["sudo", "-n", "sh", "-c", "id -u; echo $PATH; echo ${NIX_CONF_DIR-unset}"], user=True
    ).stdout.split()
    assert told == ["0", SYSTEM_PATH, "unset"]
    assert sandbox_nix.run(["id", "-un"], user=True).stdout.strip() == USER
    assert USER not in Path("/etc/passwd").read_text()
    assert str(USER_ID) not in Path("/etc/sudoers").read_text()


def test_the_user_can_run_this_interpreter_and_this_clone(sandbox_nix: NixBox) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY / 'src')!r}); import nix_repro.report; "
        "print(nix_repro.report.__file__)"
    )
    assert str(REPOSITORY) in sandbox_nix.run([sys.executable, "-I", "-c", code], user=True).stdout


def test_without_the_capability_nothing_can_be_mounted_and_builds_still_work(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox=False)
    sandbox_nix.run(["unshare", "--mount", "true"])
    assert sandbox_nix.run(["unshare", "--mount", "true"], capabilities=False, check=False).returncode != 0
    path = build(sandbox_nix, "in-a-container", "echo built > $out", capabilities=False)
    assert sandbox_nix.outside(path).read_text() == "built\n"


def test_the_process_id_is_the_command_s(sandbox_nix: NixBox) -> None:
    process = sandbox_nix.popen(["sleep", "60"])
    os.kill(process.pid, 15)
    process.communicate(timeout=20)
    assert process.returncode == -15


def test_a_box_leaves_nothing_behind(installed_nix: Nix) -> None:
    with open_box(installed_nix) as box:
        build(box, "left-over", "mkdir $out 2>/dev/null || echo x > $out")
        directory = box.directory
    assert not directory.exists()
    assert str(directory) not in Path("/proc/self/mountinfo").read_text()
