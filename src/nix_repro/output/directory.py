"""What of a run is kept: the report in its forms, both sides of what differs, and the report directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.errors import UsageError
from nix_repro.files import is_stream, remove_tree, write_whole
from nix_repro.observations import Tree
from nix_repro.output import archive
from nix_repro.output.diffoscope import Tell, add_deep_diffs
from nix_repro.output.formats import FORMATS, JSON, Format
from nix_repro.output.tree_names import named_trees
from nix_repro.report import Report
from nix_repro.text import some

#: Bytes of the largest report that is read back.
LIMIT = 256 << 20


def read_report(file: Path, limit: int = LIMIT) -> Report:
    """A report that was written before. Raises `UsageError` when it is none, or has more than `limit` bytes."""
    try:
        if file.stat().st_size > limit:
            raise UsageError(f"{file}: too large for a report")
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: not a report: {error}") from None


def from_here(path: Path) -> str:
    """A path as people write it: short, where it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def keep_trees(trees: Mapping[str, Tree], directory: Path) -> list[str]:
    """`DIR/NAME/OUTPUT/{a,b}`: a is the build, b the rebuild. Returns what could not be kept, and why: of that, nothing
    stays, since half a tree would differ in what is missing of it."""
    problems: list[str] = []
    for name, tree in trees.items():
        place = directory / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
        except OSError as error:
            problems.append(f"{name} ({error.strerror})")
            continue
        try:
            copy_tree(tree.a, place / "a")
            copy_tree(tree.b, place / "b")
        except OSError as error:
            with suppress(OSError):
                remove_tree(place)
            problems.append(f"{name} ({error.strerror})")
    return problems


def fill_directory(
    report: Report,
    trees: Mapping[str, Tree],
    directory: Path,
    diffoscope: str,
    stopped: Callable[[], bool] = lambda: False,
    tell: Tell = lambda *_: None,
) -> Report:
    """What the report directory has besides the report, which says what is missing of it: the differing trees, and
    diffoscope's pages about them. `stopped` ends the latter, and `tell` is told of each. What cannot be kept is a
    warning: the verdict is known."""
    try:
        report = _pack(report, trees, directory / archive.NAME)
        return add_deep_diffs(report, trees, directory, diffoscope, stopped, tell)
    except OSError as error:
        return _warned(report, f"{directory}: cannot be written: {error.strerror}")
    except UsageError as error:
        return _warned(report, str(error))


def _pack(report: Report, trees: Mapping[str, Tree], file: Path) -> Report:
    if not trees:
        # What an earlier run left in this directory would be explained as this one's.
        file.unlink(missing_ok=True)
        return report
    left_out = archive.write_trees(file, trees)
    if not left_out:
        return report
    reasons = [f"{name} ({reason})" for name, reason in left_out.items()]
    return _warned(report, f"not in {archive.NAME}, which takes {archive.LIMIT >> 20} MiB: {some(reasons, 5)}")


def _warned(report: Report, warning: str) -> Report:
    return msgspec.structs.replace(report, warnings=(*report.warnings, warning))


@dataclass(frozen=True)
class Results:
    """The places that were asked for: `files` for single forms of the report, `directory` for all of them and what
    differs, `keep` for both sides of what differs as plain trees."""

    files: Mapping[Format, Path] = field(default_factory=dict)
    directory: Path | None = None
    keep: Path | None = None

    def prepare(self) -> None:
        """Make the directories. Raises `UsageError` for what cannot be written: before the work, not after it."""
        wanted = {"--report-dir": self.directory, "--keep": self.keep}
        for form, file in self.files.items():
            if is_stream(file):
                continue
            if file.is_dir():
                raise UsageError(f"{form.option}: {file} is a directory")
            wanted[str(form.option)] = file.parent
        for option, directory in wanted.items():
            if directory is not None:
                _make(option, directory)
        if self.keep is not None and any(self.keep.iterdir()):
            raise UsageError(f"--keep: {self.keep} is not empty")

    def keep_trees(
        self,
        report: Report,
        trees: Mapping[tuple[str, str], Tree],
        diffoscope: str,
        stopped: Callable[[], bool] = lambda: False,
        tell: Tell = lambda *_: None,
    ) -> Report:
        """Keep both sides of what differs (`trees` by .drv path and output) while they are there; the machine's form of
        the report comes first, in case that there is no room for both. Returns the report, with what it has to say
        about them. `stopped` ends the comparison by diffoscope, and `tell` is told of each of them."""
        self.write(report, (JSON,))
        named = named_trees(report, trees)
        if self.keep is not None and (problems := keep_trees(named, self.keep)):
            report = _warned(report, f"--keep: not kept: {some(problems, 5)}")
        if self.directory is None:
            return report
        return fill_directory(report, named, self.directory, diffoscope, stopped, tell)

    def written(self, problems: Iterable[str] = ()) -> list[str]:
        """What there is to read now, as seen from the current directory, directories with what is in them. `problems`
        are what `write` could not write."""
        failed = {problem.partition(":")[0] for problem in problems}
        files = [from_here(file) for file in self.files.values() if not is_stream(file) and str(file) not in failed]
        for directory in (self.directory, self.keep):
            names = sorted(os.listdir(directory)) if directory is not None and directory.is_dir() else []
            if directory is not None and names:
                files.append(f"{from_here(directory)}/ ({some(names, 6)})")
        return files

    def write(self, report: Report, forms: Sequence[Format] = FORMATS) -> list[str]:
        """Write the report in every one of the forms that is wanted. Returns what could not be written, and why: the
        others are, and what was there before stays."""
        wanted = [(file, form) for form, file in self.files.items() if form in forms]
        if forms is not FORMATS:
            # A stream takes the report once.
            wanted = [(file, form) for file, form in wanted if not is_stream(file)]
        wanted += [(self.directory / form.file, form) for form in forms] if self.directory is not None else []
        problems: list[str] = []
        for file, form in wanted:
            try:
                write_whole(file, form.render(report))
            except UsageError as error:
                problems.append(str(error))
        return problems


def _make(option: str, directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: {directory}: {error.strerror}") from None
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{option}: {directory} cannot be written")
