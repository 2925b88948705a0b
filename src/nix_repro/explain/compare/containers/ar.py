"""ar archives: static libraries (.a) and Debian packages."""

from __future__ import annotations

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import REST, Container, Extent, Field, Member, NotThis, rest

#: Bytes of a member's header.
HEADER = 60
#: GNU's symbol table and its table of long names: they follow from the members.
SYMBOLS = (b"/", b"/SYM64/", b"__.SYMDEF")
LONG_NAMES = b"//"


def open_ar(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    extents = [Extent(0, 8)]
    long_names = b""
    offset = 8
    while len(header := blob.read(offset, HEADER)) == HEADER:
        if header[58:] != b"`\n":
            raise NotThis
        if budget.full(len(members)):
            extents.append(Extent(offset, blob.size))
            break
        raw, size, start = header[:16].rstrip(), int(header[48:58]), offset + HEADER
        if size < 0:
            raise NotThis
        name, skipped = raw, 0
        if raw == LONG_NAMES:
            long_names = blob.read(start, min(size, 1 << 22))
        elif raw not in SYMBOLS:
            name, skipped = _name(raw, long_names, blob, start)
        shown, content = printable.name(name), SliceBlob(blob, start + skipped, size - skipped)
        if raw == LONG_NAMES or raw in SYMBOLS:
            what = "table of long names" if raw == LONG_NAMES else "symbol table"
            members.append(Member(REST + shown, content, _fields(header), inside=what, derived=True))
        else:
            members.append(Member(shown, content, _fields(header)))
        # A member of odd size is followed by a line break.
        odd = size % 2 and blob.read(start + size, 1) == b"\n"
        extents.append(Extent(offset, start + size + odd, shown))
        offset = start + size + size % 2
    return Container("ar", [*members, *rest(blob, extents)])


def _name(raw: bytes, long_names: bytes, blob: Blob, start: int) -> tuple[bytes, int]:
    """A member's name, and how many bytes of its content the name takes (BSD keeps long names there)."""
    if raw.startswith(b"#1/"):
        length = min(int(raw[3:]), 4096)
        return blob.read(start, length).rstrip(b"\0"), length
    if raw[:1] == b"/" and raw[1:].isdigit():
        return long_names[int(raw[1:]) :].split(b"\n", 1)[0].rstrip(b"/"), 0
    return raw.rstrip(b"/"), 0


def _fields(header: bytes) -> tuple[Field, ...]:
    return (
        Field("ar mtime", int(header[16:28].strip() or b"0"), time=True),
        Field("uid", header[28:34].decode("latin-1").strip()),
        Field("gid", header[34:40].decode("latin-1").strip()),
        Field("mode", header[40:48].decode("latin-1").strip()),
    )
