"""Formats that are not looked into here, and which program would show what differs in them."""

from __future__ import annotations

from typing import NamedTuple

from nix_repro.explain.compare.blob import Blob


class Unread(NamedTuple):
    """A format by its magic. `reader` is a command that unpacks or shows it. What is `packed` looks like noise."""

    offset: int
    magic: bytes
    name: str
    reader: str
    packed: bool = True


UNREAD = (
    Unread(0, b"hsqs", "squashfs image", "unsquashfs"),
    Unread(0, b"sqsh", "squashfs image", "unsquashfs"),
    Unread(1024, b"\xe2\xe1\xf5\xe0", "EROFS image", "fsck.erofs --extract"),
    Unread(1080, b"\x53\xef", "ext file system", "debugfs -R 'ls -l'", packed=False),
    Unread(0, b"\x45\x3d\xcd\x28", "cramfs image", "cramfsck -x"),
    Unread(0, b"QFI\xfb", "qcow2 image", "qemu-img convert -O raw"),
    Unread(0, b"\x04\x22\x4d\x18", "lz4 file", "lz4 -d"),
    Unread(0, b"\x02\x21\x4c\x18", "lz4 file", "lz4 -d"),
    Unread(0, b"\x89LZO\0", "lzop file", "lzop -d"),
    Unread(0, b"\x1f\x9d", "file written by compress", "gzip -d"),
    Unread(0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive", "7z x"),
    Unread(0, b"Rar!\x1a\x07", "RAR archive", "unrar x"),
    Unread(0, b"MSCF\0\0\0\0", "cabinet file", "cabextract"),
    Unread(0, b"xar!", "xar archive", "xar -x"),
    Unread(0, b"PACK\0\0\0\2", "Git pack", "git verify-pack -v"),
    Unread(0, b"wOFF", "web font", "ttx"),
    Unread(0, b"wOF2", "web font", "ttx"),
    Unread(0, b"\x89HDF\r\n\x1a\n", "HDF5 file", "h5dump", packed=False),
    Unread(0, b"BC\xc0\xde", "LLVM bitcode file", "llvm-dis", packed=False),
)


def unread(a: Blob, b: Blob) -> Unread | None:
    """The format that both are in, if it is one that is not looked into here."""
    for form in UNREAD:
        if a.read(form.offset, len(form.magic)) == form.magic == b.read(form.offset, len(form.magic)):
            return form
    return None
