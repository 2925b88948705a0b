"""A box: one Nix, with a store, a home and a configuration of its own, in which any command can be run.

Every command gets a private mount namespace in which the box's directory stands for /nix, so nothing that a test does
reaches the machine's own store, and boxes do not see each other. In it the machine's own Nix, when there is one, cannot
be started: what runs is what was meant.

All boxes share the machine's lock on build users (`userpool`): a Nix that thought a build user free would kill that
user's processes, and those are another box's builds.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixes import Nix

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "runner"
USER_ID = 61001  # of nobody's: outside what distributions give to people (1000–60000) and to systemd

# $1 box; $2 "user" or ""; $3 directories that are closed to ordinary users, $4 what such a user must reach below them
# (both with colons); then `--` and the command. The second half gives an ordinary user the shape of a hosted runner: an
# account, sudo without a password but with a cleaned environment, and a way to this interpreter and clone where they
# lie in somebody's home. All of it ends with the namespace.
_ENTER = r"""
set -eu
box=$1 who=$2 closed=$3 reach=$4; shift 5
for pool in userpool userpool2; do
  mkdir -p "/nix/var/nix/$pool" "$box/nix/var/nix/$pool"
  mount --bind "/nix/var/nix/$pool" "$box/nix/var/nix/$pool"
done
mount --rbind "$box/nix" /nix
mkdir -p /etc/nix
mount --bind "$box/conf" /etc/nix # for what runs below sudo, which drops NIX_CONF_DIR
if [ -e /usr/bin/nix ]; then mount --bind /dev/null /usr/bin/nix; fi
if [ "$who" = user ]; then
  for file in passwd group sudoers; do mount --bind "$box/etc/$file" "/etc/$file"; done
  IFS=:
  n=0; for path in $reach; do n=$((n + 1)); mkdir -p "$box/reach/$n"; mount --rbind "$path" "$box/reach/$n"; done
  for path in $closed; do mount -t tmpfs -o mode=0755 reach "$path"; done
  n=0; for path in $reach; do n=$((n + 1)); mkdir -p "$path"; mount --rbind "$box/reach/$n" "$path"; done
  unset IFS
fi
exec "$@"
"""

_PASSWD = f"{USER}:*:{USER_ID}:{USER_ID}::{{home}}:/bin/sh\n"
_SUDOERS = f"""\
Defaults env_reset
Defaults secure_path="{SYSTEM_PATH}"
root ALL=(ALL:ALL) ALL
{USER} ALL=(ALL:ALL) NOPASSWD: ALL
"""


@dataclass
class NixBox:
    """One Nix with everything of its own. Made by `open_box`; tests get theirs from the fixture `sandbox_nix`."""

    installed: Nix
    directory: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The series, as in the test's id: 2.8, 2.26, 2.34."""
        return self.installed.label

    @property
    def version(self) -> tuple[int, ...]:
        return self.installed.version

    @property
    def store_dir(self) -> Path:
        """The box's /nix/store, as seen from outside."""
        return self.directory / "nix/store"

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def user_home(self) -> Path:
        """The ordinary user's home, where commands with user=True start."""
        return self.directory / "user"

    @property
    def work(self) -> Path:
        """An empty directory for the test's flakes, where commands start."""
        return self.directory / "work"

    def outside(self, path: str | Path) -> Path:
        """Where a path that the box calls /nix/… is from outside."""
        return self.directory / str(path).removeprefix("/")

    def conf(self, **settings: str | bool | int) -> None:
        """Change nix.conf: `conf(sandbox=False, post_build_hook="/path")`. An empty string is a value, too."""
        for name, value in settings.items():
            self.settings[name.replace("_", "-")] = str(value).lower() if isinstance(value, bool) else str(value)
        conf = self.directory / "conf/nix.conf"
        new = conf.with_suffix(".new")
        new.write_text("".join(f"{name} = {value}\n" for name, value in self.settings.items()))
        new.rename(conf)  # a Nix that is just starting must not read half of it

    def environment(self, extra: Mapping[str, str] | None = None, *, user: bool = False) -> dict[str, str]:
        """What a command in the box gets: nothing of the machine's environment."""
        home = self.user_home if user else self.home
        return {
            "PATH": f"{self.installed.bin}:{SYSTEM_PATH}",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "NIX_CONF_DIR": str(self.directory / "conf"),
            "TMPDIR": str(self.directory / "tmp"),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            **(extra or {}),
        }

    def argv(self, command: Sequence[str | Path], *, user: bool = False, capabilities: bool = True) -> list[str]:
        """The full command line: into the box, then as an ordinary user or with fewer capabilities where that is asked
        for.

        user: as an ordinary user who has sudo. capabilities=False: root as in a container, without CAP_SYS_ADMIN:
        nothing can be mounted.
        """
        closed: dict[Path, Path] = {}
        inner: list[str] = []
        if user:
            needed = (Path(sys.prefix), Path(sys.base_prefix), REPOSITORY, self.installed.root)
            closed = {path: top for path in needed if (top := _closed_ancestor(path))}
            inner = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", "--inh-caps=-all", "--"]
        elif not capabilities:
            inner = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "--"]
        shape = ["user" if user else "", ":".join(map(str, dict.fromkeys(closed.values()))), ":".join(map(str, closed))]
        enter = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _ENTER,
            "box",
            str(self.directory),
            *shape,
            "--",
        ]
        return [*enter, *inner, *map(str, command)]

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        user: bool = False,
        capabilities: bool = True,
    ) -> subprocess.Popen[str]:
        """Start a command in the box, in a session of its own. The process id is the command's: every step on the way
        there is an exec."""
        return subprocess.Popen(
            self.argv(command, user=user, capabilities=capabilities),
            env=self.environment(env, user=user),
            cwd=cwd or (self.user_home if user else self.work),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        command: Sequence[str | Path],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        user: bool = False,
        capabilities: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the box.

        Raises AssertionError with what it printed when it fails and `check` is on, or after `timeout` seconds.
        """
        process = self.popen(command, env=env, cwd=cwd, user=user, capabilities=capabilities)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{command[0]} ran for more than {timeout} s\n{out}\n{err}") from None
        if check and process.returncode:
            raise AssertionError(
                f"{' '.join(map(str, command))} ended with exit code {process.returncode}\n{out}\n{err}"
            )
        return subprocess.CompletedProcess(list(map(str, command)), process.returncode, out, err)

    def nix(self, *arguments: str | Path, check: bool = True, user: bool = False) -> subprocess.CompletedProcess[str]:
        """`nix …` in the box."""
        return self.run(["nix", *arguments], check=check, user=user)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """nix-daemon as root while the block runs; commands with user=True use it, as they must: the store is not
        theirs."""
        socket = self.directory / "nix/var/nix/daemon-socket/socket"
        log = self.directory / "daemon.log"
        with log.open("w") as sink:
            process = subprocess.Popen(
                self.argv([self.installed.bin / "nix-daemon"]),
                env=self.environment(),
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        try:
            for _ in range(500):
                if socket.exists() or process.poll() is not None:
                    break
                time.sleep(0.02)
            if not socket.exists():
                raise AssertionError(f"nix-daemon did not start: {log.read_text()}")
            yield
        finally:
            # The workers are sessions of their own; each ends when its client has gone.
            process.terminate()
            process.wait(timeout=20)
            socket.unlink(missing_ok=True)


@contextmanager
def open_box(installed: Nix) -> Iterator[NixBox]:
    """A new box, removed afterwards. It lies on a disk (an overlay's upper directory must) and where an ordinary user
    can reach it."""
    directory = Path(tempfile.mkdtemp(prefix="nix-repro-box-", dir="/var/tmp"))
    try:
        directory.chmod(0o755)
        for name in ("nix/store", "nix/var/nix", "home/.cache", "user/.cache", "conf", "tmp", "work", "etc"):
            (directory / name).mkdir(parents=True)
        shutil.chown(directory / "nix/store", group="nixbld")
        (directory / "nix/store").chmod(0o1775)
        (directory / "tmp").chmod(0o1777)
        box = NixBox(installed, directory)
        _account(box)
        box.conf(
            experimental_features="nix-command flakes ca-derivations",
            substituters="",
            build_users_group="nixbld",
            sandbox=True,
            # Debian's newer packages name a static bash here that is not installed. The rest gives the sandbox ordinary
            # tools.
            sandbox_paths="/bin/sh=/usr/bin/dash /usr /lib /lib64?",
        )
        if installed.version < (2, 10):
            box.conf(
                build_hook=str(installed.root / "usr/libexec/nix/build-remote")
            )  # compiled in: the system's, which is not there
        box.run(
            ["nix-store", "--init"]
        )  # several processes that meet a new store at once corrupt each other's first steps
        yield box
    finally:
        remove_tree(directory)


def _closed_ancestor(path: Path) -> Path | None:
    """The first directory on the way to `path` that an ordinary user cannot pass."""
    return next(
        (directory for directory in [*reversed(path.parents), path] if not directory.stat().st_mode & 0o001), None
    )


def _account(box: NixBox) -> None:
    """The account files that stand in for the machine's while a command runs as an ordinary user."""
    etc = box.directory / "etc"
    (etc / "passwd").write_text(Path("/etc/passwd").read_text() + _PASSWD.format(home=box.user_home))
    (etc / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{USER_ID}:\n")
    (etc / "sudoers").write_text(_SUDOERS)
    (etc / "sudoers").chmod(0o440)
    for mine in (box.user_home, box.user_home / ".cache"):
        os.chown(mine, USER_ID, USER_ID)
