"""What the run is doing, while it does it."""

from __future__ import annotations

import sys
import threading
import time
from typing import Self, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from nix_repro.nix.store_path import store_name
from nix_repro.output.render.escape import visible
from nix_repro.output.render.screen import Screen

#: Seconds between signs of life where nobody watches a live display.
HEARTBEAT = 30.0
#: Running activities that a live display shows at once.
RUNNING = 8


class Progress:
    """Says what the run is doing. On a terminal a live display of the running builds; elsewhere a line per phase and a
    heartbeat, so that a log shows that the job is alive."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._screen = Screen(stream or sys.stderr)
        self._quiet = quiet
        self._running: dict[str, tuple[str, float]] = {}
        self._phase = ""
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

    def phase(self, text: str) -> None:
        with self._lock:
            self._phase, self._done = text, 0
        if self._live is None and not self._quiet:
            self._screen.say(f"nix-repro: {text}", "", 0, 2)

    def warn(self, text: str) -> None:
        self._screen.say(f"warning: {visible(text)}", "yellow", 0, 2)

    def started(self, kind: str, name: str, at: float) -> None:
        with self._lock:
            self._running[name] = (kind, at)

    def stopped(self, kind: str, name: str, _at: float) -> None:
        with self._lock:
            self._running.pop(name, None)
            self._done += kind == "build"

    def _render(self) -> RenderableType:
        with self._lock:
            running, phase, done = sorted(self._running.items(), key=lambda item: item[1][1]), self._phase, self._done
        now = time.time()
        lines = [Text.assemble(("● ", "cyan"), (phase, "bold"), f"  {done} built" if done else "")]
        lines += [
            Text(f"  {kind} {store_name(name)}  {now - at:.0f} s", style="dim")
            for name, (kind, at) in running[:RUNNING]
        ]
        if len(running) > RUNNING:
            lines.append(Text(f"  and {len(running) - RUNNING} more", style="dim"))
        return Group(*lines)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            with self._lock:
                running, done = sorted(self._running.items(), key=lambda item: item[1][1]), self._done
            longest = (
                f", longest: {store_name(running[0][0])} {time.time() - running[0][1][1]:.0f} s" if running else ""
            )
            self._screen.say(f"nix-repro: {self._phase}: {done} built, {len(running)} running{longest}", "", 0, 2)
