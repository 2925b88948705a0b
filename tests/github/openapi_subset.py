"""Cuts the requests that nix-repro sends out of GitHub's own OpenAPI description.

The description comes with GitHub's npm package @octokit/openapi (MIT). To make tests/github/openapi.json again:

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python3 tests/github/openapi_subset.py package/generated/api.github.com.deref.json > tests/github/openapi.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OPERATIONS = {
    "/repos/{owner}/{repo}/statuses/{sha}": ("post",),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("patch",),
    "/repos/{owner}/{repo}/pulls": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}/status": ("get",),
}
#: Prose and samples: nothing that a request is checked against.
_PROSE = {"description", "summary", "example", "examples", "externalDocs", "x-github", "tags"}


def without_prose(value: Any, *, names: bool = False) -> Any:
    """The schema alone. `names` is true where keys are names of properties, which may be called like prose."""
    if isinstance(value, dict):
        return {
            k: without_prose(v, names=k == "properties" and not names)
            for k, v in value.items()
            if names or k not in _PROSE
        }
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    return value


def subset(description: dict[str, Any]) -> dict[str, Any]:
    """Per path and method: the parameters and the body's schema."""
    found: dict[str, Any] = {"version": description["info"]["version"], "paths": {}}
    for path, methods in OPERATIONS.items():
        for method in methods:
            operation = description["paths"][path][method]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            found["paths"].setdefault(path, {})[method] = {
                "operation": operation["operationId"],
                "parameters": [
                    {
                        "name": p["name"],
                        "in": p["in"],
                        "required": p.get("required", False),
                        "schema": without_prose(p["schema"]),
                    }
                    for p in operation.get("parameters", [])
                ],
                "body": without_prose(body),
            }
    return found


if __name__ == "__main__":
    json.dump(subset(json.loads(Path(sys.argv[1]).read_text())), sys.stdout, indent=1)
    print()
