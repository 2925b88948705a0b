"""Programs and libraries, section by section."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from binaries import elf
from nix_repro.explain.budget import Budget
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201
CODE = b"\x90" * 32


def sections(seconds: int) -> dict[str, bytes]:
    return {".text": CODE, ".rodata": b"built at %d\0and more\0" % seconds}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_section_is_named_on_every_kind_of_machine(tmp_path: Path, wide: bool, order: str) -> None:
    a, b = (elf(sections(at), wide=wide, order=order) for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.path, finding.cause) == ("", "timestamp")
    assert finding.because.endswith("(section .rodata)")
    assert "__DATE__" in finding.fix, "it is the compiler's"


def test_compressed_debug_information_is_looked_into(tmp_path: Path) -> None:
    a, b = (
        elf({".debug_str": zlib.compress(b"GNU C17\0" + directory + b"/main.c\0" * 9)}, compressed=[".debug_str"])
        for directory in (b"/build", b"/build2")
    )
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("build-path", "high")


def test_a_section_that_cannot_be_decompressed_is_compared_as_it_is(tmp_path: Path) -> None:
    a, b = (elf({".debug_str": b"at %d\0" % at}, compressed=[".debug_str"]) for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, "section .debug_str" in finding.because) == ("timestamp", True)


def test_a_section_that_unpacks_to_more_than_the_budget_is_cut_and_that_is_said(tmp_path: Path) -> None:
    a, b = (
        elf({".debug_str": zlib.compress(bytes(1 << 20) + last)}, compressed=[".debug_str"]) for last in (b"a", b"b")
    )
    findings = explain(tmp_path, a, b, budget=Budget(unpacked=1 << 16))
    assert {item.cause for item in findings} == {"unknown"}
    assert "more than is unpacked" in findings[-1].because


def test_what_takes_no_room_in_the_file_does_not_differ(tmp_path: Path) -> None:
    a, b = (elf({".bss": bytes(size), **sections(T1)}, absent=[".bss"]) for size in (16, 4096))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.because) == (
        "unknown",
        "every section is equal; what differs is the ELF file's layout",
    )


def test_offsets_follow_from_whatever_else_differs(tmp_path: Path) -> None:
    def linked(seconds: int, symbols: bytes) -> bytes:
        return elf({".symtab": symbols, **sections(seconds)})

    finding, derived = explain(tmp_path, {"x": linked(T1, b"\1\2\3\4")}, {"x": linked(T2, b"\1\2\3\5")})
    assert "section .rodata" in finding.because
    assert (derived.cause, derived.confidence, derived.derived_from) == ("timestamp", "low", "x")
    assert "section .symtab" in derived.because
    (finding,) = explain(tmp_path, linked(T1, b"\1\2\3\4"), linked(T1, b"\1\2\3\5"))
    assert "section .symtab" in finding.because


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (5, b"\7"),  # no such byte order
        (40, bytes(8)),  # stripped of its section table
        (58, b"\1"),  # entries too small to hold a section
        (60, bytes(2)),  # no sections
        (62, b"\xff"),  # their names are nowhere
    ],
)
def test_what_has_no_sections_to_go_by_is_compared_as_it_is(tmp_path: Path, place: int, value: bytes) -> None:
    a, b = (whole[:place] + value + whole[place + len(value) :] for whole in (elf(sections(T1)), elf(sections(T2))))
    findings = explain(tmp_path, {"bin/x": a}, {"bin/x": b})
    assert [(item.path, item.cause) for item in findings] == [("bin/x", "timestamp")]
    assert "section" not in findings[0].because
