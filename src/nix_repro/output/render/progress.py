"""What the run is doing, while it does it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from nix_repro.nix.at_work import AtWork
from nix_repro.nix.log.recorder import Tally
from nix_repro.nix.secrets import cut
from nix_repro.nix.store_path import store_name
from nix_repro.output.render.escape import visible
from nix_repro.output.render.screen import Screen

#: Seconds between signs of life where nobody watches a live display.
HEARTBEAT = 30.0
#: Running activities that a live display shows at once.
RUNNING = 8
#: What activities of that kind come to.
_DONE = {"fetch": "fetched", "build": "built"}


class Progress:
    """Says what the run is doing. On a terminal a live display of the running builds; elsewhere a line per phase and a
    heartbeat, so that a log shows that the job is alive. When `quiet`, nothing but warnings. `stopped` says that the
    run was told to stop."""

    def __init__(
        self, stream: TextIO | None = None, *, quiet: bool = False, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._screen = Screen(stream or sys.stderr)
        self._quiet = quiet
        self._stopped = stopped
        self._at_work: AtWork | None = None
        self._running: dict[str, tuple[str, float]] = {}
        self._tallies: dict[str, Tally] = {}
        self._phase = ""
        self._wait = ""
        self._since_wait = 0.0
        self._began = time.time()
        self._step = ""
        self._done = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        if self._screen.live:
            self._live = Live(
                get_renderable=self._render, console=self._screen.console, refresh_per_second=4, transient=True
            )
            self._live.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._live is not None:
            self._live.stop()

    def _say(self, text: str) -> None:
        if self._live is None and not self._quiet:
            self._screen.say(f"nix-repro: {text}", "", 0, 2)

    def phase(self, text: str) -> None:
        # It may quote a command.
        text = cut(text)
        with self._lock:
            self._phase, self._done, self._wait, self._step = text, 0, "", ""
            self._began = time.time()
            self._tallies.clear()
            self._running.clear()
        self._say(visible(text))

    def step(self, kind: str, name: str, number: int, total: int) -> None:
        """Of `total` things that are done one after the other, the one with this number begins."""
        with self._lock:
            self._step = f"{number:,} of {total:,}"
            self._running = {name: (kind, time.time())}

    def finished(self) -> None:
        """The last of these is done."""
        with self._lock:
            self._step = ""
            self._running.clear()

    def waiting(self, text: str, after: float = 0.0) -> None:
        with self._lock:
            self._wait = text
            self._since_wait = since = time.monotonic() + after
        if text and self._live is None and not self._quiet:
            # A log has a line of it, if it takes so long.
            if after:
                timer = threading.Timer(after, self._say_wait, (since,))
                timer.daemon = True
                timer.start()
            else:
                self._say_wait(since)

    def _say_wait(self, since: float) -> None:
        with self._lock:
            text = self._wait if self._since_wait == since else ""
        if text and not self._ended.is_set():
            self._say(f"waiting {text}")

    def warn(self, text: str) -> None:
        self._screen.say(f"warning: {visible(text)}", "yellow", 0, 2)

    def follow(self, at_work: AtWork | None) -> None:
        """Where it can be seen which builds are over; None where it cannot."""
        self._at_work = at_work

    def started(self, kind: str, name: str, at: float) -> None:
        with self._lock:
            self._running[name] = (kind, at)

    def stopped(self, kind: str, name: str, _at: float) -> None:
        with self._lock:
            self._running.pop(name, None)
            self._done += kind == "build"

    def counted(self, kind: str, tally: Tally) -> None:
        with self._lock:
            self._tallies[kind] = tally
            shown = sorted((at, name) for name, (of, at) in self._running.items() if of == kind)
            more = len(shown) - tally.running
            if kind == "build" and more > 0 and self._at_work is not None:
                for name in self._at_work.over([name for _, name in shown])[:more]:
                    del self._running[name]

    def _counts(self) -> str:
        """How far it is: N of M."""
        if self._step:
            return self._step
        said = []
        for kind, done in _DONE.items():
            tally = self._tallies.get(kind)
            if tally is not None and tally.total:
                said.append(f"{tally.over - tally.failed:,} of {tally.total:,} {done}")
                said += [f"{tally.failed:,} failed"] if tally.failed else []
        return ", ".join(said) or (f"{self._done:,} built" if self._done else "")

    def _looked_at(self) -> tuple[str, str, list[tuple[str, str, float]]]:
        """What is shown: the phase, how far it is, and what runs, longest first."""
        with self._lock:
            running = sorted(((kind, name, at) for name, (kind, at) in self._running.items()), key=lambda row: row[2])
            phase = "stopping, as soon as what runs has ended" if self._stopped() else self._phase
            return phase, self._counts(), running

    def _render(self) -> RenderableType:
        phase, counts, running = self._looked_at()
        now = time.time()
        wait = self._wait if time.monotonic() >= self._since_wait else ""
        parts = [part for part in (counts, f"waiting {visible(wait)}" if wait else "") if part]
        if not parts and not running and phase:
            parts.append(f"{now - self._began:.0f} s")
        lines = [Text.assemble(("● ", "cyan"), (visible(phase), "bold"), *(f"  {part}" for part in parts))]
        for kind, name, at in running[:RUNNING]:
            took = f"  {now - at:.0f} s"
            room = max((self._screen.width or 80) - len(kind) - len(took) - 4, 8)
            lines.append(Text(f"  {kind} {visible(_named(kind, name), room)}{took}", style="dim"))
        if len(running) > RUNNING:
            lines.append(Text(f"  and {len(running) - RUNNING} more", style="dim"))
        return Group(*lines)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            phase, counts, running = self._looked_at()
            if not phase:
                continue
            said = [counts] if counts else []
            if running:
                kind, name, at = running[0]
                said += [f"{len(running)} running", f"longest: {visible(_named(kind, name))} {time.time() - at:.0f} s"]
            said = said or [f"for {time.time() - self._began:.0f} s"]
            said += [f"waiting {visible(self._wait)}"] if self._wait else []
            self._say(f"{visible(phase)}: {', '.join(said)}")


def _named(kind: str, name: str) -> str:
    return store_name(name) if kind in ("build", "fetch", "copy") else name
