"""Asking a binary cache over HTTP as Nix does: with the passwords of `netrc-file`, or of the URL, and its certificates.

Whatever answers otherwise than it would answer Nix makes us take a path for missing that Nix is going to fetch.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import requests


def passwords(settings: Mapping[str, Any]) -> tuple[netrc.netrc | None, str | None]:
    """What `netrc-file` holds, None without one, and why it cannot be used if it cannot."""
    file = str(settings.get("netrc-file") or "")
    if not file or not os.path.exists(file):
        return None, None
    try:
        return netrc.netrc(file), None
    except OSError as error:
        return None, f"netrc-file {file} cannot be read ({error.strerror})"
    except (netrc.NetrcParseError, UnicodeDecodeError) as error:
        # The line may hold a password.
        line = getattr(error, "lineno", None)
        return None, f"netrc-file {file} is not understood" + (f" (line {line})" if line else "")


def session(settings: Mapping[str, Any], url: str, connections: int = 10) -> requests.Session:
    """For one cache, whose URL may have a user and a password."""
    import requests

    login = _Login(url, passwords(settings)[0])

    class Session(requests.Session):
        def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: object) -> None:  # noqa: ARG002
            # Where one is sent on to, too, the user's own ~/.netrc is not looked into.
            prepared_request.headers.pop("Authorization", None)
            login(prepared_request)

    found = Session()
    found.auth = login
    found.mount(url, requests.adapters.HTTPAdapter(pool_maxsize=connections))
    certificates = str(settings.get("ssl-cert-file") or "")
    if os.path.isfile(certificates):
        found.verify = certificates
    return found


class _Login:
    """Adds the password to a request. Set on a session, it keeps requests from looking into the user's own ~/.netrc,
    which Nix does not read."""

    def __init__(self, url: str, known: netrc.netrc | None) -> None:
        parts = urlsplit(url)
        self._place = parts.netloc.rpartition("@")[2]
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._known = known

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        from requests.auth import HTTPBasicAuth

        parts = urlsplit(str(request.url))
        host, place = parts.hostname, parts.netloc.rpartition("@")[2]
        user, password = (self._user, self._password) if place == self._place else ("", "")
        if not password and self._known is not None and (row := self._known.authenticators(host or "")) is not None:
            user, password = (user, password) if user and user != row[0] else (row[0], row[2] or "")
        if user or password:
            request = HTTPBasicAuth(user.encode(), password.encode())(request)
        return request
