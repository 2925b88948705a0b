"""Trees made to hurt: the comparison ends, within its limits, raises nothing, and shows nothing raw."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import subprocess
import tarfile
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from nix_repro.explain.budget import Budget
from nix_repro.explain.engine import explain_output
from sides import BUILDS, explain, make

if TYPE_CHECKING:
    from collections.abc import Callable


def both(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path / "a", {}), make(tmp_path / "b", {})


def test_fifos_and_links_to_them_are_never_opened(tmp_path: Path) -> None:
    a, b = both(tmp_path)
    os.mkfifo(a / "pipe")
    os.mkfifo(b / "pipe")
    os.mkfifo(a / "other")
    (b / "other").write_bytes(b"x")
    (a / "outside").symlink_to("/dev/zero")
    (b / "outside").symlink_to("/etc/passwd")
    findings = explain_output("out", a, b, BUILDS)
    assert [(item.path, item.cause) for item in findings] == [("outside", "permissions"), ("other", "unknown")]


def test_names_are_shown_escaped(tmp_path: Path) -> None:
    a, b = both(tmp_path)
    name = b"new\nline\x1b[31m\xff\xe2\x80\xae"
    for side, data in ((a, b"one"), (b, b"two")):
        with open(os.fsencode(side) + b"/" + name, "wb") as file:
            file.write(data + b"\x1b]0;title\x07")
    (finding,) = explain_output("out", a, b, BUILDS)
    assert finding.path == r"new\nline\x1b[31m\xff\u202e"
    for text in (finding.path, finding.because, finding.a or "", finding.b or ""):
        assert text.isprintable()


def test_sparse_gigabytes(tmp_path: Path) -> None:
    a, b = both(tmp_path)
    for side, byte in ((a, b"x"), (b, b"y")):
        with (side / "disk.img").open("wb") as file:
            file.truncate(1 << 40)
            file.seek((1 << 40) - 5000)
            file.write(byte)
    (finding,) = explain_output("out", a, b, BUILDS)
    assert finding.path == "disk.img"


def bomb(compress: Callable[[bytes], bytes], last: bytes) -> bytes:
    return compress(bytes(40 << 20) + last)


@pytest.mark.size
@pytest.mark.parametrize(
    "compress", [partial(gzip.compress, mtime=0), bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_bombs_are_cut_and_that_is_said(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    budget = Budget(member=1 << 20, unpacked=4 << 20)
    findings = explain(tmp_path, bomb(compress, b"a"), bomb(compress, b"b"), budget=budget)
    assert "more than is unpacked" in findings[-1].because
    assert {item.cause for item in findings} == {"unknown"}
    assert budget.unpacked >= 0


@pytest.mark.size
def test_zip_bomb(tmp_path: Path) -> None:
    def packed(last: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("big"), bytes(40 << 20) + last, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    findings = explain(tmp_path, packed(b"a"), packed(b"b"), budget=Budget(member=1 << 20, unpacked=4 << 20))
    assert "more than is unpacked" in findings[-1].because


def test_nesting_is_cut_and_that_is_said(tmp_path: Path) -> None:
    a, b = b"a", b"b"
    for _ in range(30):
        a, b = gzip.compress(a, mtime=0), gzip.compress(b, mtime=0)
    findings = explain(tmp_path, a, b)
    assert "nested deeper" in findings[-1].because


BOTTOM = "/".join(["deeper"] * 500)


@pytest.mark.size
def test_deep_directories(tmp_path: Path) -> None:
    # Chains are hung below each other and taken apart again by names that the system takes. Nobody may hold a directory
    # open whose name it does not take: Nix's garbage collector, at work for another test, stops at that.
    for side in ("a", "b"):
        for chain in (side, f"{side}1", f"{side}2"):
            (tmp_path / chain / BOTTOM).mkdir(parents=True)
        (tmp_path / f"{side}2").rename(tmp_path / f"{side}1" / BOTTOM / "deeper")
        (tmp_path / f"{side}1").rename(tmp_path / side / BOTTOM / "deeper")
    try:
        assert [item.cause for item in explain_output("out", tmp_path / "a", tmp_path / "b", BUILDS)] == ["unknown"]
    finally:
        for side in ("a", "b"):
            (tmp_path / side / BOTTOM / "deeper").rename(tmp_path / f"{side}1")
            (tmp_path / f"{side}1" / BOTTOM / "deeper").rename(tmp_path / f"{side}2")
        # Deeper than Python's own removal goes.
        subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def test_members_named_outside_stay_names(tmp_path: Path) -> None:
    def packed(data: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in ("../../../../tmp/escaped", "/etc/escaped"):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/" + data.decode()
            archive.addfile(link)
        return out.getvalue()

    findings = explain(tmp_path, {"x.tar": packed(b"one")}, {"x.tar": packed(b"two")})
    assert {item.path for item in findings} == {"x.tar!../../../../tmp/escaped", "x.tar!/etc/escaped", "x.tar!link"}
    assert not (tmp_path / "escaped").exists()


@pytest.mark.size
def test_many_differences_are_cut_and_that_is_said(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(700)]
    findings = explain(tmp_path, dict.fromkeys(names, b"cat"), dict.fromkeys(names, b"dog"))
    assert len(findings) == 201
    assert "more differences than are listed" in findings[-1].because


def samples() -> dict[str, bytes]:
    tar, archive = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as out:
        info = tarfile.TarInfo("member")
        info.size, info.pax_headers = 5, {"comment": "x"}
        out.addfile(info, io.BytesIO(b"hello"))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("member", b"hello" * 30)
    text = b"hello world\n" * 30
    elf = Path("/bin/true").read_bytes()
    return {
        "tar": tar.getvalue(),
        "zip": archive.getvalue(),
        "gzip": gzip.compress(text, mtime=0),
        "xz": lzma.compress(text),
        "bzip2": bz2.compress(text),
        "zstd": zstandard.ZstdCompressor().compress(text),
        "ar": b"!<arch>\nmember/         0           0     0     100644  5         `\nhello\n",
        "pyc": b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(100),
        "elf": elf,
        "pem": b"-----BEGIN THING-----\n" + b"aGVsbG8=\n" * 9 + b"-----END THING-----\n",
        "zlib": zlib.compress(text),
    }


@pytest.mark.size
@pytest.mark.parametrize("kind", samples())
def test_truncated_and_damaged_containers(tmp_path: Path, kind: str) -> None:
    whole = samples()[kind]
    step = max(1, len(whole) // 40)
    for at in range(0, len(whole), step):
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert explain(tmp_path, whole, damaged)
        assert explain(tmp_path, whole, whole[:at])
        assert explain(tmp_path, damaged, damaged[: at + 1] + b"\1" * len(whole))


@pytest.mark.size
@pytest.mark.parametrize(
    "unit",
    [b"1", b"a", b"1.", b"1:", b"2024-", b"0x7f", b"_1", b"Jan ", b"/tmp/", b"/store/", b"Z9", b"pid ", b"12:34:56 "],
)
def test_text_that_patterns_could_choke_on(tmp_path: Path, unit: bytes) -> None:
    long = unit * ((1 << 18) // len(unit))
    assert explain(tmp_path, long + b"~a", b"b~" + long + b"~b")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    a, b = (
        make(tmp_path / side, {f"f{number}": b"%d" % (number + shift) for number in range(50)})
        for side, shift in (("a", 0), ("b", 900))
    )
    before = len(os.listdir("/proc/self/fd"))
    explain_output("out", a, b, BUILDS)
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 600
