"""Digests and sizes of what differs, in every spelling: they follow from it, and have its cause."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from binaries import elf
from nix_repro.explain.causes import derived
from nix_repro.report import Finding
from sides import STARTED, Tree, explain

NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"


def nix32(digest: bytes) -> str:
    """As Nix prints it: the last digit first, five bits a letter."""
    number = int.from_bytes(digest, "little")
    length = -(-len(digest) * 8 // 5)
    return "".join(NIX32[number >> 5 * place & 31] for place in reversed(range(length)))


def told(where: Path, side: Callable[[bytes], dict[str, bytes]]) -> dict[str, Finding]:
    """The findings by path, for two sides that are made of what was built."""
    a, b = (side(b"built %d\n" % at) for at in (STARTED + 1, STARTED + 1201))
    return {item.path: item for item in explain(where, a, b)}


@pytest.mark.parametrize(
    ("spell", "kind"),
    [
        (lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(), "md5"),
        (lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest().upper(), "sha1"),
        (lambda data: "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode(), "sha512"),
        (lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("="), "sha256"),
        (lambda data: nix32(hashlib.sha256(data).digest()), "sha256"),
        (lambda data: "rev " + hashlib.sha256(data).hexdigest()[:10], "sha256"),
        (lambda data: f"crc {zlib.crc32(data):08x}", "crc32"),
        (
            lambda data: hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(),
            "git blob",
        ),
    ],
)
def test_digests_in_every_spelling(tmp_path: Path, spell: Callable[[bytes], str], kind: str) -> None:
    found = told(tmp_path, lambda data: {"data": data, "note": f"it has {spell(data)} now".encode()})
    note = found["note"]
    assert (note.cause, note.derived_from) == ("timestamp", "data")
    assert note.because == f"it is the {kind} of data, on either side"
    assert note.fix == "It follows from another difference: fix that one."


def test_a_digest_of_digests_has_the_cause_of_what_was_digested(tmp_path: Path) -> None:
    def side(data: bytes) -> dict[str, bytes]:
        sums = hashlib.sha256(data).hexdigest().encode() + b"  data\n"
        return {"data": data, "sums": sums, "sums.sha": hashlib.sha256(sums).hexdigest().encode()}

    found = told(tmp_path, side)
    assert {path: (item.cause, item.derived_from) for path, item in found.items()} == {
        "data": ("timestamp", None),
        "sums": ("timestamp", "data"),
        "sums.sha": ("timestamp", "sums"),
    }


def test_the_size_of_a_file_follows_from_it(tmp_path: Path) -> None:
    def side(data: bytes, times: int) -> dict[str, bytes]:
        return {"data": data * times, "info": b"Installed-Size: %d\n" % (len(data) * times)}

    a, b = side(b"built %d\n" % (STARTED + 1), 100), side(b"built %d\n" % (STARTED + 1201), 150)
    info = next(item for item in explain(tmp_path, a, b) if item.path == "info")
    assert (info.cause, info.derived_from, info.because) == (
        "timestamp",
        "data",
        "it is the size of data, on either side",
    )


def test_a_token_as_long_as_a_digest_beside_a_sure_cause(tmp_path: Path) -> None:
    """Perhaps the digest of the rest of the file, perhaps drawn at random: nobody can tell, so it is a cause of its
    own."""
    a, b = (
        b"built %d\nsum %s\n" % (at, hashlib.sha256(b"salt %d" % at).hexdigest().encode())
        for at in (STARTED + 1, STARTED + 1201)
    )
    found = explain(tmp_path, {"x": a}, {"x": b})
    assert [(item.cause, item.confidence, item.derived_from) for item in found] == [
        ("timestamp", "high", None),
        ("randomness", "low", None),
    ]
    assert "it has the length of a digest" in found[1].because


def test_sources_that_were_too_many_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def side(data: bytes) -> dict[str, bytes]:
        return {"a": data, "b": data * 2, "note": hashlib.sha256(data * 2).hexdigest().encode()}

    monkeypatch.setattr(derived, "MOST", 1)
    found = told(tmp_path, side)
    assert found["note"].derived_from is None
    assert "digests of very many or very large files are not computed" in found[""].because


def test_checksums_derive_from_what_they_digest(tmp_path: Path) -> None:
    def side(at: int) -> Tree:
        data = b"built %d\n" % at
        digest = hashlib.sha256(data)
        return {
            "data": data,
            "sums": digest.hexdigest().encode() + b"  data\n",
            "sri": b"sha256-" + base64.b64encode(digest.digest()),
        }

    findings = explain(tmp_path, side(STARTED + 1), side(STARTED + 1201))
    assert [(item.path, item.cause, item.derived_from) for item in findings] == [
        ("data", "timestamp", None),
        ("sri", "timestamp", "data"),
        ("sums", "timestamp", "data"),
    ]


def test_a_digest_of_something_else_derives_from_nothing(tmp_path: Path) -> None:
    def side(at: int) -> Tree:
        return {"data": b"built %d\n" % at, "sums": hashlib.sha256(b"no such file %d" % at).hexdigest().encode()}

    findings = explain(tmp_path, side(STARTED + 1), side(STARTED + 1201))
    assert [(item.path, item.cause, item.derived_from) for item in findings] == [
        ("data", "timestamp", None),
        ("sums", "randomness", None),
    ]
    assert findings[1].confidence == "low"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sources(where: Path, side: Callable[[bytes], dict[str, bytes]]) -> list[tuple[str, str, str, str | None]]:
    a, b = (side(b"built %d\n" % at) for at in (STARTED + 1, STARTED + 1201))
    return [(item.path, item.cause, item.confidence, item.derived_from) for item in explain(where, a, b)]


@pytest.mark.parametrize(
    "name",
    [
        sha,
        lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        lambda data: nix32(hashlib.sha256(data).digest()) + ".nar",
        lambda data: f"app.{sha(data)[:12]}.js",
        lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("="),
        lambda data: f"lib-{hashlib.md5(data, usedforsecurity=False).hexdigest()}.so.1",
    ],
)
def test_a_name_that_is_the_digest_of_its_own_content(tmp_path: Path, name: Callable[[bytes], str]) -> None:
    """Two findings: the content has the cause, and the name follows from it."""
    found = sources(tmp_path, lambda data: {f"objects/{name(data)}": data})
    path = found[0][0]
    assert found == [(path, "timestamp", "high", None), (path, "timestamp", "high", path)]


@pytest.mark.parametrize("name", [lambda data: sha(data + b"salt"), lambda data: "n" + sha(data)[3:12]])
def test_a_name_that_is_no_digest_of_its_content_does_not_surely_follow_from_it(
    tmp_path: Path, name: Callable[[bytes], str]
) -> None:
    found = sources(tmp_path, lambda data: {f"objects/{name(data)}": data})
    assert [confidence for _, _, confidence, _ in found] == ["high", "low"]


def test_a_store_of_objects_in_directories_of_their_first_digits(tmp_path: Path) -> None:
    def side(data: bytes) -> dict[str, bytes]:
        files = (b"tree of " + data + b"files\n" * 40, b"\x89PNG\0\xff" + data, b"the same")
        return {f"objects/{sha(file)[:2]}/{sha(file)[2:]}": file for file in files}

    found = sources(tmp_path, side)
    roots = [row for row in found if row[3] is None]
    assert [(cause, confidence) for _, cause, confidence, _ in roots] == [("timestamp", "high")] * 2
    assert {source for *_, source in found} == {None, *(row[0] for row in roots)}


def test_an_image_is_followed_from_its_index_to_its_layer(tmp_path: Path) -> None:
    """The index has the digest of the manifest, that those of layer and configuration, and this that of the layer
    unpacked."""

    def side(data: bytes) -> dict[str, bytes]:
        layer = tar(built=data, tool=b"x" * 900)
        packed = gzip.compress(layer, mtime=0)
        config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + sha(layer)]}}).encode()
        parts = [{"digest": "sha256:" + sha(part), "size": len(part)} for part in (config, packed)]
        manifest = json.dumps({"schemaVersion": 2, "config": parts[0], "layers": parts[1:]}).encode()
        index = json.dumps({"manifests": [{"digest": "sha256:" + sha(manifest), "size": len(manifest)}]}).encode()
        return {f"blobs/sha256/{sha(blob)}": blob for blob in (packed, config, manifest)} | {"index.json": index}

    found = sources(tmp_path, side)
    assert {(cause, confidence) for _, cause, confidence, _ in found} == {("timestamp", "high")}
    roots = [path for path, _, _, source in found if source is None]
    assert [path.split("!")[1:] for path in roots] == [["built"]]
    steps = {path: source for path, _, _, source in found if source and source != path}
    path, seen = "index.json", 0
    while path in steps:
        path, seen = steps[path] or "", seen + 1
    assert (path, seen) == (roots[0].split("!")[0], 3)


def test_a_lock_file_inside_a_compressed_archive(tmp_path: Path) -> None:
    def side(data: bytes) -> dict[str, bytes]:
        lock = json.dumps({"integrity": "sha256-" + base64.b64encode(hashlib.sha256(data).digest()).decode()})
        packed = gzip.compress(tar(lock=lock.encode(), other=b"same"), mtime=0)
        return {"lib/data": data, "locks.tar.gz": packed, "sums": sha(packed).encode()}

    assert sources(tmp_path, side) == [
        ("lib/data", "timestamp", "high", None),
        ("locks.tar.gz!lock", "timestamp", "high", "lib/data"),
        ("sums", "timestamp", "high", "locks.tar.gz"),
    ]


def test_a_token_beside_a_digest_is_a_finding_of_its_own(tmp_path: Path) -> None:
    """What is drawn does not follow from what differs elsewhere, though a digest of that stands beside it."""
    drawn = iter((b"8f14e45fceea167a5a36dedd4bea2543", b"c9f0f895fb98ab9159f51fd0297e236d"))
    found = sources(tmp_path, lambda data: {"data": data, "x": b"%s\n%s\n" % (next(drawn), sha(data).encode())})
    assert found == [
        ("data", "timestamp", "high", None),
        ("x", "randomness", "low", None),
        ("x", "timestamp", "high", "data"),
    ]


def test_sizes_follow_too_but_small_ones_may_be_chance(tmp_path: Path) -> None:
    for times, confidence in (((300, 301), "high"), ((3, 4), "low")):
        data = [b"built %d\n" % (STARTED + 1 + 1200 * n) * times[n] for n in (0, 1)]
        a, b = ({"data": side, "list": b"- data: %d bytes" % len(side)} for side in data)
        found = {item.path: item for item in explain(tmp_path, a, b)}
        assert (found["list"].confidence, found["list"].derived_from) == (confidence, "data")
        # It is not the size of anything.
        del b["list"]
        other = explain(tmp_path, a, b | {"list": b"- data: %d bytes" % (len(data[1]) + 1)})
        assert [item.derived_from for item in other if item.path == "list"] == [None]


def build_id(data: bytes) -> bytes:
    return b"\4\0\0\0" + bytes([len(data)]) + b"\0\0\0\3\0\0\0GNU\0" + data


def test_a_build_id_before_what_it_is_of_and_the_names_made_of_it(tmp_path: Path) -> None:
    """Also where what differs has no sure cause."""
    tokens, ids = (b"8f14e45fceea167a", b"c9f0f895fb98ab91"), (bytes(range(20)), bytes(range(20, 40)))
    a, b = (
        {
            "bin/x": elf({".note.gnu.build-id": build_id(ids[n]), ".rodata": b"id %s\0" % tokens[n]}),
            f"debug/.build-id/{ids[n].hex()[:2]}/{ids[n].hex()[2:]}.debug": b"same",
        }
        for n in (0, 1)
    )
    found = [(item.path[:20], item.cause, item.confidence, item.derived_from) for item in explain(tmp_path, a, b)]
    assert found == [
        ("bin/x", "randomness", "low", None),
        ("bin/x", "randomness", "low", "bin/x"),
        ("debug/.build-id/00", "randomness", "low", "bin/x"),
        ("debug/.build-id/00/0", "randomness", "low", "bin/x"),
    ]


def test_a_go_build_id_follows_from_the_rest_of_the_program(tmp_path: Path) -> None:
    ids = b"AbCdEfGhIjKlMnOpQrSt", b"ZyXwVuTsRqPoNmLkJiHg"
    a, b = (
        elf(
            {
                ".note.go.buildid": b"\4\0\0\0\x53\0\0\0\4\0\0\0Go\0\0" + b"/".join([ids[n]] * 4),
                ".text": b'\xff Go build ID: "%s"\n \xff' % b"/".join([ids[n]] * 4) + b"\0" * 64,
                ".rodata": b"at %d\0" % (STARTED + 1 + 1200 * n),
            }
        )
        for n in (0, 1)
    )
    found = [(item.cause, item.confidence, item.derived_from) for item in explain(tmp_path, {"bin/x": a}, {"bin/x": b})]
    assert found == [("timestamp", "high", None), ("timestamp", "low", "bin/x")]
