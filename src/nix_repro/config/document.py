"""YAML that anybody may have written, as plain values: what a configuration has no use for is one error that names its
line, whatever it would have cost to make it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from nix_repro.errors import UsageError
from nix_repro.settings import Entry

if TYPE_CHECKING:
    import yaml

#: Bytes of a file.
BYTES = 1 << 16
#: Lists and mappings inside each other.
LEVELS = 20
#: Values behind one key, when every alias stands for what it names.
VALUES = 1_000
#: Characters of one text.
CHARACTERS = 4_000
#: Characters of one number.
DIGITS = 40
_TAG = "tag:yaml.org,2002:"
#: What YAML makes of some plain words, and of what is marked so.
_ODD = {
    "timestamp": "is a date; text that looks like one belongs between quotation marks",
    "merge": "is a merge key, which is not supported",
    "binary": "is binary data",
    "set": "is a set",
    "omap": "is an ordered mapping",
    "pairs": "is a list of pairs",
}
# Of control characters, only tabs and line ends are text; a lone surrogate is no character at all.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_T = TypeVar("_T")


class _Odd(Exception):
    """What has no place in a configuration, with the node where it stands."""

    def __init__(self, node: yaml.Node, what: str) -> None:
        super().__init__(what)
        self.node = node


class Item:
    """A key of the file, and what stands behind it. `place` is where the key is: `FILE:LINE: KEY`."""

    def __init__(self, name: str, key: yaml.Node, value: yaml.Node) -> None:
        self._name = name
        self._node = value
        # For the error in the key itself, which has no name yet.
        self.key = "a key"
        self.key = self._checked(lambda: _key(key))
        self.place = self._where(key)

    @property
    def where(self) -> str:
        """Where the value is."""
        return self._where(self._node)

    def value(self) -> Any:
        """The value, of `None`, `bool`, `int`, `float`, `str`, `list` and `dict`. Raises `UsageError` that names the
        line."""
        return self._checked(lambda: _plain(self._node))

    def entries(self) -> tuple[Entry, ...]:
        """The value entry by entry, each with its line: of a list, or of a mapping, whose own mappings are entries
        `outer.inner`. Raises `UsageError` that names the line."""
        return self._checked(lambda: tuple(self._entries()))

    def _entries(self) -> Iterator[Entry]:
        import yaml

        value = _plain(self._node)
        if isinstance(self._node, yaml.SequenceNode):
            yield from (self._entry("", node) for node in self._node.value)
        elif not isinstance(self._node, yaml.MappingNode):
            yield Entry("", value, self.where)
        else:
            for key, node in self._node.value:
                if isinstance(node, yaml.MappingNode):
                    yield from (self._entry(f"{key.value}.{k.value}", v, at=k) for k, v in node.value)
                else:
                    yield self._entry(key.value, node, at=key)

    def rows(self) -> tuple[Entry, ...]:
        """The value as a list of mappings, each of them its entries, each of those with its line. A date is text here.
        Raises `UsageError` that names the line."""
        return self._checked(lambda: tuple(self._rows()))

    def _rows(self) -> Iterator[Entry]:
        import yaml

        if isinstance(self._node, yaml.ScalarNode) and self._node.tag == f"{_TAG}null":
            return
        if not isinstance(self._node, yaml.SequenceNode) or self._node.tag != f"{_TAG}seq":
            raise _Odd(self._node, "is no list")
        if len(self._node.value) > VALUES:
            raise _Odd(self._node, f"more than {VALUES:,} entries")
        for node in self._node.value:
            if not isinstance(node, yaml.MappingNode):
                raise _Odd(node, "an entry is no mapping")
            _plain(node, dates=True)
            pairs = (Entry(_shown(k.value), _plain(v, dates=True), self._where(k)) for k, v in node.value)
            yield Entry("", tuple(pairs), self._where(node))

    def _entry(self, name: str, node: yaml.Node, at: yaml.Node | None = None) -> Entry:
        return Entry(_shown(name), _plain(node), self._where(at or node))

    def _where(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}: {self.key}"

    def _checked(self, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except _Odd as odd:
            raise UsageError(f"{self._where(odd.node)}: {odd}") from None


def read_document(content: bytes, name: str) -> Iterator[Item]:
    """The keys of a file that holds one mapping, or nothing. Raises `UsageError` with the file's `name`, and the
    line."""
    import yaml

    try:
        root = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not UTF-8") from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{name}{line}: {_shown(getattr(error, 'problem', None) or 'not YAML')}") from None
    except (ValueError, OverflowError):
        # A version of thousands of digits, a character that does not exist.
        raise UsageError(f"{name}: not YAML") from None
    if root is None or root.tag == f"{_TAG}null":
        return
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{name}:{root.start_mark.line + 1}: expected `key: value` lines")
    for key, value in root.value:
        yield Item(name, key, value)


def _plain(node: yaml.Node, *, dates: bool = False) -> Any:
    left = [VALUES]

    def plain(node: yaml.Node, level: int) -> Any:
        import yaml

        left[0] -= 1
        if left[0] < 0:
            raise _Odd(node, f"more than {VALUES:,} values")
        if isinstance(node, yaml.ScalarNode):
            return _text(node) if dates and node.tag == f"{_TAG}timestamp" else _scalar(node)
        if level == LEVELS:
            raise _Odd(node, "nested too deeply")
        kind = "seq" if isinstance(node, yaml.SequenceNode) else "map"
        if node.tag != f"{_TAG}{kind}":
            raise _odd_tag(node)
        if kind == "seq":
            return [plain(item, level + 1) for item in node.value]
        found: dict[Any, Any] = {}
        for key, value in node.value:
            name = _scalar(key)
            if name in found:
                raise _Odd(key, f"{_shown(str(name))} is given twice")
            found[name] = plain(value, level + 1)
        return found

    return plain(node, 0)


def _key(node: yaml.Node) -> str:
    _scalar(node)
    return str(_shown(node.value))


def _scalar(node: yaml.Node) -> Any:
    import yaml

    if not isinstance(node, yaml.ScalarNode):
        raise _Odd(node, "a list or a mapping cannot be a key")
    kind, value = node.tag.removeprefix(_TAG), node.value
    if kind == "str":
        return _text(node)
    if kind not in ("null", "bool", "int", "float"):
        raise _odd_tag(node)
    if len(value) > DIGITS:
        raise _Odd(node, f"{_shown(value)} is no number that anybody needs")
    try:
        return getattr(yaml.SafeLoader(""), f"construct_yaml_{kind}")(node)
    except (ValueError, KeyError, IndexError, ArithmeticError):
        raise _Odd(node, f"{_shown(value)} is not what its tag !!{kind} says") from None


def _text(node: yaml.Node) -> str:
    value = str(node.value)
    if (found := _INVISIBLE.search(value)) is not None:
        raise _Odd(node, f"holds the character U+{ord(found[0]):04X}, which is no text")
    if len(value) > CHARACTERS:
        raise _Odd(node, f"a text of {len(value):,} characters; at most {CHARACTERS:,} are allowed")
    return value


def _odd_tag(node: yaml.Node) -> _Odd:
    kind = node.tag.removeprefix(_TAG)
    if kind in _ODD:
        return _Odd(node, f"{_shown(node.value)} {_ODD[kind]}" if isinstance(node.value, str) else _ODD[kind])
    return _Odd(node, f"could not determine a constructor for the tag {_shown(node.tag)!r}")


def _shown(text: str) -> str:
    """What may stand in an error: one line, and not long."""
    text = text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode("ascii")
    return text if len(text) <= 100 else f"{text[:99]}…"


def without_lines(value: object) -> object:
    """What a value says, wherever it stands: entries as names and values."""
    if not isinstance(value, tuple):
        return value
    return [(entry.name, without_lines(entry.value)) for entry in value]
