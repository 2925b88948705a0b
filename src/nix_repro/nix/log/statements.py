"""What Nix said in one command, apart from what may have been said in its name. Memory is bounded whatever is said.

A builder can word messages of any level. Nix's own errors are certain to be its own where it raised them itself; what
a daemon passes on cannot be told from a builder's words, but for the last error of the command. That one says which of
the derivations that were asked for have failed. So a claim of unknown origin is believed only of those, and only when
nothing contradicts it: what Nix really said of them is among the claims, whatever a builder adds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, fields

from nix_repro.nix.log import words
from nix_repro.nix.log.events import Message
from nix_repro.nix.log.why import why

#: Messages kept of one command: a cache that fails says so once per path.
MESSAGES = 2000
#: Characters looked at of one.
MESSAGE_WIDTH = 4000
#: Claims of unknown origin that are kept. More are a flood, in which the true ones may have drowned.
CLAIMS = 10_000
#: Characters of a claim's words: they may name paths.
CLAIM_WIDTH = 1000
#: What `Statements` holds of why commands failed.
_OF_A_COMMAND = (
    "failures",
    "reasons",
    "errors",
    "unexplained",
    "failed",
    "claims",
    "full_disk",
    "_own_limit",
    "_claimed_limit",
    "_flood",
)


@dataclass(frozen=True)
class Claims:
    """What is said, by whoever, of one derivation or output: the statuses, the outputs that differ, and the last words,
    which are `contested` when something else was said as well."""

    statuses: frozenset[str] = frozenset()
    differences: tuple[words.Mismatch, ...] = ()
    text: str = ""
    contested: bool = False


@dataclass
class Statements:
    """Only its own methods change it.

    `failures` maps a .drv to its status and `reasons` to Nix's reason, `mismatches` to its outputs that differ,
    `unexplained` are the errors that name no derivation in a way that is known, `failed` are the .drvs that the last
    word on a command names, `full_disk` says that Nix itself met a full disk; all that in Nix's own words. `errors` and
    `warnings` are its own errors and anybody's warnings, `crashes` counts how often it crashed, `claims` is what others
    may have said, by `DIGEST-NAME`.
    """

    failures: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    mismatches: dict[str, tuple[words.Mismatch, ...]] = field(default_factory=dict)
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=MESSAGES))
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=MESSAGES))
    unexplained: deque[str] = field(default_factory=lambda: deque(maxlen=MESSAGES))
    failed: set[str] = field(default_factory=set)
    full_disk: bool = False
    crashes: int = 0
    claims: dict[str, Claims] = field(default_factory=dict)
    _own_limit: int | None = None
    _claimed_limit: int | None = None
    _flood: int = 0
    _plain: str = ""

    def copied(self) -> Statements:
        """The same, which what is said from now on leaves alone."""
        return Statements(**{part.name: copy(getattr(self, part.name)) for part in fields(self)})

    def forget(self, before: Statements) -> None:
        """The command will run once more: what was said of it is open again, and what was said `before` it is not."""
        for name in _OF_A_COMMAND:
            setattr(self, name, copy(getattr(before, name)))

    def take(self, message: Message, real: Callable[[str], str]) -> None:
        """Take in a message. `real` is given a .drv path, with or without its directory, and says which derivation that
        is to us."""
        if message.warning:
            self.warnings.append(message.text[:MESSAGE_WIDTH])
        elif message.error:
            (self._own if message.own else self._claim)(message.text, real)
        elif message.own:
            self._plain = message.text[:MESSAGE_WIDTH]

    def crashed(self, signum: int) -> None:
        """Nix was ended by a signal, not by itself: its last words are libc's."""
        text = f"error: Nix crashed (signal {signum})" + (f": {self._plain}" if self._plain else "")
        self.errors.append(text)
        self.unexplained.append(text)
        self.crashes += 1

    def limit(self, *, certain: bool) -> int | None:
        """The limit in seconds that some build exceeded, as said without its name: in Nix's own words or, where that is
        not asked for, by anybody."""
        return self._own_limit if certain or self._own_limit is not None else self._claimed_limit

    def claimed(self, names: Iterable[str]) -> Claims | None:
        """All that may not be Nix's own of what is known by these names (`DIGEST-NAME`), together. None when so much
        was said that the truth may not be among it."""
        if self._flood > CLAIMS:
            return None
        every = [self.claims[name] for name in names if name in self.claims]
        return Claims(
            frozenset(status for one in every for status in one.statuses),
            tuple(difference for one in every for difference in one.differences),
            next((one.text for one in every), ""),
            contested=len(every) > 1 or any(one.contested for one in every),
        )

    def last_words(self) -> str:
        """Nix's last error in one line, or ""."""
        return words.one_line(self.errors[-1]) if self.errors else ""

    def named(self) -> int:
        """How often Nix has named a derivation that failed or differs, in its own words."""
        return len(self.failures) + len(self.mismatches) + len(self.failed)

    def orderly(self) -> bool:
        """Whether what failed is named, so that Nix went on with the others."""
        return self.named() > 0 and not self.unexplained

    def _own(self, whole: str, real: Callable[[str], str]) -> None:
        text = whole[:MESSAGE_WIDTH]
        self.full_disk = self.full_disk or words.own_disk_full(text)
        if found := words.mismatch(text):
            self.mismatches.setdefault(real(found[0]), found[1])
            return
        self.errors.append(text)
        if failed := words.failure(text):
            # The first word is about the derivation itself; later ones repeat it for the command.
            if self.failures.setdefault(real(failed[1]), failed[0]) == failed[0]:
                self.reasons.setdefault(real(failed[1]), why(text) or words.reason(text))
        elif together := words.summary(whole):
            self.failed.update(map(real, together))
        elif (limit := words.nameless_timeout(text)) is not None:
            self._own_limit = limit if self._own_limit is None else min(limit, self._own_limit)
        else:
            self.unexplained.append(text)

    def _claim(self, whole: str, real: Callable[[str], str]) -> None:
        text = whole[:MESSAGE_WIDTH]
        if (limit := words.nameless_timeout(text)) is not None:
            self._claimed_limit = limit if self._claimed_limit is None else min(limit, self._claimed_limit)
        elif (name := words.subject(text)) is not None:
            self._flood += 1
            if self._flood <= CLAIMS:
                about = real(name).rpartition("/")[2]
                self.claims[about] = _with(self.claims.get(about, Claims()), text)


def _with(claims: Claims, text: str) -> Claims:
    """The claims and one more."""
    if found := words.mismatch(text):
        status, differences = "mismatch", found[1]
    else:
        failed = words.failure(text)
        status, differences = failed[0] if failed else "rejected", ()
    contested = claims.contested or claims.text not in ("", text[:CLAIM_WIDTH])
    return Claims(claims.statuses | {status}, claims.differences + differences, text[:CLAIM_WIDTH], contested=contested)
