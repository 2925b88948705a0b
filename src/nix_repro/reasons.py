"""Why something is as it is: a derivation is left out, was not built, or stays unverified.

The report has a reason's text, and who reads the report finds the reason again by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Reason:
    """A reason in words. `settled`: it leaves no question open, so nobody expects such a derivation to be verified.
    `question`: it leaves one open about the derivation, which is known to be so. `hint` says what to do about it, where
    the text alone leaves a reader at a loss."""

    text: str
    settled: bool = False
    question: bool = False
    hint: str | None = None

    @property
    def failure(self) -> bool:
        """Whether the check itself has failed: a build was asked for, and nobody can show that it took place. So does
        whatever is not declared here, because a builder or a report from elsewhere may have worded it."""
        return not (self.settled or self.question)

    def of(self, names: str) -> Reason:
        """The same reason, with the names of what it is about."""
        return replace(self, text=f"{self.text}{_OF}{names}")


#: Between a reason and the names.
_OF = ": "

# Why a derivation is not among the targets.
FIXED_OUTPUT = Reason("fixed-output", settled=True)
IMPURE = Reason("impure: it is not meant to give the same output twice", settled=True)
UPSTREAM = Reason("out of scope: an upstream cache has it", settled=True)
UNCHANGED = Reason("unchanged since the revision that was named", settled=True)
NOT_NAMED = Reason("out of scope: not named", question=True)
UNREACHABLE = Reason("upstream unreachable", question=True)

# Why a build left no outputs.
EVALUATION_FAILED = Reason("evaluation failed")
BUILDER_FAILED = Reason("the builder failed")
DEPENDENCY_FAILED = Reason("a dependency failed to build", question=True)
DISK_FULL = Reason("disk full")
TIMED_OUT = Reason("timed out")
CANCELLED = Reason("cancelled", question=True)
UNSUPPORTED = Reason("it is for a system, or needs a feature, that this machine does not have", question=True)
WITHOUT_A_WORD = Reason("Nix ended without building it and without saying why")
CONTRADICTED = Reason(
    "what was said of it in Nix's name cannot all be true",
    hint="a builder prints lines in the form of Nix's log, and a daemon passes both on alike.",
)

# Why a rebuild says nothing about an output.
NO_EVENT = Reason("no build was observed")
INPUT_REBUILT = Reason("an input outside the comparison had to be built again")
INPUT_CHANGED = Reason("an input is no longer what it was in the first build")
STORE_CHANGED = Reason("the store no longer holds the first build")
OTHER_INPUT = Reason("the other store has an input of another content")
ALREADY_THERE = Reason("already in the other store, and not to be deleted there")
IN_USE = Reason(
    "Nix itself runs from it, so that no shadow can take its place",
    question=True,
    hint="a store URL, such as --rebuilder 'local?root=DIR', rebuilds it elsewhere.",
)
FIRST_OUTPUT_ONLY = Reason("only first output seen", question=True)
NOT_KEPT = Reason("differs, but the other side was not kept")
CONTENT_ADDRESSED = Reason("content-addressed: nix --check compares nothing")
PATH_REWRITING = Reason(
    "path rewriting",
    hint="the rebuild differs, but without a sandbox nix-check builds at another path, which may be all there is to "
    "it. Use the rebuilder shadow or replace, or set sandbox = true.",
)

# Why there is no verdict.
NOT_REBUILT = Reason("not rebuilt")
NOT_BORNE_OUT = Reason("the hashes in the stored report do not show what it says")
NOT_ISOLATED = Reason("an input diverges, and whether this derivation does so by itself was not found out")

_DECLARED = {value.text: value for value in tuple(globals().values()) if isinstance(value, Reason)}


def said(words: str) -> Reason:
    """What Nix said, if anything. That is always a failure of the check: a builder can speak in Nix's name, and must
    not settle or open a question by saying what does so here."""
    if not words:
        return WITHOUT_A_WORD
    return Reason(f"Nix: {words}" if declared(words) else words)


def declared(text: str) -> Reason | None:
    """The reason of this file that a report's text stands for, without the names behind it; None for anybody else's
    words."""
    general, _, names = text.partition(_OF)
    return _DECLARED.get(text, DEPENDENCY_FAILED if names and general == DEPENDENCY_FAILED.text else None)


def recall(text: str | None) -> Reason:
    """The reason with this text, as a report has it. One that is not declared here (or null) is a failure, without a
    hint."""
    text = text or ""
    found = declared(text)
    if found is None:
        return Reason(text)
    return found if found.text == text else replace(found, text=text)
