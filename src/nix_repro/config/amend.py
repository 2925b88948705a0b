"""Rules are added to a configuration file, and nothing else of it changes: people have written it, with comments, in an
order and a style of their own.

Text is put in where the rules may belong, and what came of it is read: where the file then says anything but what it
said and the new rules, that was not the place. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nix_repro.config import read_settings
from nix_repro.config.allow import KEYS, rules
from nix_repro.config.document import without_lines
from nix_repro.errors import UsageError
from nix_repro.settings import Setting
from nix_repro.verdict.allow import AllowRule

if TYPE_CHECKING:
    import yaml

#: What ends a line for YAML 1.1.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
#: Behind these a line starts; the first one may stand before the first.
_STARTS = "\ufeff\r\n\x85\u2028\u2029"
#: What says the same without quotation marks, if it is no number, date or truth value.
_PLAIN = re.compile(r"[A-Za-z0-9_./]([A-Za-z0-9 _./+@=()'-]*[A-Za-z0-9_./+@=()'-])?")
#: What JSON leaves as it is and YAML does not.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")

#: Pieces of text, each with the places in the old text between which it is put.
_Edit = Sequence[tuple[int, int, str]]


def with_rules(content: bytes, name: str, new: Sequence[AllowRule]) -> bytes | None:
    """The text of a configuration file with rules behind those that it has; null when that would change something else.
    Raises `UsageError` for a file that is wrong already."""
    before = read_settings(content, name)
    text = content.decode("utf-8")
    for candidate in _candidates(text, new):
        edited = candidate.encode("utf-8", "surrogatepass")
        if _only_adds(before, edited, new):
            return edited
    return None


def block(new: Iterable[AllowRule], indent: int = 2) -> list[str]:
    """Rules as the lines of a list."""
    return [
        f"{' ' * indent}{'  ' if number else '- '}{line}"
        for rule in new
        for number, line in enumerate(f"{key}: {value}" for key, value in _written(rule))
    ]


def _flow(new: Iterable[AllowRule]) -> list[str]:
    return [f"{{{', '.join(f'{key}: {value}' for key, value in _written(rule))}}}" for rule in new]


def _written(rule: AllowRule) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        value = getattr(rule, key)
        if value is not None:
            yield key, str(value) if key == "until" else _scalar(value)


def _scalar(text: str) -> str:
    import yaml

    if _PLAIN.fullmatch(text):
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None and node.tag == "tag:yaml.org,2002:str":
            return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _only_adds(before: Mapping[str, Setting], edited: bytes, new: Sequence[AllowRule]) -> bool:
    try:
        after = read_settings(edited, "")
        had, has = (rules(settings.get("allow", Setting((), ""))) for settings in (before, after))
    except UsageError:
        return False
    others = [
        [(key, without_lines(setting.value)) for key, setting in settings.items() if key != "allow"]
        for settings in (before, after)
    ]
    said = [replace(rule, file="", line=0) for rule in has]
    return others[0] == others[1] and said == [replace(rule, file="", line=0) for rule in (*had, *new)]


def _candidates(text: str, new: Sequence[AllowRule]) -> Iterator[str]:
    """The text with the rules, in the places where they may belong, best first."""
    import yaml

    end = found[0] if (found := _BREAK.search(text)) else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        edits: Iterable[_Edit] = [[_lines(text, len(text), ["allow:", *block(new)], end)]]
    else:
        value = next((value for key, value in root.value if key.value == "allow"), None)
        edits = _new_key(text, root, new, end) if value is None else _in_value(text, root, value, new, end)
    return (_edited(text, edit) for edit in edits)


def _edited(text: str, edit: _Edit) -> str:
    for start, stop, piece in sorted(edit, reverse=True):
        text = text[:start] + piece + text[stop:]
    return text


def _lines(text: str, at: int, lines: Iterable[str], end: str) -> tuple[int, int, str]:
    """Lines of their own, behind the line in which a place is."""
    if at and text[at - 1] not in _STARTS:
        found = _BREAK.search(text, at)
        if found is None:
            return len(text), len(text), "".join(end + line for line in lines) + end
        at = found.end()
    return at, at, "".join(line + end for line in lines)


def _new_key(text: str, root: yaml.MappingNode, new: Sequence[AllowRule], end: str) -> Iterator[_Edit]:
    if root.flow_style:
        close = root.end_mark.index - 1
        for comma in (", ", " ") if root.value else ("",):
            yield [(close, close, f"{comma}allow: [{', '.join(_flow(new))}]")]
        return
    first = root.value[0][0].start_mark
    lines = [f"{' ' * first.column}allow:", *block(new, first.column + 2)]
    yield [_lines(text, len(text), lines, end)]
    yield [_lines(text, _tokens(text, root)[-1].end_mark.index, lines, end)]
    # A text that goes on to the end of the file would take them in.
    at = first.index - first.column
    yield [(at, at, "".join(line + end for line in lines))]


def _in_value(
    text: str, root: yaml.MappingNode, value: yaml.Node, new: Sequence[AllowRule], end: str
) -> Iterator[_Edit]:
    import yaml

    start, stop = value.start_mark.index, value.end_mark.index
    if isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        tokens = _tokens(text, value)
        dash = next(token for token in tokens if isinstance(token, yaml.BlockEntryToken))
        yield [_lines(text, tokens[-1].end_mark.index, block(new, dash.start_mark.column), end)]
    elif isinstance(value, yaml.SequenceNode) and value.value:
        yield from _in_flow(text, _tokens(text, value)[:-1], stop, new, end)
    elif re.fullmatch(r"(\[\s*\]|~|null)?", text[start:stop]):
        # Where there is nothing, nothing is lost.
        behind = len(text[:start].rstrip(" "))
        if not root.flow_style:
            lines = block(new, root.value[0][0].start_mark.column + 2)
            yield [(behind, stop, ""), _lines(text, stop, lines, end)]
        for colon in (" ", ": "):
            yield [(behind, stop, f"{colon}[{', '.join(_flow(new))}]")]
    elif isinstance(value, yaml.SequenceNode):
        yield [(stop - 1, stop - 1, ", ".join(_flow(new)))]


def _in_flow(text: str, tokens: Sequence[Any], stop: int, new: Sequence[AllowRule], end: str) -> Iterator[_Edit]:
    import yaml

    last = tokens[-1].end_mark.index
    comma = "" if isinstance(tokens[-1], yaml.FlowEntryToken) else ","
    if _BREAK.search(text, last, stop):
        margin = re.match(r"[ ]*", text[tokens[-1].start_mark.index - tokens[-1].start_mark.column :])
        indent = margin[0] if margin is not None else ""
        lines = [indent + f",{end}{indent}".join(_flow(new)) + ("" if comma else ",")]
        yield [(last, last, comma), _lines(text, last, lines, end)]
    yield [(last, last, f"{comma} {', '.join(_flow(new))}")]


def _tokens(text: str, node: yaml.Node) -> list[Any]:
    """What is written of a node, comments left out."""
    import yaml

    inside = range(node.start_mark.index, node.end_mark.index)
    return [t for t in yaml.scan(text) if t.start_mark.index in inside and t.end_mark.index > t.start_mark.index]
