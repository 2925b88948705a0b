from __future__ import annotations

from typing import Any

import pytest

from nix_repro.build.variations import ALL, DEFAULT, NAMED
from nix_repro.config import Config, load, read_settings
from nix_repro.config.vary import vary
from nix_repro.errors import UsageError
from nix_repro.settings import Setting


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("default", DEFAULT),
        ("all", ALL),
        ("none", ()),
        ("zone, kernel", ("zone", "kernel")),
        (["future", "nice", "future"], ("future", "nice")),
        (["all"], ALL),
    ],
)
def test_words_and_lists(value: Any, meant: tuple[str, ...]) -> None:
    assert vary(Setting(value, "--vary")) == meant


@pytest.mark.parametrize("value", ["", "clock", "all, zone", ["none", "zone"], [], 3, {"zone": True}, None, True])
def test_anything_else_is_refused_with_the_names_that_there_are(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^--vary: ") as error:
        vary(Setting(value, "--vary"))
    assert isinstance(value, dict | int | type(None)) or all(name in str(error.value) for name in NAMED)


def test_a_file_may_say_it() -> None:
    assert load([read_settings(b"vary: [kernel, zone]", "f")]).vary == ("kernel", "zone")
    assert Config().vary == DEFAULT
