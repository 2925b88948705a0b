"""Files that are there whole or not at all, and the trees that are kept."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deep import deep_tree
from nix_repro.errors import UsageError
from nix_repro.files import Descent, private_directory, remove_tree, write_whole


def test_it_is_written_with_its_directories(tmp_path: Path) -> None:
    path = tmp_path / "a/b/report.json"
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_it_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """The disk (here: the file size limit) ends in the middle: the old content is untouched, and nothing is left beside
    it."""
    path = tmp_path / "report.json"
    write_whole(path, b"old")
    code = f"""
import resource, signal
from pathlib import Path
from nix_repro.errors import UsageError
from nix_repro.files import Descent, private_directory, remove_tree, write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path({str(path)!r}), b"x" * 100_000)
except UsageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == f"{path}: cannot be written: File too large"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    assert signal.getsignal(signal.SIGXFSZ) is not None


@pytest.mark.parametrize(
    ("where", "says"),
    [("file/x", "File exists"), ("/proc/nowhere/x", "No such file or directory"), ("directory", "Is a directory")],
)
def test_where_nothing_can_be_written(tmp_path: Path, where: str, says: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    with pytest.raises(UsageError, match=says):
        write_whole(tmp_path / where, b"x")
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_a_stream_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(fifo, b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert fifo.is_fifo()
    assert os.listdir(tmp_path) == ["fifo"]
    write_whole(Path("/dev/null"), b"content")
    assert Path("/dev/null").is_char_device()


def test_standard_output_that_is_a_file_keeps_its_name(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from nix_repro.files import write_whole; write_whole(Path('/dev/stdout'), "
        "b'content')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert (tmp_path / "out").read_bytes() == b"content"
    assert Path("/dev/stdout").is_symlink()


def test_a_tree_goes_as_a_whole_however_deep_it_is(deep_room: Path) -> None:
    deep_tree(deep_room / "top")
    remove_tree(deep_room / "top")
    assert not (deep_room / "top").exists()


def test_no_link_is_followed_and_nobody_else_s_mode_is_changed(tmp_path: Path) -> None:
    """Before Python 3.12, the standard library changes the mode of what a link leads to when it cannot remove it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").touch()
    (victim / "file").chmod(0o400)
    victim.chmod(0o500)
    top = tmp_path / "top"
    (top / "closed").mkdir(parents=True)
    (top / "closed/to-directory").symlink_to(victim)
    (top / "closed/to-file").symlink_to(victim / "file")
    (top / "closed").chmod(0o500)
    top.chmod(0o500)
    remove_tree(top)
    assert not top.exists()
    assert (victim.stat().st_mode & 0o777, (victim / "file").stat().st_mode & 0o777) == (0o500, 0o400)
    (tmp_path / "link").symlink_to(victim)
    remove_tree(tmp_path / "link")
    assert (victim / "file").exists()


def test_a_private_directory_is_gone_afterwards_whatever_happened(tmp_path: Path) -> None:
    def fails() -> None:
        with private_directory(parent=tmp_path) as directory:
            assert directory.stat().st_mode & 0o777 == 0o700
            (directory / "x").mkdir()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_moved_meanwhile_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    with Descent(tmp_path / "a") as here:
        here.down("b")
        (tmp_path / "a/b").rename(tmp_path / "elsewhere/b")
        with pytest.raises(OSError, match="Stale"):
            here.up()
