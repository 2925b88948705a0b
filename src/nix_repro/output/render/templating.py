"""The templates, and how they escape: whatever a template prints is escaped, unless a filter has already done so for
the place where it is used. So it is not possible to forget it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def make_environment(escaped: Callable[[str], Markup]) -> Environment:
    """A Jinja environment whose templates escape with `escaped`. A variable that does not exist is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else escaped(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
