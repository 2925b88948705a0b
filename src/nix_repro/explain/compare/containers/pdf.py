"""PDF documents: streams compressed by zlib, of which some hold objects, and what stands between them."""

from __future__ import annotations

import re

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob
from nix_repro.explain.compare.containers.compressed import inflated
from nix_repro.explain.compare.containers.model import Container, Member, NotThis

#: Bytes of a document that are read, streams in it, and bytes of one.
MOST = 64 << 20
MANY_STREAMS = 20_000
LARGEST = 16 << 20
#: Bytes before a stream in which its dictionary is looked for.
DICTIONARY = 2000
#: Where objects are, in bytes, and how long a stream is as it is packed: they follow from the rest.
PLACES = re.compile(rb"^\d{10} \d{5} [nf]|(?<=/Length )\d+(?! \d+ R)|(?<=startxref)\s+\d+", re.MULTILINE)


def open_pdf(blob: Blob, budget: Budget) -> Container:
    if blob.size > MOST or not budget.unpack(blob.size):
        raise NotThis
    data = blob.read(0, MOST)
    members: list[Member] = []
    between: list[bytes] = []
    position = 0
    while len(members) < MANY_STREAMS and (at := data.find(b"stream", position)) >= 0 and not budget.expired():
        start = at + len(b"stream") + (2 if data[at + 6 : at + 8] == b"\r\n" else 1)
        if (end := data.find(b"endstream", start)) < 0:
            break
        words = data[max(position, at - DICTIONARY) : at].rpartition(b"obj")[2]
        between.append(data[position:start])
        content, derived = _content(blob, data, start, end, words, budget), b"/XRef" in words
        what = f"stream {len(members) + 1}"
        members.append(Member(what, content, inside=what, derived=derived))
        between.append(b"endstream")
        position = end + len(b"endstream")
    between.append(data[position:])
    text = PLACES.sub(b"*", b"".join(between))
    # A line before it, or it would be taken for a document again.
    document = Member("", MemoryBlob(b"\n" + text), inside="the document's objects")
    return Container("pdf", [document, *members])


def _content(blob: Blob, data: bytes, start: int, end: int, words: bytes, budget: Budget) -> Blob:
    if b"/FlateDecode" in words and b"/Predictor" not in words:
        found = inflated(data[start:end], LARGEST)
        if found is not None and not found[1].strip() and budget.unpack(len(found[0])):
            return MemoryBlob(found[0])
    return SliceBlob(blob, start, end - start)
