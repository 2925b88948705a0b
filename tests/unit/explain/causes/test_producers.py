"""The advice is that of what made the file, not that of the format around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from binaries import elf
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201
GO = b'\xff Go build ID: "AbCdEfGhIjKlMnOpQrSt/ZyXwVuTsRqPoNmLkJiHg"\n \xff'
RUST = b"/rustc/90b35a6239c3d8bdabc530a6a0816f7ff89a0aaf/library/core/src/fmt/mod.rs\0"


def program(mark: bytes, text: bytes) -> bytes:
    return elf({".text": mark + b"\0" * 64, ".rodata": text + b"\0"})


@pytest.mark.parametrize(
    ("path", "form", "cause", "advice", "not_advice"),
    [
        ("bin/x", lambda at: program(GO, b"built %d" % at), "timestamp", "-X", "__DATE__"),
        ("bin/x", lambda at: program(RUST, b"built %d" % at), "timestamp", "build.rs", "__DATE__"),
        ("bin/x", lambda at: program(b"", b"built %d" % at), "timestamp", "__DATE__", "-X"),
        ("share/qrc_icons.cpp", lambda at: b"qt_resource_struct // %d\n" % at, "timestamp", "rcc", "date -u"),
        (
            "a/DESCRIPTION",
            lambda at: b"Package: a\nBuilt: R 4.3.1; ; %d; unix\n" % at,
            "timestamp",
            "--built",
            "date -u",
        ),
        ("gems/x/mkmf.log", lambda at: b"have_header: checking for zlib.h %d\n" % at, "timestamp", "mkmf", "uuidgen"),
    ],
)
def test_advice_for_times(tmp_path: Path, path: str, form: object, cause: str, advice: str, not_advice: str) -> None:
    assert callable(form)
    finding = explain(tmp_path, {path: form(T1)}, {path: form(T2)})[0]
    assert finding.cause == cause
    told = finding.fix + (finding.snippet or "")
    assert advice in told
    assert not_advice not in told


@pytest.mark.parametrize(
    ("path", "sides", "cause", "advice"),
    [
        (
            "mod.lua.o",
            [
                b"\x1bLJ\2\0\xfe" + words.replace(b" ", b"\0\1")
                for words in (b"alpha beta gamma delta zeta", b"zeta gamma alpha delta beta")
            ],
            "ordering",
            "luajit -bd",
        ),
        (
            "bin/x",
            [program(RUST, b"/%s/x/src/main.rs" % where) for where in (b"build", b"build2")],
            "build-path",
            "--remap-path-prefix $NIX_BUILD_TOP=/build",
        ),
        (
            "bin/x",
            [program(GO, b"/%s/x/main.go" % where) for where in (b"build", b"build2")],
            "build-path",
            "-trimpath",
        ),
        (
            "gems/x/mkmf.log",
            [b"have_func: conftest /tmp/tmp.%s/x.c\n" % name for name in (b"aXb3kQ9dzz", b"Qp7LmN2xYw")],
            "randomness",
            "mkmf.log",
        ),
    ],
)
def test_advice_for_other_causes(tmp_path: Path, path: str, sides: list[bytes], cause: str, advice: str) -> None:
    finding = explain(tmp_path, {path: sides[0]}, {path: sides[1]})[0]
    assert finding.cause == cause
    assert advice in finding.fix + (finding.snippet or "")
    assert "PYTHONHASHSEED" not in (finding.snippet or "")
    assert "uuidgen" not in (finding.snippet or "")
