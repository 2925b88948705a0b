"""Which Nix it is."""

from __future__ import annotations

import pytest

from nix_repro.nix.series import release

DETERMINATE = "Determinate Nix 3.6.6 (Nix 2.29.0)"


@pytest.mark.parametrize(
    ("said", "implementation", "version", "series", "shown"),
    [
        ("nix (Nix) 2.8.0\n", "Nix", "2.8.0", (2, 8), "Nix 2.8.0"),
        ("nix (Nix) 2.34.0pre20251217_a1b2c3d", "Nix", "2.34.0pre20251217_a1b2c3d", (2, 34), None),
        # Its numbers are its own: 2.91 is no later Nix than 2.34.
        ("nix (Lix, like Nix) 2.91.1", "Lix", "2.91.1", (2, 18), "Lix 2.91.1"),
        (
            "nix (Determinate Nix 3.6.6) 2.29.0",
            "Determinate Nix 3.6.6",
            "2.29.0",
            (2, 29),
            "Determinate Nix 3.6.6 (Nix 2.29.0)",
        ),
        ("nix (Snix) 0.1", "Snix", "0.1", (0, 1), "Snix 0.1"),
        ("nix 2.3", "Nix", "2.3", (2, 3), "Nix 2.3"),
        ("nix (Nix) unknown", "Nix", "unknown", (0, 0), "Nix unknown"),
        ("nix () 2.20", "Nix", "2.20", (2, 20), "Nix 2.20"),
        ("", "Nix", "", (0, 0), None),
    ],
)
def test_what_nix_says_it_is(
    said: str, implementation: str, version: str, series: tuple[int, int], shown: str | None
) -> None:
    found = release(said)
    assert (found.implementation, found.version, found.series) == (implementation, version, series)
    assert shown in (None, str(found))
