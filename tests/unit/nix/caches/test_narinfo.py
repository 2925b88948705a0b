"""What a cache's directory says of its paths, and what goes when there is no room."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.caches.narinfo import Held, placeholder, public_key, read, referring, surplus

DIGEST, OTHER = "a" * 32, "b" * 32
ARCHIVE = f"nar/{'1' * 52}.nar.zst"
GOOD = f"""\
StorePath: /nix/store/{DIGEST}-app
URL: {ARCHIVE}
Compression: zstd
FileHash: sha256:{"1" * 52}
FileSize: 131
NarHash: sha256:{"0" * 52}
NarSize: 168
References: {OTHER}-lib {DIGEST}-app
Deriver: {OTHER}-app.drv
Sig: k-1:x
"""


def test_a_description_as_nix_writes_it() -> None:
    one = read(GOOD, DIGEST, "/nix/store", 7.0)
    assert one.path == f"/nix/store/{DIGEST}-app"
    assert one.references == {f"/nix/store/{OTHER}-lib", one.path}
    assert (one.archive, one.size, one.needed) == (ARCHIVE, 131, 7.0)
    assert one.nar_hash == f"sha256-{'A' * 43}="
    alone = GOOD.replace(f"References: {OTHER}-lib {DIGEST}-app", "References: ")
    assert read(alone, DIGEST, "/nix/store", 0.0).references == frozenset()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (GOOD, ""),
        (GOOD, GOOD[:60]),
        (f"{DIGEST}-app\nURL", f"{OTHER}-app\nURL"),
        ("/nix/store/", "/gnu/store/"),
        (f"-app\nURL: {ARCHIVE}", f"-../../x\nURL: {ARCHIVE}"),
        (ARCHIVE, "nar/../../../../etc/shadow"),
        (ARCHIVE, f"http://evil/{ARCHIVE}"),
        (ARCHIVE, "nar/x"),
        ("FileSize: 131", "FileSize: -1"),
        ("FileSize: 131", "FileSize: many"),
        ("NarHash: sha256:", "NarHash: md5:"),
        (f"{OTHER}-lib", "../lib"),
        (f"{OTHER}-lib", "--option"),
    ],
)
def test_what_is_none_is_an_error(right: str, wrong: str) -> None:
    assert right in GOOD
    with pytest.raises(ValueError, match="it "):
        read(GOOD.replace(right, wrong), DIGEST, "/nix/store", 0.0)


def test_a_placeholder_is_nothing_that_is_in_a_cache() -> None:
    with pytest.raises(ValueError, match="it does not say"):
        read(placeholder(f"/nix/store/{DIGEST}-app"), DIGEST, "/nix/store", 0.0)


def test_the_public_half_of_a_key() -> None:
    whole = base64.b64encode(b"s" * 32 + b"p" * 32).decode()
    assert public_key(f"k-1:{whole}\n") == f"k-1:{base64.b64encode(b'p' * 32).decode()}"


@pytest.mark.parametrize("text", ["", "k-1:", "k 1:" + "A" * 86 + "==", "k-1:" + "A" * 43 + "=", "k:" + "A" * 900])
def test_what_is_no_secret_key_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        public_key(text)


def cache(**rows: tuple[float, int, str]) -> dict[str, Held]:
    """Paths by name: when they were needed, their size, and what they refer to."""
    return {
        name: Held(name, "", f"nar/{name}", size, frozenset(references.split()), needed)
        for name, (needed, size, references) in rows.items()
    }


@pytest.mark.parametrize(
    ("held", "room", "gone"),
    [
        (cache(a=(1, 10, ""), b=(2, 10, "")), 20, set()),
        (cache(a=(1, 10, ""), b=(2, 10, "")), 19, {"a"}),
        (cache(a=(1, 10, ""), b=(2, 10, "")), 9, {"a", "b"}),
        # What a path refers to is needed when that is, and stays as long.
        (cache(lib=(1, 10, "lib"), app=(3, 10, "lib app"), old=(2, 10, "")), 25, {"old"}),
        # Of one age, what refers to others goes first.
        (cache(lib=(1, 10, ""), app=(1, 10, "lib"), top=(1, 10, "app")), 15, {"top", "app"}),
        # What has no room by itself costs nothing else but what refers to it.
        (cache(huge=(9, 100, ""), app=(9, 1, "huge"), small=(1, 10, "")), 50, {"huge", "app"}),
        (cache(a=(1, 10, "elsewhere")), 5, {"a"}),
        ({}, 0, set()),
    ],
)
def test_the_least_recently_needed_goes_first(held: dict[str, Held], room: int, gone: set[str]) -> None:
    assert surplus(held, room) == gone


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.sets(st.integers(0, 9)))), st.integers(0, 40))
def test_what_stays_has_room_and_all_that_it_refers_to(rows: list[tuple[int, int, set[int]]], room: int) -> None:
    held = {
        str(number): Held(str(number), "", "", size, frozenset(str(r) for r in refs if r < number), float(needed))
        for number, (needed, size, refs) in enumerate(rows)
    }
    gone = surplus(held, room)
    stays = {path: one for path, one in held.items() if path not in gone}
    assert sum(one.size for one in stays.values()) <= room
    assert all(one.references <= stays.keys() for one in stays.values())
    assert bool(gone) == (sum(one.size for one in held.values()) > room)


def test_whatever_refers_to_a_path_goes_with_it() -> None:
    held = cache(a=(0, 1, "a"), b=(0, 1, "a"), c=(0, 1, "b"), d=(0, 1, ""))
    assert referring(held, {"a", "not in it"}) == {"a", "b", "c", "not in it"}
