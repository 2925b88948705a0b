"""Store paths taken apart, and what only looks like one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.hashes import BASE32
from nix_repro.nix.store_path import DIGEST, DIGEST_LENGTH, NAME, StorePath, containing, is_derivation, store_name

HELLO = "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-hello-2.12"

digests = st.text(BASE32, min_size=DIGEST_LENGTH, max_size=DIGEST_LENGTH)
names = st.from_regex(re.compile(NAME, re.ASCII), fullmatch=True)
directories = st.sampled_from(["/nix/store", "/gnu/store", "/home/a/store", ""])


@given(directories, digests, names)
def test_a_store_path_has_three_parts(directory: str, digest: str, name: str) -> None:
    assert StorePath.of(f"{directory}/{digest}-{name}") == (directory, digest, name)


@given(digests, names)
def test_what_names_a_derivation(digest: str, name: str) -> None:
    assert is_derivation(f"/nix/store/{digest}-{name}.drv")
    assert is_derivation(f"/nix/store/{digest}-{name}") == (name.endswith(".drv") and name != ".drv")


@given(st.text())
def test_any_text_has_a_name(text: str) -> None:
    found = StorePath.of(text)
    assert text.endswith(found.name)
    assert found.digest == "" or re.fullmatch(DIGEST, found.digest)
    assert "/" not in found.name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{HELLO}.drv", "hello-2.12"),
        (HELLO, "hello-2.12"),
        ("/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-hello", "hello"),
        ("hello", "hello"),
        ("", ""),
    ],
)
def test_what_people_call_it(path: str, name: str) -> None:
    assert store_name(path) == name


@pytest.mark.parametrize(
    "text",
    [
        "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227n-hello",  # a digit too few
        "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nvv-hello",
        "/nix/store/es7wp6kwh43pi7gnr83w0jdlmay227nv-hello",  # no such digit
        "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-",
        "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv",
        f"{HELLO}/bin/hello",
    ],
)
def test_what_is_no_store_path_has_no_digest(text: str) -> None:
    assert StorePath.of(text).digest == ""
    assert StorePath.of(text).name == text.rsplit("/", 1)[-1]


@pytest.mark.parametrize(
    "text", [HELLO, f"{HELLO}.drv!out", f"{HELLO}.drv\n", f"x {HELLO}.drv", f"--x={HELLO}.drv", f"{HELLO} .drv", ""]
)
def test_what_is_no_derivation(text: str) -> None:
    """A report from elsewhere names them, and Nix is asked about them."""
    assert not is_derivation(text)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (HELLO, HELLO),
        (f"{HELLO}/bin/hello", HELLO),
        ("/nix/store", None),
        ("/nix/storage/x", None),
        (f"/mnt{HELLO}", None),
        ("", None),
    ],
)
def test_the_store_path_that_something_lies_in(path: str, found: str | None) -> None:
    assert containing(path, "/nix/store") == found
