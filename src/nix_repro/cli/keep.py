"""What action.yml's steps do about the ledger around a check: take the one that was restored, and make the one to save.

Every job of a run restores what was saved last, and saves an entry of its own. So that the next run finds what all of
them have built in one entry, each takes in at its end what others have saved meanwhile.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from nix_repro.ledger.file import LaterVersionError, LedgerError, opened
from nix_repro.output.github import runner
from nix_repro.text import last_line

#: Seconds for which builds are remembered that agree,
AGE = 90 * 86400.0
#: and how many builds are, each of which takes a few hundred bytes.
MOST = 250_000
_FILE = "ledger.db"
#: How the copy ends of what was restored.
_RESTORED = ".restored"


def outlasting(environ: Mapping[str, str], what: str, run_id: str = "") -> Path:
    """Where what outlives the job is restored from the cache, and saved from; with an id, one use of the action's."""
    name = f"nix-repro-{what}" + (f"-{run_id}" if run_id else "")
    return Path(environ.get("RUNNER_TEMP") or tempfile.gettempdir(), name)


def take_over(environ: Mapping[str, str], run_id: str) -> Path:
    """This use's ledger, which is what was restored: it stays its own, whatever is restored later in this job. Where
    that is damaged, a new one is begun."""
    own = outlasting(environ, "ledger", f"of-{run_id}") / _FILE
    # Without a place for it, the check warns and goes on.
    with suppress(OSError):
        own.parent.mkdir(parents=True, exist_ok=True)
        os.replace(outlasting(environ, "ledger") / _FILE, own)
        shutil.copyfile(own, own.with_suffix(_RESTORED))
        _remove_if_damaged(own)
    return own


def _remove_if_damaged(ledger: Path) -> None:
    try:
        with opened(ledger):
            pass
    except LaterVersionError:
        pass
    except LedgerError as error:
        runner.warn(f"the ledger that was restored: {last_line(str(error))}. It is begun anew")
        ledger.unlink()


def gather(environ: Mapping[str, str], run_id: str) -> None:
    """Put together what is to be saved: what this use's ledger knows, and what others have saved since, without what
    is old. What cannot be read is left out, with a warning."""
    own, saved = outlasting(environ, "ledger", f"of-{run_id}") / _FILE, outlasting(environ, "ledger") / _FILE
    try:
        with tempfile.TemporaryDirectory(dir=environ.get("RUNNER_TEMP") or None) as room:
            made = _gathered([path for path in (own, saved) if _is_news(path, own)], Path(room, _FILE))
            saved.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, saved)
    except (LedgerError, OSError) as error:
        runner.warn(f"the ledger is not saved: {last_line(str(error))}")


def _is_news(ledger: Path, own: Path) -> bool:
    """Whether it is there, and says anything that this use does not know from what was restored for it."""
    known = own.with_suffix(_RESTORED)
    return ledger.is_file() and (ledger == own or not (known.is_file() and filecmp.cmp(ledger, known, shallow=False)))


def _gathered(sources: Iterable[Path], into: Path) -> Path:
    """The file that has it all: `into`, or what a later version of this program has made, which only that can read."""
    wrong: set[str] = set()
    with opened(into) as ledger:
        for source in sources:
            try:
                with opened(source) as theirs:
                    ledger.add(theirs.every())
            except LaterVersionError:
                return source
            except LedgerError as error:
                wrong.add(last_line(str(error)))
        ledger.forget(time.time() - AGE)
        ledger.shorten(MOST)
    for text in wrong:
        runner.warn(f"a ledger that was restored is left out: {text}")
    return into
