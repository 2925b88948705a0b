"""The archive of trees: what travels comes back the same, and what others made gets no further than its place."""

from __future__ import annotations

import gzip
import io
import os
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nix_repro.errors import UsageError
from nix_repro.observations import Tree
from nix_repro.output import archive
from nix_repro.output.archive import unpacked, write_trees

HOSTILE_NAMES = (b"new\nline", b"\xff\xfe not utf-8", b"esc\x1b[31m", b"-rf", b"a\\b", b" ", "ünï".encode(), b"x" * 255)


def tree(where: Path, text: str = "x") -> Tree:
    for side in "ab":
        (where / side).mkdir(parents=True)
        (where / side / "file").write_text(f"{text}{side}")
    return Tree(where / "a", where / "b", round=2)


def listing(root: Path) -> dict[bytes, object]:
    """Everything a NAR would hold of a tree, by path."""
    found: dict[bytes, object] = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in (*directories, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            if os.path.islink(path):
                found[relative] = os.readlink(path)
            elif os.path.isfile(path):
                found[relative] = (bool(status.st_mode & 0o100), Path(os.fsdecode(path)).read_bytes())
            else:
                found[relative] = "directory"
    return found


def test_what_a_store_path_may_hold_comes_back_the_same(tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    a = source.a
    (a / "bin").mkdir()
    (a / "bin/run").write_bytes(b"#!/bin/sh\n")
    (a / "bin/run").chmod(0o555)
    (a / "data").write_bytes(bytes(1000))
    (a / "data").chmod(0o444)
    os.link(a / "data", a / "bin/saved-space")
    (a / "empty").mkdir()
    for name, target in (
        ("dangling", "/nowhere/at/all"),
        ("loop", "loop"),
        ("up", ".."),
        ("root", "/"),
        ("long", "y" * 400),
    ):
        (a / name).symlink_to(target)
    os.symlink(b"/\xff", os.fsencode(a) + b"/odd")
    for hostile in HOSTILE_NAMES:
        (a / os.fsdecode(hostile)).write_bytes(hostile)
    deep = a
    for _ in range(60):
        deep /= "d" * 50
    deep.mkdir(parents=True)
    assert write_trees(tmp_path / "trees.tar.gz", {"x/out": source}) == {}
    with unpacked(tmp_path / "trees.tar.gz", tmp_path / "to") as trees:
        assert list(trees) == ["x/out"]
        assert listing(trees["x/out"].a) == listing(a)
        assert listing(trees["x/out"].b) == listing(source.b)
        assert os.stat(trees["x/out"].a / "data").st_nlink == 1


def test_an_output_may_be_a_file_or_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").symlink_to("/etc/passwd")
    write_trees(tmp_path / "t", {"x/out": Tree(tmp_path / "a", tmp_path / "b", 2)})
    with unpacked(tmp_path / "t", tmp_path / "to") as trees:
        assert trees["x/out"].a.read_text() == "one"
        assert os.readlink(trees["x/out"].b) == "/etc/passwd"


def test_what_does_not_fit_is_said_and_the_rest_travels(tmp_path: Path) -> None:
    trees = {name: tree(tmp_path / name) for name in ("large", "many", "small")}
    (trees["large"].b / "file").write_bytes(bytes(9000))
    for number in range(20):  # no bytes at all, but entries cost too
        (trees["many"].a / str(number)).touch()
    assert write_trees(tmp_path / "t", trees, limit=9000) == {"large": "too large", "many": "too large"}


def test_what_cannot_be_packed_is_said_and_the_rest_travels(tmp_path: Path) -> None:
    trees = {f"{name}/out": tree(tmp_path / name) for name in ("fifo", "deep", "gone", "good")}
    os.mkfifo(trees["fifo/out"].b / "pipe")
    (trees["deep/out"].b / ("d/" * 500)).mkdir(parents=True)
    trees["gone/out"] = Tree(trees["gone/out"].a, tmp_path / "nowhere", 2)
    assert write_trees(tmp_path / "t", trees) == {
        "fifo/out": "cannot be read: it holds something that no store path holds",
        "deep/out": "cannot be read: it has too many directories within each other",
        "gone/out": "cannot be read: No such file or directory",
    }
    with unpacked(tmp_path / "t", tmp_path / "to") as found:
        assert list(found) == ["good/out"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        write_trees(tmp_path / "nowhere/t", {})
    large = {"x/out": tree(tmp_path / "s", os.urandom(200_000).hex())}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UsageError, match="cannot be written: File too large"):
            write_trees(tmp_path / "t", large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["s"]


Make = Callable[[tarfile.TarFile], None]


def put(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"") -> Make:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, len(data)
        tar.addfile(info, io.BytesIO(data))

    return add


def packed(file: Path, *members: Make) -> Path:
    with tarfile.open(file, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            member(tar)
    return file


def refused(file: Path, because: str = "") -> None:
    to = file.with_name(f"from-{file.name}") / "to"
    to.mkdir(parents=True)
    with pytest.raises(UsageError, match=f"not an archive of trees: .*{because}"), unpacked(file, to):
        pass


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
FILE = put("x/out/a", data=b"mine")


@pytest.mark.parametrize(
    "members",
    {
        "above": (put("x/out/a/../../../../stolen"),),
        "above at once": (put("../stolen"),),
        "absolute": (put("{root}/stolen"),),
        "absolute twice": (put("/{root}/stolen"),),
        "through a link": (put("x/out/a", LINK, "{root}"), put("x/out/a/stolen")),
        "through a link in a tree": (put("x/out/a/l", LINK, ".."), put("x/out/a/l/l/l/l/stolen")),
        "through a chain of links": (
            put("x/out/a/l", LINK, "."),
            put("x/out/a/m", LINK, "l/../../../.."),
            put("x/out/a/m/stolen"),
        ),
        "over a link": (put("x/out/a", LINK, "{root}/stolen"), put("x/out/a")),
        "a directory over a link": (
            put("x/out/a", LINK, "{root}"),
            put("x/out/a", tarfile.DIRTYPE),
            put("x/out/a/stolen"),
        ),
        "a link above the trees": (put("x", LINK, "{root}"),),
        "a link beside the trees": (put("x/out", LINK, "{root}"),),
        "a loop of links": (put("x/out/a", LINK, "a"), put("x/out/a/stolen")),
        "in no directory": (put("x/out/a/stolen"),),
        "in a file": (FILE, put("x/out/a/stolen")),
        "a hard link": (FILE, put("x/out/b", HARD, "x/out/a")),
        "a hard link to the outside": (put("x/out/a", HARD, "{root}/secret"),),
        "a hard link above": (put("x/out/a", HARD, "../../../secret"),),
        "a device": (put("x/out/a", tarfile.CHRTYPE),),
        "a disk": (put("x/out/a", tarfile.BLKTYPE),),
        "a fifo": (put("x/out/a", tarfile.FIFOTYPE),),
        "a file twice": (FILE, FILE),
        "no tree": (put("x/out/c"),),
        "nothing": (put(""),),
        "a name that no file has": (put("x/out/a/" + "y" * 300),),
        "a path that no file has": (put("x/out/a/" + "y/" * 3000),),
    }.items(),
    ids=lambda row: row[0],
)
def test_nothing_is_written_outside_of_its_place(tmp_path: Path, members: tuple[str, tuple[Make, ...]]) -> None:
    root = tmp_path / "outside"
    root.mkdir()
    (root / "secret").write_text("secret")

    def rooted(add: Make) -> Make:
        def change(tar: tarfile.TarFile) -> None:
            addfile = tar.addfile

            def addfile_here(info: tarfile.TarInfo, source: io.BytesIO) -> None:
                info.name, info.linkname = info.name.format(root=root), info.linkname.format(root=root)
                addfile(info, source)

            tar.addfile = addfile_here  # type: ignore[method-assign,assignment]
            add(tar)
            tar.addfile = addfile  # type: ignore[method-assign]

        return change

    refused(packed(tmp_path / "t", *map(rooted, members[1])))
    assert os.listdir(root) == ["secret"]
    assert (root / "secret").stat().st_nlink == 1
    assert not list(tmp_path.rglob("stolen"))


def test_links_of_a_tree_are_kept_but_nothing_is_read_through_them(tmp_path: Path) -> None:
    """Only what lies where a tree lies is one, whatever this machine has at the other end."""
    with unpacked(
        packed(tmp_path / "t", put("x/out/a", LINK, "/etc"), put("x/out/b", LINK, "/usr")), tmp_path / "to"
    ) as trees:
        assert os.readlink(trees["x/out"].a) == "/etc"


def test_one_side_alone_is_no_tree(tmp_path: Path) -> None:
    with unpacked(packed(tmp_path / "t", FILE), tmp_path / "to") as trees:
        assert trees == {}


def raw(file: Path, *blocks: bytes) -> Path:
    """What tarfile would never write."""
    file.write_bytes(gzip.compress(b"".join(blocks) + bytes(1024), compresslevel=1))
    return file


def header(size: int, kind: bytes = tarfile.REGTYPE, name: str = "x/out/a") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.size
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "READ_LIMIT", 1 << 20)
    monkeypatch.setattr(archive, "ENTRIES", 500)
    refused(packed(tmp_path / "content", put("x/out/a", data=bytes(2 << 20))), "more than is unpacked")
    refused(
        packed(tmp_path / "entries", put("x/out/a", tarfile.DIRTYPE), *[put(f"x/out/a/{n}") for n in range(600)]),
        "not a place",
    )
    refused(
        packed(tmp_path / "depth", *[put("x/out/a" + "/d" * n, tarfile.DIRTYPE) for n in range(450)]), "not a place"
    )
    refused(raw(tmp_path / "behind the end", header(0), bytes(2 << 20)), "more than is unpacked")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_do_not_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    refused(raw(tmp_path / "t", header(8 << 30, kind), bytes(3 << 20)), "a header that is too large")


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    """A negative one would have the same entry read again and again."""
    refused(raw(tmp_path / "back", header(0, name="x/out/b"), header(-512)), "")
    refused(raw(tmp_path / "further back", header(0, name="x/out/b"), header(-512, tarfile.XHDTYPE)), "")
    refused(raw(tmp_path / "far", header(1 << 60)), "")
    refused(raw(tmp_path / "sparse", header(1 << 40, tarfile.GNUTYPE_SPARSE)), "")


def test_headers_within_headers(tmp_path: Path) -> None:
    record = b"13 path=xxxx\n"
    nested = header(len(record), tarfile.XHDTYPE) + record.ljust(512, b"\0")
    refused(raw(tmp_path / "t", nested * 5000, header(0)), "")


def test_truncation_and_damage(tmp_path: Path) -> None:
    file = tmp_path / "whole"
    write_trees(file, {"x/out": tree(tmp_path / "s", os.urandom(50_000).hex())})
    whole = file.read_bytes()
    for number, part in enumerate((b"", b"no archive", whole[:10], whole[: len(whole) // 2], whole[:-1], whole[:-8])):
        (tmp_path / f"cut-{number}").write_bytes(part)
        refused(tmp_path / f"cut-{number}")
    (tmp_path / "damaged").write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])
    refused(tmp_path / "damaged", "CRC")


def test_nothing_is_written_through_a_link_that_waits_there(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    directory = tmp_path / "report"
    directory.mkdir()
    (directory / f".{archive.NAME}.partial").symlink_to(precious)
    write_trees(directory / archive.NAME, {"x/out": tree(tmp_path / "x")})
    assert precious.read_text() == "precious"
    assert os.listdir(directory) == [archive.NAME]
