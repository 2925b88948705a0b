"""Digests and sizes of what differs, in every spelling: they follow from it, and have its cause."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

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
