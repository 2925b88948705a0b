"""Nix's settings for the commands of a run, in a file that only this user reads.

They may hold secrets, such as `access-tokens`. A command line can be read by everybody on the machine. The environment
can be read by a fixed-output derivation that names its variables (`impureEnvVars`), from inside of the sandbox and with
a network (measured with 2.8, 2.26 and 2.34). So what Nix gets is the name of a file, in NIX_CONFIG: what that includes
counts like what stands there, and a file that is missing ends the command. It means the same as on the command line:
the last setting wins, `extra-` adds, a daemon is told (measured).
"""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress

from nix_repro.errors import UsageError

#: What Nix separates the words of a value by.
_SPACE = re.compile(r"[ \t\r\n]+")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
#: What a file's name must not have to be included: Nix would take it for its end.
_UNSAFE = re.compile(r"[\s#]")


def written(options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Settings as Nix's configuration files can have them, each on a line. Raises `UsageError` for what they cannot."""
    return [(_name(name), _value(name, value)) for name, value in options]


def _name(name: str) -> str:
    # `include =` would not set anything but read the file `=`.
    if not _NAME.fullmatch(name) or name == "include":
        raise UsageError(f"{name!r} is not the name of a Nix setting")
    return name


def _value(name: str, value: str) -> str:
    if "#" in value or "\0" in value:
        raise UsageError(f"Nix setting {name}: its value has a character that Nix's configuration cannot hold (#)")
    return _SPACE.sub(" ", value).strip(" ")


class PrivateSettings:
    """A configuration's text and further options, in a file that is removed when nobody uses it any more. `reference`
    is what NIX_CONFIG has to be.

    Raises `UsageError` when it cannot be written.
    """

    def __init__(self, text: str, options: Sequence[tuple[str, str]]) -> None:
        lines = [text, *(f"{name} = {value}" for name, value in written(options))]
        directory = tempfile.gettempdir()
        if _UNSAFE.search(directory):
            directory = "/tmp"  # noqa: S108  # the file's name is a secret, and only this user may open it
        try:
            handle, path = tempfile.mkstemp(prefix="nix-repro-", suffix=".conf", dir=directory)
            self._remove = weakref.finalize(self, _remove, path)
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise UsageError(f"{directory}: Nix's settings cannot be written there: {error.strerror}") from None
        except UnicodeEncodeError:
            raise UsageError("Nix's settings hold what is no text") from None
        self.reference = f"include {path}"


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
