"""What caches do wrong, in the words of every Nix, and in one line for people."""

from __future__ import annotations

import pytest

from nix_repro.nix.caches import incidents
from nix_repro.nix.caches.incidents import Complaint

CACHE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("message", "kind", "delay"),
    [
        (f"error: unable to download '{CACHE}/x.narinfo': HTTP error 418 ('I'm a Teapot')", "refused", None),
        (
            (
                f"unable to download '{CACHE}/x.narinfo': HTTP error 429\n\nresponse body:\n\nno; retrying in 73705 ms "
                "(attempt 1/5)"
            ),
            "rate-limited",
            73.705,
        ),
        (
            f"unable to download '{CACHE}/nar/x': HTTP error 200 ('OK') (curl error: Transferred a partial file)",
            "corrupt",
            None,
        ),
        (
            (
                f"unable to download '{CACHE}/x': Timeout was reached (28) Operation too slow; retrying in 253 ms "
                "(attempt 1/5)"
            ),
            "slow",
            0.253,
        ),
        (
            f"unable to download '{CACHE}/nix-cache-info': Could not connect to server (7) Failed to connect",
            "dead",
            None,
        ),
        (f"unable to download '{CACHE}/x': HTTP error 507", "full", None),
        (
            (
                f"the substitute for '/nix/store/a' from '{CACHE}' is not signed by any of the keys in "
                "'trusted-public-keys'"
            ),
            "untrusted",
            None,
        ),
        (
            f"ignoring substitute for '/nix/store/a' from '{CACHE}', as it's not signed by any of the keys in 'x'",
            "untrusted",
            None,
        ),
        (f"file 'nar/x.nar' does not exist in binary cache '{CACHE}'", "corrupt", None),
        ("warning: file 'nar/x.nar.zst' does not exist in binary cache", "corrupt", None),
        ("error: Failed to open archive (Zstd decompression failed: Data corruption detected)", "corrupt", None),
        ("error: Failed to open archive (Truncated zstd input)", "corrupt", None),
        ("hash mismatch importing path '/nix/store/a';\n  specified: sha256:x", "corrupt", None),
        (f"error: NAR info file '{'a' * 32}.narinfo' is corrupt: StorePath missing", "corrupt", None),
        ("error: 'xx' is too short to be a valid store path", "corrupt", None),
        ("error: signature is not valid", "corrupt", None),
        ("error: failed to get libarchive filter by name: No such filter 'foo'", "corrupt", None),
        (f"'{CACHE}' does not appear to be a binary cache", "dead", None),
        (f"binary cache '{CACHE}' is for Nix stores with prefix '/gnu/store', not '/nix/store'", "dead", None),
        ("error: failed to start SSH connection to 'host'", "dead", None),
    ],
)
def test_troubles_in_the_words_of_each_version(message: str, kind: str, delay: float | None) -> None:
    found = incidents.read(message)
    assert found is not None
    assert (found.kind, found.delay) == (kind, delay)


@pytest.mark.parametrize(
    "message",
    ["building '/nix/store/a.drv'...", "error: builder for '/nix/store/a.drv' failed", "", "HTTP error 500 in a log"],
)
def test_other_messages_are_no_trouble(message: str) -> None:
    assert incidents.read(message) is None


def test_an_incident_is_one_line_with_cost_and_remedy() -> None:
    waits = [incidents.read(f"unable to download '{CACHE}/{i}': HTTP error 500; retrying in 1000 ms") for i in range(3)]
    rows = [Complaint(CACHE, trouble, 100.0 + i / 2) for i, trouble in enumerate(waits) if trouble is not None]
    (found,) = incidents.gather(rows, {CACHE: 101.5}, {}, 200.0)
    assert found.line().startswith(
        f"{CACHE}: answered 500 3 times; cost 1.5 s; it was left out of the rest of this run. To do: "
    )
    assert "\n" not in found.line()
    (found,) = incidents.gather(rows, {}, {CACHE: 101.5}, 200.0)
    assert "answered 500 3 times; cost 1.5 s; it was left out of evaluation. To do: " in found.line()
    slow = incidents.read(f"unable to download '{CACHE}/x': Timeout was reached (28); retrying in 250 ms")
    assert slow is not None
    (found,) = incidents.gather([Complaint(CACHE, slow, 100.0, waited=8.0)], {CACHE: 100.0}, {}, 200.0)
    assert found.seconds == 8.0
