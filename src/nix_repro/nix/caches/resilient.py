"""Run Nix so that a binary cache can neither fail nor stall the job: not its builds, nor evaluation, which asks caches
for locked inputs and for what is imported from derivations.

Nix takes some answers of a cache (418, 500 to a question; a damaged archive) for the failure of the whole command, and
2.34 waits minutes after a 429 (measured on 2.8, 2.26 and 2.34). `--fallback` would prevent most of that, but makes 2.8
abort and builds what a second try would fetch. So Nix keeps its own retries, its messages are watched, and a cache that
makes it fail or wait too long is left out when the command runs once more: what was built and fetched is not lost.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nix_repro.nix.caches.incidents import Complaint, Incident, Trouble, gather
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.watch import CONNECT, KEPT, EvaluationWatch, TooLong, Watch
from nix_repro.nix.caches.witness import Witness
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.log import events
from nix_repro.nix.log.recorder import Recorder

#: The first version whose `--fallback` builds what cannot be fetched; 2.8 aborts.
FALLBACK = (2, 26)
#: Seconds of waiting for a cache in one evaluation after which no other one asks it.
TIRED = 2.0
#: Messages of an evaluation that are kept.
SAID = 1000
_IGNORED = re.compile(r"warning: ignoring untrusted flake configuration setting '([a-z0-9-]+)'")


@dataclass
class Realiser:
    """Evaluates and realises whatever the caches do. A cache that was left out stays out; `incidents` tells why.

    `upstream` holds the URLs of the upstream caches, without parameters; `dropped` maps those that were left out to
    when (seconds since the epoch), `tired` those that only evaluation does not ask any more. `asked` are the caches
    that Nix has asked for a path, by its digest, `ignored` the settings of flakes' `nixConfig` that it does not trust.
    """

    nix: Nix
    upstream: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    dropped: dict[str, float] = field(default_factory=dict)
    tired: dict[str, float] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    _own_only: bool = False
    _complaints: deque[Complaint] = field(default_factory=lambda: deque(maxlen=KEPT))
    _retried: set[str] = field(default_factory=set)
    _witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        self._witness = Witness(self._stopped, self._trusted_keys, self.nix.settings)

    def _stopped(self) -> bool:
        return self.nix.processes.stopped()

    def expect(self, upstream: Sequence[str], unreachable: Mapping[str, str]) -> None:
        """Which caches are upstream's, and which of them do not answer and so are not asked again."""
        self.upstream = tuple(normal(url) for url in upstream)
        configured = {normal(url) for url in self.configured()}
        self.leave_out({normal(url): why for url, why in unreachable.items() if normal(url) in configured})

    def leave_out(self, unreachable: Mapping[str, str]) -> None:
        """Don't ask these caches at all; the values say why."""
        for url, why in unreachable.items():
            self.dropped[url] = self.clock()
            self._complaints.append(Complaint(url, Trouble("dead", url, why), self.clock()))

    def realise(self, args: Sequence[str], paths: Iterable[str], recorder: Recorder) -> bool:
        """`nix-store --realise ARGS PATHS`, repeated without the caches at fault as long as there are any. Returns
        whether Nix says that it succeeded."""
        wanted = list(paths)
        configured = {normal(url): url for url in self.configured()}
        before = recorder.failures()
        while True:
            left = {url: raw for url, raw in configured.items() if url not in self.dropped}
            watch = Watch(recorder, list(left), self.clock, self._complaints, self._witness, self.asked)
            failed = self._once(args, wanted, watch, list(left.values()))
            bad = watch.blocked | (watch.fatal if failed else set())
            if not bad:
                return not failed
            # A transient fault of an upstream cache must not make us build everything, so with --fallback it is tried
            # once more.
            keep = {
                u
                for u in bad & set(self.upstream)
                if u not in self._retried and self._fallback() and u not in watch.blocked
            }
            self._retried |= keep
            self.dropped |= dict.fromkeys(bad - keep, self.clock())
            recorder.forget_failures(before)

    def _once(self, args: Sequence[str], paths: Sequence[str], watch: Watch, substituters: list[str]) -> bool:
        nix = self._limited(watch, substituters)
        fallback = ["--fallback"] if self._retried else []
        try:
            code = nix.stream(watch.feed, "nix-store", "--realise", *fallback, *args, paths=paths).returncode
        except TooLong:
            return True
        else:
            watch.recorder.exited(code)
            return code != 0
        finally:
            watch.recorder.ended()
            watch.finish()

    def _limited(self, watch: Watch, substituters: Sequence[str]) -> Nix:
        """Nix that asks these caches only, and waits for none of them for long."""
        left_out = len(substituters) < len({normal(url) for url in self.configured()})
        options = [("substituters", " ".join(substituters))] if left_out else []
        settings = self.nix.settings()
        if not 0 < settings.get("connect-timeout", 0) <= CONNECT:
            options.append(("connect-timeout", str(CONNECT)))
        if settings.get("stalled-download-timeout", 0) > watch.stalled:
            options.append(("stalled-download-timeout", str(watch.stalled)))
        return self.nix.with_options(options) if watch.caches or left_out else self.nix

    def evaluate(self, installable: str, *args: str, cwd: Path) -> str:
        """What `nix eval --json` prints of an installable, as one names it in `cwd`; repeated without the caches at
        fault as long as there are any. Raises `NixError` with Nix's words."""
        while True:
            left = {normal(url): url for url in self.trusted_to_answer()}
            watch = EvaluationWatch(
                Recorder(),
                list(left),
                self.clock,
                self._complaints,
                self._witness,
                self.asked,
                others=not self._own_only,
                hurried=bool(self.tired),
            )
            printed, said = self._evaluate_once(watch, list(left.values()), installable, *args, cwd=cwd)
            bad = watch.blocked | (watch.fatal if printed is None else set())
            if not watch.hurried:
                # A build asks an upstream cache anew: to do without it may cost hours.
                self.dropped |= dict.fromkeys(bad - set(self.upstream), self.clock())
            # What is not ours the flake has brought along, and has to do without.
            self._own_only |= not bad <= left.keys()
            weary = {url for url in left if watch.spent(url) > TIRED}
            self.tired |= dict.fromkeys(bad | weary, self.clock())
            if printed is not None:
                return printed
            if not bad:
                raise NixError(said)

    def _evaluate_once(
        self, watch: EvaluationWatch, substituters: list[str], installable: str, *args: str, cwd: Path
    ) -> tuple[str | None, str]:
        """What it printed, None when it failed, and what Nix said then."""
        said: deque[str] = deque(maxlen=SAID)

        def hear(line: bytes) -> None:
            match events.decode(line):
                case events.Message(text) if not self._own_only and (found := _IGNORED.match(text)):
                    self.ignored.add(found[1])
                case events.Message(text, error) if not text.startswith("trace:") and (error or said):
                    said.append(text)
                case _:
                    pass
            watch.feed(line)

        nix = self._limited(watch, substituters)
        if self._own_only:
            nix = nix.with_options([("accept-flake-config", "false")])
        try:
            done = nix.evaluate(hear, watch.idle, installable, *args, cwd=cwd)
        except TooLong:
            return None, ""
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace"), ""
        return None, "\n".join(said) or f"nix eval ended with {done.returncode}"

    def configured(self) -> list[str]:
        """The URLs that Nix is configured to ask, in its order."""
        settings = self.nix.settings()
        urls = settings.get("substituters", []) if settings.get("substitute", True) else []
        given = dict(self.nix.options)
        return given["substituters"].split() if "substituters" in given else list(urls)

    def trusted_to_answer(self) -> list[str]:
        """Those of them that have made nobody wait so far."""
        return [url for url in self.configured() if not {normal(url)} & {*self.dropped, *self.tired}]

    def _trusted_keys(self) -> set[str]:
        """The names of the keys that Nix trusts."""
        return {key.partition(":")[0] for key in self.nix.settings().get("trusted-public-keys", [])}

    def _fallback(self) -> bool:
        return self.nix.release().series >= FALLBACK

    def incidents(self) -> list[Incident]:
        """What went wrong with the caches so far."""
        return gather(list(self._complaints), self.dropped, self.tired, self.clock())
