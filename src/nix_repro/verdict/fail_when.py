"""`fail-when`: jq expressions over the report, each in a child process that has nothing and not long to live.

A jq program can read `$ENV`, which would hold tokens, import any file that is JSON or jq, whose lines its errors show,
and loop for ever, deaf to polite signals (measured): so the environment is empty, no file can be opened, and the end is
SIGKILL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nix_repro.errors import UsageError
from nix_repro.report import Policy

#: Seconds for one expression.
TIME = 2.0
#: Bytes of memory for one expression.
MEMORY = 1 << 30

# jq computes with constants while it compiles: `"x" * 1e9` needs a gigabyte before anything is asked.
_BOUNDED = f"""
import sys
sys.path[:] = sys.argv[2:]
import itertools, jq, os, resource
resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
os.environ.clear()
def said(error):
    return " ".join(str(error).split())[:300]
"""
_COMPILE = f"""{_BOUNDED}
try:
    jq.compile(sys.argv[1])
except ValueError as error:
    print("is not jq:", said(error))
else:
    print("ok")
"""
# The result is one word or an error: whatever the program makes is looked at inside.
_RUN = f"""{_BOUNDED}
try:
    found = list(itertools.islice(iter(jq.compile(sys.argv[1]).input_text(sys.stdin.read())), 2))
except ValueError as error:
    print("jq says:", said(error))
else:
    if len(found) == 1 and isinstance(found[0], bool):
        print(found[0])
    else:
        number = "no value" if not found else "more than one value"
        print("it gives", "null or no boolean" if len(found) == 1 else number)
"""


def check_syntax(expressions: Sequence[Expression]) -> None:
    """Raises `UsageError` with the line of an expression that jq cannot read: before anything is built, not after."""
    for expression in expressions:
        answer = _ask(_COMPILE, expression.text, b"")
        if answer != "ok":
            raise UsageError(f"{expression.where}: {expression.text!r} {answer}")


def evaluate(expressions: Sequence[Expression], report: bytes) -> tuple[tuple[Policy, ...], list[str]]:
    """Every expression on the report's JSON, and what was wrong with those that gave no single boolean."""
    policies: list[Policy] = []
    errors: list[str] = []
    for expression in expressions:
        answer = _ask(_RUN, expression.text, report)
        if answer in ("True", "False"):
            policies.append(Policy(expression=expression.text, failed=answer == "True"))
        else:
            errors.append(f"{expression.where}: {expression.text!r} must give exactly one true or false; {answer}")
    return tuple(policies), errors


def _ask(child: str, program: str, report: bytes) -> str:
    # jq is where this process has found it: a package of Nix's adds to the path of its own script only.
    argv = [sys.executable, "-I", "-c", child, program, *filter(os.path.isabs, sys.path)]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        asked = subprocess.run(
            argv, input=report, env={}, stdout=pipe, stderr=nowhere, timeout=TIME, check=False, cwd="/"
        )
    except ValueError:
        # A zero byte, or half a character.
        return "is not jq: it is no text"
    except subprocess.TimeoutExpired:
        return f"it ran for more than {TIME:g} s"
    answer = asked.stdout.decode("utf-8", "replace").strip()
    return answer if asked.returncode == 0 and answer else "it used up its time or memory"


@dataclass(frozen=True)
class Expression:
    """A `fail-when` expression, and where it stands."""

    text: str
    where: str
