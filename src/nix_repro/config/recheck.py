"""Settings about what is built again although it was verified before."""

from __future__ import annotations

import re

from nix_repro.settings import Setting, duration, fail


def days(setting: Setting) -> int:
    """Seconds in `30d`, or in a duration."""
    value = setting.value
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,5})d", value)) is not None:
        return int(found[1]) * 86400
    if (seconds := duration(value)) is None:
        raise fail(setting, "an age such as 30d or 12h")
    return seconds


def share(setting: Setting) -> float:
    """A part of all, 0 to 1, in `5%`."""
    if (found := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", str(setting.value))) is None or float(found[1]) > 100:
        raise fail(setting, "a share such as 5%")
    return float(found[1]) / 100


def yes_or_no(setting: Setting) -> bool:
    """A truth value in the file, a word in an input."""
    value = setting.value
    if not (isinstance(value, bool) or value in ("true", "false")):
        raise fail(setting, "true or false")
    return value in (True, "true")
