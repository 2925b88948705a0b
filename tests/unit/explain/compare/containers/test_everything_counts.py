"""A container need not fill its file, and its headers say things too: whatever byte changes, that is found, and nobody
is told that only the packing differs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxes import COMPRESSED, COMPRESSORS, KINDS, cpio, tar, zipped
from nix_repro.report import Finding
from sides import STARTED, explain

T1 = STARTED + 1
T2 = STARTED + 1201
CONTENT = b"some words, and some more words\n" * 9
LIMITS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
extra = st.binary(min_size=1, max_size=40).filter(lambda data: data.strip(b"\0") == data)


def told(a: bytes, b: bytes) -> tuple[Finding, ...]:
    """What is said of two files that differ: something, and not that it is the packing alone."""
    with tempfile.TemporaryDirectory() as where:
        findings = explain(Path(where), {"file": a}, {"file": b})
    assert findings
    assert not any("packing differs" in item.because and item.confidence == "high" for item in findings)
    return findings


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@LIMITS
def test_a_byte_of_the_content(kind: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(CONTENT) - 1))
    changed = CONTENT[:place] + bytes([CONTENT[place] ^ data.draw(st.integers(1, 255))]) + CONTENT[place + 1 :]
    told(KINDS[kind](CONTENT), KINDS[kind](changed))


@pytest.mark.parametrize("kind", KINDS)
@given(a=extra, b=extra)
@LIMITS
def test_what_follows(kind: str, a: bytes, b: bytes) -> None:
    whole = KINDS[kind](CONTENT)
    if a != b:
        told(whole + a, whole + b)
    told(whole, whole + a)
    told(whole + a, whole)


@pytest.mark.parametrize("kind", KINDS)
@given(a=extra, b=extra)
@LIMITS
def test_what_is_between(kind: str, a: bytes, b: bytes) -> None:
    whole = KINDS[kind](CONTENT)
    if a != b:
        told(whole + a + whole, whole + b + whole)
        told(whole + bytes(512) + a + whole, whole + bytes(512) + b + whole)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - COMPRESSED))
@given(data=st.data())
@LIMITS
def test_any_byte(kind: str, data: st.DataObject) -> None:
    whole = KINDS[kind](CONTENT)
    place = data.draw(st.integers(0, len(whole) - 1))
    told(whole, whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])


@pytest.mark.parametrize("kind", ["gzip", "zip"])
@given(data=st.data())
@LIMITS
def test_any_byte_outside_of_the_compressed_data(kind: str, data: st.DataObject) -> None:
    whole = KINDS[kind](CONTENT)
    places = range(10) if kind == "gzip" else [*range(31), *range(whole.index(b"PK\1\2"), len(whole))]
    place = data.draw(st.sampled_from(places))
    told(whole, whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@LIMITS
def test_nothing_cut_or_scrambled_raises(kind: str, data: st.DataObject) -> None:
    whole = KINDS[kind](CONTENT) + KINDS[kind](CONTENT)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    scrambled = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        scrambled[place] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as where:
        assert explain(Path(where), {"file": whole}, {"file": cut})
        assert explain(Path(where), {"file": cut}, {"file": bytes(scrambled)}) or cut == scrambled


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_one_after_padding_is_looked_into(tmp_path: Path, kind: str) -> None:
    first = KINDS[kind](CONTENT)
    a, b = (first + bytes(512) + KINDS[kind](b"built at %d, and so on\n" % at) for at in (T1, T2))
    found = explain(tmp_path, {"file": a}, {"file": b})
    assert {(item.cause, item.confidence) for item in found if item.cause != "unknown"} == {("timestamp", "high")}


@pytest.mark.parametrize("packed", [lambda data: data, *(KINDS[kind] for kind in COMPRESSORS)])
def test_an_initial_ram_disk_in_two_parts(tmp_path: Path, packed: object) -> None:
    assert callable(packed)
    early = cpio((b"kernel/microcode", bytes(900)))
    a, b = (early + bytes(-len(early) % 512) + packed(cpio((b"init", CONTENT), at=at)) for at in (T1, T2))
    (finding,) = explain(tmp_path, {"initrd": a}, {"initrd": b})
    assert (finding.path, finding.cause, finding.confidence) == ("initrd!init", "timestamp", "high")
    assert "after the end of the archive" in finding.because


def test_a_line_after_a_tar_archive(tmp_path: Path) -> None:
    a, b = (tar(CONTENT) + b"built at %d\n" % at for at in (T1, T2))
    (finding,) = explain(tmp_path, {"x.tar": a}, {"x.tar": b})
    assert (finding.path, finding.cause, finding.confidence) == ("x.tar", "timestamp", "high")
    assert finding.because.endswith("(after the end of the archive)")


def test_a_block_between_the_entries_of_a_zip_archive_and_its_directory(tmp_path: Path) -> None:
    a, b = (zipped(CONTENT, block=b"signed at %d, " % at + b"APK Sig Block 42") for at in (T1, T2))
    (finding,) = explain(tmp_path, {"x.apk": a}, {"x.apk": b})
    assert (finding.path, finding.cause, finding.confidence) == ("x.apk", "timestamp", "high")
    assert "between the members, after x" in finding.because


def test_an_access_time_that_only_the_local_header_has(tmp_path: Path) -> None:
    a, b = (zipped(CONTENT, extra=b"UT\x09\0\3" + bytes(4) + at.to_bytes(4, "little")) for at in (T1, T2))
    (finding,) = explain(tmp_path, {"f.zip": a}, {"f.zip": b})
    assert (finding.path, finding.cause, finding.confidence) == ("f.zip!x", "timestamp", "high")
    assert "the zip access time differs" in finding.because
