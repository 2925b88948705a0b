"""What boot loaders load: U-Boot's images, Android's, and device trees, of which FIT images are some."""

from __future__ import annotations

import struct
import zlib

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob, crc32
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, aligned, rest

UIMAGE = b"\x27\x05\x19\x56"
ANDROID = b"ANDROID!"
DEVICE_TREE = b"\xd0\x0d\xfe\xed"
#: Pages of an Android image of the newer versions.
PAGE = 4096
#: Tokens of a device tree (its specification, 5.4).
BEGIN = 1
END = 2
PROPERTY = 3
NOTHING = 4
#: Properties of a device tree that are looked at, and how deep.
MANY = 100_000
DEEPEST = 64


def open_uimage(blob: Blob, _budget: Budget) -> Container:
    """U-Boot's legacy format (image.h): a header of 64 bytes with a time, then the image."""
    head = blob.read(0, 64)
    if len(head) < 64:
        raise NotThis
    header_sum, when, size, load, entry, content_sum = struct.unpack(">IIIIII", head[4:28])
    right = zlib.crc32(head[:4] + bytes(4) + head[8:]) == header_sum
    content = SliceBlob(blob, 64, size)
    fields = (
        Field("uimage time", when, time=True),
        Field("load address", f"{load:#x}"),
        Field("entry point", f"{entry:#x}"),
        Field("system, machine, type and compression", head[28:32].hex()),
        Field("name", head[32:].rstrip(b"\0").decode("latin-1")),
        Field("header's checksum", "right" if right else "wrong"),
        Field("content's checksum", "right" if crc32(content) == content_sum else "wrong"),
    )
    members = [Member("", content, inside="the image")]
    return Container("uimage", [*members, *rest(blob, [Extent(0, 64 + size)], "image")], fields)


def open_android(blob: Blob, _budget: Budget) -> Container:
    """Android's boot image (bootimg.h): parts that start at pages, in a fixed order."""
    head = blob.read(0, 1660)
    if len(head) < 1660:
        raise NotThis
    (version,) = struct.unpack("<I", head[40:44])
    if version in (3, 4):
        kernel, ramdisk, os_version = struct.unpack("<III", head[8:20])
        page, sizes, line = PAGE, {"kernel": kernel, "ramdisk": ramdisk}, head[44:1580]
        fields = [Field("os version", f"{os_version:#x}")]
    else:
        words = struct.unpack("<10I", head[8:48])
        page = words[7]
        sizes = {"kernel": words[0], "ramdisk": words[2], "second": words[4]}
        if version in (1, 2):
            sizes["recovery dtbo"] = struct.unpack("<I", head[1632:1636])[0]
        if version == 2:
            sizes["dtb"] = struct.unpack("<I", head[1648:1652])[0]
        line = head[64:576] + head[608:1632]
        fields = [
            Field("addresses", f"{words[1]:#x}, {words[3]:#x}, {words[5]:#x}, {words[6]:#x}"),
            Field("os version", f"{words[9]:#x}"),
            Field("name", head[48:64].rstrip(b"\0").decode("latin-1")),
        ]
    if not 512 <= page <= 1 << 20:
        raise NotThis
    fields.append(Field("command line", line.replace(b"\0", b"").decode("latin-1")))
    members, extents, offset = [], [Extent(0, page)], page
    for name, size in sizes.items():
        if size:
            members.append(Member(name, SliceBlob(blob, offset, size)))
            extents.append(Extent(offset, offset + size, name))
            offset += aligned(size, page)
    return Container("android", [*members, *rest(blob, extents, "image")], tuple(fields))


def open_device_tree(blob: Blob, budget: Budget) -> Container:
    """Flattened device trees: each property is a member, named by its path."""
    head = blob.read(0, 40)
    if len(head) < 40:
        raise NotThis
    _total, tree, strings, reserved, version, oldest, cpu, string_size, tree_size = struct.unpack(">9I", head[4:40])
    names = blob.read(strings, min(string_size, 1 << 20))
    members: list[Member] = []
    extents = [Extent(0, 40), Extent(strings, strings + string_size), Extent(tree, tree + tree_size)]
    path: list[str] = []
    offset = tree
    while offset < tree + tree_size and len(token := blob.read(offset, 4)) == 4 and not budget.expired():
        offset += 4
        kind = int.from_bytes(token, "big")
        if kind == BEGIN:
            name = blob.read(offset, 256).split(b"\0")[0]
            path.append(printable.name(name))
            offset += aligned(len(name) + 1, 4)
        elif kind == PROPERTY:
            size, name_at = struct.unpack(">II", blob.read(offset, 8))
            name = names[name_at : name_at + 256].split(b"\0")[0]
            here, content = "/".join([*path[1:], printable.name(name)]), SliceBlob(blob, offset + 8, size)
            if name == b"timestamp" and size == 4:
                when = int.from_bytes(content.read(0, 4), "big")
                members.append(Member(here, None, (Field("image's time", when, time=True),)))
            else:
                members.append(Member(here, content))
            offset += 8 + aligned(size, 4)
        elif kind == END and path:
            path.pop()
        elif kind != NOTHING:
            break
        if len(path) > DEEPEST or len(members) > MANY:
            raise NotThis
    if not members:
        raise NotThis
    fields = (Field("version", f"{version}, {oldest}"), Field("boot processor", cpu))
    if reserved < tree:
        members.append(Member("reserved memory", SliceBlob(blob, reserved, min(tree, strings) - reserved)))
        extents.append(Extent(reserved, min(tree, strings)))
    return Container("device tree", [*members, *rest(blob, extents, "device tree")], fields)
