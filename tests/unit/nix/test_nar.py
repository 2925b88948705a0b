"""The narHash as Nix computes it: its published examples in bytes, and trees of any depth."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from deep import DEPTH, deep_tree
from nix_repro.nix.nar import nar_hash


def word(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + bytes(-len(text) % 8)


def archive(*words: bytes) -> str:
    """The hash of an archive that is spelled out."""
    digest = hashlib.sha256(b"".join(map(word, (b"nix-archive-1", *words)))).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def test_a_file_is_its_contents_and_whether_it_can_be_run(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"hello")
    file.chmod(0o640)
    assert nar_hash(file) == archive(b"(", b"type", b"regular", b"contents", b"hello", b")")
    file.chmod(0o500)
    assert nar_hash(file) == archive(b"(", b"type", b"regular", b"executable", b"", b"contents", b"hello", b")")


def test_a_link_is_where_it_says_it_leads(tmp_path: Path) -> None:
    link = tmp_path / "l"
    link.symlink_to("/nowhere at all")
    assert nar_hash(link) == archive(b"(", b"type", b"symlink", b"target", b"/nowhere at all", b")")


def test_entries_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    top = tmp_path / "t"
    top.mkdir()
    for name in (b"b", b"a", b"B", b"\xff"):
        (top / os.fsdecode(name)).write_bytes(b"")
    (top / "a-directory").mkdir()
    empty = (b"(", b"type", b"regular", b"contents", b"", b")")
    entries: list[bytes] = []
    for name in (b"B", b"a", b"a-directory", b"b", b"\xff"):
        node = (b"(", b"type", b"directory", b")") if name == b"a-directory" else empty
        entries += [b"entry", b"(", b"name", name, b"node", *node, b")"]
    assert nar_hash(top) == archive(b"(", b"type", b"directory", *entries, b")")


def test_no_depth_is_too_deep(deep_room: Path) -> None:
    deep_tree(deep_room / "top", file=b"x")
    inside: tuple[bytes, ...] = (b"(", b"type", b"regular", b"contents", b"x", b")")
    for name in (b"f", *[b"d"] * DEPTH):
        inside = (b"(", b"type", b"directory", b"entry", b"(", b"name", name, b"node", *inside, b")", b")")
    assert nar_hash(deep_room / "top") == archive(*inside)


def test_what_no_archive_holds_has_no_hash(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no store path holds"):
        nar_hash(tmp_path)
    with pytest.raises(FileNotFoundError):
        nar_hash(tmp_path / "gone")
