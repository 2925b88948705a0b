"""What the ledger knows of this run's builds, and what it is to know of them from now on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from nix_repro.build.variations import DEFAULT, NAMED
from nix_repro.ledger.file import Ledger, LedgerError, opened
from nix_repro.ledger.own import make_room, own_ledger
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.machine import this_machine
from nix_repro.nix.secrets import cut
from nix_repro.observations import Attempt, Place, Seen
from nix_repro.plan.scope import Plan
from nix_repro.report import Finding
from nix_repro.run import Run
from nix_repro.text import last_line, when
from nix_repro.verdict.evidence import Built, Demands, How, Recalled, digests, inherits, original, recall, sampled

#: The narHash of an output, by .drv path and name, where that is known.
_Content = Callable[[str, str], str | None]
#: Earlier builds that are shown of one derivation, besides one of each content.
SHOWN = 3


def open_ledger(run: Run, held: ExitStack) -> None:
    """Open the ledger, if there is to be one, for as long as `held` is."""
    if run.config.ledger is not None:
        try:
            if run.config.ledger == own_ledger(run.environ):
                make_room(run.config.ledger)
            run.ledger = held.enter_context(opened(run.cwd / run.config.ledger))
        except LedgerError as error:
            _do_without(run, error)


def recollect(run: Run, plan: Plan) -> None:
    """Find what is known of what was built or fetched, and take it for what it is: builds to compare with."""
    first = run.seen.built()
    targets = [path for path in plan.targets if path in first]

    def look(ledger: Ledger) -> None:
        before = ledger.about(targets)
        inputs = digests(_targets(plan), _content(run, plan, first)) if before else {}
        wanted = demands(run, before)
        for path, builds in before.items():
            if (known := recall(first[path], inputs.get(path), builds, wanted)) is not None:
                run.known[path] = known
            if inherits(first[path], inputs.get(path), builds):
                run.heirs.add(path)
        here = this_machine(run.nix, run.environ)
        for path, known in run.known.items():
            run.seen.add(_attempts(first[path], known, here))

    ask(run, look)


def known_builds(run: Run, drv_paths: Iterable[str]) -> dict[str, list[Built]]:
    """All builds that the ledger knows of these derivations."""
    found: dict[str, list[Built]] = {}
    ask(run, lambda ledger: found.update(ledger.about(drv_paths)))
    return found


def remember(run: Run, plan: Plan) -> None:
    """Put into the ledger what this run has built so far. What is there already stays as it is."""
    # Nix is asked for what the inputs were before the ledger is locked for others.
    ask(run, lambda ledger: ledger.add(list(_builds(run, plan))))


def explain_by_date(run: Run) -> None:
    """Say of what differs from an earlier build, and not within this run, where it comes from: what is around it."""
    for path, known in run.known.items() if run.config.explain != "off" else ():
        first = run.seen.first(path)
        if run.verdicts[path].verdict != "divergent" or first is None:
            continue
        today = [a for a in run.seen.attempts[path] if a.round > 1 and a.outputs]
        if today and not any(a.differs(name, first) for a in today for name in a.outputs):
            other = next((build for build in reversed(known.builds) if not build.agrees(first.hashes)), None)
            if other is not None:
                run.findings[path] = tuple(_since_then(first, other, this_machine(run.nix, run.environ)))


def _around(other: Built, here: Place) -> str:
    """What is known to have been otherwise in an earlier build."""
    if on_purpose := [NAMED[name].what for name in other.variations if name in NAMED]:
        return f"that one was built with {', '.join(on_purpose)}, on purpose"
    facts = sorted(name for name in here.facts if other.machine.facts.get(name) != here.facts[name])
    changed = "; ".join(
        f"{name}: {other.machine.facts.get(name, 'unknown')} then, {here.facts[name]} now" for name in facts
    )
    if changed:
        return f"besides the date, what is known to differ is: {changed}"
    return "what is known to differ is the date"


def _since_then(first: Attempt, other: Built, here: Place) -> Iterator[Finding]:
    around = _around(other, here)
    for name, seen in first.outputs.items():
        if other.hashes.get(name) != seen.nar_hash:
            yield Finding(
                output=name,
                path="",
                cause="environment",
                confidence="low",
                because=f"it differs from the build of {when(other.at)} on {_place(other.machine, here)}, and not "
                f"within this run; {around}. What was built then is gone, and not compared",
                fix="Build it there and here from the same checkout, and compare what --keep DIR keeps of each.",
            )


def ask(run: Run, act: Callable[[Ledger], object]) -> None:
    """Do something with the ledger, if there is one. One that fails changes no verdict: the run goes on without."""
    if run.ledger is None:
        return
    try:
        act(run.ledger)
    except (LedgerError, NixError) as error:
        _do_without(run, error)


def _do_without(run: Run, error: Exception) -> None:
    run.ledger = None
    run.warn(f"ledger {run.config.ledger}: {last_line(str(error))}. The run goes on without it")


def demands(run: Run, before: Iterable[str]) -> Demands:
    """When earlier builds of these derivations are enough for this run."""
    config, now = run.config, time.time()
    again = [p for p in before if config.recheck or sampled(p, int(now // 86400), config.sample)]
    since = now - config.recheck_older if config.recheck_older is not None else 0.0
    # What costs nothing goes along with a rebuild, and is not worth one of its own.
    varied = frozenset(run.varied.applied) - {*DEFAULT}
    return Demands(config.rounds, since, now + 60, frozenset(again), varied)


def _targets(plan: Plan) -> dict[str, Derivation]:
    return {path: plan.derivations[path] for path in plan.targets}


def _content(run: Run, plan: Plan, made: Mapping[str, Attempt]) -> _Content:
    """What the outputs of the targets' inputs are, by .drv path and output: as `made`, else as the store has them."""
    inputs = {path: None for drv in _targets(plan).values() for path in drv.input_drvs if path not in made}
    known = {path: plan.derivations[path] for path in inputs if path in plan.derivations}
    known |= run.nix.derivations([path for path in inputs if path not in known])
    places = {(path, name): output.path for path, drv in known.items() for name, output in drv.outputs.items()}
    stored = run.nix.valid_hashes(place for place in places.values() if place is not None)

    def content(drv_path: str, output: str) -> str | None:
        if drv_path in made:
            seen = made[drv_path].outputs.get(output)
            return seen.nar_hash if seen is not None else None
        return stored.get(places.get((drv_path, output)) or "")

    return content


def _builds(run: Run, plan: Plan) -> Iterator[Built]:
    """Every build of this run that was seen, with what its inputs were."""
    here, first, targets = this_machine(run.nix, run.environ), run.seen.built(), _targets(plan)
    built = [a for path in plan.targets for a in run.seen.attempts.get(path, ()) if _is_build(a)]
    content = _content(run, plan, first)
    on_first = digests(targets, content)
    on_round = {
        number: digests(targets, _or_else(_round(built, number), content))
        for number in {a.round for a in built if _on_rebuilt(a)}
    }
    for attempt in built:
        inputs = (on_round[attempt.round] if _on_rebuilt(attempt) else on_first).get(attempt.drv_path)
        if inputs is not None and attempt.started is not None:
            elsewhere = _elsewhere(run, attempt)
            how: How = "remote" if elsewhere is not None else "built" if attempt.round == 1 else "rebuilt"
            at, varied = round(attempt.started, 3), ("time", *attempt.varied) if attempt.round > 1 else ()
            yield Built(attempt.drv_path, inputs, attempt.hashes, how, at, elsewhere or here, attempt.seconds, varied)
    again = {attempt.drv_path for attempt in built if attempt.round > 1}
    for path in again:
        if first[path].status == "present" and path in on_first:
            yield Built(path, on_first[path], first[path].hashes, "found", round(run.began, 3), here)


def _elsewhere(run: Run, attempt: Attempt) -> Place | None:
    """The machine on which it was built, if that is not this one: of which no more is known than its address."""
    origin = next(seen.origin for seen in attempt.outputs.values())
    if attempt.round == 1:
        return Place(cut(origin), {}) if origin != "round 1" else None
    there = run.rebuilder is not None and run.rebuilder.elsewhere and not run.config.rebuilder.startswith("local")
    return Place(cut(run.config.rebuilder), {}) if there else None


def _or_else(made: Mapping[str, Attempt], content: _Content) -> _Content:
    """The content of what was `made`, and of everything else as before."""

    def instead(drv_path: str, output: str) -> str | None:
        seen = made[drv_path].outputs.get(output) if drv_path in made else None
        return seen.nar_hash if seen is not None else content(drv_path, output)

    return instead


def _is_build(attempt: Attempt) -> bool:
    """Whether all of it was seen to be built in this run, on inputs that are known. Outputs that are there, Nix keeps
    when it builds the others."""
    made = {seen.source for seen in attempt.outputs.values()} in ({"built"}, {"rebuilt"})
    return made and not attempt.recalled and attempt.against is None


def _on_rebuilt(attempt: Attempt) -> bool:
    return attempt.round > 1 and not attempt.isolated and not attempt.same_inputs


def _round(built: list[Attempt], number: int) -> dict[str, Attempt]:
    return {a.drv_path: a for a in built if a.round == number and _on_rebuilt(a)}


def _to_show(builds: Sequence[Built]) -> list[Built]:
    """Of many builds one of each content, the last, and a few of the last."""
    last = {build.content: number for number, build in enumerate(builds)}
    few = range(max(len(builds) - SHOWN, 0), len(builds))
    return [builds[number] for number in sorted({*last.values(), *few})]


def _attempts(first: Attempt, known: Recalled, here: Place) -> Iterator[Attempt]:
    """Earlier builds as some to compare the first build with."""
    made = {build.content for build in known.builds if build.made}
    # What was found is a copy of a build, which is known itself then.
    builds = [build for build in known.builds if build.made or build.content not in made]
    copied = original(first, builds)
    for build in _to_show(builds):
        origin = f"{'' if build.made else 'found there '}{when(build.at)}, {_place(build.machine, here)}"
        outputs = {
            name: Seen(first.outputs[name].path, h, "ledger", origin)
            for name, h in build.hashes.items()
            if name in first.outputs
        }
        yield Attempt(
            build.drv_path,
            0,
            "built",
            outputs,
            started=build.at if build.made else None,
            same_inputs=True,
            recalled=True,
            copied=build is copied,
            varied=tuple(name for name in build.variations if name in NAMED),
        )


def _place(machine: Place, here: Place) -> str:
    if machine.identity == here.identity:
        return "this machine"
    return machine.identity if "://" in machine.identity else f"machine {machine.identity}"
