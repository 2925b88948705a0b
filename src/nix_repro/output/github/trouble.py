"""What went wrong between here and GitHub: whether to try again, and why in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nix_repro.output.render import escape

if TYPE_CHECKING:
    from github import GithubException

#: Seconds: a server that asks for a longer pause is not waited for.
LONGEST_PAUSE = 10.0


class Enough(Exception):
    """A pull request is not to be filled with comments."""


def _headers(error: Exception) -> dict[str, str]:
    return {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}


def pause_before(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before the same request makes sense again; null when it does not."""
    from github import GithubException
    from requests import RequestException

    backoff = float(2 ** (attempt - 1))
    if isinstance(error, RequestException):
        return backoff
    if not isinstance(error, GithubException):
        return None
    headers = _headers(error)
    asked = headers.get("retry-after", "")
    limited = _limited(error)
    if not (limited or error.status >= 500):
        return None
    if limited and not asked:
        return None  # the hour's allowance is used up
    pause = float(asked) if asked.isdecimal() else backoff
    return pause if pause <= LONGEST_PAUSE else None


def _limited(error: GithubException) -> bool:
    """Is it a rate limit? Secondary ones do not always say so in a header."""
    headers = _headers(error)
    said = (
        headers.get("retry-after")
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in _message(error).lower()
    )
    return error.status == 429 or (error.status == 403 and bool(said))


def _message(error: GithubException) -> str:
    """GitHub's words; those of a rejected field say more than the message above them."""
    data: dict[str, Any] = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors")
    details = (
        [str(one["message"]) for one in errors if isinstance(one, dict) and "message" in one]
        if isinstance(errors, list)
        else []
    )
    return escape.visible("; ".join([str(data.get("message", "")), *details[:3]]), 300)


def explain(error: Exception) -> str:
    """Why, in one line, without addresses or tokens that an exception may carry."""
    if isinstance(error, Enough):
        return str(error)
    from github import GithubException
    from requests import RequestException

    if isinstance(error, GithubException):
        message = _message(error)
        if _limited(error):
            return f"rate limit reached ({message})"
        if error.status in {401, 403, 404}:
            return (
                f"not permitted ({error.status} {message}). The job needs `statuses: write`, for comments "
                "`pull-requests: write`; "
                "pull requests from forks never have them"
            )
        if "No commit found" in message:
            return f"GitHub answered {error.status} ({message}). Is what was checked out another repository's?"
        return f"GitHub answered {error.status} ({message})"
    if isinstance(error, RequestException):
        return f"no answer from GitHub ({type(error).__name__})"
    return f"unexpected {type(error).__name__}"
