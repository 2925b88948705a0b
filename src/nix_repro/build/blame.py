"""Which derivation a failed build is to be blamed on. Pure: it reads what was observed and what Nix said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above, in_order
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.log.words import one_line, subject
from nix_repro.nix.store_path import store_name
from nix_repro.observations import Attempt
from nix_repro.reasons import BUILDER_FAILED, DEPENDENCY_FAILED, Reason, said
from nix_repro.report import Status
from nix_repro.text import some

#: Failed dependencies that a reason names; of more it says so.
NAMED = 3
#: Errors without a name that a reason repeats.
NAMELESS = 3


def rooted(attempts: Sequence[Attempt], graph: Mapping[str, Derivation], recorder: Recorder) -> list[Attempt]:
    """The attempts, of which none is excused by a dependency unless one below it is known not to have been built for
    another reason, which then is named and speaks for itself; and of which those that were not even begun are excused
    so, whatever Nix said last."""
    guilty = {a.drv_path for a in attempts if not a.outputs and a.because != DEPENDENCY_FAILED}
    excused = above(graph, guilty)
    blocked = above(graph, {a.drv_path for a in attempts if a.status == "failed"})

    def because(attempt: Attempt) -> tuple[Status, Reason] | None:
        if attempt.because == DEPENDENCY_FAILED and attempt.drv_path not in excused:
            return "not-built", said(recorder.said.last_words())
        begun = attempt.status != "not-built" or attempt.started is not None
        return None if begun or attempt.drv_path not in blocked else ("dependency-failed", DEPENDENCY_FAILED)

    settled = [a if (found := because(a)) is None else _because(a, *found) for a in attempts]
    return list(_explained(settled, graph, recorder))


def _explained(attempts: Sequence[Attempt], graph: Mapping[str, Derivation], recorder: Recorder) -> Iterator[Attempt]:
    """The attempts, with the names of the dependencies that failed, and with what Nix said of nobody."""
    roots = _roots(graph, {a.drv_path for a in attempts if not a.outputs and a.because != DEPENDENCY_FAILED})
    nameless = dict.fromkeys(one_line(text) for text in recorder.said.unexplained if subject(text) is None)
    for attempt in attempts:
        if attempt.because == DEPENDENCY_FAILED and (names := roots.get(attempt.drv_path)):
            yield _because(attempt, attempt.status, DEPENDENCY_FAILED.of(_names(names)))
        elif attempt.because == BUILDER_FAILED and nameless:
            words = some([*nameless], NAMELESS)
            yield _because(
                attempt, attempt.status, Reason(f"it failed, and Nix said without naming a derivation: {words}")
            )
        else:
            yield attempt


def _because(attempt: Attempt, status: Status, because: Reason) -> Attempt:
    return replace(attempt, status=status, because=because, missing=dict.fromkeys(attempt.missing, because))


def _roots(graph: Mapping[str, Derivation], guilty: Collection[str]) -> dict[str, list[str]]:
    """Of what each derivation depends on, the first few of `guilty` that do not depend on another one in between. One
    more than are named is enough to know that there are more."""
    found: dict[str, list[str]] = {}
    for drv_path in in_order(graph):
        below = [[i] if i in guilty else found.get(i, []) for i in graph[drv_path].input_drvs]
        if roots := list(dict.fromkeys(root for roots in below for root in roots)):
            found[drv_path] = roots[: NAMED + 1]
    return found


def _names(drv_paths: Sequence[str]) -> str:
    names = list(dict.fromkeys(map(store_name, drv_paths)))
    return ", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else "")
