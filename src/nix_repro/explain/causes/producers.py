"""What made a file, as far as it shows: the advice for a cause is its producer's, not that of the format around it."""

from __future__ import annotations

import re
from typing import NamedTuple

from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.difference import Difference

#: Bytes at the beginning and at the end of a file in which marks are looked for.
HEAD = 32 << 10
TAIL = 96 << 10


class Producer(NamedTuple):
    """Known by the file's path, or by a mark that nothing else leaves in it."""

    name: str
    path: re.Pattern[str]
    mark: re.Pattern[bytes]


NEVER = re.compile(r"(?!)")
NOTHING = re.compile(rb"(?!)")

PRODUCERS = (
    Producer("luajit", NEVER, re.compile(rb"\A\x1bLJ|\A#define luaJIT_BC_|\"\\x1bLJ|luaJIT_BC_\w+_SIZE")),
    Producer(
        "rcc",
        re.compile(r"(?:^|/)(?:qrc_|moc_qrc)[^/]*\.(?:cpp|cc|cxx)$|\.rcc$"),
        re.compile(rb"\Aqres|qt_resource_struct"),
    ),
    Producer("r", NEVER, re.compile(rb"(?m)^Built: R \d")),
    Producer(
        "mkmf",
        re.compile(r"(?:^|/)(?:mkmf\.log|gem_make\.out)$"),
        re.compile(rb"(?m)^# :stopdoc:|^MKMF_|\bhave_(?:header|func|library): checking for "),
    ),
    Producer(
        "go", NEVER, re.compile(rb"\xff Go build(?: ID: \"|inf:)|\.note\.go\.buildid\0|\.go\.buildinfo\0|\.gopclntab\0")
    ),
    Producer(
        "rust",
        re.compile(r"\.(?:rlib|rmeta)(?:!|$)"),
        re.compile(rb"/rustc/[0-9a-f]{40}/|rustc version \d|\brust_eh_personality\b|\b__rust_alloc\b|\.rs\0"),
    ),
)


def producer(difference: Difference) -> str:
    """The name of what made the file that differs, or nothing."""
    for known in PRODUCERS:
        if known.path.search(difference.path):
            return known.name
    if difference.blobs is None:
        return ""
    blob = _whole(difference.blobs[0])
    data = blob.read(0, HEAD)
    if blob.size > HEAD:
        data += b"\n" + blob.read(max(HEAD, blob.size - TAIL), TAIL)
    return next((known.name for known in PRODUCERS if known.mark.search(data)), "")


def _whole(blob: Blob) -> Blob:
    """The file that a section is a part of."""
    while isinstance(blob, SliceBlob):
        blob = blob.blob
    return blob
