"""What holds for every rule, whatever it is given."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nix_repro.explain.causes.model import Pair
from nix_repro.explain.causes.rules import RULES, explain_pair
from sides import BUILDS

data = st.binary(max_size=300) | st.text(max_size=200).map(str.encode)


@settings(max_examples=300, deadline=None)
@given(data, data, st.booleans())
def test_rules_point_into_the_pair_they_were_given(a: bytes, b: bytes, text: bool) -> None:
    found, _ = explain_pair(Pair(a, b, 0, text), BUILDS, RULES)
    for match, _ in found:
        for (start_a, end_a), (start_b, end_b) in match.places:
            assert 0 <= start_a <= end_a <= len(a)
            assert 0 <= start_b <= end_b <= len(b)
